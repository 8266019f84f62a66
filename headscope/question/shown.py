"""What holds much, as it shows itself: what its fields are, tensors by their shapes, many things by their number."""

from __future__ import annotations

import dataclasses
from typing import Any

from headscope.errors import cut

_LINE = 100  # characters: what is longer is a line a field
_SHORT = 60  # of what is shown as it is


class Summarised:
    """Above a dataclass without a repr of its own: its name and its fields, in a line or in a line each."""

    def __repr__(self) -> str:
        fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(self)  # type: ignore[arg-type]
        return laid(type(self).__name__, {one.name: getattr(self, one.name) for one in fields if one.repr})


def laid(name: str, parts: dict[str, Any]) -> str:
    """What is called so, with its parts.

    >>> laid("Found", {"rank": 3, "rows": [[0]] * 40, "text": "a banana"})
    "Found: rank 3, rows (40 of list), text 'a banana'"
    """
    said = [f"{part} {_shown(value)}" for part, value in parts.items()]
    line = f"{name}: {', '.join(said)}"
    return line if len(line) <= _LINE else "\n  ".join([f"{name}:", *said])


def _shown(value: Any) -> str:
    """A value in a few words."""
    kind = type(value)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.item():.4g}" if not value.shape else str(list(value.shape))
    if isinstance(value, str):
        return repr(cut(value, _LINE))
    bare: Any = object.__repr__  # an address
    if dataclasses.is_dataclass(value) or kind.__repr__ is bare or hasattr(value, "named_modules"):
        return f"({kind.__name__})"
    if isinstance(value, (tuple, list, set, frozenset, dict)):
        inside = value.values() if isinstance(value, dict) else value
        plain = all(one is None or isinstance(one, (str, int, float)) for one in inside)
        if not plain or len(repr(value)) > _SHORT:
            return f"({len(value)} of {type(next(iter(inside))).__name__})"
    return cut(repr(value), _LINE)
