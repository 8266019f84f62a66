"""What every head of a model did with a text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.model.capture.passes import Attend
from headscope.model.feed.positions import Spot

# Patterns grow with the square of the text: beyond this a reading makes them layer by layer when they are asked for.
PATTERN_BYTES = 64 * 2**20


@dataclass(frozen=True)
class HeadTensors:
    """The heads of one text, float32 on the CPU.

    q, z [layer, position, head, d_head]; k, v [layer, position, kv_head, d_head];
    pattern [layer, head, query, source], None where it is too large to keep. `spots`: where each token stood, as the
    model counted it in this pass, where that was watched.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    z: Tensor
    pattern: Tensor | None
    spots: tuple[Spot, ...] = ()


class AllHeads:
    """A recorder that keeps the heads of a pass over texts of these `lengths`, padded on the right."""

    def __init__(self, lengths: list[int], layers: int) -> None:
        self.lengths, self.layers = lengths, layers
        # For each text, one [layer] list for each of q, k, v, z and the pattern.
        self.texts: list[tuple[list[Tensor], ...]] = [([], [], [], [], []) for _ in lengths]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> tuple[Tensor, Tensor]:
        z, pattern = attend()
        for row, (length, kept) in enumerate(zip(self.lengths, self.texts, strict=True)):
            for tensor, into in zip((q, k, v), kept, strict=False):
                into.append(_float32(tensor[row, :, :length].transpose(0, 1)))  # (S, heads, d_head)
            kept[3].append(_float32(z[row, :length]))
            if 4 * self.layers * pattern.shape[1] * length**2 <= PATTERN_BYTES:
                kept[4].append(_float32(pattern[row, :, :length, :length]))
        return z, pattern

    def captured(self) -> list[HeadTensors]:
        """The heads of each text, without its padding."""
        return [
            HeadTensors(
                q=torch.stack(q),
                k=torch.stack(k),
                v=torch.stack(v),
                z=torch.stack(z),
                pattern=torch.stack(pattern) if pattern else None,
            )
            for q, k, v, z, pattern in self.texts
        ]


class OnePattern:
    """A recorder that keeps the pattern [head, query, source] of one layer of a pass over one text."""

    def __init__(self, layer: int) -> None:
        self.layer = layer
        self.pattern: Tensor | None = None

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> tuple[Tensor, Tensor]:
        z, pattern = attend()
        if layer == self.layer:
            self.pattern = _float32(pattern[0])
        return z, pattern


class Unrecorded:
    """A recorder that keeps nothing."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> tuple[Tensor, Tensor]:
        return attend()


def _float32(tensor: Tensor) -> Tensor:
    """A copy on the CPU: the model may write over what it computed, and a padded batch is not kept alive."""
    return tensor.to("cpu", torch.float32, copy=True)
