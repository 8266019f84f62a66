"""What every head of a model did with a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from headscope.model.capture.passes import Attend, Attended
from headscope.model.capture.visible import visible
from headscope.model.feed.positions import Spot
from headscope.question.shown import laid

# Patterns grow with the square of the text: beyond this a reading makes them layer by layer when they are asked for.
PATTERN_BYTES = 64 * 2**20


@dataclass(frozen=True)
class HeadTensors:
    """The heads of one text, float32 on the CPU.

    q, z [layer, position, head, d_head]; k, v [layer, position, kv_head, d_head];
    pattern [layer, head, query, source] and `visible`, bool [layer, query, source], what each position may see: None
    where they are too large to keep. `spots`: where each token stood, as the
    model counted it in this pass, and `residual` [layer + 1, position, d_model], the stream before and after each
    block, where these were watched.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    z: Tensor
    pattern: Tensor | None
    visible: Tensor | None
    spots: tuple[Spot, ...] = ()
    residual: Tensor | None = None


class LayerPattern(NamedTuple):
    """One layer's weights in one text, float32 [head, query, source]; and what may be seen, bool [query, source]."""

    pattern: Tensor
    visible: Tensor

    def __repr__(self) -> str:
        return laid("LayerPattern", self._asdict())


def _of_text(pattern: Tensor, scores: Tensor | None, row: int, length: int) -> LayerPattern:
    """Of the text in a row of a batch, without its padding."""
    scored = scores is not None and scores.shape[:-1] == pattern.shape[:-1]
    of_pattern, of_scores = (
        None if one is None else one[row, :, :length, :length] for one in (pattern, scores if scored else None)
    )
    assert of_pattern is not None
    return LayerPattern(_float32(of_pattern), visible(of_pattern, of_scores).cpu())


class AllHeads:
    """A recorder that keeps the heads of a pass over texts of these `lengths`, padded on the right."""

    def __init__(self, lengths: list[int], layers: int) -> None:
        self.lengths, self.layers = lengths, layers
        # For each text, one [layer] list for each of q, k, v, z, the pattern and what may be seen.
        self.texts: list[tuple[list[Tensor], ...]] = [([], [], [], [], [], []) for _ in lengths]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Attended:
        z, pattern, scores = found = attend()
        for row, (length, kept) in enumerate(zip(self.lengths, self.texts, strict=True)):
            for tensor, into in zip((q, k, v), kept, strict=False):
                into.append(_float32(tensor[row, :, :length].transpose(0, 1)))  # (S, heads, d_head)
            kept[3].append(_float32(z[row, :length]))
            if 4 * self.layers * pattern.shape[1] * length**2 <= PATTERN_BYTES:
                one = _of_text(pattern, scores, row, length)
                kept[4].append(one.pattern)
                kept[5].append(one.visible)
        return found

    def captured(self) -> list[HeadTensors]:
        """The heads of each text, without its padding; asked for once."""
        found = []
        for kept in self.texts:
            q, k, v, z = map(_taken, kept[:4])
            pattern, visible = (_taken(layers) if layers else None for layers in kept[4:])
            found.append(HeadTensors(q, k, v, z, pattern, visible))
        return found


class OnePattern:
    """A recorder that keeps the pattern of one layer of a pass over one text."""

    def __init__(self, layer: int) -> None:
        self.layer = layer
        self.found: LayerPattern | None = None

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Attended:
        found = attend()
        if layer == self.layer:
            self.found = _of_text(found.pattern, found.scores, 0, found.pattern.shape[-1])
        return found


class Unrecorded:
    """A recorder that keeps nothing."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Attended:
        return attend()


def _taken(layers: list[Tensor]) -> Tensor:
    """Those of all layers, which are not held twice."""
    stacked = torch.stack(layers)
    layers.clear()
    return stacked


def _float32(tensor: Tensor) -> Tensor:
    """A copy on the CPU: the model may write over what it computed, and a padded batch is not kept alive."""
    return tensor.to("cpu", torch.float32, copy=True)
