"""A finished survey without its shards: the figures that a page shows, small enough to be sent along."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headscope.errors import InputError, clause
from headscope.keep.checksums import CHECKSUMS, content_fault, outline_fault, seal
from headscope.keep.files import told, whole_folder
from headscope.keep.record import identity, sealed
from headscope.keep.rows import write_table
from headscope.studies.survey.finished import CONTRASTS, STATISTICS
from headscope.studies.survey.manifest import MANIFEST, survey_manifest
from headscope.studies.survey.opened import OpenedSurvey, open_survey

_TABLES = (STATISTICS, CONTRASTS)


def keep_figures(directory: Path, place: Path) -> None:
    """Write to `place`, whole or not at all, the figures of all tokens of the model in the finished survey there."""
    open_survey(directory)  # refused where it is not finished
    with whole_folder(place, place.parent, place.parent) as folder, told(place.parent):
        record = json.loads((directory / MANIFEST).read_text("utf-8"))
        # They go to other machines, where the folder of the texts means nothing.
        record["texts"]["sources"] = [Path(source).name for source in record["texts"]["sources"]]
        record = sealed(record)
        (folder / MANIFEST).write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        for name in _TABLES:
            write_table(folder / name, _of_the_model(pq.read_table(directory / name)))
        seal(folder, _TABLES, _about(record), folder / CHECKSUMS)


def _of_the_model(table: pa.Table) -> pa.Table:
    """The rows of all its tokens; what its twins have is in the contrasts, which are of all tokens."""
    own = table.filter(pc.is_null(table["null"]))
    return own.filter(pc.equal(own["by"], "all")) if "by" in own.column_names else own


def open_figures(place: Path) -> OpenedSurvey:
    """A survey that has its figures and nothing else; InputError where they are not there, or not what was written."""
    survey = OpenedSurvey(place, survey_manifest(place))
    fault = outline_fault(place, _TABLES, _about(survey.manifest)) or content_fault(place, _TABLES)
    if fault is not None:
        raise InputError(f"the figures in {str(place)!r} are damaged ({fault}): remove that directory.")
    try:
        _ = survey.views, survey.contrasts
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"the figures in {str(place)!r} cannot be read: {clause(error)}.") from None
    return survey


def _about(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {"figures_of": identity(manifest)}
