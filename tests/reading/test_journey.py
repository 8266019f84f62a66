"""Journeys of a text's tokens through the layers, against direct computations."""

from __future__ import annotations

import plain
import pytest
import torch
import zoo

from headscope import InputError

FAMILIES = ["bert", "gpt2", "llama", "gemma2", "albert"]


@pytest.fixture(params=FAMILIES)
def name(request):
    """Norms after the sum, before the attention, around it, and a factorised embedding."""
    return request.param


def run(model, ids, module=None):
    """What the model makes of one text: (hidden states, output), with what `module`s returned in order."""
    seen = []
    hooks = [m.register_forward_hook(lambda _, args, out: seen.append(out)) for m in module or ()]
    with torch.no_grad():
        output = model(torch.tensor([ids]), output_hidden_states=True)
    for hook in hooks:
        hook.remove()
    return output, seen


def after_attention(name, scope, ids):
    """The stream after each layer's attention and residual, from the model's own modules."""
    model = scope.bench.opened.model
    if name in ("bert", "albert"):
        blocks = plain.blocks("bert", model) if name == "bert" else None
        norms = (
            [block.attention.output for block in blocks]
            if blocks is not None
            else [model.encoder.albert_layer_groups[0].albert_layers[0].attention]
        )
        _, seen = run(model, ids, norms)
        return torch.stack([out[0] if out[0].dim() == 2 else out[0][0] for out in seen])
    layers = model.transformer.h if name == "gpt2" else model.model.layers
    norm = {"gpt2": "ln_2", "llama": "post_attention_layernorm", "gemma2": "pre_feedforward_layernorm"}[name]
    kept = []
    hooks = [
        getattr(layer, norm).register_forward_pre_hook(lambda _, args: kept.append(args[0][0])) for layer in layers
    ]
    run(model, ids)
    for hook in hooks:
        hook.remove()
    return torch.stack(kept)


@pytest.mark.parametrize("position", [True, False])
def test_a_journey_is_the_stream_against_the_own_input_embedding(name, scope, reading, position):
    ids = [token.id for token in reading.tokens]
    states, middle = run(scope.bench.opened.model, ids)[0].hidden_states, after_attention(name, scope, ids)
    found, feed = reading.journey(k=4, position=position), scope.bench.opened.feed
    assert found.own_rank.shape == (2 * scope.card.layers + 1, len(ids))
    for n, id in enumerate(ids):
        place = feed.place(n) if position and feed.positions.modules else None
        table = feed.arrivals(torch.arange(feed.vocab_size), place).double()
        stream = torch.stack([states[0][0, n], middle[0, n], states[1][0, n], middle[1, n]]).double()
        cosine = torch.nn.functional.cosine_similarity(stream[:, None], table[None], dim=-1)
        assert torch.allclose(found.own_cosine[:4, n].double(), cosine[:, id], atol=1e-5)
        above = (cosine > cosine[:, id, None] + 1e-6).sum(-1) + 1
        below = (cosine > cosine[:, id, None] - 1e-6).sum(-1)
        rank = found.own_rank[:4, n]
        assert bool(((above <= rank) & (rank <= below.clamp_min(1))).all())
        assert torch.allclose(found.norm[:4, n].double(), stream.norm(dim=-1), rtol=1e-4)
    if position or name in ("llama", "gemma2"):
        assert found.own_rank[0].tolist() == [1] * len(ids)


