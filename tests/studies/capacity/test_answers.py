"""What capacity's result can do as an answer, of what is swept and of what is reproduced."""

from __future__ import annotations

import json

import pytest

from headscope.studies.capacity import forgetting
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.result import Capacity
from headscope.studies.capacity.run import Run
from tests.contract import AnswerContract
from tests.studies.survey.corpora import sentences, written

ASKED = {
    "swept": CapacityOptions(sites=("heads", "z"), keep=(0, 0.5, 1)),
    "reproduced": CapacityOptions(parts=("reproductions",)),
}


@pytest.fixture(scope="module", params=ASKED)
def asked(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def answer(asked: str, scope_of, tmp_path_factory) -> Capacity:
    texts = written(tmp_path_factory.mktemp("texts") / "texts.txt", sentences(16), every=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forgetting, "OCCURRENCES", 3)
        return Run.prepare(scope_of("gpt2"), [texts], ASKED[asked]).run()


@pytest.fixture
def drawn() -> bool:
    return True


class TestCapacity(AnswerContract):
    """Of capacity."""

    def test_every_figure_of_the_object_is_a_row(self, answer, asked):
        told, rows = answer.to_dict(), answer.rows()
        by = {what: [row for row in rows if row["what"] == what] for what in {row["what"] for row in rows}}
        if asked == "swept":
            assert len(by["size"]) == 2 * len(told["sizes"])
            assert len(by["dimension"]) + len(by["number"]) == 6 * len(told["curves"])
            one = next(row for row in by["number"] if row["measure"] == "kl")
            curve = next(curve for curve in told["curves"] if curve["what"] == "number")
            assert [one[name] for name in ("value", "low", "high")] == list(curve["kl"].values())
            assert (one["site"], one["layer"], one["share"]) == (curve["site"], curve["layer"], curve["share"])
        else:
            made = told["reproductions"]
            assert len(by["mixing"]) == len(made["mixing"])
            assert [row["value"] for row in by["information"] if row["of"] == "input token"] == [
                level["value"] for level in made["information"][0]["levels"]
            ]
            own = [row["value"] for row in by["own token"]]
            assert own == [*made["own_rank"], *(level["value"] for level in made["own_auc"])]

    def test_there_is_a_sheet_for_each_question(self, answer, asked):
        names = [sheet.name for sheet in answer.sheets()]
        if asked == "swept":
            assert names == ["sizes-heads", "sizes", "dimension-heads", "dimension-z", "number-z"]
        else:
            assert names == ["mixing", "forgetting"]
        json.dumps(answer.to_dict(), allow_nan=False)
