"""A tiny BERT whose input has the position in four dimensions, the token in others: what planted heads are built on."""

from __future__ import annotations

import math

import torch
from torch import nn


def angled(model: nn.Module, words: slice, positions: int, draw: torch.Generator) -> nn.Module:
    """Make the input so, and layer 0's queries and keys 0; returns that layer's attention.

    Dimensions 0 to 3 hold the angle of the position, of so many on a circle; `words` the token, drawn with `draw`. Both
    parts have mean 0 and one length, so LayerNorm does the same to every token at every position. Without gradients.
    """
    table, attention = model.embeddings, model.encoder.layer[0].attention.self
    angles = 2 * math.pi / positions * torch.arange(positions)
    drawn = torch.randn(len(table.word_embeddings.weight), words.stop - words.start, generator=draw)
    table.word_embeddings.weight.zero_()
    table.word_embeddings.weight[:, words] = 3 * nn.functional.normalize(drawn - drawn.mean(1, keepdim=True), dim=1)
    table.token_type_embeddings.weight.zero_()
    table.position_embeddings.weight.zero_()
    circle = torch.stack([angles.cos(), angles.sin(), -angles.cos(), -angles.sin()], 1)
    table.position_embeddings.weight[:, :4] = 3 * circle
    table.LayerNorm.weight.fill_(1)
    table.LayerNorm.bias.zero_()
    for linear in (attention.query, attention.key):
        linear.bias.zero_()
        linear.weight.zero_()
    return attention


def attending(attention: nn.Module, head: int, turn: float, sharpness: float) -> None:
    """Have a head of width 8 attend to the position whose angle is `turn` before its own."""
    first, (cos, sin) = head * 8, (math.cos(turn), math.sin(turn))
    attention.query.weight[first : first + 2, :2] = sharpness * torch.tensor([[cos, sin], [-sin, cos]])
    attention.key.weight[first : first + 2, :2] = sharpness * torch.eye(2)
