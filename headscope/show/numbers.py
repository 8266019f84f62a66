"""Numbers as every view writes them."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

_WIDTH = 5  # characters of a distance or a score where it can be told in so many


def distance(value: float) -> str:
    """A distance in five characters where it can be told in so many.

    >>> [distance(x) for x in (0.0, 0.12345, 1.0, 12.3456, -1234.5, 3e-7, 2.5e12)]
    ['0.000', '0.123', '1.000', '12.35', '-1234', '3e-07', '2e+12']
    """
    size = abs(value)
    if size and (size < 5e-4 or size >= 1e5):
        return f"{value:.0e}"
    for digits in (3, 2, 1, 0):
        shown = f"{value:.{digits}f}"
        if len(shown) <= _WIDTH:
            return shown
    return shown


def score(value: float) -> str:
    """A hub-aware score in five characters where it can be told in so many.

    >>> [score(x) for x in (2.345, -0.5, 12.34, 123.4, float("nan"))]
    ['+2.35', '-0.50', '+12.3', '+123', '    –']
    """
    if value != value:
        return "    –"
    size = abs(value)
    return f"{value:+.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}"


def place(rank: int) -> str:
    """Where a token stands among all; 0: nowhere.

    >>> place(1204), place(0)
    ('#1204', 'no rank')
    """
    return f"#{rank}" if rank else "no rank"


def rank(value: float) -> str:
    """A rank that may lie between two, or be none.

    >>> [rank(x) for x in (3.0, 1204.5, float("nan"))]
    ['3', '1204.5', '–']
    """
    return f"{float(value):.1f}".removesuffix(".0") if value == value else "–"


def percent(value: float) -> str:
    """A share; none where it is not a number.

    >>> [percent(x) for x in (0.123, 0.001, 0.0, float("nan"))]
    ['12%', '<1%', '0%', '–']
    """
    if value != value:
        return "–"
    return "<1%" if 0 < value < 0.005 else f"{float(value):.0%}"


def size(nbytes: int) -> str:
    """So many bytes, in words.

    >>> size(3), size(250 * 2**20), size(3 * 2**29)
    ('1 MiB', '250 MiB', '1.5 GiB')
    """
    return f"{max(1, round(nbytes / 2**20)):,} MiB" if nbytes < 2**30 else f"{nbytes / 2**30:.1f} GiB"


def decimals(value: float) -> str:
    """Up to four decimals, with a real minus.

    >>> decimals(-0.12344), decimals(12345.6), decimals(0.0), decimals(3e-7), decimals(12.34567)
    ('−0.1234', '12346', '0', '3e−07', '12.35')
    """
    size = abs(value)
    if value == 0:
        return "0"
    digits = 4 if size < 1 else max(0, 4 - len(str(int(size))))
    return (f"{value:.{digits}f}" if size >= 5e-5 else f"{value:.0e}").replace("-", "−")


def rate(value: float | None, signed: bool = False) -> str:
    """Three digits; a real minus sign. What is no number is none.

    >>> rate(-0.0214), rate(0.5, signed=True), rate(-0.0003), rate(None), rate(float("nan"), signed=True)
    ('−0.021', '+0.500', '0.000', '–', '–')
    """
    if value is None or value != value:
        return "–"
    shown = f"{abs(value):.3f}"
    sign = "" if float(shown) == 0 else "−" if value < 0 else "+" if signed else ""
    return sign + shown


def two(value: float) -> str:
    """A difference in two digits, without a zero before the point.

    >>> two(0.123), two(-0.05), two(1.2), two(-0.001)
    ('+.12', '−.05', '+1.20', '.00')
    """
    shown = f"{abs(value):.2f}"
    sign = "" if float(shown) == 0 else "−" if value < 0 else "+"
    return sign + shown.removeprefix("0")


def between(low: float | None, high: float | None, spelled: Callable[[float], str] = rate) -> str:
    """An interval."""
    return "–" if low is None or high is None else f"[{spelled(low)}, {spelled(high)}]"


def estimate(value: float, low: float, high: float, spelled: Callable[[float], str] = rate) -> str:
    """A figure with its interval, where it has one; what is not finite is none.

    >>> nan = float("nan")
    >>> estimate(0.5, 0.4, 0.6), estimate(-0.0004, -0.01, 0), estimate(0.5, nan, nan), estimate(nan, nan, nan)
    ('0.500 [0.400, 0.600]', '0.000 [−0.010, 0.000]', '0.500', '–')
    """
    if not isfinite(value):
        return "–"
    return spelled(value) + (f" {between(low, high, spelled)}" if isfinite(low) else "")
