"""What a lens and a recovery can do as answers; of a lens, that other endings hold the lens itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from headscope.studies.probes import LinearLens, Recovery, recovery
from tests.contract import AnswerContract
from tests.studies.probes.planted import BLIND, OWN


@pytest.fixture
def drawn() -> bool:
    return True


@pytest.fixture(scope="module")
def found(built, texts) -> Recovery:
    return recovery(built, texts, offsets=(-1, 0), heads=False)


class TestRecovery(AnswerContract):
    """Of a recovery."""

    @pytest.fixture
    def answer(self, found: Recovery) -> Recovery:
        return found

    def test_a_star_says_what_is_surely_above_the_control(self, answer):
        for name, scores in (("z", answer.z), ("residual", answer.residual)):
            (sheet,) = (one for one in answer.sheets() if one.name == name)
            starred = [[cell.number.startswith("*") for cell in row.cells[:-1]] for row in sheet.rows]
            assert starred == scores.top1.above.tolist()
        assert "*: the 95 % interval" in str(answer)

    def test_single_heads_are_rows_too(self, answer):
        heads = answer.z.each(lambda values: values[:, None].expand(-1, 4, -1))
        rows = replace(answer, heads=heads).rows()
        assert len(rows) == len(answer.rows()) + heads.samples.numel()
        assert rows[-1]["top1"] == float(heads.top1.value[-1, -1, -1])
        assert (rows[-1]["place"], rows[-1]["head"], rows[-1]["offset"]) == ("head", 3, 0)


class TestLens(AnswerContract):
    """Of a lens."""

    @pytest.fixture
    def answer(self, own: LinearLens) -> LinearLens:
        return own

    @pytest.mark.parametrize("name", ["lens.safetensors", "lens.xlsx", "lens"])
    def test_another_ending_is_refused_and_the_open_ones_are_named(self, answer, tmp_path, name):
        """Of a lens none is: what is no other ending is the lens itself."""
        path = answer.save(tmp_path / name)
        assert torch.equal(LinearLens.load(path).weight, answer.weight)
        assert [one.name for one in tmp_path.iterdir()] == [name]

    def test_what_is_kept_is_the_lens_whatever_the_ending(self, answer, tmp_path):
        assert LinearLens.load(answer.keep(tmp_path / "lens.json")).origin == answer.origin

    def test_every_head_has_its_scores_and_a_star_where_they_are_surely_above_the_control(self, answer):
        (sheet,) = answer.sheets()
        by_head = {row.head.label: row.cells for row in sheet.rows}
        assert by_head[f"L0H{OWN}"][0].number == f"*{float(answer.scores.top1.value[0, OWN]):.1%}"
        assert not by_head[f"L0H{BLIND}"][0].number.startswith("*")
        assert by_head[f"L0H{BLIND}"][8].number == f"{float(answer.scores.r2.control[0, BLIND]) + 0.0:.3f}"

    def test_a_score_that_is_no_number_is_none(self, answer):
        nothing = answer.scores.each(lambda values: values * torch.nan if values.is_floating_point() else values)
        spoiled = replace(answer, scores=nothing)
        assert spoiled.rows()[0]["top1"] is None
        assert spoiled.to_dict()["heads"][0]["r2"]["low"] is None
        assert "nan" not in str(spoiled)
