"""A survey's manifest: what a directory's figures depend on, its fields, and whether it is what is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from importlib import metadata
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headscope import __version__
from headscope.corpus.standard_input import KEPT
from headscope.errors import InputError
from headscope.keep.record import Count, differences, faults, read_record, seal_fault, sealed, short
from headscope.keep.work import WorkDirectory
from headscope.studies.survey.options import SurveyOptions

if TYPE_CHECKING:
    from headscope.corpus.counted import CountedCorpus
    from headscope.scope import Scope

SCHEMA, FORMULA = 1, 3
MANIFEST = "manifest.json"
# What says nothing of the figures.
_MAY_DIFFER = {"model.name", "model.revision", "texts.sources", "texts.examples"}
# What the shards of one survey may differ in: each keeps its own (made.py), and the statistics tell of it.
_OF_A_SHARD = {f"versions.{name}" for name in ("headscope", "torch", "transformers", "numpy", "pyarrow")}
_NUMBER, _ONE = Count(0), Count(1)
_FIELDS: dict[str, Any] = {
    "schema": int,
    "formula": int,
    "versions": {str: str},
    "model": {"name": str, "revision": (str, type(None)), "weights_sha256": str, "dtype": str, "causal": bool}
    | dict.fromkeys(("layers", "heads", "kv_heads", "d_head", "d_model", "vocab_size"), _ONE),
    "options": {str: (str, bool, int, float, list, type(None))},
    "texts": {
        "sources": [str],
        "sha256": str,
        "texts": _ONE,
        "positions": _ONE,
        "groups": _ONE,
        "documents": (_ONE, type(None)),
        "left_out": {str: _NUMBER},
        "examples": [{"reason": str, "source": str, "line": _NUMBER}],
    },
    "shards": [{"texts": _ONE, "positions": _ONE, "sha256": str}],
}
_OPTIONS: dict[str, Any] = {
    **{name: [str] for name in ("spaces", "references", "metrics", "masks")},
    **dict.fromkeys(("position", "truncate", "stream"), bool),
    **dict.fromkeys(("candidates", "format", "column", "document_column"), str),
    "sample": (_ONE, type(None)),
    "seed": _NUMBER,
    "shard_positions": _ONE,
}

_NAMED: dict[str, Any] = {"genre_column": str, "language_column": str}  # where they are not the usual


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """The manifest of a directory, be it of a survey or of other work; None where there is none.

    Raises InputError for one that is damaged, with the field that is not what it must be.
    """
    path = directory / MANIFEST
    manifest = read_record(path)
    if manifest is None:
        return None
    if not set(_FIELDS) <= set(manifest):
        raise InputError(f"{path} is no manifest of a survey.")
    _refuse_other_versions(directory, manifest)
    fault = next(faults(manifest, _FIELDS), None) or _disagreement(manifest)
    fault = fault or next(faults(manifest["texts"].get("genres", {}), {str: _ONE}, "texts.genres."), None)
    fault = fault or next(faults({"same": manifest["texts"].get("same", 0)}, {"same": _NUMBER}, "texts."), None)
    if fault is None and (broken := seal_fault(manifest)) is not None:
        fault = f"it is not what was written: {broken}"
    if fault is not None:
        raise InputError(f"{path} is damaged ({fault}).")
    return manifest


def survey_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a survey; InputError where there is none, a damaged one, or one of something else."""
    if not directory.is_dir():
        raise InputError(f"{str(directory)!r} is no directory: name that of a survey (headscope survey … -o DIR).")
    manifest = read_manifest(directory)
    if manifest is None:
        raise InputError(f"{str(directory)!r} is no survey: it has no {MANIFEST}.")
    options = manifest["options"]
    if "kind" in options:
        raise InputError(f"{str(directory)!r} is no survey: it holds the work of headscope {options['kind']}.")
    named = {name: kind for name, kind in _NAMED.items() if name in options}
    fault = next(faults(options, _OPTIONS | named, "options."), None)
    try:
        if fault is None:
            options_of(manifest)
    except (InputError, TypeError) as error:
        fault = str(error).removesuffix(".")
    if fault is not None:
        raise InputError(f"{directory / MANIFEST} is damaged ({fault}).")
    return manifest


def work_of(directory: Path) -> WorkDirectory:
    """The directory of a survey, or of other work on texts, whoever's it is."""
    return WorkDirectory(directory, MANIFEST, own=(KEPT,))


def claim(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Make `directory` that of the work which `manifest` describes, or find that it is already; with its lock held.

    Raises InputError where another survey is there, with what differs, or other files are.
    """
    work_of(directory).claim(_spelled(manifest), partial(_compare_survey, directory, manifest))


def claimed(directory: Path, manifest: Mapping[str, Any]) -> AbstractContextManager[None]:
    """The same, until the block ends and for who does not hold the lock yet; InputError where another run does."""
    return work_of(directory).claimed(_spelled(manifest), partial(_compare, directory, manifest))


def options_of(manifest: Mapping[str, Any]) -> SurveyOptions:
    """A survey's options."""
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in manifest["options"].items()
    }
    return SurveyOptions(**given)


