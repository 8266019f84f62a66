"""A small JSON file that says what a directory is of: read with care, sealed with its own checksum, compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from headscope.errors import InputError, cut
from headscope.keep.files import read_small

_CHECKSUM = "checksum"  # of all that is beside it
_MOST = 2**31 - 1


class Count(int):
    """Stands for a whole number that is at least this one, in what a field must be."""


def read_record(path: Path) -> dict[str, Any] | None:
    """What the file says, nothing where it is no JSON object; None where there is no file.

    Raises InputError for one that cannot be read, or is no JSON.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        record = json.loads(read_small(path).decode(), parse_constant=_no_number)
        json.dumps(record, ensure_ascii=False).encode()  # JSON can spell half of a character
    except (ValueError, RecursionError) as error:
        reason = "it is nested without end" if isinstance(error, RecursionError) else f"it is no JSON: {error}"
        raise InputError(f"{path} is damaged ({reason}).") from None
    return record if isinstance(record, dict) else {}


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with its checksum."""
    return {**record, _CHECKSUM: identity(record)}


def identity(record: Mapping[str, Any]) -> str:
    """What tells a record from every other: a hash of all that it says."""
    said = {key: value for key, value in record.items() if key != _CHECKSUM}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def seal_fault(record: Mapping[str, Any]) -> str | None:
    """Why a record is not what was sealed; None: it is."""
    if _CHECKSUM not in record:
        return "it has no checksum"
    return None if record[_CHECKSUM] == identity(record) else "its checksum differs"


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], may_differ: Collection[str], whole: str
) -> Iterator[str]:
    """What `now` says otherwise than `before`, in words; of its field `whole` also what `before` alone says."""
    old, new = (dict(_leaves({key: record.get(key) for key in now})) for record in (before, now))
    for path in dict.fromkeys([*new, *(path for path in old if path.startswith(f"{whole}."))]):
        if path not in may_differ and old.get(path) != new.get(path):
            yield f"{path} is {short(old.get(path))} there and {short(new.get(path))} here"


def faults(value: Any, wanted: Any, path: str = "") -> Iterator[str]:
    """What of a value is not as its fields are described.

    `wanted`: a type or `Count`, several of them, a mapping of fields, [what each of a list is], {str: what each value
    is}.
    """
    name = path.removesuffix(".") or "it"
    if isinstance(wanted, dict):
        if not isinstance(value, dict):
            yield f"{name} is {short(value)}, and no object"
        elif str in wanted:
            for key, inner in value.items():
                yield from faults(inner, wanted[str], f"{path}{key}.")
        else:
            for key, inner in wanted.items():
                if key in value:
                    yield from faults(value[key], inner, f"{path}{key}.")
                else:
                    yield f"{path}{key} is missing"
    elif isinstance(wanted, list):
        if not isinstance(value, list):
            yield f"{name} is {short(value)}, and no list"
        else:
            for number, inner in enumerate(value):
                yield from faults(inner, wanted[0], f"{path}{number}.")
    elif not any(_is(value, one) for one in (wanted if isinstance(wanted, tuple) else (wanted,))):
        yield f"{name} is {short(value)}"


def short(value: Any) -> str:
    """A value as a sentence may hold it."""
    return cut(json.dumps(value, ensure_ascii=False), 40)


def _is(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Count):
        return isinstance(value, int) and not isinstance(value, bool) and int(wanted) <= value <= _MOST
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value
