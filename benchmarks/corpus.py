"""A survey against its parts: the forward passes and the neighbour kernel, each alone, in the same run.

The texts are UD English EWT's (dev), from beside the checkout; without it, sentences drawn from the words of one. The
kernel alone is every search that the survey needs, with tables, places and vectors at hand: of every layer's outputs,
of those under even attention, and of the bank's (of texts with genres, as those are, of two), at their own places, for
the nearest token, the own rank and the ranks of the text's tokens. Beside it stands the same for the own rank alone.
The survey is everything from the census to the statistics, in a fresh directory, but without the estimate of the plan.
Time by the clock says what a user waits for; CPU time says what the work costs where others use the machine.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.models import TEXT, scopes
from benchmarks.timing import Timing, interleaved, machine
from headscope import Scope
from headscope.corpus.bank import Ints
from headscope.corpus.census import take_census, texts_of_bank
from headscope.corpus.files import find_sources
from headscope.corpus.genres import Genres
from headscope.corpus.texts import Columns, Corpus, CorpusText
from headscope.neighbors import warm_up
from headscope.studies.survey.bank import BankVectors, SurveyBank
from headscope.studies.survey.compare import View
from headscope.studies.survey.frame import ShardFrame
from headscope.studies.survey.heads import Heads, heads_of
from headscope.studies.survey.measure import used
from headscope.studies.survey.network import Network
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey
from headscope.vocabulary.placed import members_of

EWT = Path(__file__).parents[2] / "shared" / "corpora" / "ud-ewt" / "en_ewt-ud-dev.conllu"
TEXTS = {"demo": 700, "roberta-base size": 60}
ROUNDS = 3


def run() -> dict[str, object]:
    """Seconds of every task, and the survey's ratio to its parts."""
    warm_up(wait=True)
    with tempfile.TemporaryDirectory() as directory:
        path = EWT if EWT.is_file() else drawn(Path(directory) / "drawn.txt")
        found = {name: _measure(scope, path, TEXTS[name], Path(directory)) for name, scope in scopes().items()}
        return {"machine": machine(), "texts": path.name, **found}


def drawn(path: Path) -> Path:
    draw, words = random.Random(0), TEXT.split()
    lines = (" ".join(draw.choices(words, k=draw.randrange(4, 30))) for _ in range(1000))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _measure(scope: Scope, path: Path, count: int, directory: Path) -> dict[str, Any]:
    options = SurveyOptions(sample=count)
    corpus = Corpus(find_sources([path]), Columns())
    census = take_census(corpus, lambda text: scope.tokens(text.content), options, scope.card.vocab_size)
    shards = [texts for _, texts in census.texts_of(corpus, set(range(len(census.shards))))]
    plans = [census.bank, *([] if census.genres is None or census.genres.bank is None else [census.genres.bank])]
    banks = [SurveyBank(plan, partial(texts_of_bank, plan, corpus), Network(scope), options) for plan in plans]
    groups = dict(zip(census.numbers.tolist(), census.groups.tolist(), strict=True))
    kernels = [_Kernel.of(scope, texts, groups, banks, census.genres, options) for texts in shards]
    runs = 0

    def survey() -> None:
        nonlocal runs
        runs += 1
        where = directory / f"{scope.card.layers}-{scope.card.d_head}-{runs}"
        Survey.prepare(scope, [path], where, options).run()

    times = interleaved(
        {
            "forward": lambda: _forward(scope, shards),
            "kernel": lambda: _search(kernels, ranks=True),
            "kernel, the own rank alone": lambda: _search(kernels, ranks=False),
            "survey": survey,
        },
        ROUNDS,
    )
    return {
        "texts": len(census.numbers),
        "positions": census.total,
        "bank": [len(plan) for plan in plans],
        "shards": len(census.shards),
        "survey / (forward + kernel)": _ratios(times, lambda timing: timing.seconds),
        "the same, of CPU time": _ratios(times, lambda timing: timing.cpu_seconds),
        "times": {name: timing.to_dict() for name, timing in times.items()},
    }


def _ratios(times: Mapping[str, Timing], clock: Callable[[Timing], Sequence[float]]) -> dict[str, float]:
    """The survey's time over its parts', round by round: median, least and most."""
    rounds = zip(*(clock(times[name]) for name in ("forward", "kernel", "survey")), strict=True)
    found = [survey / (forward + kernel) for forward, kernel, survey in rounds]
    return {"median": statistics.median(found), "min": min(found), "max": max(found)}


def _forward(scope: Scope, shards: Sequence[Sequence[CorpusText]]) -> None:
    for texts in shards:
        contents = sorted((text.content for text in texts), key=len)
        for start in range(0, len(contents), 64):
            scope.read_many(contents[start : start + 64])


def _search(kernels: Sequence[_Kernel], ranks: bool) -> None:
    for kernel in kernels:
        kernel.search(ranks)


@dataclass(frozen=True)
class _Kernel:
    """The searches of one shard: its tokens, what the heads did there, and the banks with what is asked of each."""

    scope: Scope
    options: SurveyOptions
    frame: ShardFrame
    heads: Heads
    banks: list[tuple[BankVectors, Tensor]]

    @classmethod
    def of(
        cls,
        scope: Scope,
        texts: list[CorpusText],
        groups: dict[int, int],
        banks: list[SurveyBank],
        genres: Genres | None,
        options: SurveyOptions,
    ) -> _Kernel:
        tokens = [scope.tokens(text.content) for text in texts]
        genre_of = {text.number: text.genre for text in texts}

        def asked(number: int, positions: Ints) -> Ints:
            return banks[0].plan.asked(number, groups[number], positions, options.seed)

        def matched(number: int, positions: Ints) -> Ints:
            assert genres is not None
            return genres.asked(number, groups[number], genre_of[number], positions, options.seed)

        surfaces = scope.bench.opened.names.surfaces
        frame = ShardFrame.of(
            texts, tokens, lambda number, ids: ids, surfaces, asked, matched if len(banks) > 1 else None
        )
        held = [(banks[0].heads("model"), frame.asked)]
        if frame.matched is not None:
            outputs, of_outputs = used(frame.matched)
            held.append((banks[1].heads("model").those(outputs), of_outputs))
        return cls(scope, options, frame, heads_of(Network(scope), texts, tokens, options, "model"), held)

    def search(self, ranks: bool) -> None:
        frame, heads = self.frame, self.heads
        targets = frame.targets if ranks else frame.targets[:, :0]
        places = members_of(heads.spots)
        for reference in ("input", "layer"):
            # At layer 0 both references are the same encodings.
            for layer in range(0 if reference == "input" else 1, self.scope.card.layers):
                view = View(self.scope.bench.vocabulary, self.options, "value", reference, layer)
                view.search(places, heads.z[layer], frame.ids, targets)
                view.search(places, heads.even[layer], frame.ids, targets)
                for bank, which in self.banks:
                    asked = frame.against(which, len(bank)).targets
                    view.search(members_of(bank.spots), bank.vectors[layer], bank.ids, asked if ranks else asked[:, :0])
