"""The residual stream of many texts, and tokens' walks through it."""

from __future__ import annotations

import pytest
import torch
import zoo

from headscope import Scope
from headscope.errors import ModelError
from headscope.reading.stream import stages_of, streams, walk

TEXTS = [zoo.TEXT, "Time flies.", "Fruit flies like a banana and an arrow."]


def read(scope):
    return scope.read_many(TEXTS)


def test_padded_streams_are_those_of_single_readings(scope):
    readings = read(scope)
    together = streams(scope.bench.opened, [reading.input for reading in readings])
    for reading, stream in zip(readings, together, strict=True):
        stages = reading.stages
        alone = torch.stack([stages[0].before[0], *(x[0] for one in stages for x in (one.middle, one.after))])
        assert stream.shape == (2 * scope.card.layers + 1, len(reading.tokens), scope.card.d_model)
        assert torch.allclose(stream, alone, atol=1e-5 * float(alone.abs().amax()))
        assert torch.allclose(stream[::2], reading.residual, atol=1e-5 * float(alone.abs().amax()))


def test_stages_are_named_in_order():
    assert [stage.label for stage in stages_of(2)] == [
        "input", "L0 attention", "L0 layer", "L1 attention", "L1 layer",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_walk_ranks_the_own_and_another_token_as_brute_force_does(scope_of):
    for name in ("bert", "electra", "gpt2", "llama"):
        scope = scope_of(name)
        readings = read(scope)
        stream = torch.cat(streams(scope.bench.opened, [reading.input for reading in readings]), 1)
        tokens = [token for reading in readings for token in reading.tokens]
        ids = torch.tensor([token.id for token in tokens])
        spots = [spot for reading in readings for spot in reading.spots]
        others = ids.roll(3)
        others[::4] = -1
        vocabulary = scope.bench.vocabulary
        found = walk(vocabulary, stream, ids, spots, k=5, others=others[:, None])
        nearest = []
        for n, token in enumerate(tokens):
            rows = vocabulary.feed.arrivals(torch.arange(scope.card.vocab_size), vocabulary.feed.place(token.position))
            cosine = torch.nn.functional.cosine_similarity(stream[:, n, None].double(), rows.double()[None], dim=-1)
            nearest.append(cosine.topk(5).indices)
            for token, rank, close in (
                (ids[n], found.rank[:, n], found.cosine[:, n]),
                (others[n], found.other_rank[:, n, 0], found.other_cosine[:, n, 0]),
            ):
                if token < 0:
                    assert not rank.any()
                    assert close.isnan().all()
                    continue
                assert torch.allclose(close.double(), cosine[:, token], atol=1e-5)
                above = (cosine > cosine[:, token, None] + 1e-6).sum(-1) + 1
                below = (cosine > cosine[:, token, None] - 1e-6).sum(-1).clamp_min(1)
                assert bool(((above <= rank) & (rank <= below)).all())
        expected = torch.stack(nearest, 1)  # (stage, token, k)
        shared = [[len({*a} & {*b}) / 5 for a, b in zip(*two, strict=True)]
                  for two in zip(expected[1:].tolist(), expected[:-1].tolist(), strict=True)]  # fmt: skip
        apart = (found.overlap_before - torch.tensor(shared)).abs()
        assert float((apart > 1e-6).float().mean()) < 0.02  # near ties may be cut on either side
        assert torch.equal(found.overlap_input[0], torch.ones(len(ids)))
        assert torch.allclose(found.norm, stream.norm(dim=-1))


def test_what_is_not_finite_is_named(build):
    model, tokenizer = build("gpt2")
    scope = Scope.from_model(model, tokenizer)
    given = scope.read(zoo.TEXT).input
    with torch.no_grad():
        model.transformer.h[1].mlp.c_proj.bias[0] = torch.inf
    with pytest.raises(ModelError, match="not finite"):
        streams(scope.bench.opened, [given])
