"""A tiny RoBERTa whose heads were built to make the claims true, piece by piece."""

from __future__ import annotations

import math
from typing import Literal

import torch
import transformers
import zoo

from headscope import Scope
from headscope.reading.words import ENGLISH_FUNCTION_WORDS

HEADS, D_HEAD, PLACES = 12, 8, 60
WIDTH = HEADS * D_HEAD
OWN, EVEN, FLIES = 7, 1, (2, 4, 9, 11)
SHARP = 30.0
TURN = 2 * math.pi / PLACES
Dense = Literal["content", "function", "neither"]


def planted(
    *,
    own: int | None = OWN,
    flies: tuple[int, ...] = FLIES,
    later_copies: bool = False,
    dense: Dense = "neither",
) -> Scope:
    """Two layers of twelve heads: at layer 0 head `own` attends to its own position, the heads `flies` bring "flies" to
    "Time", head 0 attends to the position after the next, head 1 evenly, and all others to the position before.

    At layer 1 all heads but head 1 attend to their own position if `later_copies`; else all is as at layer 0's others.
    The first four dimensions hold the position's angle, the others the token; both parts have mean 0 and one length, so
    LayerNorm does the same to every token at every position. The blocks add nothing to the stream. `dense`: whose rows
    lie close together.
    """
    tokenizer = zoo.roberta_like()
    config = transformers.RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        intermediate_size=16,
        max_position_embeddings=PLACES + 2,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    torch.manual_seed(0)
    model = zoo.randomise(transformers.RobertaForMaskedLM(config))
    table, ids = model.roberta.embeddings, tokenizer.get_vocab()
    words = _words(tokenizer, ids, dense)
    with torch.no_grad():
        table.word_embeddings.weight.zero_()
        table.word_embeddings.weight[:, 4:] = words
        table.token_type_embeddings.weight.zero_()
        angles = TURN * torch.arange(PLACES)
        circle = torch.stack([angles.cos(), angles.sin(), -angles.cos(), -angles.sin()], 1)
        table.position_embeddings.weight.zero_()
        table.position_embeddings.weight[2:, :4] = circle
        table.LayerNorm.weight.fill_(1)
        table.LayerNorm.bias.zero_()
        for number, layer in enumerate(model.roberta.encoder.layer):
            for norm, linear in (
                (layer.attention.output.LayerNorm, layer.attention.output.dense),
                (layer.output.LayerNorm, layer.output.dense),
            ):
                norm.weight.fill_(1)
                norm.bias.zero_()
                linear.weight.zero_()
                linear.bias.zero_()
            attention = layer.attention.self
            attention.value.weight[:, :4] = 0  # values tell nothing of the position
            for linear in (attention.query, attention.key):
                linear.weight.zero_()
                linear.bias.zero_()
            for head in range(HEADS):
                at = head * D_HEAD
                if number == 0 and head in flies:
                    attention.query.weight[at, 4:] = SHARP * words[ids["Time"]]
                    attention.key.weight[at, 4:] = SHARP * words[ids["Ġflies"]]
                    continue
                if head == EVEN:
                    continue
                stays = head == own if number == 0 else later_copies
                back = 0 if stays else -2 if head == 0 else 1
                cos, sin = math.cos(back * TURN), math.sin(back * TURN)
                attention.query.weight[at : at + 2, :2] = 2 * SHARP * torch.tensor([[cos, sin], [-sin, cos]])
                attention.key.weight[at : at + 2, :2] = 2 * SHARP * torch.eye(2)
    return Scope.from_model(model, tokenizer)


def _words(tokenizer, ids: dict[str, int], dense: Dense) -> torch.Tensor:
    """A direction for every token; "Time" is turned away from "flies", and neither is in a cluster."""
    draw = torch.Generator().manual_seed(0)
    words = torch.randn(len(tokenizer), WIDTH - 4, generator=draw)
    centre = torch.randn(WIDTH - 4, generator=draw)
    function = torch.tensor(
        [_is_function(tokenizer.convert_ids_to_tokens(id)) for id in range(len(tokenizer))]
    )  # fmt: skip
    if dense != "neither":
        close = function if dense == "function" else ~function
        words[close] = 0.5 * words[close] + centre
    words[ids["Ġflies"]] = torch.randn(WIDTH - 4, generator=draw)
    words[ids["Time"]] = 0.5 * torch.randn(WIDTH - 4, generator=draw) - words[ids["Ġflies"]]
    words = words - words.mean(1, keepdim=True)
    return math.sqrt(2) * torch.nn.functional.normalize(words, dim=1)  # as long as the position's part


def _is_function(token: str) -> bool:
    word = token.lstrip("Ġ").lower()
    return word in ENGLISH_FUNCTION_WORDS or not any(character.isalnum() for character in word)
