"""Sentences in a narrow terminal are broken between words, and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from headscope.commands.streams import say, tell

SENTENCE = "  holds  vocabulary encodings agree with the model: closed form at all 6 layers, error 5.5e-07"


class Terminal(io.StringIO):
    """A stream that says that it is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(params=[40, 80])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def test_in_a_terminal_they_fit_and_keep_every_word(width, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    tell(SENTENCE)
    lines = sys.stdout.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(lines).split() == SENTENCE.split()
    assert all(line.startswith("    ") for line in lines[1:])


def test_in_a_pipe_a_sentence_is_a_line(width, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    tell(SENTENCE)
    assert sys.stdout.getvalue() == f"{SENTENCE}\n"


def test_what_is_copied_is_whole_in_a_terminal_too(width, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    command = "Next: headscope report " + "a-long-path/" * 20
    say(command)
    assert sys.stdout.getvalue() == f"{command}\n"
