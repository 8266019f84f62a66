"""Through the layers: journeys, mixing, heads at a glance and effects, against direct computations."""

from __future__ import annotations

import json
from dataclasses import replace

import plain
import pytest
import torch
import zoo

from headscope import Scope
from headscope.errors import InputError
from headscope.model.capture.runner import Runner
from tests.studies.survey.corpora import statistics, surveyed

FAMILIES = ["bert", "gpt2", "llama", "gemma2", "albert"]


@pytest.fixture(params=FAMILIES)
def name(request):
    """Norms after the sum, before the attention, around it, and a factorised embedding."""
    return request.param


@pytest.fixture
def reading(scope):
    return scope.read(zoo.TEXT)


def run(scope, ids, module=None):
    """What the model makes of one text: (hidden states, output), with what `module`s returned in order."""
    seen = []
    hooks = [m.register_forward_hook(lambda _, args, out: seen.append(out)) for m in module or ()]
    with torch.no_grad():
        output = scope._opened.model(torch.tensor([ids]), output_hidden_states=True)
    for hook in hooks:
        hook.remove()
    return output, seen


def after_attention(name, scope, ids):
    """The stream after each layer's attention and residual, from the model's own modules."""
    model = scope._opened.model
    if name in ("bert", "albert"):
        blocks = plain.blocks("bert", model) if name == "bert" else None
        norms = (
            [block.attention.output for block in blocks]
            if blocks is not None
            else [model.encoder.albert_layer_groups[0].albert_layers[0].attention]
        )
        _, seen = run(scope, ids, norms)
        return torch.stack([out[0] if out[0].dim() == 2 else out[0][0] for out in seen])
    layers = model.transformer.h if name == "gpt2" else model.model.layers
    norm = {"gpt2": "ln_2", "llama": "post_attention_layernorm", "gemma2": "pre_feedforward_layernorm"}[name]
    kept = []
    hooks = [
        getattr(layer, norm).register_forward_pre_hook(lambda _, args: kept.append(args[0][0])) for layer in layers
    ]
    run(scope, ids)
    for hook in hooks:
        hook.remove()
    return torch.stack(kept)


@pytest.mark.parametrize("position", [True, False])
def test_a_journey_is_the_stream_against_the_own_input_embedding(name, scope, reading, position):
    ids = [token.id for token in reading.tokens]
    states, middle = run(scope, ids)[0].hidden_states, after_attention(name, scope, ids)
    found, feed = reading.journey(k=4, position=position), scope._opened.feed
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
    alone = run(scope, frame)[0].hidden_states[1][0, place]
    here = run(scope, [t.id for t in reading.tokens])[0].hidden_states[1][0, 3]
    expected = torch.nn.functional.cosine_similarity(alone, here, dim=-1)
    assert float(found.isolated_cosine[2, 3]) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_mixing_is_the_ratio_of_what_others_bring(name, scope, reading):
    found, model, layer, i = reading.mixing(), scope._opened.model, 1, 4
    weights = plain.heads(name, model, layer)
    alpha = reading.pattern[layer, :, i].double()  # (H, S)
    values = reading.vectors("v", layer).double()
    written = torch.stack([alpha[h, :, None] * (values[:, h] @ weights.w_o[h].double()) for h in range(len(alpha))])
    others = torch.arange(alpha.shape[1]) != i
    assert torch.allclose(found.weights[layer, :, i].double(), alpha[:, others].sum(-1), atol=1e-6)
    mixed, kept = written[:, others].sum(1), written[:, i]
    assert torch.allclose(found.norms[layer, :, i].double(), ratio(mixed, kept), atol=1e-5)
    mixed, kept = mixed.sum(0), kept.sum(0)
    assert float(found.norms_all[layer, i]) == pytest.approx(float(ratio(mixed, kept)), abs=1e-5)
    kept = kept + reading.residual[layer, i].double()
    assert float(found.residual[layer, i]) == pytest.approx(float(ratio(mixed, kept)), abs=1e-5)
    if name != "bert":
        assert found.layernorm.isnan().all()
        return
    gain = plain.blocks(name, model)[layer].attention.output.LayerNorm.weight.double()  # the spread is common to both
    normed = ratio((mixed - mixed.mean()) * gain, (kept - kept.mean()) * gain)
    assert float(found.layernorm[layer, i]) == pytest.approx(float(normed), abs=1e-5)


