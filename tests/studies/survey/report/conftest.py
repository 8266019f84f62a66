from __future__ import annotations

from pathlib import Path

import pytest
import zoo

from headscope import Scope
from headscope.studies.survey.report.write import write_report
from tests.studies.survey.corpora import sentences, surveyed, written

MARKUP = "<b>flies & `time` | *an* arrow</b> <script>"


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random sentences, and one with markup among its words."""
    return written(tmp_path_factory.mktemp("texts") / "texts.txt", [MARKUP, *sentences(24)])


@pytest.fixture(scope="session")
def surveys(tmp_path_factory: pytest.TempPathFactory, texts: Path) -> tuple[Path, Path]:
    """Two surveys of the same texts, by one architecture with two sets of weights; one has two masks and a null."""
    folder = tmp_path_factory.mktemp("surveys")
    one, two = (Scope.from_model(*zoo.build("bert", seed)) for seed in (0, 1))
    first = surveyed(
        one, texts, folder / "one", ("uniform",), masks=("model", "causal"), candidates="words", stream=True
    )
    return first, surveyed(two, texts, folder / "two", candidates="words")


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory, surveys: tuple[Path, Path]) -> Path:
    """The directory of the report on both."""
    return write_report(surveys, tmp_path_factory.mktemp("out") / "report").parent
