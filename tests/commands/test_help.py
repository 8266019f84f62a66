"""What `--help` looks like in a terminal of 80 columns."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main

from headscope.commands.cli import app, main

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
GROUPS = {
    "look": ["Options", "The model", "The text", "What is compared", "What comes out"],
    "survey": ["Options", "The model", "What is compared", "The texts", "What comes out", "Who measures"],
}


def helped(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert not left.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_it_fits_and_cuts_no_option_and_no_choice(command, capsys, monkeypatch):
    told = helped(command, capsys, monkeypatch)
    assert max(map(len, told.splitlines())) <= 80
    assert "…" not in told
    words = re.sub(r"[│\s]+", " ", told)
    for option in COMMANDS[command].params:
        for flag in (*option.opts, *option.secondary_opts):
            assert f" {flag} " in words or not flag.startswith("-"), flag


@pytest.mark.parametrize("command", GROUPS)
def test_options_stand_in_groups(command, capsys, monkeypatch):
    told = helped(command, capsys, monkeypatch)
    assert sorted(set(re.findall(r"^╭─ ([\w ]+?) ─", told, re.MULTILINE)) - {"Arguments"}) == sorted(GROUPS[command])
