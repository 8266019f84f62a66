from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import zoo

from headscope import Scope
from headscope.studies.survey.report.write import write_report
from tests.studies.survey.corpora import sentences, surveyed, written

Once = Callable[[str, Callable[[Path], object]], Path]
MARKUP = "<b>flies & `time` | *an* arrow</b> <script>"


@pytest.fixture(scope="session")
def texts(once: Once) -> Path:
    """Random sentences, and one with markup among its words."""
    return once("texts", lambda folder: written(folder / "texts.txt", [MARKUP, *sentences(24)])) / "texts.txt"


@pytest.fixture(scope="session")
def surveys(once: Once, texts: Path) -> tuple[Path, Path]:
    """Two surveys of the same texts, by one architecture with two sets of weights; one has two masks and a null."""

    def survey(folder: Path) -> None:
        one, two = (Scope.from_model(*zoo.build("bert", seed)) for seed in (0, 1))
        more = {"masks": ("model", "causal"), "stream": True}
        surveyed(one, texts, folder / "one", ("uniform",), candidates="words", **more)
        surveyed(two, texts, folder / "two", candidates="words")

    folder = once("surveys", survey)
    return folder / "one", folder / "two"


@pytest.fixture(scope="session")
def report(once: Once, surveys: tuple[Path, Path]) -> Path:
    """The directory of the report on both."""
    return once("report", lambda folder: write_report(surveys, folder / "report")) / "report"
