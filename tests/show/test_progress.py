"""Long work that a file or another program listens to: what is done, and now and then how much, in plain lines."""

from __future__ import annotations

import re

import pytest

from headscope.show import progress
from headscope.show.progress import bar, watched


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every moment counts as a few seconds."""
    monkeypatch.setattr(progress, "EVERY", 0.0)


@pytest.mark.usefixtures("always")
def test_each_step_has_a_line_and_then_its_share_and_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    with watched() as told:
        told.step("measuring", total=4)
        told.advance(1)
        told.advance(2)
    first, begun, quarter, most = capsys.readouterr().err.splitlines()
    assert (first, begun) == ("measuring …", "measuring: 0%")
    assert re.fullmatch(r"measuring: 25%, about 0:00:\d\d left", quarter)
    assert re.fullmatch(r"measuring: 75%, about 0:00:\d\d left", most)


@pytest.mark.usefixtures("always")
def test_of_work_whose_end_nobody_knows_no_share_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with watched("Begun.") as told:
        told.step("reading")
        told.advance(7)
    assert capsys.readouterr().err.splitlines() == ["Begun.", "reading …"]


@pytest.mark.usefixtures("always")
def test_a_bar_is_lines_too(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("It takes a while.", "t-SNE") as tell:
        tell(0, 10)
        tell(5, 10)
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == ["t-SNE: 0%", "t-SNE: 50%"]


def test_what_is_soon_done_says_no_more_than_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with watched() as told, bar("It takes a while.", "t-SNE") as tell:
        told.step("measuring", total=1000)
        for done in range(1000):
            told.advance(1)
            tell(done, 1000)
    assert capsys.readouterr().err == "measuring …\n"
