"""One position, all layers and heads, of a new text: the forward included, encodings cached, against 12 clicks."""

from itertools import count
from typing import Any

from benchmarks.experiment import Experiment
from benchmarks.models import TEXT, on_both
from benchmarks.timing import interleaved
from headscope import Scope

POSITION, CLICKS = 3, 12


def run() -> dict[str, object]:
    """Seconds of every term and the ratio, for both models."""
    return on_both(_measure)


def _measure(scope: Scope) -> dict[str, Any]:
    reading, number = scope.read(TEXT), count()
    experiment = Experiment(scope, reading)

    def atlas() -> object:
        return scope.read(f"{TEXT} {next(number)}").atlas(POSITION)

    times = interleaved(
        {
            "atlas of a new text": atlas,
            "its forward pass": lambda: scope.read(TEXT),
            "experiment, one click": lambda: experiment.click(POSITION, 0),
        },
        rounds=5,
    )
    return {
        "ratios": {
            f"{CLICKS} clicks of the experiment / atlas": CLICKS
            * times["experiment, one click"].ratio(times["atlas of a new text"])
        },
        "times": {name: timing.to_dict() for name, timing in times.items()},
    }
