"""A report written: the page, the Markdown with its figures, and every number as CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from headscope import __version__
from headscope.errors import InputError
from headscope.keep.cells import cell
from headscope.keep.files import directory_to_write
from headscope.question.given import hearing
from headscope.show.charts.chart import Cell
from headscope.show.document import Items, Report, Section
from headscope.show.files import FOLDERS, foreign, write_document
from headscope.show.rows import csv_table
from headscope.studies.survey.away import brought
from headscope.studies.survey.opened import OpenedSurvey, open_surveys
from headscope.studies.survey.report import concluded, method, sections
from headscope.studies.survey.report.contrasts import Contrast, contrasts, pairs, unpaired
from headscope.studies.survey.report.measures import slug

_HOLDS = {"report.html", "report.md", *FOLDERS}
_CONTRASTS = (
    *("what", "of", "contrast", "first_survey", "second_survey", "space", "first_reference", "second_reference"),
    *("metric", "first_mask", "second_mask", "statistic", "layer", "head", "difference", "low", "high", "p", "q"),
    *("p_above", "q_above", "smallest"),
)


def write_report(
    directories: Sequence[str | Path], output: str | Path, say: Callable[[str], None] | None = None
) -> Path:
    """Write the report on finished surveys into a directory; returns the path of its page.

    Files of an earlier report there are replaced. `say` is told each step. Raises InputError for directories that hold
    no finished survey, and an output that cannot be written or holds something else.
    """
    out, say = directory_to_write(output), hearing(say, "say") or (lambda step: None)
    _refuse_foreign(out)
    with brought(directories) as here:
        surveys = _told_apart(open_surveys(here))
        found = list(contrasts(surveys, [pair for pair in pairs(surveys) if unpaired(surveys, pair) is None]))
        report = _report(surveys, found, say)
        say("writing")
        return write_document(out, "report", report, _numbers(surveys, found))


def _report(surveys: Mapping[str, OpenedSurvey], found: Sequence[Contrast], say: Callable[[str], None]) -> Report:
    parts = [concluded.concluded(surveys), sections.verdicts(surveys), method.measured(surveys), method.how(surveys)]
    for name, survey in surveys.items():
        say(f"drawing {name}")
        parts.append(sections.of_survey(name, survey))
    parts += [concluded.contrasts(surveys, found)]
    names = [survey.model["name"] for survey in surveys.values()]
    return Report(
        f"What attention heads write: {', '.join(dict.fromkeys(names))}",
        f"Written by headscope {__version__} from the tables of {', '.join(surveys)}, and from nothing else.",
        (*parts, _files()),
    )


def _files() -> Section:
    return Section(
        "Files",
        "files",
        [
            Items(
                (
                    "numbers/statistics.csv: every figure of every survey, with chance, intervals, p, q and verdict.",
                    "numbers/hubs.csv: the token that is the nearest most often, for every head.",
                    "numbers/stream.csv: the residual stream's figures, where a survey measured it.",
                    "numbers/contrasts.csv: every paired contrast, by layer and head.",
                    "numbers/NAME.csv and figures/NAME.svg: each figure and its numbers.",
                )
            )
        ],
    )


def _told_apart(surveys: Mapping[str, OpenedSurvey]) -> dict[str, OpenedSurvey]:
    """The same under names that make different names of files."""
    files = [slug(name) for name in surveys]
    again = [bool(not file or files.count(file) > 1) for file in files]
    named = zip(surveys.items(), again, strict=True)
    return {f"{name} {n}" if more else name: survey for n, ((name, survey), more) in enumerate(named, start=1)}


def _refuse_foreign(out: Path) -> None:
    others = foreign(out, _HOLDS, {"report.html"})
    if others:
        raise InputError(
            f"{str(out)!r} holds something else ({', '.join(others[:3])}): name a new directory, or one of a report."
        )


def _numbers(surveys: Mapping[str, OpenedSurvey], found: Sequence[Contrast]) -> dict[str, str]:
    """The surveys' tables and the contrasts as CSV, by their places."""
    numbers = {"numbers/contrasts.csv": csv_table(_CONTRASTS, map(_contrast, found))}
    for name in ("statistics", "hubs", "stream"):
        having = {label: survey.path / f"{name}.parquet" for label, survey in surveys.items()}
        tables = [_named(label, pq.read_table(path)) for label, path in having.items() if path.is_file()]
        if tables:
            sink = pa.BufferOutputStream()
            pacsv.write_csv(_with_cells(pa.concat_tables(tables)), sink)
            numbers[f"numbers/{name}.csv"] = sink.getvalue().to_pybytes().decode()
    return numbers


def _with_cells(table: pa.Table) -> pa.Table:
    """The table, with its texts as a CSV may have them."""
    for n, field in enumerate(table.schema):
        if _holds_texts(field.type):
            texts = table.column(n).cast(pa.string()).combine_chunks().dictionary_encode()
            cells = pa.array([cell(text) for text in texts.dictionary.to_pylist()], pa.string())
            table = table.set_column(n, field.name, cells.take(texts.indices))
    return table


def _holds_texts(kind: pa.DataType) -> bool:
    """Whether a column is of texts, in whichever of Arrow's ways to keep them."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(is_text(inner) for is_text in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _named(label: str, table: pa.Table) -> pa.Table:
    return table.add_column(0, "survey", pa.array([label] * len(table), pa.string()))


def _contrast(one: Contrast) -> tuple[Cell, ...]:
    pair, first, second = one.pair, one.pair.first, one.pair.second
    return (
        *(pair.what, pair.same, pair.label, first.survey, second.survey, first.view.space),
        *(first.view.reference, second.view.reference, first.view.metric, first.view.mask, second.view.mask),
        *(one.statistic, one.layer, one.head, one.difference, one.low, one.high, one.p, one.q),
        *(one.p_above, one.q_above, one.smallest),
    )
