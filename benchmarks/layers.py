"""Through the layers: journey, mixing and glance of a text of 30 tokens, and the effects of all heads on one token."""

from collections.abc import Callable
from itertools import count
from typing import Any

from benchmarks.models import on_both
from benchmarks.timing import interleaved
from headscope import Scope

TEXT = (
    "The old man the boat while time flies like an arrow over the sea and fruit flies like a ripe banana that "
    "nobody has ever eaten in years"
)
POSITION = 5


def run() -> dict[str, object]:
    """Seconds of every answer, of a text that was read and of a new one; runs of the text for the effects, a head."""
    return on_both(_measure)


def _measure(scope: Scope) -> dict[str, Any]:
    reading, number = scope.read(TEXT), count()
    heads = scope.card.layers * scope.card.heads

    def fresh() -> Any:
        """Another text of as many tokens, whose streams have not been looked at yet."""
        return scope.read(TEXT.replace("years", f"year{'s' * (next(number) % 2)}"))

    tasks: dict[str, Callable[[], object]] = {
        "read": fresh,
        "journey": lambda: reading.journey(),
        "mixing": lambda: reading.mixing(),
        "read, journey and mixing of a new text": lambda: _both(fresh()),
        "glance": lambda: reading.glance(),
        "effects of all heads": lambda: reading.effects(POSITION),
    }
    times = interleaved(tasks, rounds=3)
    ran, passes = _counted(scope, reading)
    return {
        "tokens": len(reading.tokens),
        "heads": heads,
        "runs of the text for the effects": ran,
        "forward passes for the effects": passes,
        "ratios": {"runs / heads": ran / heads},
        "times": {name: timing.to_dict() for name, timing in times.items()},
    }


def _both(reading: Any) -> object:
    return reading.journey(), reading.mixing()


def _counted(scope: Scope, reading: Any) -> tuple[int, int]:
    """How many copies of the text the effects ran, in how many forward passes: counted at the model itself."""
    sizes: list[int] = []
    hook = scope.bench.opened.model.register_forward_pre_hook(
        lambda _, __, given: sizes.append(given["input_ids"].shape[0]), with_kwargs=True
    )
    try:
        reading.effects(POSITION)
    finally:
        hook.remove()
    return sum(sizes), len(sizes)
