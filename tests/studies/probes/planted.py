"""A tiny BERT whose heads at layer 0 were built to say something, or nothing, of a token."""

from __future__ import annotations

import math

import torch
import zoo

from headscope import Scope

OWN, PREVIOUS, BLIND, EVERYWHERE = range(4)
_TURN = 2 * math.pi / 40
_WORDS = slice(4, 10)  # the dimensions that hold the token; 0 to 3 hold the position's angle


def planted() -> Scope:
    """Head OWN attends to its own position and PREVIOUS to the one before, both with values that are an injective
    linear image of the token; BLIND and EVERYWHERE see all alike, and the values of BLIND know only positions.

    Both parts of the input have mean 0 and one length, so LayerNorm does the same to every token at every position.
    """
    model, tokenizer = zoo.build("bert")
    table, attention = model.embeddings, model.encoder.layer[0].attention.self
    angles = _TURN * torch.arange(40)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        words = torch.randn(len(table.word_embeddings.weight), 6, generator=draw)
        words = torch.nn.functional.normalize(words - words.mean(1, keepdim=True), dim=1)
        table.word_embeddings.weight.zero_()
        table.word_embeddings.weight[:, _WORDS] = 3 * words
        table.token_type_embeddings.weight.zero_()
        table.position_embeddings.weight.zero_()
        circle = torch.stack([angles.cos(), angles.sin(), -angles.cos(), -angles.sin()], 1)
        table.position_embeddings.weight[:, :4] = 3 * circle
        table.LayerNorm.weight.fill_(1)
        table.LayerNorm.bias.zero_()
        for linear in (attention.query, attention.key):
            linear.bias.zero_()
            linear.weight.zero_()
        attention.value.weight.zero_()
        attention.value.weight[:, _WORDS] = torch.randn(32, 6, generator=draw)
        attention.value.weight[8 * BLIND : 8 * BLIND + 8] = 0
        attention.value.weight[8 * BLIND : 8 * BLIND + 8, :4] = torch.randn(8, 4, generator=draw)
        for head, turn in ((OWN, 0.0), (PREVIOUS, _TURN)):
            first = head * 8
            cos, sin = math.cos(turn), math.sin(turn)
            attention.query.weight[first : first + 2, :2] = 25 * torch.tensor([[cos, sin], [-sin, cos]])
            attention.key.weight[first : first + 2, :2] = 25 * torch.eye(2)
    return Scope.from_model(model, tokenizer)
