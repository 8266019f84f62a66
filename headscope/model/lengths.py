"""Texts of about the same length together, so that a padded batch pads little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def alike(lengths: Sequence[int], tokens: int, together: int | None = None) -> Iterator[list[int]]:
    """Indices of texts in ascending length, in batches of at most so many `tokens` when padded, or one text.

    `together` as `apart` has it.

    >>> list(alike([3, 9, 2], 6))
    [[2, 0], [1]]
    """
    batch: list[int] = []
    for n in sorted(range(len(lengths)), key=lengths.__getitem__):
        full = lengths[n] * (len(batch) + 1) > tokens
        if batch and (full or apart(lengths[batch[0]], lengths[n], together)):
            yield batch
            batch = []
        batch.append(n)
    if batch:
        yield batch


def apart(one: int, other: int, together: int | None) -> bool:
    """Whether texts of two lengths must not be padded to one, for the model would read the shorter otherwise.

    `together`: the length up to which it reads all alike; None: always.

    >>> apart(3, 9, None), apart(3, 9, 12), apart(3, 9, 8), apart(9, 9, 8)
    (False, False, True, False)
    """
    return together is not None and one != other and max(one, other) > together
