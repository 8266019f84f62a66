"""Readings of a model that is edited while it reads."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import zoo

from headscope import InputError, Scope


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "bloom", "deberta-v2", "gpt-oss"])
def test_z_in_the_place_of_itself_changes_nothing_to_the_bit(name, scope_of):
    scope = scope_of(name)
    before = scope.read(zoo.TEXT)
    same = {(layer, head): before.z[layer, :, head] for layer in range(scope.card.layers) for head in (0, 3)}
    after = scope.read(zoo.TEXT, edit=same)
    assert torch.equal(after.z, before.z)
    assert torch.equal(after.residual, before.residual)


EVERYWHERE = ["albert", "bert", "bloom", "deberta-v2", "gemma2", "gpt-oss", "gpt2", "llama"]


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_function_that_gives_back_what_it_is_given_changes_nothing_to_the_bit(name, scope_of):
    scope = scope_of(name)
    before = scope.read(zoo.TEXT)
    given = []

    def same(part):
        return lambda there: given.append((part, tuple(there.shape))) or there

    layers, n = range(scope.card.layers), len(before.tokens)
    after = scope.read(zoo.TEXT, edit={(layer, part): same(part) for layer in layers for part in (1, "z", "residual")})
    assert torch.equal(after.z, before.z)
    assert torch.equal(after.residual, before.residual)
    d_head = scope.card.d_head
    widths = {1: d_head, "z": scope.card.heads * d_head, "residual": scope.card.d_model}
    assert set(given) == {(part, (n, width)) for part, width in widths.items()}
    for one, other in zip(after.stages, before.stages, strict=True):
        assert torch.equal(one.middle, other.middle)
        assert torch.equal(one.after, other.after)
        assert (one.norm is None) == (other.norm is None)


@pytest.mark.parametrize("name", EVERYWHERE)
def test_the_stream_that_is_put_in_a_block_s_place_is_what_the_next_one_reads(name, scope_of):
    scope = scope_of(name)
    plain_one = scope.read(zoo.TEXT)
    shifted = scope.read(zoo.TEXT, edit={(0, "residual"): lambda x: x + 1.0, (2, "residual"): "zero"})
    assert torch.equal(shifted.residual[1], plain_one.residual[1] + 1.0)
    assert torch.equal(shifted.residual[3], torch.zeros_like(plain_one.residual[3]))
    assert torch.equal(shifted.z[0], plain_one.z[0])
    assert not torch.equal(shifted.z[1], plain_one.z[1])
    # Each stage says what the block did; where the stream was replaced, its last one is what was passed on.
    assert torch.equal(shifted.stages[0].middle, plain_one.stages[0].middle)
    assert torch.equal(shifted.stages[0].after, shifted.stages[1].before)
    assert (shifted.stages[0].norm is None) == (plain_one.stages[0].norm is None)


@pytest.mark.parametrize("name", EVERYWHERE)
def test_values_are_mixed_by_the_attention_that_is_put_in(name, scope_of):
    scope = scope_of(name)
    before = scope.read(zoo.TEXT)
    layers, heads, n = range(scope.card.layers), scope.card.heads, len(before.tokens)
    own = scope.read(zoo.TEXT, edit={(layer, "pattern"): before.pattern[layer] for layer in layers})
    assert torch.allclose(own.z, before.z, atol=1e-5)
    assert torch.allclose(own.residual, before.residual, atol=1e-4)
    drawn = torch.rand(len(layers), heads, n, n).softmax(-1)
    edit = {(layer, "pattern"): drawn[layer] for layer in layers} | {(1, 2): "zero"}
    mixed = scope.read(zoo.TEXT, edit=edit)
    assert torch.allclose(mixed.pattern, drawn, atol=1e-7)
    expected = torch.einsum("lhqs,lshd->lqhd", drawn, mixed.v.repeat_interleave(heads // mixed.v.shape[2], 2))
    expected[1, :, 2] = 0
    assert torch.allclose(mixed.z, expected, atol=1e-5)
    assert not torch.allclose(mixed.v[2], before.v[2], atol=1e-3)
    assert "attention or z was replaced in L0 pattern (tensor), L1H2 (zero), L1 pattern (tensor)" in mixed.notes[-1]


def test_a_function_of_the_attention_is_given_it_without_padding(scope_of):
    scope = scope_of("gpt2")
    given = []
    texts = zoo.CORPUS[:2]
    edits = [{(1, "pattern"): lambda there: given.append(there.clone()) or there.flip(0)}, None]
    edited, plain_one = scope.read_many(texts, edits=edits)
    (seen,) = given
    assert torch.allclose(seen, scope.read(texts[0]).pattern[1], atol=1e-6)
    assert torch.equal(edited.pattern[1], seen.flip(0))
    assert torch.equal(plain_one.z, scope.read_many(texts)[1].z)
    with pytest.raises(InputError, match="1 edits are given for 2 texts"):
        scope.read_many(texts, edits=[None])


def test_texts_of_a_batch_are_edited_each_by_its_own(scope_of):
    scope = scope_of("gpt2")
    readings = [scope.read(text) for text in zoo.CORPUS[:2]]
    texts = [replace(one.input, edit={(1, "residual"): lambda x, n=n: x * (n + 2)}) for n, one in enumerate(readings)]
    last, logits = scope.bench.opened.outputs(texts)
    for n, one in enumerate(readings):
        alone = scope.read(one.text, edit={(1, "residual"): lambda x, n=n: x * (n + 2)})
        length = len(one.tokens)
        assert torch.allclose(last[n, :length], alone.residual[-1], atol=1e-5)
        assert logits.shape[1:] == (last.shape[1], scope.card.vocab_size)


def test_an_edit_of_the_joined_heads_is_the_edit_of_each(scope_of):
    scope = scope_of("llama")
    width = scope.card.heads * scope.card.d_head
    values = torch.linspace(-1, 1, width)
    joined = scope.read(zoo.TEXT, edit={(1, "z"): values})
    each = scope.read(zoo.TEXT, edit={(1, head): values.view(-1, scope.card.d_head)[head] for head in range(4)})
    assert torch.equal(joined.z, each.z)
    assert torch.equal(joined.residual, each.residual)


def test_an_edit_holds_for_all_that_is_asked_of_the_reading(scope_of):
    scope = scope_of("llama")
    plain_one, edited = scope.read(zoo.TEXT), scope.read(zoo.TEXT, edit={(0, 1): "mean", (1, 2): torch.ones(8)})
    assert torch.allclose(edited.z[0, :, 1], plain_one.z[0, :, 1].mean(0).expand(len(edited.tokens), -1), atol=1e-6)
    assert torch.equal(edited.z[1, :, 2], torch.ones_like(edited.z[1, :, 2]))
    assert torch.equal(edited.z[0, :, 0], plain_one.z[0, :, 0])
    assert not torch.equal(edited.z[2], plain_one.z[2])
    assert torch.equal(edited.residual[0], plain_one.residual[0])
    assert not torch.equal(edited.residual[1], plain_one.residual[1])


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({(3, 0): "zero"}, "layers are 0 to 2, heads 0 to 3"),
        ({(0, 0): "noise"}, "'zero', 'mean', a tensor or a function"),
        ({(0, 0): lambda z: z[:1]}, r"\[1, 8\]; it is given \[\d+, 8\]"),
        ({(0, "residual"): torch.ones(8)}, r"\[8\]; it is \[32\] or"),
        ({(0, "q"): "zero"}, r"\(layer, 'z'\), \(layer, 'pattern'\) or \(layer, 'residual'\)"),
        ({(0, "pattern"): "mean"}, "a tensor or a function, not 'mean'"),
        ({(0, "pattern"): torch.ones(4, 2, 2)}, r"\[4, 2, 2\]; it is \[4, \d+, \d+\] \(head, query, source\)"),
        ({(0, "pattern"): lambda there: there[0]}, r"\(head, query and source\)"),
        ({(3, "pattern"): lambda there: there}, "layers are 0 to 2"),
        ({(3, "z"): "zero"}, "layers are 0 to 2"),
        ({(0, 0): torch.ones(3)}, r"\[3\]; it is \[8\] or"),
        ({"L0H1": "zero"}, r"\(layer, head\)"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(edit, said, scope_of):
    with pytest.raises(InputError, match=said):
        scope_of("bert").read(zoo.TEXT, edit=edit)


def test_granite_s_factor_is_found(build):
    model, tokenizer = build("granite")
    for layer in model.model.layers:
        layer.residual_multiplier = 0.25
    reading = Scope.from_model(model, tokenizer).read(zoo.TEXT)
    assert {stages.factor for stages in reading.stages} == {0.25}
