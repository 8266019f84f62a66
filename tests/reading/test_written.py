"""What is written where: AUC of every token of a text under every output of its heads, and what follows from it."""

from __future__ import annotations

import json
import math

import plain
import pytest
import torch
import zoo

from headscope import InputError, Scope
from headscope.reading.within import counting

METRICS = ["cosine", "euclidean", "dot"]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("layer", "reference", "position"),
    [(0, "input", True), (2, "layer", True), (2, "layer", False), (2, "input", True)],
)
@pytest.mark.parametrize("family", plain.FAMILIES)  # roberta and gpt2 have positions, llama RoPE and grouped heads
def test_every_auc_is_that_of_brute_force_in_float64(scope_of, family, metric, layer, reference, position):
    scope = scope_of(family)
    model, reading = scope.bench.opened.model, scope.read(zoo.TEXT)
    found = reading.written(layer, reference=reference, metric=metric, position=position)
    ids = torch.tensor([token.id for token in reading.tokens])
    z = plain.z(family, model, ids.tolist(), layer)
    group = scope.card.heads // scope.card.kv_heads
    for i in range(len(ids)):
        rows = plain.encodings(family, model, 0 if reference == "input" else layer, i if position else None)
        for head in range(scope.card.heads):
            apart = plain.distance(metric, z[i, head], rows[:, head // group]).detach()
            near = 1e-4 * float(apart.abs().max())  # float32 in the model itself
            least, most = ((apart < (apart[ids] + slack)[:, None]).sum(-1) for slack in (-near, near))
            rank = (1 - found.auc[head, i].double()) * (len(rows) - 1)
            assert bool(((least - 1e-2 <= rank) & (rank <= most + 1e-2)).all())
    assert found.candidates == scope.card.vocab_size
    assert torch.equal(found.pattern, reading.pattern_of(layer))


@pytest.mark.parametrize("metric", METRICS)
def test_an_own_token_has_the_auc_of_its_own_rank_in_every_architecture(scope, metric):
    reading = scope.read(zoo.TEXT)
    for layer in (0, scope.card.layers - 1):
        found = reading.written(layer, metric=metric)
        places = list(range(len(reading.tokens)))
        rank = reading.nearest(places, layer, metric=metric, k=1).own_rank  # (S, H)
        expected = 1 - (rank - 1).double() / (found.candidates - 1)
        own = torch.diagonal(found.auc, dim1=1, dim2=2).T
        assert torch.equal(own, torch.where(rank > 0, expected, torch.nan).float())


@pytest.mark.parametrize(("space", "metric"), [("output", "cosine"), ("key", "dot"), ("unembedding", "euclidean")])
def test_other_spaces_are_those_of_nearest(scope_of, space, metric):
    reading = scope_of("llama").read(zoo.TEXT)
    found, last = reading.written(1, space, metric=metric), len(reading.tokens) - 1
    near = reading.nearest(last, 1, space, metric=metric, k=found.candidates)
    ranks = torch.zeros_like(near.ranks).scatter(1, near.ids, near.ranks)  # by id
    ids = torch.tensor([token.id for token in reading.tokens])
    expected = 1 - (ranks[:, ids] - 1).double() / (found.candidates - 1)
    assert torch.equal(found.auc[:, last], expected.float())
    assert set(near.notes) <= set(found.notes)


def test_tokens_that_are_alike_are_written_alike_and_count_in_no_figure(scope_of):
    reading = scope_of("bert").read("flies like flies an")
    found = reading.written(1)
    assert torch.equal(found.auc[:, :, 1], found.auc[:, :, 3])
    assert found.within.own[:, [1, 3]].isnan().all()
    assert found.within.own[:, [2, 4]].isfinite().all()
    assert counting(reading.tokens).tolist() == [False, False, True, False, True, False]


def test_figures_are_those_of_the_formulas(scope_of):
    reading = scope_of("bert").read("time flies like an arrow")
    found, inside = reading.written(1), range(1, 6)
    for head in range(4):
        auc, alpha = found.auc[head], found.pattern[head]
        for i in inside:
            others = [float(auc[j, i]) for j in inside if j != i]
            assert float(found.within.own[head, i]) == float(auc[i, i])
            assert float(found.within.others[head, i]) == pytest.approx(sum(others) / 4, rel=1e-5)
            seen = auc[i, 1:6]
            carried = float((alpha[i, 1:6] * seen).sum() / alpha[i, 1:6].sum())
            assert float(found.within.carry[head, i]) == pytest.approx(carried - float(seen.mean()), abs=1e-5)
            assert float(found.within.ceiling[head, i]) == pytest.approx(float(seen.max() - seen.mean()), abs=1e-5)
        carry = found.within.carry[head, 1:6].mean()
        assert float(found.means()["Carry"][head]) == pytest.approx(float(carry), abs=1e-6)
    assert found.within.carry[:, [0, 6]].isnan().all()  # special tokens


def test_where_attention_is_even_nothing_is_carried():
    model, tokenizer = zoo.build("bert")
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if ".query." in name:
                weights.zero_()
    found = Scope.from_model(model, tokenizer).read(zoo.TEXT).written(1)
    carry = found.within.carry
    assert carry.isfinite().any()
    assert float(carry.nan_to_num().abs().max()) < 1e-6
    assert float(found.within.ceiling.nan_to_num().max()) > 0.05


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_under_a_mask_a_note_says_that_the_level_means_nothing_by_itself(scope_of, family):
    causal, full = (scope_of(family).read(zoo.TEXT, mask=mask).written(1) for mask in ("causal", "full"))
    assert any("even attention" in note for note in causal.notes)
    assert not any("even attention" in note for note in full.notes)
    size = len(causal.tokens)
    assert torch.equal(causal.visible, torch.ones(size, size, dtype=torch.bool).tril())
    assert bool(full.visible.all())
    assert causal.within.others[:, -1].isnan().all()  # nothing later sees it
    last = max(n for n in range(size) if counting(full.tokens)[n])
    assert full.within.others[:, last].isfinite().all()
    assert "hidden by the mask" in causal._repr_html_()
    assert "hidden by the mask" not in full._repr_html_()


def test_input_reference_above_layer_0_is_noted_as_everywhere(scope_of):
    reading = scope_of("bert").read(zoo.TEXT)
    notes = reading.written(2, reference="input").notes
    assert notes == reading.nearest(1, 2, reference="input").notes
    assert not reading.written(0, reference="input").notes


def test_a_text_of_one_token_has_a_matrix_of_one_and_no_figures(scope_of):
    reading = scope_of("gpt2").read("Time")
    found = reading.written(1)
    assert found.auc.shape == (4, 1, 1)
    assert found.head == 0
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["heads"][0]["carry"] == [None]
    assert set(told["heads"][0]["mean"].values()) == {None}
    assert "–" in str(found)


def test_json_and_rows_tell_every_number(scope_of):
    found = scope_of("llama").read(zoo.TEXT).written(1, head=3)
    told = found.to_dict()
    assert told["head"] == 3
    for head, record in enumerate(told["heads"]):
        assert torch.tensor(record["auc"]).allclose(found.auc[head], atol=1e-7)
        assert torch.tensor(record["pattern"]).allclose(found.pattern[head], atol=1e-7)
        own = found.within.own[head] - found.within.others[head]
        assert record["mean"]["own_within"] == pytest.approx(float(own.nanmean()), abs=1e-6)
    rows, size = found.rows(), len(found.tokens)
    assert len(rows) == 4 * size * size
    row = rows[3 * size * size + 5 * size + 2]
    assert (row["head"], row["position"], row["token_position"]) == (3, 5, 2)
    assert (row["auc"], row["weight"]) == (float(found.auc[3, 5, 2]), float(found.pattern[3, 5, 2]))
    assert row["visible"] is True


def test_without_a_head_that_of_the_largest_mean_carry_is_laid_out(scope_of):
    reading = scope_of("bert").read(zoo.TEXT)
    found = reading.written(1)
    assert found.head == int(found.means()["Carry"].argmax())
    assert f"L1H{found.head}, what is written where" in str(found)
    assert "L1H2, what was attended" in str(reading.written(1, head=2))


@pytest.mark.parametrize("head", [-1, 4, True, 1.5, "x"])
def test_a_head_that_is_not_there_is_refused(scope_of, head):
    with pytest.raises(InputError, match="heads are 0 to 3"):
        scope_of("bert").read(zoo.TEXT).written(1, head=head)


def test_the_figure_has_both_matrices_side_by_side(scope_of, tmp_path):
    found = scope_of("bert").read("time flies").written(1, head=2)
    svg = found.save(tmp_path / "written.svg").read_text()
    assert "L1H2: what is written where | what was attended" in svg
    assert svg.count(">1 time<") == 3  # a row, and a column of each
    assert math.isfinite(found.auc.sum())
