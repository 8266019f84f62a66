"""What the how-tos show can be done as it stands: their Python runs, their commands run or are at least understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main
from transformers import AutoModel

from headscope.commands.cli import app, main
from tests import zoo

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
TEMPLATE = "{% for message in messages %}{{ message.role }} : {{ message.content }} . {% endfor %}"
LINES = ["Time flies like an arrow.", "Fruit flies like a banana.", "", "The bank lent me money."]
COMMANDS: dict[str, click.Command] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
LONG = {"figure", "one-head"}  # they draw, and survey
RUN = {"look", "map", "models", "report", "survey"}  # a page is served until it is ended; its line is read alone


SHOWN = [pytest.param(page, marks=[pytest.mark.long] * (page.stem in LONG), id=page.stem) for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> Iterator[list[str]]:
    """The lines that begin with headscope, as a shell hands them over; what it does with them (> file) is its own."""
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("headscope "):
                yield shlex.split(line.partition(" > ")[0], comments=True)[1:]


@pytest.fixture(scope="module")
def at_hand(once: Any, demo: Any) -> Path:
    """What the pages speak of: ./my-model, ./my-adapter, ./my-chat-model, texts.txt."""

    def fill(place: Path) -> None:
        peft = pytest.importorskip("peft", reason="adapters need peft (extra: adapters)")
        zoo.save("bert", place / "my-model")
        config = peft.LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False)
        peft.get_peft_model(AutoModel.from_pretrained(place / "my-model"), config).save_pretrained(place / "my-adapter")
        model, tokenizer = zoo.build("llama")
        tokenizer.chat_template = TEMPLATE
        for part in (model, tokenizer):
            part.save_pretrained(place / "my-chat-model")
        (place / "texts.txt").write_text("\n".join(LINES), "utf-8")

    return once("how-tos", fill)


@pytest.fixture
def there(at_hand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own in which these can be named as on the pages."""
    for one in at_hand.iterdir():
        (tmp_path / one.name).symlink_to(one)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_ten_with_the_cluster_each_of_one_screen():
    assert len(PAGES) + 1 == 10
    for page in [*PAGES, ROOT / "docs" / "scale.md"]:
        assert len(page.read_text("utf-8").split()) < 460, page.name


@pytest.mark.slow(cases=3)
@pytest.mark.parametrize("page", SHOWN)
def test_their_python_runs_from_top_to_bottom(page, there, capsys):
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), names)


@pytest.mark.parametrize("page", SHOWN)
def test_their_commands_run(page, there, capsys):
    for name, *arguments in commands(page):
        if name in RUN:
            with pytest.raises(SystemExit) as leave:
                main([name, *arguments])
            assert not leave.value.code, (arguments, capsys.readouterr().err)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs" / "scale.md"], ids=lambda page: page.stem)
def test_their_commands_have_the_options_that_they_name(page, there):
    for name, *arguments in commands(page):
        COMMANDS[name].make_context(name, arguments)
