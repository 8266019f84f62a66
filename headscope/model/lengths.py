"""Texts of about the same length together, so that a padded batch pads little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def alike(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Indices of texts in ascending length, in batches of at most so many `tokens` when padded, or one text.

    >>> list(alike([3, 9, 2], 6))
    [[2, 0], [1]]
    """
    batch: list[int] = []
    for n in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[n] * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(n)
    if batch:
        yield batch
