"""What other libraries raise, as one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from headscope.errors import HeadscopeError, ModelError, spoken

# "For details look at the above report!": what stands above is not shown.
_ELSEWHERE = re.compile(r"[^.!?]*\b(see|look at)\b[^.!?]*\b(above|below)\b[^.!?]*[.!?:]?$", re.IGNORECASE)


def first_line(error: BaseException) -> str:
    """The first line of an error's text (two where it ends in a colon) and a full stop, without pointers to others."""
    first, _, rest = spoken(error).partition("\n")
    line = f"{first} {rest.strip().partition(chr(10))[0].strip()}" if first.rstrip().endswith(":") else first
    line = " ".join(_ELSEWHERE.sub("", line[:1000]).split())
    return (line[:300] or type(error).__name__).rstrip(".:") + "."


@contextmanager
def as_ours(model: object, doing: str) -> Iterator[None]:
    """Whatever a model's own code raises inside becomes a ModelError that says of which model, and what was done."""
    try:
        yield
    except HeadscopeError:
        raise
    except Exception as error:
        raise ModelError(
            f"{type(model).__name__} failed while {doing} ({type(error).__name__}: {first_line(error)[:-1]})."
        ) from error


def reraise_ends(error: BaseException) -> None:
    """Raise what ends a program; what is left are errors, also those that do not derive from Exception (Rust's)."""
    if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
        raise error
