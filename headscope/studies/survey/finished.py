"""The tables of a finished survey beside its shards: which there are, and whether they are what was written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headscope.corpus.genres import matched
from headscope.errors import InputError
from headscope.keep.checksums import CHECKSUMS, content_fault, outline_fault, seal
from headscope.keep.files import file_fault, told, write_whole
from headscope.keep.record import identity
from headscope.studies.survey.manifest import survey_manifest
from headscope.studies.survey.store import BANK, MATCHED_BANK, VOCABULARY

STATISTICS, HUBS, STREAM = "statistics.parquet", "hubs.parquet", "stream.parquet"
CONTRASTS, LEFT_OUT = "contrasts.parquet", "left_out.parquet"
NOTES = "headscope.notes"  # in the metadata of statistics.parquet: what its reader must know, a list as JSON


def tables_of(manifest: Mapping[str, Any]) -> list[str]:
    """The names of the tables."""
    with_stream = [STREAM] if manifest["options"]["stream"] else []
    of_genres = [MATCHED_BANK] if matched(manifest["texts"].get("genres")) else []
    return [VOCABULARY, BANK, *of_genres, STATISTICS, HUBS, LEFT_OUT, CONTRASTS, *with_stream]


def begin(directory: Path) -> None:
    """Let a survey be unfinished until `finish`: its tables are about to be written anew."""
    with told(directory):
        (directory / CHECKSUMS).unlink(missing_ok=True)


def finish(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Write the tables' checksums: the last of the files that a survey writes."""
    names, about = tables_of(manifest), {"survey": identity(manifest)}
    with told(directory):
        write_whole(directory / CHECKSUMS, lambda beside: seal(directory, names, about, beside))


def is_finished(directory: Path) -> bool:
    """Whether the tables are all there, and are what was written."""
    try:
        refuse_unfinished(directory, survey_manifest(directory))
    except InputError:
        return False
    return True


def refuse_unfinished(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Raise InputError for a survey whose tables are not all there, or are not what was written."""
    names = tables_of(manifest)
    missing = [name.removesuffix(".parquet") for name in (*names, CHECKSUMS) if not (directory / name).exists()]
    if missing:
        raise InputError(
            f"the survey in {str(directory)!r} is not finished: {', '.join(missing)} still to come. "
            "Run the same headscope survey again, and it goes on where it stopped."
        )
    fault = next((fault for name in names if (fault := file_fault(directory / name)) is not None), None)
    if fault is None:
        fault = outline_fault(directory, names, {"survey": identity(manifest)}) or content_fault(directory, names)
    if fault is not None:
        raise InputError(
            f"the tables of the survey in {str(directory)!r} cannot be read: {fault}. Run the same headscope survey "
            "again, and it makes them anew."
        )
