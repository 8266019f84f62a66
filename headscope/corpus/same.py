"""Which texts were there before, character for character, in a few bytes of each: a corpus may have many millions."""

from __future__ import annotations

import hashlib

import numpy as np

_RECENT = 2**13  # texts that a dict holds, at least, before they are sorted in among the rest
_SHARE = 16  # or one in so many of all, so that sorting takes a time that grows hardly faster than the texts


def told(same: int, groups: int) -> str | None:
    """How many texts are one that stood before them, in a sentence; None where none is.

    >>> told(28, 4)
    'copies of other texts, character for character: 28. They count once with these: independent groups of texts: 4.'
    """
    if not same:
        return None
    return (
        f"copies of other texts, character for character: {same:,}. They count once with these: independent groups of "
        f"texts: {groups:,}."
    )


class GroupOf:
    """The group of each text by its content, of which a hash of 64 bits stands here: about 20 bytes a text.

    Two texts with one hash would be of one group: among a hundred million there is one such pair in a run of 3,700.
    """

    def __init__(self, least: int = _RECENT) -> None:
        self._recent, self._least = dict[int, int](), least
        self._hashes, self._groups = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int32)

    def find(self, content: str, new: int) -> int:
        """The group of this content; `new`, from now on, where it was not there."""
        digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        known = int.from_bytes(digest, "little")
        at = int(self._hashes.searchsorted(np.uint64(known)))
        if at < len(self._hashes) and int(self._hashes[at]) == known:
            return int(self._groups[at])
        group = self._recent.setdefault(known, new)
        if len(self._recent) >= max(self._least, len(self._hashes) // _SHARE):
            self._sort_in()
        return group

    def _sort_in(self) -> None:
        hashes = np.concatenate([self._hashes, np.fromiter(self._recent, np.uint64)])
        groups = np.concatenate([self._groups, np.fromiter(self._recent.values(), np.int32)])
        order = hashes.argsort(kind="stable")
        self._hashes, self._groups, self._recent = hashes[order], groups[order], {}
