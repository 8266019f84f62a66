"""Whatever a survey's directory holds, it is read as what was written, or is refused in one sentence.

tests/survey has one bit, one end that is cut off and one field of a manifest. Here several things are wrong at once:
tables with other columns, checksums that were made to fit, pipes and devices, pickles where a reader may look for them.
"""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow", reason="surveys are not installed (extra: survey)")

import pyarrow as pa
import pyarrow.parquet as pq

from headscope import Scope
from headscope.errors import HeadscopeError
from headscope.studies.probes.texts import find_texts
from headscope.studies.survey import contrasts, statistics
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.report.write import write_report
from headscope.studies.survey.run import Survey
from tests.hostile import laws
from tests.hostile.apart import Apart, apart
from tests.hostile.nasty import NASTY, AnyChange, remove
from tests.model.damage import Leaves
from tests.studies.survey.corpora import sentences, surveyed, written
from tests.studies.survey.damage import STRANGE, changed, fields, files, make_to_fit, read_all, unseal

SHARDS: dict[str, Any] = {"shard_positions": 36, "stream": True}
MARK = "<script>alert(1)</script>"
# What would be run where it is evaluated, rendered or opened in a spreadsheet.
EVALUATED = ["__import__('os').open('left', 66)", "{{7*7}}", MARK, "=HYPERLINK(1)", "@SUM(1)", "\x1b[31m", "x" * 10_000]
PICKLED = (
    "manifest.pkl",
    "statistics.pkl",
    "statistics.npz",
    "hubs.npy",
    "shards/00000/rows.pkl",
    "tokens.pt",
    "a.bin",
)
# What a column may become; of these values Arrow makes an array of any length.
COLUMNS: dict[str, Callable[[int], Any]] = {
    "nothing": lambda n: pa.nulls(n),
    "nothing of a number": lambda n: pa.nulls(n, pa.float64()),
    "no number": lambda n: pa.array([float("nan")] * n),
    "without end": lambda n: pa.array([float("inf")] * n),
    "beyond": lambda n: pa.array([2**40] * n),
    "below": lambda n: pa.array([-1] * n, pa.int32()),
    "true": lambda n: pa.array([True] * n),
    "lists": lambda n: pa.array([[1, 2]] * n),
    "bytes": lambda n: pa.array([b"\xff"] * n, pa.binary()),
    "objects": lambda n: pa.array([{"a": 1}] * n),
    **{f"text {n}": lambda rows, text=text: pa.array([text] * rows) for n, text in enumerate(EVALUATED)},
    **{f"large text {n}": lambda rows, t=t: pa.array([t] * rows, pa.large_string()) for n, t in enumerate(EVALUATED)},
    "text of a dictionary": lambda n: pa.array(["=1+1"] * n).dictionary_encode(),
}
SEALS = ("kept", "made to fit", "none")
READERS = ("figures", "figures", "report", "statistics", "contrasts", "texts", "another run")


class Change(AnyChange):
    """Also of a file another one of it, a value at a place, a column of a table."""

    def _change(self, path: Path, directory: Path) -> None:
        if self.how == "other":
            shutil.copyfile(directory / "honest" / self.value, path)
        elif self.how == "put":
            path.write_text(json.dumps(changed(json.loads(path.read_text()), self.at, self.value)))
        else:
            self._tabled(path)

    def _tabled(self, path: Path) -> None:
        """Change a column, or how many rows there are."""
        table = pq.read_table(path, partitioning=None)
        at = self.at % table.num_columns
        name = table.column_names[at]
        if self.value == "dropped":
            table = table.remove_column(at)
        elif self.value == "no rows":
            table = table.slice(0, 0)
        elif self.value == "doubled":
            table = pa.concat_tables([table, table])
        elif self.value == "named otherwise":
            table = table.rename_columns([MARK if n == at else one for n, one in enumerate(table.column_names)])
        elif self.value == "pickled":
            # Parquet carries the schema of extension types; old readers make them by loading this.
            told = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": _pickle(path)}
            table = table.set_column(at, pa.field(name, table.schema.field(at).type, metadata=told), table[name])
        else:
            table = table.set_column(at, name, COLUMNS[self.value](len(table)))
        pq.write_table(table, path)


def _pickle(path: Path) -> bytes:
    return pickle.dumps(Leaves(path.with_name("left")), protocol=0)


@dataclass(frozen=True)
class Example:
    """A directory: all that is wrong, whether its checksums tell it, and who reads it."""

    changes: tuple[Change, ...]
    seals: str
    reader: str


