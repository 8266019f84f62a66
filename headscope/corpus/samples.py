"""The ordinary positions of many texts: what stands there, and readings of the texts batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.model.lengths import alike
from headscope.question.choices import Mask

if TYPE_CHECKING:
    from headscope.reading.reading import Reading
    from headscope.scope import Scope

_BATCH_TOKENS = 1024  # with padding: what all heads did there is held at a time


@dataclass(frozen=True)
class Samples:
    """All positions of several texts that are not special, text by text: int64 [sample] each.

    `group`: the document, where documents are marked, else the text. `lengths` [text] counts special tokens too.
    """

    ids: Tensor
    text: Tensor
    group: Tensor
    position: Tensor
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, scope: Scope, texts: Sequence[str], groups: Sequence[int] | None = None) -> Samples:
        """The samples of texts as the model tokenises them; too long ones are cut.

        Raises InputError where there is none.
        """
        if groups is not None and len(groups) != len(texts):
            raise InputError(f"there are {len(groups)} groups for {len(texts)} texts: give one each.")
        ids, text, position, lengths = [], [], [], []
        for n, content in enumerate(texts):
            tokens = scope.tokens(content, truncate=True)
            here = [token for token in tokens if not token.special]
            ids += [token.id for token in here]
            position += [token.position for token in here]
            text += [n] * len(here)
            lengths.append(len(tokens))
        if not ids:
            raise InputError("the texts have no token that is not special.")
        of_text = torch.tensor(text)
        labels = torch.arange(len(texts)) if groups is None else torch.tensor(groups)
        group = labels.unique(return_inverse=True)[1][of_text]
        return cls(torch.tensor(ids), of_text, group, torch.tensor(position), tuple(lengths))

    def __len__(self) -> int:
        return len(self.ids)

    def pairs(self, offset: int) -> tuple[Tensor, Tensor]:
        """Samples j and i with i − j = offset in one text: int64 [pair] each."""
        base = 2 * (int(self.position.max()) + 1 + abs(offset))
        here = self.text * base + self.position
        wanted = here + offset
        at = torch.searchsorted(here, wanted).clamp_max(len(here) - 1)
        source = (here[at] == wanted).nonzero()[:, 0]
        return source, at[source]

    def of_text(self, text: int) -> slice:
        """Where a text's samples are."""
        return slice(int(self._starts[text]), int(self._starts[text + 1]))

    def count(self, text: int) -> int:
        """How many samples a text has."""
        return int(self._starts[text + 1] - self._starts[text])

    def walk(
        self, scope: Scope, texts: Sequence[str], mask: Mask, *, residual: bool = False
    ) -> Iterator[list[tuple[int, Reading]]]:
        """Each text's number and reading, in batches of texts of about the same length, each there until the next.

        See `Scope.read_many`.
        """
        for batch in alike(self.lengths, _BATCH_TOKENS):
            contents = [texts[n] for n in batch]
            read = list(zip(batch, scope.read_many(contents, mask, truncate=True, residual=residual), strict=True))
            yield read
            read.clear()  # or it would be held beside the next

    @cached_property
    def _starts(self) -> Tensor:
        counts = torch.bincount(self.text, minlength=len(self.lengths))
        return torch.nn.functional.pad(counts.cumsum(0), (1, 0))
