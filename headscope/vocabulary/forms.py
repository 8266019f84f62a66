"""The closed forms of all layers, each proved before it is used, and what they share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import torch
from torch import Tensor

from headscope.cores.one_thread import alone
from headscope.errors import ModelError
from headscope.keep.memory import M, Recent
from headscope.model.feed.feed import Feed
from headscope.model.feed.positions import Spot
from headscope.model.feed.runs import Part
from headscope.model.feed.runs import Place as ModelPlace
from headscope.vocabulary import closed_form
from headscope.vocabulary.closed_form import ClosedForm, Motion
from headscope.vocabulary.kept_forms import KeptForms, MeasuredForm
from headscope.vocabulary.stem import Stem
from headscope.vocabulary.stem import stem as stem_of

log = logging.getLogger(__name__)
TOLERANCE = 1e-5  # of the largest |v|: what float32 arithmetic in another order may differ by
_SAMPLE = 96  # tokens that a closed form is proved on, over all positions
Owner = tuple[int, Part]
_FIRST: Owner = (0, "v")


@dataclass(frozen=True)
class Proved:
    """Whether a closed form agrees with the model."""

    form: ClosedForm | None
    error: float

    @property
    def nbytes(self) -> int:
        return self.form.nbytes if self.form else 0


@dataclass(frozen=True)
class CachedTensors:
    """Tensors in the cache."""

    tensors: tuple[Tensor, ...]

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors)


class Forms:
    """Closed forms of v, k and q at every layer, made when first asked for and kept in a cache."""

    def __init__(self, feed: Feed, cache: Recent[Any], weights_sha256: str) -> None:
        self._feed, self._cache = feed, cache
        self._owners: dict[Owner, Owner] = {}
        self._on_disk = KeptForms(feed, weights_sha256)
        self._denied: set[Owner] = set()  # what is on disk is not what the model computes
        self._looked_up = False  # whether another process saw that embeddings are looked up

    def kept(self) -> list[ClosedForm]:
        """The closed forms that are there already."""
        layers = range(len(self._feed.anatomy.blocks))
        kept = [self._cache.get(("form", part, layer)) for part in get_args(Part) for layer in layers]
        return [proved.form for proved in kept if proved is not None and proved.form is not None]

    def proved(self, part: Part, layer: int) -> Proved:
        """A layer's closed form, if it agrees with the model."""
        return self._keep(("form", part, layer), lambda: self._recall(part, layer) or self._proof(part, layer))

    def stem(self, owner: Owner) -> Stem:
        """What the positions act on, of a layer and part that others share it with."""
        return self._keep(("stem", *owner), lambda: stem_of(self._feed, *owner, looked_up=self._looked_up))

    def motion(self, part: Part, layer: int, spot: Spot | None) -> Motion:
        """What a spot does to the stem of a layer."""
        return self._motions(self.owner(layer, part), [spot])[0]

    def expect(self, part: Part, layer: int, spots: Iterable[Spot | None]) -> None:
        """Find what several spots do together: one after another, each would go through the whole vocabulary."""
        self._motions(self.owner(layer, part), spots)

    def _motions(self, owner: Owner, spots: Iterable[Spot | None]) -> list[Motion]:
        def move(new: list[Spot | None]) -> list[Motion]:
            return closed_form.motions(self._feed, *owner, self.stem(owner), self._offsets(owner, new))

        with alone():
            return self._cache.made_together({("motion", *owner, spot): spot for spot in spots}, move)

    def centre(self, layer: int, spot: Spot | None) -> Tensor:
        """The mean over the vocabulary of what W acts on for v, for all layers that share it."""
        owner = self.owner(layer, "v")

        def measure() -> CachedTensors:
            return CachedTensors((closed_form.centre(self.stem(owner), self.motion("v", layer, spot)),))

        return self._keep(("centre", *owner, spot), measure).tensors[0]

    def offset(self, owner: Owner, spot: Spot | None) -> Tensor:
        """What is added to all that a stem has, at a spot."""
        return self._offsets(owner, [spot])[0]

    def _offsets(self, owner: Owner, spots: Iterable[Spot | None]) -> list[Tensor]:
        def measured(some: Sequence[Spot | None]) -> list[Tensor]:
            return closed_form.offsets(self._feed, *owner, self.stem(owner), [added_at(spot) for spot in some])

        def measure(new: list[Spot | None]) -> list[CachedTensors]:
            found = measured(new)
            # What a spot does must not hang on others: where a run of many rounds otherwise, each has its own.
            if len(new) > 1 and not torch.equal(found[-1], measured(new[-1:])[0]):
                found = [measured([spot])[0] for spot in new]
            return [CachedTensors((offset,)) for offset in found]

        kept = self._cache.made_together({("offset", *owner, spot): spot for spot in spots}, measure)
        return [one.tensors[0] for one in kept]

    def owner(self, layer: int, part: Part) -> Owner:
        """The layer and part whose stem this one shares: in most models, layer 0's v; in some all but layer 0 one."""
        here = (layer, part)
        if here not in self._owners:
            others: list[Owner] = [_FIRST, (1, "v")]
            known = others[: others.index(here)] if here in others else others[: len(self._feed.anatomy.blocks)]
            same = (owner for owner in known if closed_form.same_stem(self._feed, owner, here))
            self._owners[here] = next(same, here)
        return self._owners[here]

    def _is_shared(self, owner: Owner) -> bool:
        """Whether other layers share an owner's stem."""
        last = len(self._feed.anatomy.blocks) - 1
        return self.owner(last, "v") == owner

    def _proof(self, part: Part, layer: int) -> Proved:
        """A layer proved; after the last of them, what the model makes of the sample takes no room any more."""
        proved = self._prove(part, layer)
        others = set(range(len(self._feed.anatomy.blocks))) - {layer}
        if all(("form", part, other) in self._cache for other in others):
            self._cache.drop(("sample", part))
        return proved

    def _prove(self, part: Part, layer: int) -> Proved:
        """Fit the closed form, and compare it with the model on random tokens, each at one of a few positions."""
        owner, places = self.owner(layer, part), self._feed.positions
        moved = bool(places.modules) or bool(places.types)
        stem = self.stem(owner) if moved or self._is_shared(owner) else None
        form = closed_form.fit(self._feed, layer, part, stem)
        errors = [
            _error(form, some, None if stem is None else self.offset(owner, spot), expected)  # (token, head, d_head)
            for (spot, some), expected in zip(self._drawn, self._sample(part, layer), strict=True)
        ]
        compared = [error for error in errors if error is not None]
        if not compared:
            count = sum(len(some) for _, some in self._drawn)
            raise ModelError(
                f"{type(self._feed.model).__name__} computes no numbers at layer {layer} for {count} tokens."
            )
        worst = max(compared)
        if worst > TOLERANCE + self._feed.anatomy.arithmetic.allowance:
            log.info("layer %d: the closed form of %s misses the model by %.1e: the model is run", layer, part, worst)
            return Proved(None, worst)
        if stem is not None and stem.is_own and owner == _FIRST and self._on_disk.fits(layer, part, form):
            self._on_disk.put(layer, part, MeasuredForm.of(form, worst))
        return Proved(form, worst)

    @cached_property
    def _drawn(self) -> list[tuple[Spot | None, Tensor]]:
        """Random tokens, each at one of a few positions."""
        known, places = self._feed.finite_ids.to(self._feed.device), self._feed.positions
        generator = torch.Generator().manual_seed(0)
        ids = known[torch.randperm(len(known), generator=generator)[:_SAMPLE].to(known.device)]
        limit = places.limit or 1
        positions = sorted({0, 1, limit // 2, limit - 1} & set(range(limit))) if places.modules else []
        spots = [None, *(self._feed.spot(position) for position in positions)]
        return [(spot, some) for spot, some in zip(spots, ids.tensor_split(len(spots)), strict=True) if len(some)]

    def _sample(self, part: Part, layer: int) -> Sequence[Tensor]:
        """What the model makes of these at a layer: [token, head, d_head] at each place.

        Whoever asks for a second layer goes on to others, so these are all made in one run then.
        """
        places = [(some, added_at(spot)) for spot, some in self._drawn]
        key, layers = ("sample", part), len(self._feed.anatomy.blocks)
        if key not in self._cache and not any(("form", part, other) in self._cache for other in range(layers)):
            return self._feed.vectors_at(places, layer, part)

        def measure() -> CachedTensors:
            return CachedTensors(tuple(one for found in self._feed.everywhere_at(places, part) for one in found))

        tensors = self._keep(key, measure).tensors
        return tensors[layer * len(places) : (layer + 1) * len(places)]

    def _recall(self, part: Part, layer: int) -> Proved | None:
        """What another process proved of a layer, where the model does the same now; all layers of a part at once."""
        if (layer, part) in self._denied or self._on_disk.get(layer, part) is None:
            return None
        if part != "v" and self.proved("v", 0).form is None:
            return None
        layers = [n for n in range(len(self._feed.anatomy.blocks)) if ("form", part, n) not in self._cache]
        found = {n: self._on_disk.get(n, part) for n in layers if (n, part) not in self._denied}
        there = {n: one for n, one in found.items() if one is not None}
        before = self._feed.known_norms(part)
        self._feed.take_norms(part, {n: one.norm for n, one in there.items()} | before)
        self._looked_up = True
        if not self.stem(_FIRST).is_own:
            self._denied.update((n, part) for n in there)
            self._feed.take_norms(part, before)
            return None
        ids = self._feed.plain_tokens
        for n, expected in enumerate(self._feed.everywhere(ids, part)):
            if n not in there:
                continue
            form = there[n].form(self._feed, n, part, self.stem(_FIRST))
            error = _error(form, ids, None, expected)
            if error is not None and error <= TOLERANCE + self._feed.anatomy.arithmetic.allowance:
                self._owners[n, part] = _FIRST
                self._cache.put(("form", part, n), Proved(form, max(error, there[n].error)))
            else:
                self._denied.add((n, part))
                self._feed.take_norms(part, before, only=n)
        return self._cache.get(("form", part, layer))

    def _keep(self, key: tuple[object, ...], build: Callable[[], M]) -> M:
        with alone():  # what is large in it is spread over the pool, or computed together
            return self._cache.made(key, build)


def added_at(spot: Spot | None) -> ModelPlace:
    """What the model adds at a spot; None: no position."""
    return None if spot is None else spot.added


def _error(form: ClosedForm, ids: Tensor, offset: Tensor | None, expected: Tensor) -> float | None:
    """The largest difference from what the model makes of `ids`, relative to the largest; None: it is never finite."""
    finite = expected.isfinite().all(-1).all(-1)
    if not finite.any():
        return None
    got = form.encode(ids, offset)[finite]
    difference = float((got - expected[finite]).abs().amax() / expected[finite].abs().amax().clamp_min(1e-30))
    return difference if difference == difference else float("inf")
