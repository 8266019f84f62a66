"""A tiny BERT whose heads at layer 0 were built to say something, or nothing, of a token."""

from __future__ import annotations

import math

import torch
import zoo

from headscope import Scope
from tests.angled import angled, attending

OWN, PREVIOUS, BLIND, EVERYWHERE = range(4)
_TURN = 2 * math.pi / 40
_WORDS = slice(4, 10)  # the dimensions that hold the token; 0 to 3 hold the position's angle


def planted() -> Scope:
    """Head OWN attends to its own position and PREVIOUS to the one before, both with values that are an injective
    linear image of the token; BLIND and EVERYWHERE see all alike, and the values of BLIND know only positions.

    Both parts of the input have mean 0 and one length, so LayerNorm does the same to every token at every position.
    """
    model, tokenizer = zoo.build("bert")
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        attention = angled(model, _WORDS, 40, draw)
        attention.value.weight.zero_()
        attention.value.weight[:, _WORDS] = torch.randn(32, 6, generator=draw)
        attention.value.weight[8 * BLIND : 8 * BLIND + 8] = 0
        attention.value.weight[8 * BLIND : 8 * BLIND + 8, :4] = torch.randn(8, 4, generator=draw)
        for head, turn in ((OWN, 0.0), (PREVIOUS, _TURN)):
            attending(attention, head, turn, 25)
    return Scope.from_model(model, tokenizer)
