"""What every answer can do: be printed, shown in a notebook, put into a data frame, and saved."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import zoo

from headscope.reading.answer import Answer
from headscope.reading.map import Map
from headscope.reading.reading import Reading
from tests.contract import AnswerContract


def _map(reading: Reading) -> Map:
    pytest.importorskip("openTSNE", reason="maps are not installed (extra: maps)")
    return reading.map(1, 2, method="pca", size=60)


ANSWERS: dict[str, Callable[[Reading], Answer]] = {
    "neighbors": lambda reading: reading.nearest(2, 1, k=3),
    "neighbors of several": lambda reading: reading.nearest([1, 2], 1, k=3),
    "neighbors and what is written against": lambda reading: reading.nearest(2, 1, "embedding", k=3),
    "positions": lambda reading: reading.nearest_positions(2, 1, against="v"),
    "atlas": lambda reading: reading.atlas(2),
    "attention": lambda reading: reading.attention(2, 1, "norms"),
    "written": lambda reading: reading.written(1),
    "standing": lambda reading: reading.standing(2, 1),
    "background": lambda reading: reading.background(reading.nearest(2, 1, k=3)),
    "comparison": lambda reading: reading.compare(reading, 2, 1, k=3, other_reference="input"),
    "worked": lambda reading: reading.work_out(near := reading.nearest(2, 1, k=3), 1, int(near.ids[1, 0])),
    "journey": lambda reading: reading.journey(),
    "mixing": lambda reading: reading.mixing(),
    "glance": lambda reading: reading.glance(),
    "effects": lambda reading: reading.effects(2),
    "why": lambda reading: (near := reading.nearest(2, 1, k=3)).why(1, int(near.ids[1, 0])),
    "map": _map,
    "map of two texts": lambda reading: _map(reading).place(reading),
}
DRAWN = {name for name in ANSWERS if "neighbors" in name or "map" in name} | {
    "atlas",
    "attention",
    "written",
    "comparison",
    "standing",
    "journey",
    "mixing",
    "glance",
    "effects",
}


@pytest.fixture(params=ANSWERS)
def asked(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def answer(asked: str, scope_of) -> Answer:
    return ANSWERS[asked](scope_of("bert").read(zoo.TEXT))


@pytest.fixture
def drawn(asked: str) -> bool:
    return asked in DRAWN


class TestAnswers(AnswerContract):
    """Of every answer that a reading gives."""


def test_two_are_told_alike_by_what_they_say(asked: str, scope_of) -> None:
    one, other = (ANSWERS[asked](scope_of("bert").read(zoo.TEXT)) for _ in range(2))
    assert one != other
    assert one.to_dict() == other.to_dict() != {}


@pytest.mark.slow
def test_what_answers_say_needs_no_extra():
    extras = "matplotlib sklearn openTSNE pyarrow duckdb scipy numba pandas fastapi uvicorn plotly"
    program = (
        f"import sys; sys.modules |= dict.fromkeys({extras!r}.split())\n"
        "import headscope.reading.reading, headscope.reading.told, headscope.commands.look_views, headscope\n"
        "print(headscope.Scope)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert "Scope" in run.stdout, run.stderr
