"""A whole run: the sentence, a survey under each arithmetic, what no survey keeps, and the verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from headscope import __version__
from headscope.corpus.asked import CorpusOptions
from headscope.corpus.files import find_sources
from headscope.corpus.run import missing
from headscope.errors import InputError
from headscope.keep.allocator import let_go
from headscope.keep.paths import path_of
from headscope.keep.remote import refuse_remote
from headscope.model.surroundings import settled
from headscope.question.choices import MASKS, Mask, one_of
from headscope.question.given import in_order, of_kind
from headscope.reading.bank import SENTENCES
from headscope.scope import Scope, a_scope
from headscope.show.progress import Progress
from headscope.studies.claims import corpus, linear, position, sentence, stream
from headscope.studies.claims.catalogue import CLAIMS
from headscope.studies.claims.distributed import distributed
from headscope.studies.claims.maps import fit_maps
from headscope.studies.claims.published import KEPT_BYTES, Published
from headscope.studies.claims.result import Claims
from headscope.studies.claims.store import PARTS, claimed, usual_directory, work_in
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.claims.verdict import Arithmetic, Finding
from headscope.studies.hands import Hands, hands_of
from headscope.studies.survey.finished import is_finished
from headscope.studies.survey.fleet import run_by
from headscope.studies.survey.manifest import options_of, survey_manifest
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey
from headscope.studies.survey.store import Store

REFERENCES = ("input", "layer")


@dataclass(frozen=True)
class ClaimsAsked:
    """What is asked: texts, or a finished survey; None and None: the sentences that come with headscope.

    `texts` are files and directories. Raises InputError where both are named.

    >>> ClaimsAsked(sample=60).mask
    'model'
    >>> ClaimsAsked(survey=Path("results"), sample=60)
    Traceback (most recent call last):
    headscope.errors.InputError: a survey has texts of its own: leave out the texts and the sample.
    """

    texts: tuple[Path, ...] | None = None
    survey: Path | None = None
    mask: Mask = "model"
    sample: int | None = None
    seed: int = 0

    @classmethod
    def of(
        cls, texts: Iterable[str] | None, survey: str | None, mask: str, sample: int | None, seed: int
    ) -> ClaimsAsked:
        """From the command line; InputError for what cannot be asked."""
        return cls(texts, survey, mask, sample, seed)  # type: ignore[arg-type]  # made plain below

    def __post_init__(self) -> None:
        one_of("mask", self.mask, MASKS)
        named = [] if self.texts is None else in_order(self.texts, "texts")
        refuse_remote([*named, *filter(None, [self.survey])], "claims read")
        drawn = CorpusOptions(sample=self.sample, seed=self.seed)
        plain = {
            "texts": tuple(path_of(one, "a path of texts") for one in named) or None,
            "survey": None if self.survey is None else path_of(self.survey, "a survey's directory"),
            "sample": drawn.sample,
            "seed": drawn.seed,
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if self.survey is not None and (self.texts is not None or self.sample is not None):
            raise InputError("a survey has texts of its own: leave out the texts and the sample.")


@settled
def settle(
    scope: Scope,
    asked: ClaimsAsked,
    directory: str | Path | None = None,
    progress: Progress | None = None,
    hands: Hands | None = None,
) -> Claims:
    """Every claim's verdict on a model.

    The work is kept below `directory` (None: in headscope's cache): a run that was killed goes on from there. `hands`:
    who measures (None: this process); workers see that directory under the same name. Raises InputError for texts, a
    survey or a directory that do not fit.
    """
    where = None if directory is None else path_of(directory, "the directory of claims") / PARTS
    scope, asked = a_scope(scope), of_kind(asked, ClaimsAsked, "asked")
    run = _Run(hands_of(hands, scope), asked, where, Progress.of(progress))
    with claimed(run.work, run.question), scope.bench.encodings.within(KEPT_BYTES):
        return run.claims()


class _Run:
    """One run: its surveys, under both arithmetics, and the findings on them."""

    def __init__(self, hands: Hands, asked: ClaimsAsked, directory: Path | None, progress: Progress) -> None:
        self.hands, self.scope, self.asked, self.progress = hands, hands.scope, asked, progress
        self.mask = asked.mask
        sources, self.options = self._sources()
        self.paths = sources
        # All that the work depends on: what is kept for another question is not gone on with.
        self.question = {
            "headscope": __version__,
            "weights_sha256": self.scope.card.weights_sha256,
            "dtype": self.scope.card.dtype,
            "mask": asked.mask,
            "survey": None if asked.survey is None else str(asked.survey.resolve()),
            "options": self.options.to_dict(),
            "sources": [str(path.resolve()) for path in sources],
        }
        where = usual_directory(self.question, sources) if directory is None else directory
        self.work = work_in(where)
        try:
            self.published: Hands | InputError = hands.reading_as(Published)
        except InputError as error:
            self.published = error

    def claims(self) -> Claims:
        """All findings."""
        right = self._right()
        published = self._published(right)
        findings = [
            *self._of_sentence(right, published),
            *self._of_corpus(right, "right", REFERENCES),
            *(self._of_corpus(published, "published", ("input",)) if published else ()),
        ]
        self._forget_tables()
        findings += self._of_maps(right, published)
        let_go()  # the last untrained twin
        findings += self._of_streams(right)
        if isinstance(self.published, InputError):
            reason = str(self.published).partition(": ")[2]
            findings += [
                Finding(id, "published", None, "not applicable", reason) for id in CLAIMS if not CLAIMS[id].stream
            ]
        order = list(CLAIMS)  # and under one arithmetic as they were found: sorting is stable
        findings.sort(key=lambda one: (order.index(one.claim), one.arithmetic != "right"))
        return Claims(self._model(), self._texts(right), self.mask, tuple(findings), self._notes())

    # ---- the surveys ----

    def _sources(self) -> tuple[list[Path], SurveyOptions]:
        """The files that are read, and the options of both surveys."""
        if self.asked.survey is not None:
            manifest = _fitting(self.asked.survey, self.scope, self.mask)
            names = manifest["texts"]["sources"]
            refuse_remote(names, "claims read")
            paths = [self.asked.survey / "stdin" if name == "standard input" else Path(name) for name in names]
            lost = [path for path in paths if not path.is_file()]
            if lost:
                raise InputError(f"the survey's texts are no longer at {lost[0]}: name them with --texts.")
            views: dict[str, Any] = {"spaces": ("value",), "metrics": ("cosine",), "references": REFERENCES}
            return paths, replace(options_of(manifest), masks=(self.mask,), **views)
        texts = self.asked.texts or (Path(str(files("headscope.reading") / "sentences.txt")),)
        refuse_remote(texts, "claims read")
        paths = [Path(str(source.path)) for source in find_sources(list(texts))]
        options = SurveyOptions(masks=(self.mask,), sample=self.asked.sample, seed=self.asked.seed, stream=True)
        return paths, options

    def _right(self) -> Surveyed:
        if self.asked.survey is not None:
            return Surveyed(self.asked.survey, self.mask)
        return self._surveyed(self.hands, "right", self.options, "measuring the heads")

    def _published(self, right: Surveyed) -> Surveyed | None:
        if isinstance(self.published, InputError):
            return None
        # Its code had one vocabulary, that of layer 0; its streams are the model's own, and are measured already.
        options = replace(self.options, references=("input",), stream=False)
        self._forget_tables()
        found = self._surveyed(self.published, "published", options, "measuring under the published arithmetic")
        if found.manifest["texts"]["sha256"] != right.manifest["texts"]["sha256"]:
            raise InputError("the survey's texts have changed since: name them with --texts.")
        return found

    def _surveyed(self, hands: Hands, name: str, options: SurveyOptions, doing: str) -> Surveyed:
        self.progress.step("counting the texts")
        prepared = Survey.prepare(hands.scope, self.paths, self.work.at(name), options)
        # A finished survey's shards may have been damaged since.
        if missing(prepared.texts, Store(self.work.at(name))) or not is_finished(self.work.at(name)):
            run_by(hands, prepared, progress=self.progress, doing=doing)
        return Surveyed(self.work.at(name), self.mask)

    def _forget_tables(self) -> None:
        """Give back the tables of both arithmetics, before work that has no use for them and takes room of its own."""
        for hands in (self.hands, self.published):
            if not isinstance(hands, InputError):
                hands.scope.bench.encodings.forget_tables()
        let_go()

    # ---- the findings ----

    def _of_sentence(self, right: Surveyed, published: Surveyed | None) -> list[Finding]:
        self.progress.step("reading the sentence")
        found = []
        both: list[tuple[Scope, Arithmetic, Surveyed]] = [(self.scope, "right", right)]
        if published is not None and not isinstance(self.published, InputError):
            both.append((self.published.scope, "published", published))
        for scope, arithmetic, survey in both:
            for one in sentence.SentenceRead.read(scope, arithmetic, self.mask).findings():
                found.append(corpus.preserved(survey, arithmetic, one) if one.claim == "S3" else one)
        return [*found, sentence.on_the_way(self.scope, self.mask)]

    def _of_corpus(self, survey: Surveyed, arithmetic: Arithmetic, references: Sequence[str]) -> list[Finding]:
        self.progress.step("counting nearest tokens")
        hands = self.hands if isinstance(self.published, InputError) or arithmetic == "right" else self.published
        # Which words are the same is a matter of the tokenizer, which both arithmetics share.
        surfaces = self.scope.bench.opened.names.surfaces.numpy()
        found = [corpus.noise(survey, arithmetic, reference) for reference in references]
        found.append(corpus.elsewhere(survey, arithmetic))
        found += [corpus.abstraction(survey, arithmetic, reference, surfaces) for reference in references]
        where = self.work.at(f"position-{arithmetic}")
        found.append(position.changed(survey, hands, arithmetic, self.mask, where, self.progress))
        return found

    def _of_maps(self, right: Surveyed, published: Surveyed | None) -> list[Finding]:
        found = fit_maps(right, self.hands, self.mask, self.work.at("maps"), self.progress, "fitting linear maps")
        findings = [linear.linked(right, "right", reference, found) for reference in REFERENCES]
        findings.append(distributed(found))
        if published is not None:
            findings.append(linear.linked(published, "published", "input", None))
            said = (
                "the published arithmetic is one of heads and vocabulary; the maps are fitted to what the model holds."
            )
            findings.append(Finding("S9", "published", None, "not applicable", said))
        return findings

    def _of_streams(self, right: Surveyed) -> list[Finding]:
        self.progress.step("residual streams")
        found = [*stream.by_layer(right), stream.density(right, self.scope)]
        found.append(stream.unaffected(right, self.hands, self.mask, self.work.at("mixing"), self.progress))
        return found

    # ---- what it was asked of ----

    def _model(self) -> dict[str, Any]:
        card = self.scope.card
        names = ("name", "revision", "weights_sha256", "layers", "heads", "causal", "why")
        return {"architecture": type(self.scope.bench.opened.model).__name__} | {
            name: getattr(card, name) for name in names
        }

    def _texts(self, right: Surveyed) -> dict[str, Any]:
        texts = right.manifest["texts"]
        if self.asked.survey is not None:
            said = f"those of the survey {self.asked.survey}"
        elif self.asked.texts is None:
            said = f"{SENTENCES}, which come with headscope"
        else:
            said = ", ".join(map(str, self.asked.texts))
        return {
            "from": said,
            "sha256": texts["sha256"],
            "texts": texts["texts"],
            "tokens": texts["positions"],
            "groups": texts["groups"],
            "documents": texts["documents"],
            "left_out": texts["left_out"],
        }

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if self.scope.card.causal and self.mask != "full":
            notes.append(
                "under a causal mask a token sees only what stands before it; the claims were made of an encoder, "
                "whose tokens see the whole text."
            )
        if isinstance(self.published, InputError):
            notes.append(f"{str(self.published).removesuffix('.')}; nothing was published for such a model.")
        return tuple(notes)


def _fitting(directory: Path, scope: Scope, mask: Mask) -> dict[str, Any]:
    """The manifest of a finished survey that can serve; InputError, with what does not fit, else."""
    manifest = survey_manifest(directory)
    model, options = manifest["model"], manifest["options"]
    if model["weights_sha256"] != scope.card.weights_sha256:
        raise InputError(f"{directory} is a survey of other weights ({model['name']}), not of {scope.card.name}.")
    for name, needed in (("spaces", ["value"]), ("metrics", ["cosine"]), ("masks", [mask]), ("references", REFERENCES)):
        lacking = [one for one in needed if one not in options[name]]
        if lacking:
            raise InputError(f"{directory} does not fit: its {name} ({', '.join(options[name])}) lack {lacking[0]!r}.")
    if not options["position"] or options["candidates"] != "all":
        raise InputError(f"{directory} does not fit: the claims take all candidates, with the position embedding.")
    return manifest
