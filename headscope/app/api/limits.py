"""What one server takes on before it says no."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on one request, on the work in line, and on the models."""

    characters: int = 10_000  # of a text
    k: int = 200
    pattern: int = 100  # tokens of a text whose whole pattern is given
    effects: int = 60_000  # tokens that the runs for the effects of all heads may have together
    body: int = 256 * 1024  # bytes of a request
    waiting: int = 8  # requests in line behind the one that runs
    models: int = 2  # held open beside the server's own
    map: int = 5000  # vocabulary tokens of a map
    ahead: bool = True  # whether what a page's next click will need is made while nobody asks
    alone: bool = True  # whether a question may have the vocabulary read alone, which takes minutes and disk
    tests: bool = True  # whether a visitor may have the model tested on sixty texts, which takes minutes
    work: float | None = None  # seconds in a minute that the server works for one visitor
    at_once: int | None = None  # requests of one visitor that it works on at a time
    # Seconds without a word after which those count as gone who wait for a map or for tokens read alone. A browser lets
    # a page that is out of sight ask once a minute.
    patience: float = 90.0


PUBLIC = Limits(
    characters=2000,
    k=50,
    effects=10_000,
    body=64 * 1024,
    map=2000,
    models=0,
    ahead=False,
    alone=False,
    tests=False,
    work=20,
    at_once=4,
)  # for visitors whom nobody knows
