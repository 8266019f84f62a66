"""A path as a caller hands it over: a string, or whatever Python takes for a path."""

from __future__ import annotations

import os
from pathlib import Path

from headscope.errors import InputError, cut


def spelled(given: object, what: str) -> str:
    """A path, or a name, as a string; `what`: what to call it. InputError for what is neither.

    >>> spelled(Path("models") / "tiny", "the name of a model"), spelled("demo", "the name of a model")
    ('models/tiny', 'demo')
    """
    try:
        return os.fsdecode(os.fspath(given))  # type: ignore[call-overload]  # what is no path says so
    except TypeError:
        raise InputError(f"{what} is a string or a path, not {cut(repr(given))}.") from None


def path_of(given: object, what: str = "what is named here") -> Path:
    """A path that a caller names; InputError for what is none, and for an empty one, which would be where one stands.

    >>> path_of("", "the output")
    Traceback (most recent call last):
    headscope.errors.InputError: the output has an empty name, which is no place.
    """
    if given == "":
        raise InputError(f"{what} has an empty name, which is no place.")
    return Path(spelled(given, what))