@st.composite
def examples(draw: st.DrawFn, whole: Path) -> Example:
    """Directories with one or two things wrong."""
    named = [str(path) for path in files(whole)]
    tables = [name for name in named if name.endswith(".parquet")]
    told = [name for name in named if name.endswith(".json")]
    ways = st.sampled_from(["table", "table", "table", "put", "nasty", "bytes", "cut", "gone", "other"])
    made = []
    for how in draw(st.lists(ways, min_size=1, max_size=2)):
        file = draw(st.sampled_from({"table": tables, "put": told}.get(how, named)))
        number = draw(st.integers(0, 2**20))
        if how == "table":
            value = draw(st.sampled_from([*COLUMNS, "dropped", "no rows", "doubled", "named otherwise", "pickled"]))
            made.append(Change(how, file, number, value))
        elif how == "put":
            places = [place for place in fields(json.loads((whole / file).read_text())) if place != ("checksum",)]
            made.append(Change(how, file, draw(st.sampled_from(places)), draw(st.sampled_from(STRANGE + EVALUATED))))
        elif how == "nasty":
            inside = draw(st.sampled_from([file, str(Path(file).parent)])) if "/" in file else file
            made.append(Change(how, inside, value=draw(st.sampled_from(sorted(NASTY)))))
        elif how == "other":
            made.append(Change(how, file, value=draw(st.sampled_from(named))))
        else:
            made.append(Change(how, file, (number,) if how == "bytes" else number, (draw(st.integers(0, 255)),)))
    return Example(tuple(made), draw(st.sampled_from(SEALS)), draw(st.sampled_from(READERS)))


class Attempt:
    """Makes a directory, lets everything that reads a survey read it, and holds that against the laws."""

    def __init__(self, scope: Scope, root: Path, cache: Path, whole: object, opens: Any = read_all) -> None:
        self.scope, self.root, self.cache, self.whole, self.opens = scope, root, cache, whole, opens

    def __call__(self, example: Example) -> None:
        directory, out = self.root / "s", self.root / "out"
        for path in (directory, out):
            remove(path)
        shutil.copytree(self.root / "whole", directory)
        (directory / "honest").symlink_to(self.root / "whole")
        if example.seals == "none":
            unseal(directory)
        for change in example.changes:
            change.make(directory)
        (directory / "honest").unlink(missing_ok=True)
        if example.seals == "made to fit" and not any(change.value == "endless file" for change in example.changes):
            make_to_fit(directory)
        for name in PICKLED:
            if (directory / name).parent.is_dir():
                (directory / name).write_bytes(pickle.dumps(Leaves(self.root / "left")))
        os.chdir(self.root)
        with laws.nothing_run(self.cache, out, directory, canary=self.root / "left"):
            self._read(example, directory, out)
        assert not list(directory.rglob("left"))

    def _read(self, example: Example, directory: Path, out: Path) -> None:
        if example.reader == "figures":
            found = self._told(lambda: self.opens(directory))
            if example.seals == "kept" and found is not None:
                assert found == self.whole, "other figures than were written"
        elif example.reader == "report":
            if self._told(lambda: write_report([directory], out)) is not None:
                _holds(out)
        elif example.reader == "statistics":
            self._told(lambda: statistics.compute(directory))
        elif example.reader == "contrasts":
            self._told(lambda: contrasts.between(directory, self.root / "whole"))
        elif example.reader == "texts":
            self._told(lambda: find_texts(self.scope, [directory]))
        else:
            self._told(
                lambda: Survey.prepare(self.scope, [self.root / "texts.txt"], directory, SurveyOptions(**SHARDS)).plan()
            )

    def _told(self, reads: Callable[[], object]) -> object:
        """What is read; None where it is refused, in a sentence."""
        try:
            return reads()
        except HeadscopeError as refused:
            told = str(refused)
        laws.is_a_sentence(told)
        assert "\n" not in told
        return None


def _holds(out: Path) -> None:
    """A report has no code of a survey's in it, and no cell that a spreadsheet obeys."""
    assert MARK not in (out / "report.html").read_text("utf-8")
    for path in out.rglob("*.svg"):
        assert MARK not in path.read_text("utf-8")
    for path in out.rglob("*.csv"):
        for row in csv.reader(io.StringIO(path.read_text("utf-8"))):
            assert not any(cell.startswith(("=", "@", "\x1b")) for cell in row), f"{path.name}: {row}"


@pytest.fixture(scope="module")
def root(scope_of: Callable[[str], Scope], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished survey of a few shards, and the file of its texts."""
    made = tmp_path_factory.mktemp("hostile")
    path = written(made / "texts.txt", sentences(12, seed=5), every=3)
    surveyed(scope_of("gpt2"), path, made / "whole", ("labels",), **SHARDS)
    return made


@pytest.fixture(scope="module")
def tried(scope_of: Callable[[str], Scope], root: Path, _cache_of_its_own: Path) -> Iterator[Apart]:
    with apart(Attempt(scope_of("gpt2"), root, _cache_of_its_own, read_all(root / "whole"))) as one:
        yield one


@pytest.mark.parametrize(
    "count",
    [pytest.param(4, marks=pytest.mark.slow), pytest.param(500, marks=pytest.mark.long)],
)
def test_every_directory_is_read_as_it_was_written_or_refused_in_a_sentence(
    root: Path, tried: Apart, count: int
) -> None:
    @given(example=examples(root / "whole"))
    @laws.of_so_many(count)
    def every(example: Example) -> None:
        tried(example)

    every()


@pytest.mark.long
def test_beside_all_that_could_be_run_a_survey_is_read(tried: Apart) -> None:
    """Else nothing is proved by what is refused."""
    for reader in READERS[1:]:
        tried(Example((), "kept", reader))


@pytest.mark.long
def test_tables_that_would_be_obeyed_are_not(tried: Apart) -> None:
    obeyed = [Change("table", "hubs.parquet", n, how) for n, how in enumerate(("text of a dictionary", "pickled"))]
    tried(Example((*obeyed, Change("table", "hubs.parquet", 7, "large text 3")), "made to fit", "report"))
