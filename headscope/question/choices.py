"""Which spaces, references, vectors and metrics there are, and which of them can be combined."""

from __future__ import annotations

from typing import Literal, get_args

from headscope.errors import InputError, cut
from headscope.question import defaults

# What is compared, with what, and how.
Space = Literal["value", "output", "key", "query", "embedding", "unembedding", "fitted"]
SPACES: tuple[Space, ...] = get_args(Space)
Reference = Literal["input", "layer", "isolated"]
REFERENCES: tuple[Reference, ...] = get_args(Reference)
Metric = Literal["cosine", "euclidean", "dot"]
METRICS: tuple[Metric, ...] = get_args(Metric)
Candidates = Literal["all", "words"]
CANDIDATES: tuple[Candidates, ...] = get_args(Candidates)
Vector = Literal["z", "q", "k", "v"]
VECTORS: tuple[Vector, ...] = get_args(Vector)
Against = Literal["z", "v"]  # what a text's own positions are compared by
AGAINST: tuple[Against, ...] = get_args(Against)
Weigh = Literal["weights", "norms"]  # attention, by its weights or by what they let through
WEIGH: tuple[Weigh, ...] = get_args(Weigh)

# How a text is read, and by what.
STANDARD_INPUT = "-"  # in the place of a text, and of a path of texts
Mask = Literal["model", "full", "causal"]
MASKS: tuple[Mask, ...] = get_args(Mask)
Replacement = Literal["zero", "mean"]  # of a head's z
REPLACEMENTS: tuple[Replacement, ...] = get_args(Replacement)
StackName = Literal["encoder", "decoder"]
STACKS: tuple[StackName, ...] = get_args(StackName)

# What is made once: of the tokens read alone, of a map, of a lens.
What = Literal["values", "streams"]
WHAT: tuple[What, ...] = get_args(What)
Method = Literal["tsne", "pca"]
METHODS: tuple[Method, ...] = get_args(Method)
Compare = Literal["none", "reference", "full", "causal", "text", "model"]  # what differs on the page's other side
COMPARE: tuple[Compare, ...] = get_args(Compare)
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)
Target = Literal["own", "sources"]
TARGETS: tuple[Target, ...] = get_args(Target)

# What a study asks of a corpus, and how its texts are kept.
Format = Literal["text", "jsonl", "csv", "parquet", "conllu"]
FORMATS: tuple[Format, ...] = get_args(Format)
Null = Literal["random", "values", "labels", "uniform", "rotated"]
NULLS: tuple[Null, ...] = get_args(Null)
ENGINES = ("ray",)
CapacityPart = Literal["dimension", "number", "reproductions"]
CAPACITY_PARTS: tuple[CapacityPart, ...] = get_args(CapacityPart)
Site = Literal["heads", "z", "residual", "head"]
SITES: tuple[Site, ...] = get_args(Site)

OPEN_REFERENCES: dict[Space, tuple[Reference, ...]] = {
    "value": ("input", "layer", "isolated"),
    "output": ("input", "layer", "isolated"),
    "key": ("input", "layer"),
    "query": ("input", "layer"),
    "embedding": (),
    "unembedding": (),
    "fitted": (),
}
OPEN_VECTORS: dict[Space, tuple[Vector, ...]] = {
    "value": ("z", "v"),
    "output": ("z", "v"),
    "key": ("z", "k", "q"),
    "query": ("z", "q", "k"),
    "embedding": ("z", "v"),
    "unembedding": ("z", "v"),
    "fitted": ("z",),
}


def check(space: str, reference: str | None, metric: str, candidates: str = "all", vector: str = "z") -> None:
    """Raise InputError, with the open choices, where one of these is not to be had, or not with the others.

    `reference` None leaves the choice to the space.

    >>> check("value", "input", "manhattan")
    Traceback (most recent call last):
    headscope.errors.InputError: there is no metric 'manhattan'; open: cosine, euclidean, dot.
    >>> check("embedding", "layer", "dot")
    Traceback (most recent call last):
    headscope.errors.InputError: the space embedding has no reference 'layer'; leave the reference out.
    """
    one_of("space", space, SPACES)
    one_of("metric", metric, METRICS)
    one_of("candidates", candidates, CANDIDATES)
    vectors, references = OPEN_VECTORS[space], OPEN_REFERENCES[space]  # type: ignore[index]
    if reference is not None:
        one_of("reference", reference, REFERENCES)
        if reference not in references:
            raise InputError(
                f"the space {space} has no reference {reference!r}; "
                + (f"open: {', '.join(references)}." if references else "leave the reference out.")
            )
    one_of("vector", vector, VECTORS)
    if vector not in vectors:
        raise InputError(f"{vector} is not compared in the space {space}; open: {', '.join(vectors)}.")


def resolved(space: Space, reference: Reference | None) -> Reference | None:
    """The reference that is meant: what was asked for, else the default where the space has references.

    >>> resolved("value", None), resolved("value", "input"), resolved("embedding", None)
    ('layer', 'input', None)
    """
    return reference or (defaults.REFERENCE if OPEN_REFERENCES[space] else None)


def bases(space: Space, reference: Reference | None) -> tuple[Reference | None, ...]:
    """The references that all layers' heads are shown by, what was asked for first, and then those it is flipped to.

    Reading every token alone takes its time: only where it was asked for. A space without references has one basis.

    >>> bases("value", "input"), bases("value", "isolated"), bases("embedding", None)
    (('input', 'layer'), ('isolated', 'input', 'layer'), (None,))
    """
    first = resolved(space, reference)
    others = (one for one in OPEN_REFERENCES[space] if one not in (first, "isolated"))
    return (first, *others)


def one_of(kind: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise InputError where `value` is none of `choices`."""
    if value not in choices:
        raise InputError(f"there is no {kind} {cut(value)!r}; open: {', '.join(choices)}.")
