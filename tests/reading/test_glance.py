"""Every head at a glance, against direct computations."""

from __future__ import annotations

import pytest
import zoo

from tests.studies.survey.corpora import statistics, surveyed


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "gemma2", "albert"])
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


@pytest.mark.slow
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


def test_a_row_a_head_layer_after_layer_and_grounds_that_compare_the_heads(scope_of):
    found = scope_of("bert").read(zoo.TEXT).glance()
    layers, heads = found.entropy.shape
    (sheet,) = found.sheets()
    assert [row.head.label for row in sheet.rows] == [f"L{n}H{m}" for n in range(layers) for m in range(heads)]
    for n, figure in enumerate((found.entropy, found.on_own, found.on_previous, found.on_special, found.strength)):
        shares = [row.cells[n].share for row in sheet.rows]
        assert shares == pytest.approx((figure / figure.max()).flatten().tolist())
    assert len(found.to_pandas()) == layers * heads