def refuse_differences(directory: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise InputError where what `now` says is not what a survey's manifest `before` says, naming what differs.

    Versions may differ: every shard keeps those that it was measured with.
    """
    _refuse(directory, before, now, _MAY_DIFFER | _OF_A_SHARD)


def _refuse(directory: Path, before: Mapping[str, Any], now: Mapping[str, Any], may_differ: set[str]) -> None:
    others = "texts" in before and "texts" in now and before["texts"]["sha256"] != now["texts"]["sha256"]
    told = {key: value for key, value in now.items() if not (others and key in ("texts", "shards"))}
    different = [
        *(_other_texts(before, now) if others else ()),
        *differences(before, told, may_differ, whole="options"),
    ]
    if different:
        more = f", and {len(different) - 3} more" if len(different) > 3 else ""
        kind = before["options"].get("kind")
        work = "another survey" if kind is None else f"other work of headscope {kind}"
        raise InputError(
            f"{directory} holds {work}: {'; '.join(different[:3])}{more}. Ask the same, or name another directory."
        )


def _other_texts(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What of the texts is another, in words: how many there are, and about where the first is that differs."""
    count, here = before["texts"]["texts"], now["texts"]["texts"]
    if count != here:
        yield f"it is of {count:,} {'text' if count == 1 else 'texts'}, and here are {here:,}"
    if before["options"] != now["options"] or before["model"]["weights_sha256"] != now["model"]["weights_sha256"]:
        yield "its texts are others"  # and where its shards end may be for another reason
        return
    first = 0
    for old, new in zip_longest(before["shards"], now["shards"]):
        if old is None or new is None or old["sha256"] != new["sha256"]:
            last = first + max(shard["texts"] for shard in (old, new) if shard is not None)
            spoken = f"number {last:,}" if last == first + 1 else f"among {first + 1:,} to {last:,}"
            yield f"the first text that is measured and differs is {spoken}"
            return
        first += new["texts"]


def _spelled(manifest: Mapping[str, Any]) -> bytes:
    text = json.dumps(sealed(manifest), ensure_ascii=False, indent=1) + "\n"
    return text.encode("utf-8", "backslashreplace")  # a byte of a path that is no UTF-8 stays an escape


def _compare_survey(directory: Path, now: Mapping[str, Any]) -> None:
    refuse_differences(directory, read_manifest(directory) or {}, now)


def _compare(directory: Path, now: Mapping[str, Any]) -> None:
    _refuse(directory, read_manifest(directory) or {}, now, _MAY_DIFFER)


def _refuse_other_versions(directory: Path, manifest: Mapping[str, Any]) -> None:
    versions = manifest["versions"]
    wrote = versions.get("headscope", "unknown") if isinstance(versions, dict) else "unknown"
    for name, known in (("schema", SCHEMA), ("formula", FORMULA)):
        if isinstance(manifest[name], int) and manifest[name] != known:
            raise InputError(
                f"the survey in {str(directory)!r} has {name} {manifest[name]}, and this version of headscope reads "
                f"{name} {known}: use the version that wrote it ({short(wrote)})."
            )


def _disagreement(manifest: Mapping[str, Any]) -> str | None:
    """What of a manifest's numbers contradicts others of it."""
    texts, shards = manifest["texts"], manifest["shards"]
    for name in ("texts", "positions"):
        if sum(shard[name] for shard in shards) != texts[name]:
            return f"texts.{name} is {texts[name]}, and its shards have {sum(shard[name] for shard in shards)}"
    if texts["groups"] > texts["texts"]:
        return f"texts.groups is {texts['groups']}, of {texts['texts']} texts"
    return None


def asked_of(scope: Scope, options: dict[str, Any]) -> dict[str, Any]:
    """What a directory's figures depend on, but for the texts: the model, the options (as plain data), the versions."""
    card = scope.card
    of_model = ("name", "revision", "weights_sha256", "layers", "heads", "kv_heads", "d_head", "d_model", "vocab_size")
    return {
        "schema": SCHEMA,
        "formula": FORMULA,
        "versions": {"headscope": __version__}
        | {name: metadata.version(name) for name in ("torch", "transformers", "numpy", "pyarrow")},
        "model": {"architecture": type(scope.bench.opened.model).__name__}
        | {name: getattr(card, name) for name in (*of_model, "dtype", "causal")},
        "options": options,
    }


def manifest_of(scope: Scope, counted: CountedCorpus, options: dict[str, Any]) -> dict[str, Any]:
    """What a directory's figures depend on: what is asked, and the texts."""
    census = counted.census
    return asked_of(scope, options) | {
        "texts": {
            "sources": [source.name for source in counted.corpus.sources],
            "sha256": census.sha256,
            "texts": len(census.numbers),
            "positions": census.total,
            "groups": census.group_count,
            "documents": census.documents,
            "left_out": census.left_out,
            "examples": [asdict(example) for example in census.examples],
        }
        | ({} if census.genres is None else {"genres": census.genres.documents})
        | ({"same": census.same} if census.same else {}),
        "shards": [
            {"texts": shard.stop - shard.first, "positions": shard.positions, "sha256": shard.sha256}
            for shard in census.shards
        ],
    }
