"""How much a layer's output mixes, against direct computations."""

from __future__ import annotations

import plain
import pytest
import torch
import zoo

from headscope import InputError


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_mixing_is_the_ratio_of_what_others_bring(name, scope, reading):
    found, model, layer, i = reading.mixing(), scope.bench.opened.model, 1, 4
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


def test_beside_a_sink_the_weights_are_shares_of_what_the_text_has(scope_of):
    reading = scope_of("gpt-oss").read(zoo.TEXT)
    alpha = reading.pattern.double()  # [layer, head, i, j]: what the sink takes is of no position
    assert float(alpha.sum(-1).amin()) < 0.5
    others = alpha.sum(-1) - alpha.diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(reading.mixing().weights.double(), others / alpha.sum(-1), atol=1e-6)


def ratio(mixed, kept):
    return mixed.norm(dim=-1) / (mixed.norm(dim=-1) + kept.norm(dim=-1))


def test_a_norm_between_attention_and_sum_leaves_no_ratio_with_the_residual(scope_of):
    found = scope_of("gemma2").read(zoo.TEXT).mixing()
    assert found.residual.isnan().all()
    assert not found.norms_all.isnan().any()


def test_means_are_those_of_the_ratios(scope_of):
    found = scope_of("bert").read(zoo.TEXT).mixing()
    means = found.means()
    for layer in range(len(found.norms_all)):
        assert float(means["norms"][layer]) == pytest.approx(float(found.norms[layer].mean()))
        assert float(means["layernorm"][layer]) == pytest.approx(float(found.layernorm[layer].mean()))
    told = found.to_dict()
    assert [layer["means"]["weights"] for layer in told["layers"]] == means["weights"].tolist()
    assert [kind["kind"] for kind in told["kinds"]] == list(means)


def test_what_a_model_cannot_tell_is_said_and_shown(scope_of):
    found = {name: scope_of(name).read(zoo.TEXT).mixing() for name in ("bert", "gpt2", "gemma2")}
    assert found["bert"].notes == ()
    assert "no norm right after the sum" in found["gpt2"].notes[0]
    assert "the ratio with the residual cannot be told" in found["gemma2"].notes[0]
    shown = {name: [cell.number for cell in one.sheets()[0].rows[0].cells] for name, one in found.items()}
    assert ["–" in cells for cells in shown.values()] == [False, True, True]
    assert shown["gemma2"][-2:] == ["–", "–"]


def test_a_position_s_sheet_has_its_ratios_and_the_means_beside_them(scope_of):
    found = scope_of("bert").read(zoo.TEXT).mixing()
    here, means = found.sheets_at(4)[0], found.sheets()[0]
    assert f"4 {found.tokens[4].label}" in here.caption
    for layer, (row, mean) in enumerate(zip(here.rows, means.rows, strict=True)):
        assert [cell.beside for cell in row.cells] == [f"mean {cell.number}" for cell in mean.cells]
        assert row.cells[1].number == f"{float(found.norms[layer, :, 4].mean()):.1%}"  # the mean of the heads
        assert row.cells[3].number == f"{float(found.residual[layer, 4]):.1%}"


def test_a_data_frame_has_a_row_for_every_ratio(scope_of):
    found = scope_of("bert").read(zoo.TEXT).mixing()
    layers, heads, tokens = found.weights.shape
    rows = found.to_pandas()
    assert len(rows) == layers * tokens * (2 * heads + 3)
    cell = rows[(rows.layer == 1) & (rows["kind"] == "norms") & (rows["head"] == 2) & (rows.position == 4)]
    assert cell.ratio.tolist() == [float(found.norms[1, 2, 4])]
    cell = rows[(rows.layer == 1) & (rows["kind"] == "residual") & (rows.position == 4)]
    assert cell.ratio.tolist() == [float(found.residual[1, 4])]
    assert cell["head"].isna().all()


@pytest.mark.parametrize("position", [99, -1, "banana", 1.5])
def test_a_position_that_the_text_has_not_is_refused(scope_of, position):
    found = scope_of("bert").read(zoo.TEXT).mixing()
    with pytest.raises(InputError, match=f"the text has positions 0 to {len(found.tokens) - 1}"):
        found.sheets_at(position)
