"""Whatever stands on a command line, it ends in time: with an answer, or with one sentence and exit code 1 or 2.

tests/commands has words without sense before a model that is not there. Here most of a line has sense, models and
surveys are real, and paths lead to what never ends, to circles, to devices and to what would be run.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import pickle
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import zoo
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow", reason="surveys are not installed (extra: survey)")

from headscope import Scope
from headscope.commands.asking import CHOICES
from headscope.commands.cli import app, main
from headscope.studies.probes import fit_lens
from tests.hostile import laws
from tests.hostile.apart import Apart, apart
from tests.hostile.nasty import NASTY, remove, replace
from tests.model.damage import Leaves, arm, header_of, with_header
from tests.studies.survey.corpora import sentences, surveyed, written

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
# Names of what is there beside the nasty: as a file of its kind is called.
SUFFIXES = ("", ".txt", ".svg", ".json", ".csv", ".parquet", ".conllu", ".safetensors")
NASTIES = [f"nasty/{kind}{suffix}" for kind in NASTY for suffix in SUFFIXES[:3]]
# Texts may be of any size: to read them takes its time.
READABLE = [name for name in NASTIES if "endless file" not in name]
PICKLED = ["lens.pt", "lens.safetensors", "texts.csv", "texts.parquet", "bank.txt"]
TEXT = [zoo.TEXT, "banana", "", " ", "\x00", "\x1b[31mred", "caf\udce9", "a" * 3000, "-", "{{7*7}}", "\u202e", "=1+1"]
NUMBERS = ["0", "1", "2", "3", "-1", "99999999999999999999", "nan", "1e400", "", "x", "1.5", "0x1", "١"]
ODD = [*TEXT[2:], *NUMBERS[4:], "/dev/zero", "/dev/full", "model", "nowhere/x", "~nosuch", "--", "L0H0=zero", "a\nb"]
# What an option takes; of those in CHOICES that list, of the others a number.
VALUES: dict[str, list[str]] = {
    "text": TEXT,
    "decoder_text": TEXT,
    "also": TEXT,
    "token": ["1", "0", "=banana", "banana", "999", *TEXT],
    "model": ["model", "model", "model", "armed", "survey", "texts.txt", "demo", "nowhere/x", *NASTIES],
    "texts": ["texts.txt", "texts.txt", "texts.csv", "texts.jsonl", "survey", "model", "-", *PICKLED, *READABLE],
    "directories": ["survey", "survey", "model", "lies", "texts.txt", *NASTIES],
    "survey": ["survey", "survey", "lies", "model", "texts.txt", *NASTIES],
    "output": [f"out/{name}{suffix}" for name in ("x", "y") for suffix in SUFFIXES[:5]]
    + ["survey", "model", "/dev/full", "/dev/null", "out/none/x.svg", *NASTIES],
    "lens": [
        *(f"lies{number}.safetensors" for number in range(3)),
        "fitted.safetensors",
        "fitted.safetensors",
        *PICKLED,
        *NASTIES,
    ],
    "bank": ["texts.txt", "texts.txt", *PICKLED, *NASTIES],
    "edit": ["L0H0=zero", "L1H1=mean", "L9H9=zero", "L0H0=", "L99999999999999999999H0=zero", "x"],
    "keep": ["0.5", "0", "1", "nan", "-1", "1e400"],
    "device": ["cpu", "auto", "cuda", "meta", "cpu:7", "mps", "nosuch"],
    "revision": ["main", "x"],
    "host": ["127.0.0.1", "nosuch.invalid", "999.0.0.1", ""],
    "allow_host": ["x", "http://[", "*"],
    "allow_frame": ["https://x", "http://[", "*"],
    "root_path": ["/x", "x", "//", "/../"],
    "column": ["text", "x", "=1"],
    "document_column": ["document", "x"],
    "offset": ["0", "1", "-1", "999", "99999999999999999999"],
    "perplexity": ["3", "30", "0", "-1", "nan", "inf"],
    "shard_positions": ["36", "4096", "0", "99999999999999999999"],
    "size": ["50", "2000", "0", "-1", "99999999999999999999"],
    "sample": ["2", "5", "0", "-1", "99999999999999999999"],
}
# Each of these is given wherever a command has it: what a line does without them takes its time, or another's model.
ALWAYS = {"model": "model", "output": "out/x", "texts": "texts.txt", "directories": "survey"}
# The work of many texts: tried with few.
SMALL = {"claims": ["--sample", "3"], "capacity": ["--sample", "3"], "recovery": ["--sample", "3"]}

# Without these, what they need is all that is said.
NEEDED = {"--lens": ["--space", "fitted"], "--bank": ["--hubs"]}


@dataclass(frozen=True)
class Line:
    """The words behind `headscope`, and what comes on standard input."""

    words: tuple[str, ...]
    given: bytes = b""


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """Lines that mostly have sense: a command's own arguments and options, with a value of theirs, or an odd one."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    own = [option for option in COMMANDS[command].params if option.name not in ("help", "as_json", "as_csv")]
    words = [command, *SMALL.get(command, [])]
    chosen = draw(st.lists(st.sampled_from(own), max_size=4, unique_by=lambda option: option.name))
    chosen += [option for option in own if option.name in ALWAYS and option not in chosen]
    for option in chosen:
        value = _value(draw, option, option.name in ALWAYS)
        flag = (
            [] if option.param_type_name == "argument" else [draw(st.sampled_from(option.opts + option.secondary_opts))]
        )
        words += flag if getattr(option, "is_flag", False) else [*flag, value]
    for flag, needed in NEEDED.items():
        words += needed if command == "look" and flag in words else []
    words += draw(st.sampled_from([[], [], ["--json"], ["--csv"], ["--nosuch"], ["x", "y"]]))
    given = draw(st.sampled_from([b"", b"time flies\n\nlike an arrow\n" * 4, b"\xff\xfe\x00", b"PK\x03\x04"]))
    return Line(tuple(words), given)


