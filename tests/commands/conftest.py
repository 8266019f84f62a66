from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import zoo

from headscope import Scope
from headscope.commands.cli import main
from tests.studies.survey.corpora import sentences, surveyed, written

NASTY = ("\x1b[31mred", "\x9b2J", "=SUM(A1)", "[/b]", ":x:", "\u202etnacirab")  # tokens, as a vocabulary may have them


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def model(once: Once) -> str:
    """A directory of a tiny model: its name, and tokens of its vocabulary, a terminal or a spreadsheet would obey."""
    name = "\x1b[31m[b]=1"

    def save(folder: Path) -> None:
        made, tokenizer = zoo.build("gpt2")
        tokenizer.add_tokens(list(NASTY))
        torch.manual_seed(0)
        made.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        made.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)

    return str(once("commands' model", save) / name)


@pytest.fixture(scope="session")
def texts(once: Once) -> Path:
    drawn = sentences(30, seed=2, least=6, most=12)
    return once("commands' texts", lambda folder: written(folder / "t.txt", drawn, every=2)) / "t.txt"


@pytest.fixture(scope="session")
def survey(model: str, texts: Path, once: Once) -> Path:
    """A finished survey."""
    return once("commands' survey", lambda made: surveyed(Scope.from_pretrained(model), texts, made / "done")) / "done"


Run = Callable[..., tuple[int, bytes, bytes]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, its output in an encoding: exit code, and the bytes on both outputs."""

    def command(*arguments: object, encoding: str = "utf-8") -> tuple[int, bytes, bytes]:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in "ab")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as left:
                main([str(argument) for argument in arguments])
        written = []
        for stream in (out, err):
            stream.flush()
            written.append(stream.buffer.getvalue())  # type: ignore[attr-defined]
        return int(left.value.code or 0), written[0], written[1]

    return command
