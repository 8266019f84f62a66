"""A survey against its parts: the forward passes and the neighbour kernel, each alone, in the same run.

The texts are UD English EWT's (dev), from beside the checkout; without it, sentences drawn from the words of one. The
kernel alone is the search of every layer's outputs at their own places for the nearest token and the own rank, with
tables and places at hand; the chance ranks, which the survey's searches also give, are not in it. The survey is
everything from the census to the statistics, in a fresh directory, with the chance, hub correction and Token Signal,
but without the estimate of the plan. Time by the clock says what a user waits for; CPU time says what the work costs
where others use the machine.
"""

import random
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.models import TEXT, scopes
from benchmarks.timing import Timing, interleaved, machine
from headscope import Scope
from headscope.corpus.census import take_census
from headscope.corpus.texts import Columns, Corpus, CorpusText, find_sources
from headscope.neighbors import search, warm_up
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey

EWT = Path(__file__).parents[2] / "shared" / "corpora" / "ud-ewt" / "en_ewt-ud-dev.conllu"
TEXTS = {"demo": 700, "roberta-base size": 60}
ROUNDS = 3


def run() -> dict[str, object]:
    """Seconds of every task, and the survey's ratio to its parts."""
    warm_up(wait=True)
    with tempfile.TemporaryDirectory() as directory:
        path = EWT if EWT.is_file() else _drawn(Path(directory) / "drawn.txt")
        found = {name: _measure(scope, path, TEXTS[name], Path(directory)) for name, scope in scopes().items()}
        return {"machine": machine(), "texts": path.name, **found}


def _drawn(path: Path) -> Path:
    draw, words = random.Random(0), TEXT.split()
    lines = (" ".join(draw.choices(words, k=draw.randrange(4, 30))) for _ in range(1000))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _measure(scope: Scope, path: Path, count: int, directory: Path) -> dict[str, Any]:
    options = SurveyOptions(sample=count)
    corpus = Corpus(find_sources([path]), Columns())
    census = take_census(corpus, lambda text: scope.tokens(text.content), options, scope.card.vocab_size)
    shards = [texts for _, texts in census.texts_of(corpus, set(range(len(census.shards))))]
    kernel = [_kernel(scope, texts) for texts in shards]
    runs = 0

    def survey() -> None:
        nonlocal runs
        runs += 1
        where = directory / f"{scope.card.layers}-{scope.card.d_head}-{runs}"
        Survey.prepare(scope, [path], where, options).run()

    times = interleaved(
        {
            "forward": lambda: [_forward(scope, texts) for texts in shards],
            "kernel": lambda: [search_all() for search_all in kernel],
            "survey": survey,
        },
        ROUNDS,
    )
    return {
        "texts": len(census.numbers),
        "positions": census.total,
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


def _forward(scope: Scope, texts: list[CorpusText]) -> None:
    contents = sorted((text.content for text in texts), key=len)
    for start in range(0, len(contents), 64):
        scope.read_many(contents[start : start + 64])


def _kernel(scope: Scope, texts: list[CorpusText]) -> Callable[[], None]:
    """The searches of one shard."""
    readings = scope.read_many([text.content for text in texts])
    kept = [[token for token in reading.tokens if not token.special] for reading in readings]
    positions = [[token.position for token in tokens] for tokens in kept]
    z = torch.cat([reading.z[:, place] for reading, place in zip(readings, positions, strict=True)], 1)
    own = torch.tensor([token.id for tokens in kept for token in tokens])
    place_of = torch.tensor([p for places in positions for p in places])
    spots = max((reading.spots for reading in readings), key=len)[: int(place_of.max()) + 1]

    def search_all() -> None:
        for reference in ("input", "layer"):
            # At layer 0 both references are the same encodings.
            for layer in range(0 if reference == "input" else 1, scope.card.layers):
                encoded = [scope.bench.vocabulary.encoded("value", reference, layer, spot) for spot in spots]
                places = [one.place for one in encoded]
                search(encoded[0].table, places, z[layer], own, place_of=place_of, k=1)

    return search_all