def test_a_token_alone_is_the_model_s_run_of_it_in_the_tokenizer_s_frame(name, scope, reading):
    found = reading.journey()
    token = reading.tokens[3]
    added = [t.id for t in reading.tokens if t.special]
    before = [t.id for t in reading.tokens[:1] if t.special]
    frame, place = [*before, token.id, *added[len(before) :]], len(before)
    alone = run(scope.bench.opened.model, frame)[0].hidden_states[1][0, place]
    here = run(scope.bench.opened.model, [t.id for t in reading.tokens])[0].hidden_states[1][0, 3]
    expected = torch.nn.functional.cosine_similarity(alone, here, dim=-1)
    assert float(found.isolated_cosine[2, 3]) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize(
    ("name", "normed"),
    [("bert", True), ("albert", True), ("bloom", True), ("gpt2", False), ("llama", False), ("gemma2", False)],
)
def test_a_journey_says_what_the_input_embedding_is(name, normed, scope_of):
    scope = scope_of(name)
    found = scope.read(zoo.TEXT).journey()
    model, (token,) = scope.bench.opened.model, found.tokens[2:3]
    raw = model.get_input_embeddings()(torch.tensor(token.id))
    arrived = scope.bench.opened.feed.arrivals(torch.tensor([token.id]), None)[0]
    scaled = raw.shape == arrived.shape and torch.allclose(arrived / arrived.norm(), raw / raw.norm(), atol=1e-5)
    assert found.norms_input is normed is not scaled
    assert ("through the model's norm" if normed else "raw, before any norm") in found.notes[-1]
    assert ("with its position" in found.notes[-1]) == found.use_position == bool(scope.bench.opened.positions.modules)


def test_a_journey_tells_function_words_from_content_words(scope_of):
    text = "The sea, and 7 birds"
    found = scope_of("gpt2").read(text).journey()
    kinds = {}  # of the pieces of each word; a space alone belongs to none
    for token, kind in zip(found.tokens, found.word_classes, strict=True):
        start, end = token.span
        kinds.setdefault(None if text[start:end].isspace() else text[:start].count(" "), set()).add(kind)
    assert kinds.pop(None, {"other"}) == {"other"}
    assert list(kinds.values()) == [{"function"}, {"content", "punctuation"}, {"function"}, {"content"}, {"content"}]
    assert set(scope_of("bert").read("The sea").journey().word_classes) == {"function", "content", "other"}


def test_a_data_frame_has_a_row_for_every_token_and_stage(scope_of):
    found = scope_of("bert").read(zoo.TEXT).journey()
    rows = found.to_pandas()
    assert len(rows) == len(found.tokens) * len(found.stages)
    third = rows[rows.position == 3]
    assert third.own_rank.tolist() == found.own_rank[:, 3].tolist()
    assert third.overlap.isna().tolist() == [True] + [False] * len(found.overlap)  # there is no stage before the first
    assert third.overlap.tolist()[1:] == found.overlap[:, 3].tolist()
    for name in ("own_cosine", "isolated_cosine", "norm"):
        assert third[name].tolist() == pytest.approx(getattr(found, name)[:, 3].tolist())


def test_a_token_s_sheet_has_the_row_that_it_has_in_every_sheet(scope_of):
    found = scope_of("gpt2").read(zoo.TEXT).journey()
    place = found.word_classes.index("content")
    sheets, own = found.sheets(), found.of(place)
    assert own.caption == f"{place} {found.tokens[place].label}, a content word: stage by stage"
    assert [row.head.label for row in own.rows] == list(found.stages)
    assert len(own.columns) == len(sheets) == 5
    for n, sheet in enumerate(sheets):
        assert own.columns[n] in sheet.caption
        assert sheet.rows[place].head.beside == "content"
        assert [cell.number for cell in sheet.rows[place].cells] == [row.cells[n].number for row in own.rows]
    assert own.rows[-1].cells[0].number == f"{int(found.own_rank[-1, place]):,}"
    assert own.rows[0].cells[-1].number == "–"  # there is no stage before the first


def test_the_farther_a_rank_is_from_the_first_the_stronger_its_ground(scope_of):
    found = scope_of("gpt2").read(zoo.TEXT).journey()
    sheet = found.sheets()[0]
    assert sheet.figure == "cells"
    shares = {
        rank: cell.share
        for rank, cell in zip(
            found.own_rank.T.flatten().tolist(), (c for r in sheet.rows for c in r.cells), strict=True
        )
    }
    assert [shares[rank] for rank in sorted(shares)] == sorted(shares.values())
    assert (shares[1], max(shares.values())) == (0, 1)


@pytest.mark.parametrize("position", [99, -1, "banana", 1.5])
def test_a_position_that_the_text_has_not_is_refused(scope_of, position):
    found = scope_of("bert").read(zoo.TEXT).journey()
    with pytest.raises(InputError, match=f"the text has positions 0 to {len(found.tokens) - 1}"):
        found.of(position)