def ratio(mixed, kept):
    return mixed.norm(dim=-1) / (mixed.norm(dim=-1) + kept.norm(dim=-1))


def test_a_norm_between_attention_and_sum_leaves_no_ratio_with_the_residual(scope_of):
    found = scope_of("gemma2").read(zoo.TEXT).mixing()
    assert found.residual.isnan().all()
    assert not found.norms_all.isnan().any()


def test_a_glance_is_the_mean_over_the_tokens_that_are_not_special(scope, reading):
    found, layer, head = reading.glance(), 1, 2
    ours = [t.position for t in reading.tokens if not t.special]
    alpha = reading.pattern[layer, head].double()
    special = [t.position for t in reading.tokens if t.special]
    entropy = sum(-(a * a.log()) for i in ours for a in alpha[i] if a > 0) / len(ours)
    assert float(found.entropy[layer, head]) == pytest.approx(float(entropy), abs=1e-5)
    assert float(found.on_own[layer, head]) == pytest.approx(
        float(sum(alpha[i, i] for i in ours) / len(ours)), abs=1e-6
    )
    previous = sum(alpha[i, i - 1] for i in ours if i) / len([i for i in ours if i])
    assert float(found.on_previous[layer, head]) == pytest.approx(float(previous), abs=1e-6)
    on_special = sum(float(alpha[i, special].sum()) for i in ours) / len(ours)
    assert float(found.on_special[layer, head]) == pytest.approx(on_special, abs=1e-6)


def test_a_text_of_one_token_has_nothing_before_it(scope_of):
    found = scope_of("gpt2").read("x").glance()
    assert found.on_previous.isnan().all()
    assert not found.on_own.isnan().any()
    assert {head["on_previous"] for head in found.to_dict()["heads"]} == {None}
    assert " – " in repr(found)


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_a_glance_and_a_survey_of_one_text_tell_the_same_of_its_patterns(scope_of, name, tmp_path):
    (tmp_path / "text.txt").write_text(zoo.TEXT)
    found = statistics(surveyed(scope_of(name), tmp_path / "text.txt", tmp_path / "survey"))
    glance = scope_of(name).read(zoo.TEXT).glance()
    for figure in ("entropy", "on_own", "on_previous", "on_special"):
        told = found[(found.statistic == figure) & (found.by == "all") & found["head"].notna()]
        here = getattr(glance, figure)
        assert len(told) == here.numel()
        for row in told.itertuples():
            assert row.value == pytest.approx(float(here[int(row.layer), int(row.head)]), abs=1e-6)


def edited_by_hand(scope, ids, layer, head, replacement):
    """The model's output with the columns of one head set before its output projection."""
    d = scope.card.d_head

    def change(module, args):
        joined = args[0].clone()
        joined[..., head * d : (head + 1) * d] = replacement
        return (joined, *args[1:])

    hook = scope._opened.anatomy.blocks[layer].output.register_forward_pre_hook(change)
    output, _ = run(scope, ids)
    hook.remove()
    return output


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "bloom"])
def test_effects_are_those_of_the_model_with_the_head_put_out(name, scope, reading):
    found, token = reading.effects(4), reading.tokens[4]
    ids = [t.id for t in reading.tokens]
    before, after = run(scope, ids)[0], edited_by_hand(scope, ids, 1, 2, 0.0)
    if name == "bert":
        f, g = before[0][0, 4], after[0][0, 4]
        assert float(found.moved[1, 2]) == pytest.approx(float((g - f).norm() / f.norm()), rel=1e-3)
        assert found.kl is None
        assert found.own_logit is None
        return
    p, q = (out.logits[0, 4].double().log_softmax(-1) for out in (before, after))
    assert float(found.kl[1, 2]) == pytest.approx(float((p.exp() * (p - q)).sum()), rel=1e-3, abs=1e-7)
    gained = float(after.logits[0, 4, token.id] - before.logits[0, 4, token.id])
    assert float(found.own_logit[1, 2]) == pytest.approx(gained, rel=1e-3, abs=1e-5)


