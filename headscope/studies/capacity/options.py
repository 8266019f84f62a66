"""What is asked of a model's capacity."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from numbers import Real
from typing import Any

from headscope.corpus.asked import CorpusOptions, refuse_unnamed
from headscope.errors import InputError
from headscope.question.choices import CAPACITY_PARTS, MASKS, SITES, CapacityPart, Mask, Site, one_of
from headscope.question.given import as_seed, in_order, number

KEEP = (0.0, 0.0625, 0.125, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class CapacityOptions(CorpusOptions):
    """The choices; two runs with the same options, texts, model and versions give the same figures.

    `parts`: the dimension of the encodings, their number, reproductions. `sites`: whose encodings are projected
    ("heads": every head of a layer in a subspace of its own, "z": the layer's heads side by side in one, "residual":
    the stream after the layer, "head": one head alone); of these, z and residual are merged. `keep`: the shares of the
    dimensions, and of the encodings, that are kept. `sample`: 2 texts or more. Raises InputError for others.

    >>> CapacityOptions(parts=("dimension",), keep=(0, 0.5, 1)).sites
    ('heads', 'z', 'residual')
    >>> CapacityOptions(sites=("head",))
    Traceback (most recent call last):
    headscope.errors.InputError: the site head is measured beside heads: name both.
    """

    parts: tuple[CapacityPart, ...] = ("dimension", "number")
    sites: tuple[Site, ...] = ("heads", "z", "residual")
    keep: tuple[float, ...] = KEEP
    mask: Mask = "model"
    sample: int | None = 200  # each is run once for every condition, and those are hundreds

    def __post_init__(self) -> None:
        for name in ("parts", "sites", "keep"):
            object.__setattr__(self, name, tuple(in_order(getattr(self, name), name)))
        named: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
            ("part", self.parts, CAPACITY_PARTS),
            ("site", self.sites, SITES),
        )
        for kind, values, choices in named:
            refuse_unnamed(kind, values, choices)
        if "head" in self.sites and "heads" not in self.sites:
            raise InputError("the site head is measured beside heads: name both.")
        one_of("mask", self.mask, MASKS)
        shares: tuple[Any, ...] = self.keep
        if not shares or not all(isinstance(share, Real) and 0 <= float(share) <= 1 for share in shares):
            raise InputError(f"what is kept are shares from 0 to 1, not {list(self.keep)}.")
        if len(set(self.keep)) < len(self.keep):
            raise InputError(f"a share that is kept is named twice: {', '.join(map(str, self.keep))}.")
        if "number" in self.parts and not {"z", "residual"} & {*self.sites}:
            raise InputError("the part number merges z and residual: name one of these sites, or leave the part out.")
        if set(self.parts) == {"reproductions"} and (self.sites, self.keep) != (CapacityOptions.sites, KEEP):
            raise InputError("sites and keep are of the parts dimension and number: leave them out, or name a part.")
        if self.sample is not None:
            said = f"sample is {self.sample!r}; it takes 2 texts: one to fit on, and another to measure on."
            object.__setattr__(self, "sample", number(self.sample, range(2, sys.maxsize), said))
        object.__setattr__(self, "seed", as_seed(self.seed))
        super().__post_init__()
