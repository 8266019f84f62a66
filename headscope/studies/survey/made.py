"""Where shards were measured, and with what: shards of one survey may come from many machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from headscope import __version__
from headscope.errors import InputError
from headscope.keep.record import faults, seal_fault, sealed

if TYPE_CHECKING:
    from headscope.scope import Scope

_FIELDS: dict[str, Any] = {"device": str, "dtype": str, "arithmetic": str, "versions": {str: str}}
_NAMED = 8  # shards that a sentence names
UNKNOWN = "not recorded"


@dataclass(frozen=True)
class Made:
    """What a shard was measured with: its numbers hang on `dtype` and `arithmetic`, their rounding on the rest.

    `device`: what it is called, of a CPU with the instructions that torch uses. `versions`: of torch, transformers,
    headscope.
    """

    device: str
    dtype: str
    arithmetic: str
    versions: dict[str, str]

    @classmethod
    def by(cls, scope: Scope) -> Made:
        """What this process measures with, by its scope."""
        card = scope.card
        versions = {name: metadata.version(name) for name in ("torch", "transformers")} | {"headscope": __version__}
        packed = f", packed as {card.quantize}" if card.quantize else ""
        return cls(_called(torch.device(card.device)), card.dtype, f"{card.arithmetic}{packed}", versions)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Made:
        """What `record` says, in which `record_fault` finds nothing."""
        return cls(*(record[name] for name in _FIELDS))

    def record(self) -> dict[str, Any]:
        """Plain data, with its checksum."""
        return sealed({name: getattr(self, name) for name in _FIELDS})

    @property
    def computes(self) -> str:
        """What two shards must have in common."""
        return f"{self.dtype} ({self.arithmetic})"


def record_fault(record: Any) -> str | None:
    """Why a record of who made a shard is none; None: it is one."""
    fault = next(faults(record, _FIELDS), None)
    return fault or seal_fault(record)


def refuse_mixtures(directory: Path, made: Mapping[str, Made | None]) -> None:
    """Raise InputError where shards, by what they are called, compute otherwise than others; None: it is not known.

    A mean over float32 and bfloat16 is of no model at all.
    """
    kinds: dict[str, list[str]] = {}
    for shard, one in made.items():
        if one is not None:
            kinds.setdefault(one.computes, []).append(shard)
    if len(kinds) > 1:
        told = "; ".join(f"{computes}: {_named(shards)}" for computes, shards in kinds.items())
        raise InputError(
            f"{directory} would mix numbers of {len(kinds)} kinds, which no statistics may: {told}. Remove the folders "
            "of those shards that are not wanted, and measure them as the others were."
        )


def mixture_notes(made: Iterable[Made | None]) -> Iterator[str]:
    """What a reader must know of shards from several devices, or of several versions; None: it is not known."""
    shards = list(made)
    if all(one is None for one in shards):  # a survey of before
        return
    devices = _counted(UNKNOWN if one is None else one.device for one in shards)
    if len(devices) > 1:
        yield f"Its shards were measured on several devices, which round differently: {_shares(devices)}."
    names = dict.fromkeys(name for one in shards if one is not None for name in one.versions)
    for name in names:
        versions = _counted(UNKNOWN if one is None else one.versions.get(name, UNKNOWN) for one in shards)
        if len(versions) > 1:
            yield f"Its shards were measured with several versions of {name}: {_shares(versions)}."


def _called(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.backends.cpu.get_cpu_capability()})" if device.type == "cpu" else device.type


def _counted(values: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


def _shares(counts: Mapping[str, int]) -> str:
    return "; ".join(f"{value}, {count:,} shard{'s' * (count > 1)}" for value, count in sorted(counts.items()))


def _named(shards: list[str]) -> str:
    more = f" and {len(shards) - _NAMED:,} more" if len(shards) > _NAMED else ""
    return ", ".join(shards[:_NAMED]) + more
