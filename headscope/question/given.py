"""What a caller hands over, made plain: things in an order, texts, whole numbers, from any library that has them."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, TypeVar

from headscope.errors import InputError, cut

Hears = TypeVar("Hears")
K = TypeVar("K")
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?([kKmMgGtT])([iI]?[bB]?)")


def in_order(given: object, what: str) -> list[Any]:
    """The members of anything that has an order: lists, generators, columns of tables, values of dictionaries, arrays.

    `what`: what to call them, in the plural. Raises InputError for one string, a set, a dictionary, a table.

    >>> in_order({"first": "a text", "second": "another"}.values(), "texts")
    ['a text', 'another']
    """
    kind = type(given).__name__
    if isinstance(given, (set, frozenset)):
        raise InputError(f"a set of {what} has no order, and the answers come in theirs: give a list, sorted(…) say.")
    if isinstance(given, Mapping) or hasattr(given, "columns"):
        raise InputError(f"{what} is a list, and a {kind} would give its keys: give its values, or its one column.")
    if not isinstance(given, Iterable) or isinstance(given, (str, bytes)) or getattr(given, "ndim", 1) == 0:
        raise InputError(f"{what} is a list, not one {kind}: put it into brackets, [{cut(repr(given))}].")
    return list(given)


def texts_of(given: object) -> list[str]:
    """Texts in the order in which they are given, as plain strings; see `in_order`.

    Raises InputError where one is no string, with its place.
    """
    if isinstance(given, (str, bytes)):
        raise InputError(f"texts is a list of strings, not one {type(given).__name__}: put it into brackets, [text].")
    texts = in_order(given, "texts")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"texts is a list of strings, and what stands at place {place} is {cut(repr(text))}.")
    return [str(text) for text in texts]


def numbers_of(given: object, what: str) -> list[int]:
    """Whole numbers in the order in which they are given, as ints; `what`: what to call them, in the plural.

    Raises InputError where one is none, with its place.
    """
    found = []
    for place, one in enumerate(in_order(given, what)):
        plain = whole(one)
        if plain is None:
            shown = cut(repr(one))
            raise InputError(f"{what} is a list of whole numbers, and what stands at place {place} is {shown}.")
        found.append(plain)
    return found


def text_of(given: object, what: str = "text") -> str:
    """A text as a plain string; InputError for anything else."""
    if not isinstance(given, str):
        raise InputError(f"the {what} is a string, not {cut(repr(given))}.")
    return str(given)


def whole(given: object) -> int | None:
    """The whole number that Python, NumPy or torch hands over, as an int; None for all else, bools too.

    >>> whole(3), whole(3.0), whole(True), whole("3")
    (3, None, None, None)
    """
    kind = str(getattr(given, "dtype", type(given).__name__))
    if "bool" in kind or len(getattr(given, "shape", ())):
        return None
    try:
        return operator.index(given)  # type: ignore[arg-type]  # what has no index says so
    except (TypeError, ValueError, RuntimeError):
        return None


def switch(given: object, what: str) -> bool:
    """What is on or off, as a bool; InputError for all else, also where Python would take it for one ("off", 0).

    >>> switch("off", "position")
    Traceback (most recent call last):
    headscope.errors.InputError: position is True or False, not 'off'.
    """
    kind = type(given)
    if kind is bool or (kind.__module__, kind.__name__) in (("numpy", "bool"), ("numpy", "bool_")):
        return bool(given)
    raise InputError(f"{what} is True or False, not {cut(repr(given))}.")


def hearing(given: Hears, what: str = "progress") -> Hears:
    """What is told of progress, or None; `what`: its name. InputError for what cannot be told anything (True, say)."""
    if given is not None and not callable(given):
        raise InputError(f"{what} is a function that is told how far it is, or None, not {cut(repr(given))}.")
    return given


def of_kind(given: object, kind: type[K], what: str) -> K:
    """What is of a kind, as it is; `what`: what to call it. InputError, with where the kind is, for anything else.

    >>> of_kind({"sample": 5}, InputError, "options")
    Traceback (most recent call last):
    headscope.errors.InputError: options is an InputError of headscope.errors, not {'sample': 5}.
    """
    if not isinstance(given, kind):
        a = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise InputError(f"{what} is {a} {kind.__name__} of {kind.__module__}, not {cut(repr(given))}.")
    return given


def number(given: object, among: range, sentence: str) -> int:
    """A whole number among others, as an int; InputError with the sentence for anything else."""
    found = whole(given)
    if found is None or found not in among:
        raise InputError(sentence)
    return found


def seconds_of(given: object, what: str) -> float:
    """A time in seconds, 0 or more, as a float; InputError for anything else.

    >>> seconds_of("1", "trial")
    Traceback (most recent call last):
    headscope.errors.InputError: trial is '1'; it is a number of seconds, 0 or more.
    """
    if isinstance(given, bool) or not isinstance(given, Real) or not 0 <= float(given) < math.inf:
        raise InputError(f"{what} is {cut(repr(given))}; it is a number of seconds, 0 or more.")
    return float(given)


def bytes_of(given: object, what: str) -> int:
    """A number of bytes, or a size as people write it, as an int; `what`: what it bounds. InputError for anything else.

    >>> bytes_of("4G", "the memory"), bytes_of("1.5 GiB", "the memory"), bytes_of("512MB", "the memory")
    (4294967296, 1610612736, 512000000)
    """
    size = _SIZE.fullmatch(given.strip()) if isinstance(given, str) else None
    if size is not None:
        number, letter, unit = size[1], size[2].upper(), size[3].upper()
        found = float(number) * (1000 if unit == "B" else 1024) ** ("KMGT".index(letter) + 1)
        if 1 <= found < 2**63:
            return int(found)
    plain = None if isinstance(given, str) else whole(given)
    if plain is None or plain < 1:
        raise InputError(
            f"{what} is {cut(str(given))!r}; it is a number of bytes with its unit, such as 4G, 512M or 1.5GiB."
        )
    return plain


def as_seed(given: object) -> int:
    """A seed as an int; InputError for anything else."""
    return number(given, range(2**32), f"the seed is {given!r}; it is a whole number from 0 to {2**32 - 1}.")
