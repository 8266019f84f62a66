"""A whole run: the sentence, a survey under each arithmetic, what no survey keeps, and the verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from headscope import __version__
from headscope.corpus.texts import find_sources
from headscope.errors import InputError
from headscope.model.surroundings import settled
from headscope.question.choices import MASKS, Mask, one_of
from headscope.question.given import in_order
from headscope.reading.bank import SENTENCES
from headscope.scope import Scope
from headscope.studies.claims import corpus, linear, position, sentence, stream
from headscope.studies.claims.catalogue import CLAIMS
from headscope.studies.claims.published import Published
from headscope.studies.claims.result import Claims
from headscope.studies.claims.store import PARTS, Work, usual_directory
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.claims.verdict import Arithmetic, Finding
from headscope.studies.survey.finished import is_finished
from headscope.studies.survey.manifest import options_of, survey_manifest
from headscope.studies.survey.options import Options
from headscope.studies.survey.run import Survey
from headscope.studies.survey.store import Store

REFERENCES = ("input", "layer")


class Watch(Protocol):
    """Is told what is being done, and how far that is; `total` None: nobody knows."""

    def step(self, doing: str, total: int | None) -> None: ...

    def tick(self, done: int) -> None: ...


class Unwatched:
    """Nobody looks."""

    def step(self, doing: str, total: int | None) -> None:
        pass

    def tick(self, done: int) -> None:
        pass


@dataclass(frozen=True)
class Asked:
    """What is asked: texts, or a finished survey; None and None: the sentences that come with headscope."""

    texts: tuple[Path, ...] | None = None
    survey: Path | None = None
    mask: Mask = "model"
    sample: int | None = None
    seed: int = 0

    @classmethod
    def of(cls, texts: Iterable[str] | None, survey: str | None, mask: str, sample: int | None, seed: int) -> Asked:
        """From the command line; InputError for what cannot be asked."""
        one_of("mask", mask, MASKS)
        paths = tuple(map(Path, in_order([] if texts is None else texts, "texts"))) or None
        return cls(paths, None if survey is None else Path(survey), mask, sample, seed)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        if self.survey is not None and (self.texts is not None or self.sample is not None):
            raise InputError("a survey has texts of its own: leave out the texts and the sample.")


@settled
def settle(scope: Scope, asked: Asked, directory: str | Path | None = None, watch: Watch | None = None) -> Claims:
    """Every claim's verdict on a model.

    The work is kept below `directory` (None: in headscope's cache): a run that was killed goes on from there. Raises
    InputError for texts, a survey or a directory that do not fit.
    """
    seen = watch or Unwatched()
    run = _Run(scope, asked, None if directory is None else Path(directory) / PARTS, seen)
    with run.work.claimed():
        return run.claims()


class _Run:
    """One run: its surveys, under both arithmetics, and the findings on them."""

    def __init__(self, scope: Scope, asked: Asked, directory: Path | None, watch: Watch) -> None:
        self.scope, self.asked, self.watch = scope, asked, watch
        self.mask = asked.mask
        sources, self.options = self._sources()
        self.paths = sources
        question = {
            "headscope": __version__,
            "weights_sha256": scope.card.weights_sha256,
            "dtype": scope.card.dtype,
            "mask": asked.mask,
            "survey": None if asked.survey is None else str(asked.survey.resolve()),
            "options": self.options.to_dict(),
            "sources": [str(path.resolve()) for path in sources],
        }
        where = usual_directory(question, sources) if directory is None else directory
        self.work = Work(where, question)
        try:
            self.published: Published | InputError = Published(scope)
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
            *self._of_maps(right, published),
            *self._of_streams(right),
        ]
        if isinstance(self.published, InputError):
            reason = str(self.published).partition(": ")[2]
            findings += [
                Finding(id, "published", None, "not applicable", reason) for id in CLAIMS if not CLAIMS[id].stream
            ]
        order = list(CLAIMS)
        findings.sort(key=lambda one: (order.index(one.claim), one.arithmetic != "right"))
        return Claims(self._model(), self._texts(right), self.mask, tuple(findings), self._notes())

    # ---- the surveys ----

    def _sources(self) -> tuple[list[Path], Options]:
        """The files that are read, and the options of both surveys."""
        if self.asked.survey is not None:
            manifest = _fitting(self.asked.survey, self.scope, self.mask)
            names = manifest["texts"]["sources"]
            paths = [self.asked.survey / "stdin" if name == "standard input" else Path(name) for name in names]
            lost = [path for path in paths if not path.is_file()]
            if lost:
                raise InputError(f"the survey's texts are no longer at {lost[0]}: name them with --texts.")
            views: dict[str, Any] = {"spaces": ("value",), "metrics": ("cosine",), "references": REFERENCES}
            return paths, replace(options_of(manifest), masks=(self.mask,), **views)
        texts = self.asked.texts or (Path(str(files("headscope.reading") / "sentences.txt")),)
        paths = [source.path for source in find_sources(list(texts))]
        options = Options(masks=(self.mask,), sample=self.asked.sample, seed=self.asked.seed, stream=True)
        return paths, options

    def _right(self) -> Surveyed:
        if self.asked.survey is not None:
            return Surveyed(self.asked.survey, self.mask)
        return self._surveyed(self.scope, "right", self.options, "measuring the heads")

    def _published(self, right: Surveyed) -> Surveyed | None:
        if isinstance(self.published, InputError):
            return None
        options = replace(self.options, references=("input",), stream=False)
        found = self._surveyed(self.published, "published", options, "measuring under the published arithmetic")
        if found.manifest["texts"]["sha256"] != right.manifest["texts"]["sha256"]:
            raise InputError("the survey's texts have changed since: name them with --texts.")
        return found

    def _surveyed(self, scope: Scope, name: str, options: Options, doing: str) -> Surveyed:
        self.watch.step("counting the texts", None)
        prepared = Survey.prepare(scope, self.paths, self.work.at(name), options)
        store, layers = Store(self.work.at(name)), scope.card.layers
        left = sum(shard.positions for shard in prepared.census.shards if not store.has(shard.index))
        stages = 2 * layers + 1 if options.stream else 0
        if left or not is_finished(self.work.at(name)):
            self.watch.step(doing, left * (layers * len(options.references) + stages))
            prepared.run(tick=self.watch.tick, say=lambda step: None)
        return Surveyed(self.work.at(name), self.mask)

    # ---- the findings ----

    def _of_sentence(self, right: Surveyed, published: Surveyed | None) -> list[Finding]:
        self.watch.step("reading the sentence", None)
        found = []
        both: list[tuple[Scope, Arithmetic, Surveyed]] = [(self.scope, "right", right)]
        if published is not None and isinstance(self.published, Published):
            both.append((self.published, "published", published))
        for scope, arithmetic, survey in both:
            for one in sentence.Sentence.read(scope, arithmetic, self.mask).findings():
                found.append(corpus.preserved(survey, arithmetic, one) if one.claim == "S3" else one)
        return [*found, sentence.on_the_way(self.scope, self.mask)]

    def _of_corpus(self, survey: Surveyed, arithmetic: Arithmetic, references: Sequence[str]) -> list[Finding]:
        self.watch.step("counting nearest tokens", None)
        scope = self.scope if isinstance(self.published, InputError) or arithmetic == "right" else self.published
        surfaces = self.scope.bench.opened.names.surfaces.numpy()
        tokens = len(survey.tokens["id"])
        found = [corpus.noise(survey, arithmetic, reference) for reference in references]
        found.append(corpus.elsewhere(survey, arithmetic))
        found += [corpus.abstraction(survey, arithmetic, reference, surfaces) for reference in references]
        self.watch.step("with and without the position", tokens)
        where = self.work.at(f"position-{arithmetic}")
        found.append(position.changed(survey, scope, arithmetic, self.mask, where, self.watch.tick))
        return found

    def _of_maps(self, right: Surveyed, published: Surveyed | None) -> list[Finding]:
        self.watch.step("fitting linear maps", None)
        told = 0

        def tell(done: int, total: int) -> None:
            nonlocal told
            if not told:
                self.watch.step("fitting linear maps", total)
            self.watch.tick(done - told)
            told = done

        found = linear.maps(right, self.scope, self.mask, self.work.at("maps.json"), tell)
        findings = [linear.linked(right, "right", reference, found) for reference in REFERENCES]
        findings.append(linear.distributed(found))
        if published is not None:
            findings.append(linear.linked(published, "published", "input", None))
            said = (
                "the published arithmetic is one of heads and vocabulary; the maps are fitted to what the model holds."
            )
            findings.append(Finding("S9", "published", None, "not applicable", said))
        return findings

    def _of_streams(self, right: Surveyed) -> list[Finding]:
        self.watch.step("residual streams", None)
        found = [*stream.by_layer(right), stream.density(right, self.scope)]
        self.watch.step("mixing ratios", len(right.tokens["id"]))
        found.append(stream.unaffected(right, self.scope, self.mask, self.work.at("mixing"), self.watch.tick))
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
