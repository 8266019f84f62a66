"""A language-model head with more or fewer rows than there are embeddings: each token's own logit, or none."""

from __future__ import annotations

import pytest
import torch
import zoo
from torch import nn

from headscope import Scope


@pytest.fixture(params=[("llama", 7), ("gpt2", -5), ("opt", 3), ("mistral", -1)], ids=str)
def scope(request, build):
    name, extra = request.param
    model, tokenizer = build(name)
    width = model.get_output_embeddings().in_features
    model.set_output_embeddings(nn.Linear(width, model.config.vocab_size + extra, bias=False))
    return Scope.from_model(zoo.randomise(model), tokenizer)


def rows(scope):
    return scope.bench.opened.model.get_output_embeddings().weight.shape[0]


def test_each_token_has_the_logit_that_the_model_gives_it(scope):
    reading, size, logits = scope.read(zoo.TEXT), scope.card.vocab_size, rows(scope)
    known = min(size, logits)
    near = reading.nearest(2, 1, "unembedding", metric="dot", k=known)
    whole = scope.bench.vocabulary.unembedding
    table = whole.rows(size)
    assert table.shape[0] == size
    assert table[:known].isfinite().all()
    assert table[known:].isnan().all()
    assert sorted(near.ids[0].tolist()) == list(range(known))
    stream = reading.residual[-1, 2]
    split = whole.norm.centred(stream) / whole.norm.spread(stream) @ table[:known].T + whole.constant()[:known]
    made = scope.bench.opened.outputs([reading.input])[1][0, 2, :known].float().cpu()
    assert torch.allclose(split, made, atol=1e-4)


def test_it_is_said_what_is_left_out(scope):
    near = scope.read(zoo.TEXT).nearest(2, 1, "unembedding", k=3)
    size, logits = scope.card.vocab_size, rows(scope)
    left = "tokens without a logit are" if logits < size else "logits that belong to no token are"
    assert f"gives {logits:,} logits for a vocabulary of {size:,} tokens: {left} left out." in " ".join(near.notes)
    assert not any("not finite" in note for note in near.notes)


def test_every_view_of_the_space_answers(scope):
    reading = scope.read(zoo.TEXT)
    assert reading.atlas(2, "unembedding").ids.max() < min(scope.card.vocab_size, rows(scope))
    assert reading.nearest(2, 1, "unembedding", k=3, candidates="words").ids.max() < rows(scope)
    near = reading.nearest(2, 1, "unembedding", metric="dot", k=3)
    assert reading.background(near, scope.bank(size=20)).ids.max() < rows(scope)
    assert near.suppressed.ids.max() < rows(scope)


def test_a_token_without_a_logit_has_no_gain_of_it(build):
    model, tokenizer = build("gpt2")
    own = tokenizer(zoo.TEXT)["input_ids"][2]
    model.set_output_embeddings(nn.Linear(32, own, bias=False))
    reading = Scope.from_model(zoo.randomise(model), tokenizer).read(zoo.TEXT)
    found = reading.effects(2)
    assert found.own_logit is None
    assert found.kl is not None
    assert "no logit for this token" in found.notes[-1]