def test_effects_take_as_many_runs_as_there_are_heads_and_one(scope_of, monkeypatch):
    scope = scope_of("gpt2")
    reading, texts = scope.read(zoo.TEXT), []
    original = Runner.run
    monkeypatch.setattr(
        Runner, "run", lambda self, given, *rest: texts.append(len(given)) or original(self, given, *rest)
    )
    reading.effects(2)
    assert sum(texts) == scope.card.layers * scope.card.heads + 1
    assert len(texts) == 1


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


def test_texts_of_a_batch_are_edited_each_by_its_own(scope_of):
    scope = scope_of("gpt2")
    readings = [scope.read(text) for text in zoo.CORPUS[:2]]
    texts = [replace(one._input, edit={(1, "residual"): lambda x, n=n: x * (n + 2)}) for n, one in enumerate(readings)]
    last, logits = scope._opened.outputs(texts)
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
        ({(0, "q"): "zero"}, r"\(layer, 'z'\) or \(layer, 'residual'\)"),
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


@pytest.mark.parametrize(
    ("name", "normed"),
    [("bert", True), ("albert", True), ("bloom", True), ("gpt2", False), ("llama", False), ("gemma2", False)],
)
def test_a_journey_says_what_the_input_embedding_is(name, normed, scope_of):
    scope = scope_of(name)
    found = scope.read(zoo.TEXT).journey()
    model, (token,) = scope._opened.model, found.tokens[2:3]
    raw = model.get_input_embeddings()(torch.tensor(token.id))
    arrived = scope._opened.feed.arrivals(torch.tensor([token.id]), None)[0]
    scaled = raw.shape == arrived.shape and torch.allclose(arrived / arrived.norm(), raw / raw.norm(), atol=1e-5)
    assert found.norms_input is normed is not scaled
    assert ("through the model's norm" if normed else "raw, before any norm") in found.notes[-1]
    assert ("with its position" in found.notes[-1]) == found.use_position == bool(scope._opened.positions.modules)


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


def test_means_are_those_of_the_ratios(scope_of):
    found = scope_of("bert").read(zoo.TEXT).mixing()
    means = found.means()
    for layer in range(len(found.norms_all)):
        assert float(means["norms"][layer]) == pytest.approx(float(found.norms[layer].mean()))
        assert float(means["layernorm"][layer]) == pytest.approx(float(found.layernorm[layer].mean()))
    told = found.to_dict()
    assert [layer["means"]["weights"] for layer in told["layers"]] == means["weights"].tolist()
    assert [kind["kind"] for kind in told["kinds"]] == list(means)


def test_what_a_model_cannot_tell_is_said(scope_of):
    said = {name: scope_of(name).read(zoo.TEXT).mixing().notes for name in ("bert", "gpt2", "gemma2")}
    assert said["bert"] == ()
    assert "no norm right after the sum" in said["gpt2"][0]
    assert "the ratio with the residual cannot be told" in said["gemma2"][0]
    assert "no language-model head" in scope_of("bert").read(zoo.TEXT).effects().notes[0]
    assert scope_of("gpt2").read(zoo.TEXT).effects().notes == ()


@pytest.mark.parametrize("kind", ["journey", "mixing", "glance", "effects"])
def test_every_answer_is_shown_and_told(kind, reading, scope):
    found = getattr(reading, kind)()
    assert repr(found)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))


def test_data_frames_have_a_row_for_every_number(reading, scope):
    layers, heads, tokens = scope.card.layers, scope.card.heads, len(reading.tokens)
    journey, mixing = reading.journey(), reading.mixing()
    rows = journey.to_pandas()
    assert len(rows) == tokens * (2 * layers + 1)
    third = rows[rows.position == 3]
    assert third.own_rank.tolist() == journey.own_rank[:, 3].tolist()
    assert third.overlap.tolist()[1:] == journey.overlap[:, 3].tolist()
    rows = mixing.to_pandas()
    assert len(rows) == layers * tokens * (2 * heads + 3)
    cell = rows[(rows.layer == 1) & (rows["kind"] == "norms") & (rows["head"] == 2) & (rows.position == 4)]
    assert cell.ratio.tolist() == [float(mixing.norms[1, 2, 4])]
    for found in (reading.glance(), reading.effects(2)):
        assert len(found.to_pandas()) == layers * heads
