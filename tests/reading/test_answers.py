"""What every answer can do: be printed, shown in a notebook, put into a data frame, and saved."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import zoo

from headscope.reading.answer import Answer
from headscope.reading.reading import Reading
from tests.contract import AnswerContract

ANSWERS: dict[str, Callable[[Reading], Answer]] = {
    "neighbors": lambda reading: reading.nearest(2, 1, k=3),
    "neighbors of several": lambda reading: reading.nearest([1, 2], 1, k=3),
    "neighbors and what is written against": lambda reading: reading.nearest(2, 1, "embedding", k=3),
    "positions": lambda reading: reading.nearest_positions(2, 1, against="v"),
    "atlas": lambda reading: reading.atlas(2),
    "attention": lambda reading: reading.attention(2, 1, "norms"),
    "background": lambda reading: reading.background(reading.nearest(2, 1, k=3)),
    "comparison": lambda reading: reading.compare(reading, 2, 1, k=3, other_reference="input"),
    "worked": lambda reading: reading.work_out(near := reading.nearest(2, 1, k=3), 1, int(near.ids[1, 0])),
    "why": lambda reading: (near := reading.nearest(2, 1, k=3)).why(1, int(near.ids[1, 0])),
}
DRAWN = {name for name in ANSWERS if "neighbors" in name} | {"atlas", "attention", "comparison"}


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