def _value(draw: st.DrawFn, option: Any, usual: bool) -> str:
    roll = draw(st.integers(0, 11))
    if roll == 0:
        return ("out/" if option.name == "output" else "") + draw(st.sampled_from(ODD))
    if usual and roll < 6:
        return ALWAYS[option.name]
    return draw(st.sampled_from([*CHOICES.get(option.name, ()), *VALUES.get(option.name, ())] or NUMBERS))


class Attempt:
    """Runs a command in a directory of its own, and holds what comes of it against the laws."""

    def __init__(self, root: Path, cache: Path, run: Callable[[list[str]], object] = main) -> None:
        self.root, self.cache, self.run = root, cache, run

    def __call__(self, line: Line) -> None:
        here = self.root / "here"
        os.chdir(self.root)
        remove(here)
        shutil.copytree(self.root / "honest", here)
        (here / "nasty").mkdir()
        (here / "out").mkdir()
        for name in NASTIES:
            replace(here / name, Path(name).stem if Path(name).suffix in SUFFIXES[1:3] else Path(name).name)
        os.chdir(here)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            words = list(line.words)
            if words[0] == "serve":  # the page would be served without end: another has its place already
                words += ["--no-browser", "--host", "127.0.0.1", "--port", str(taken.getsockname()[1])]
            with laws.nothing_run(self.cache, *self._outputs(here, words), canary=self.root / "left"):
                code, out, err = self._run(words, line.given)
        _holds(words, code, out, err)

    def _outputs(self, here: Path, words: list[str]) -> list[Path]:
        """Where a line may write: into what its -o names, and beside a file that it names."""
        named = [then for word, then in itertools.pairwise(words) if word in ("-o", "--output")]
        return [here / "out", here / "nasty", *(here / one for one in named if one == "survey")]

    def _run(self, words: list[str], given: bytes) -> tuple[int, str, str]:
        before = sys.stdin, sys.stdout, sys.stderr
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in "ab")
        sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO(given), "utf-8"), out, err
        code: Any = 0
        try:
            self.run(words)
        except SystemExit as left:
            code = left.code
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
        told = []
        for stream in (out, err):
            stream.flush()
            told.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
        return int(code or 0), told[0], told[1]


def _holds(words: list[str], code: int, out: str, err: str) -> None:
    """An answer, or a sentence and its exit code; nothing in either that a terminal obeys."""
    for told in (out, err):
        laws.tells_no_trace(told)
        assert "\x1b" not in told
    assert code in (0, 1, 2), f"the exit code is {code}"
    if code == 0 or (words[0] == "models" and "Do not trust" in out):
        return
    sentence = (err.strip().splitlines() or [""])[-1]
    assert sentence.startswith("headscope: "), err[-500:]
    laws.is_a_sentence(f"{sentence[:-1]}." if sentence.endswith("?") else sentence)  # one ends in a question


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lines name: models, texts, a finished survey and one that lies, a lens, and what would be run."""
    made = tmp_path_factory.mktemp("hostile")
    here = made / "honest"
    model = zoo.save("gpt2", here / "model")
    shutil.copytree(model, here / "armed")
    arm(here / "armed", made / "left")
    texts = written(here / "texts.txt", sentences(12, seed=5), every=3)
    lines = texts.read_text("utf-8").splitlines()
    (here / "texts.jsonl").write_text("".join(f'{{"text": "{one}"}}\n' for one in lines), "utf-8")
    scope = Scope.from_pretrained(str(model))
    surveyed(scope, texts, here / "survey", shard_positions=36)
    shutil.copytree(here / "survey", here / "lies")
    (here / "lies" / "manifest.json").write_text('{"schema": 1}')
    fit_lens(scope, [one for one in lines if one]).save(here / "fitted.safetensors")
    for number, told in enumerate(({"count": "x"}, {"target": []}, {"weights_sha256": 1})):
        _lying(here / "fitted.safetensors", here / f"lies{number}.safetensors", told)
    for name in PICKLED:
        (here / name).write_bytes(pickle.dumps(Leaves(made / "left")))
    return made


def _lying(whole: Path, path: Path, about: dict[str, Any]) -> None:
    """A lens that says of itself what is not so."""
    header, values = header_of(whole)
    told = json.loads(header["__metadata__"]["headscope"])
    told["lens"] |= about
    with_header(path, {**header, "__metadata__": {"headscope": json.dumps(told)}}, values)


@pytest.fixture(scope="module")
def tried(root: Path, _cache_of_its_own: Path) -> Iterator[Apart]:
    with pytest.MonkeyPatch.context() as patch, apart(Attempt(root, _cache_of_its_own)) as one:
        patch.setenv("MPLCONFIGDIR", str(_cache_of_its_own / "matplotlib"))
        import matplotlib.font_manager  # noqa: F401 - it asks a program for fonts, once

        yield one


@pytest.mark.parametrize(
    "count",
    [pytest.param(15, marks=pytest.mark.slow), pytest.param(2000, marks=pytest.mark.long)],
)
def test_every_line_ends_in_an_answer_or_a_sentence(tried: Apart, count: int) -> None:
    @given(line=lines())
    @laws.of_so_many(count)
    def every(line: Line) -> None:
        tried(line)

    every()
