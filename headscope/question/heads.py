"""Heads in words: which of a layer's share their keys and values."""

from __future__ import annotations

_NAMED = 4  # groups that are all told


def sharing(heads: int, kv_heads: int) -> str:
    """Which heads of a layer share keys and values; empty where each has its own.

    >>> sharing(12, 12), sharing(4, 1)
    ('', 'all 4 heads share keys and values')
    >>> sharing(9, 3)
    'heads 0–2, 3–5 and 6–8 share keys and values'
    >>> sharing(32, 8)
    'heads 0–3, 4–7, 8–11 and so on share keys and values'
    """
    if kv_heads in (0, heads):
        return ""
    if kv_heads == 1:
        return f"all {heads} heads share keys and values"
    size = heads // kv_heads
    told = [f"{first}–{first + size - 1}" for first in range(0, heads, size)]
    if len(told) > _NAMED:
        told = [*told[: _NAMED - 1], "so on"]
    return f"heads {', '.join(told[:-1])} and {told[-1]} share keys and values"
