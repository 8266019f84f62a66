"""The reference isolated: the right values, under a key that nothing else has."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import zoo

from headscope import Scope
from headscope.errors import InputError
from headscope.keep import tensors
from headscope.model.feed.alone import frame_of, values_alone
from headscope.neighbors import METRICS, distances


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    monkeypatch.setattr(tensors, "STEP", 64)


def anew(of: str, seed: int = 0, **choices: object) -> Scope:
    """A scope that shares nothing with others."""
    return Scope.from_model(*zoo.build(of, seed), stack=zoo.stack_of(of), **choices)


@pytest.mark.parametrize("of", ["bert", "roberta", "albert", "gpt2", "llama", "bart/decoder", "esm"])
def test_the_table_of_a_layer_is_the_values_of_all_tokens_there(of):
    scope = anew(of)
    scope.isolate()
    opened = scope._opened
    expected = values_alone(opened, torch.arange(scope.card.vocab_size), frame_of(opened))
    for layer in range(scope.card.layers):
        table = scope._vocabulary.isolated(layer)
        assert not table.bias.any()
        close = torch.allclose(table.rows, expected[layer], rtol=1e-5, atol=1e-5, equal_nan=True)
        assert close, f"layer {layer}"


@pytest.mark.parametrize("metric", METRICS)
def test_neighbours_are_those_of_brute_force(metric):
    scope = anew("llama")
    reading = scope.read(zoo.TEXT)
    near = reading.nearest(3, 2, reference="isolated", metric=metric, k=5)
    opened = scope._opened
    values = values_alone(opened, torch.arange(scope.card.vocab_size), frame_of(opened))[2]
    for head in range(scope.card.heads):
        rows = values[head * scope.card.kv_heads // scope.card.heads]  # (V, d_head)
        apart = distances(metric, reading.z[2, 3, head][None], rows[:, None])[:, 0]
        assert near.ids[head].tolist() == apart.argsort(stable=True)[:5].tolist()
        assert torch.allclose(near.distances[head], apart.sort().values[:5].float(), atol=1e-5)
    atlas = reading.atlas(3, reference="isolated", metric=metric)
    assert torch.equal(atlas.ids[2], near.ids[:, 0])


@pytest.mark.parametrize("metric", METRICS)
def test_neighbours_in_the_output_space_are_those_of_brute_force_after_w_o(metric):
    scope = anew("llama")
    reading, opened = scope.read(zoo.TEXT), scope._opened
    near = reading.nearest(3, 2, "output", "isolated", metric, k=5)
    values = values_alone(opened, torch.arange(scope.card.vocab_size), frame_of(opened))[2].double()
    w_o = scope.weights(2).w_o.double()  # (head, d_head, d_model)
    for head in range(scope.card.heads):
        rows = values[head * scope.card.kv_heads // scope.card.heads]  # (V, d_head)
        mean = rows.mean(0)
        z = (reading.z[2, 3, head].double() - mean) @ w_o[head]
        apart = distances(metric, z[None], ((rows - mean) @ w_o[head])[:, None])[:, 0]
        assert near.ids[head].tolist() == apart.argsort(stable=True)[:5].tolist()
        assert torch.allclose(near.distances[head], apart.sort().values[:5].float(), atol=1e-4)


@pytest.mark.parametrize("space", ["key", "query", "embedding", "unembedding"])
def test_other_spaces_refuse_it_before_anything_is_made(space, tmp_path):
    with pytest.raises(InputError, match="no reference 'isolated'"):
        anew("gpt2").read(zoo.TEXT).nearest(1, 1, space, "isolated")
    assert not list(tmp_path.iterdir())


def test_why_splits_a_score_of_it():
    reading = anew("gpt2").read(zoo.TEXT)
    near = reading.nearest(3, 2, "output", "isolated", "dot", k=2)
    why = near.why(1, int(near.ids[1, 0]))
    assert float(why.shares.sum()) == pytest.approx(-float(near.distances[1, 0]), rel=1e-4)


@pytest.mark.parametrize("of", ["gpt2", "qwen3", "phi"])
def test_a_text_of_one_token_writes_its_own_isolated_value_in_every_layer(of):
    # Nothing stands around it, so its pattern is 1 and z is v: at layer 0, as with the other references, and above.
    scope = anew(of)
    reading = scope.read("e")
    assert len(reading.tokens) == 1
    for layer in range(scope.card.layers):
        near = reading.nearest(0, layer, reference="isolated")
        assert near.own_rank.tolist() == [1] * scope.card.heads
        assert float(near.own_distance.abs().max()) < 1e-5


def test_the_position_switch_does_not_apply_and_says_so():
    reading = anew("roberta").read(zoo.TEXT)
    on, off = (reading.nearest(1, 2, reference="isolated", position=position) for position in (True, False))
    assert torch.equal(on.distances, off.distances)
    assert not on.question.use_position
    assert any("position switch does not apply" in note for note in on.notes)
    assert off.notes == ()  # one basis, and nothing was asked for that does not apply


def test_what_does_not_reach_the_texts_of_one_token_is_said():
    masked = anew("bert").read(zoo.TEXT, "causal").nearest(1, 1, reference="isolated", position=False)
    assert any("under the model's own" in note for note in masked.notes)
    decoder = anew("t5/decoder").read(zoo.TEXT).nearest(1, 1, reference="isolated", position=False)
    assert any("the encoder read that token too" in note for note in decoder.notes)


def directory(scope: Scope) -> Path:
    return Path(scope.isolate().directory)


def test_the_same_model_finds_what_is_there():
    first, again = (directory(anew("bert")) for _ in range(2))
    assert first == again
    scope, told = anew("bert"), []
    scope.isolate(lambda done, total: told.append((done, total)))
    assert told == [(scope.card.vocab_size,) * 2]


def test_whatever_changes_the_values_changes_the_key():
    model, tokenizer = zoo.build("bert")
    other_frame = zoo.build("bert")[1]
    other_frame.backend_tokenizer.post_processor = None
    scopes = [
        anew("bert"),
        anew("bert", seed=1),
        Scope.from_model(zoo.build("bert")[0], other_frame),
        Scope.from_model(model.to(torch.bfloat16), tokenizer),
        anew("bart/encoder"),
        anew("bart/decoder"),
    ]
    assert len({directory(scope) for scope in scopes}) == len(scopes)


def test_what_no_weight_shows_is_seen_on_a_sample():
    before = directory(anew("bert"))
    model, tokenizer = zoo.build("bert")
    block = Scope.from_model(model, tokenizer)._opened.anatomy.blocks[0].module
    # As an adapter's scale: the weights are the same, and so is their hash.
    block.register_forward_hook(lambda _, __, output: output * 1.5)
    scope = Scope.from_model(model, tokenizer)
    assert directory(scope) == before.with_name(f"{before.name}-1")
    expected = values_alone(scope._opened, torch.arange(scope.card.vocab_size), frame_of(scope._opened))
    assert torch.allclose(scope._vocabulary.isolated(2).rows, expected[2], atol=1e-5)


@pytest.mark.parametrize("opened", ["from_model", "from_pretrained"])
def test_weights_that_were_changed_have_other_values(opened, tmp_path):
    if opened == "from_model":
        scope = anew("roberta")
    else:
        scope = Scope.from_pretrained(str(zoo.save("roberta", tmp_path / "model")))
    before, rows = directory(scope), scope._vocabulary.isolated(2).rows
    with torch.no_grad():
        next(scope._opened.model.parameters()).mul_(1.25)
    assert directory(scope) != before
    assert not torch.allclose(scope._vocabulary.isolated(2).rows, rows, atol=1e-2)


def test_weights_that_change_meanwhile_are_never_mixed():
    scope = anew("roberta")

    def train(done: int, total: int) -> None:
        if done == 64:
            with torch.no_grad():
                next(scope._opened.model.parameters()).mul_(1.25)

    with pytest.raises(InputError, match="weights changed"):
        scope.isolate(train)
    assert len(list(tmp.glob("0*")) if (tmp := Path(scope._isolated.directory)).exists() else []) <= 1
