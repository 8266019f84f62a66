"""A survey's manifest: what a directory's figures depend on, read with care, and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headscope.errors import InputError, cut
from headscope.studies.survey.checksums import read_small
from headscope.studies.survey.options import Options

SCHEMA, FORMULA = 1, 2
MANIFEST = "manifest.json"
_CHECKSUM = "checksum"  # of all that is beside it in the manifest
_ASKED = ("schema", "formula", "versions", "model", "options")
_OF_TEXTS = ("texts", "shards")
# What says nothing of the figures.
_MAY_DIFFER = {"model.name", "model.revision", "texts.sources", "texts.examples"}
_MOST = 2**31 - 1


class _Count(int):
    """Stands for a whole number from `least`."""


_NUMBER, _ONE = _Count(0), _Count(1)
# What each field must be: a type, several, a mapping of fields, [what each of a list is], {str: what each value is}.
_FIELDS: dict[str, Any] = {
    "schema": int,
    "formula": int,
    "versions": {str: str},
    "model": {"name": str, "revision": (str, type(None)), "weights_sha256": str, "dtype": str}
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
_LATER = {"stream"}  # options that the first surveys did not have


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """The manifest of a directory, be it of a survey or of other work; None where there is none.

    Raises InputError for one that is damaged, with the field that is not what it must be.
    """
    path = directory / MANIFEST
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        manifest = json.loads(read_small(path).decode(), parse_constant=_no_number)
        json.dumps(manifest, ensure_ascii=False).encode()  # JSON can spell half of a character
    except (ValueError, RecursionError) as error:
        reason = "it is nested without end" if isinstance(error, RecursionError) else f"it is no JSON: {error}"
        raise InputError(f"{path} is damaged ({reason}).") from None
    if not isinstance(manifest, dict) or not {*_ASKED, *_OF_TEXTS} <= set(manifest):
        raise InputError(f"{path} is no manifest of a survey.")
    _refuse_other_versions(directory, manifest)
    fault = next(_faults(manifest, _FIELDS, ""), None) or _disagreement(manifest)
    if fault is None and manifest.get(_CHECKSUM, identity(manifest)) != identity(manifest):
        fault = "it is not what was written: its checksum differs"
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
    fault = next(_faults({**dict.fromkeys(_LATER, False), **options}, _OPTIONS, "options."), None)
    try:
        if fault is None:
            list(options_of(manifest).views())
    except (InputError, TypeError) as error:
        fault = str(error).removesuffix(".")
    if fault is not None:
        raise InputError(f"{directory / MANIFEST} is damaged ({fault}).")
    return manifest


def options_of(manifest: Mapping[str, Any]) -> Options:
    """A survey's options."""
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in manifest["options"].items()
    }
    return Options(**given)


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with its checksum."""
    return {**manifest, _CHECKSUM: identity(manifest)}


def carries_checksums(manifest: Mapping[str, Any]) -> bool:
    """Whether a directory's tables have checksums: those of before headscope wrote them have none."""
    return _CHECKSUM in manifest


def identity(manifest: Mapping[str, Any]) -> str:
    """What tells a manifest from every other: a hash of all that it says."""
    said = {key: value for key, value in manifest.items() if key != _CHECKSUM}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def refuse_differences(directory: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise InputError where what `now` says is not what the manifest `before` says, naming what differs."""
    wanted = [key for key in (*_ASKED, *_OF_TEXTS) if key in now]
    old, new = (dict(_leaves({key: manifest[key] for key in wanted})) for manifest in (before, now))
    different = [
        f"{path} is {_short(old.get(path))} there and {_short(new.get(path))} here"
        for path in dict.fromkeys([*new, *(path for path in old if path.startswith("options."))])
        if path not in _MAY_DIFFER and old.get(path) != new.get(path)
    ]
    if different:
        more = f", and {len(different) - 3} more" if len(different) > 3 else ""
        raise InputError(
            f"{directory} holds another survey: {'; '.join(different[:3])}{more}. Ask the same, or name another "
            "directory."
        )


def _refuse_other_versions(directory: Path, manifest: Mapping[str, Any]) -> None:
    versions = manifest["versions"]
    wrote = versions.get("headscope", "unknown") if isinstance(versions, dict) else "unknown"
    for name, known in (("schema", SCHEMA), ("formula", FORMULA)):
        if isinstance(manifest[name], int) and manifest[name] != known:
            raise InputError(
                f"the survey in {str(directory)!r} has {name} {manifest[name]}, and this version of headscope reads "
                f"{name} {known}: use the version that wrote it ({_short(wrote)})."
            )


def _faults(value: Any, wanted: Any, path: str) -> Iterator[str]:
    """What of a value is not as its fields are described."""
    name = path.removesuffix(".") or "it"
    if isinstance(wanted, dict):
        if not isinstance(value, dict):
            yield f"{name} is {_short(value)}, and no object"
        elif str in wanted:
            for key, inner in value.items():
                yield from _faults(inner, wanted[str], f"{path}{key}.")
        else:
            for key, inner in wanted.items():
                if key in value:
                    yield from _faults(value[key], inner, f"{path}{key}.")
                else:
                    yield f"{path}{key} is missing"
    elif isinstance(wanted, list):
        if not isinstance(value, list):
            yield f"{name} is {_short(value)}, and no list"
        else:
            for number, inner in enumerate(value):
                yield from _faults(inner, wanted[0], f"{path}{number}.")
    elif not any(_is(value, one) for one in (wanted if isinstance(wanted, tuple) else (wanted,))):
        yield f"{name} is {_short(value)}"


def _is(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, _Count):
        return isinstance(value, int) and not isinstance(value, bool) and int(wanted) <= value <= _MOST
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def _disagreement(manifest: Mapping[str, Any]) -> str | None:
    """What of a manifest's numbers contradicts others of it."""
    texts, shards = manifest["texts"], manifest["shards"]
    for name in ("texts", "positions"):
        if sum(shard[name] for shard in shards) != texts[name]:
            return f"texts.{name} is {texts[name]}, and its shards have {sum(shard[name] for shard in shards)}"
    if texts["groups"] > texts["texts"]:
        return f"texts.groups is {texts['groups']}, of {texts['texts']} texts"
    return None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _short(value: Any) -> str:
    return cut(json.dumps(value, ensure_ascii=False), 40)
