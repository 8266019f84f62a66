"""The vocabulary as several layers compare it, searched in one pass through the vectors that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from headscope.neighbors import Place, Shared
from headscope.vocabulary.encoded import Encoded


def joinable(encoded: Sequence[Encoded]) -> list[list[int]]:
    """Which of the encodings can be searched together, in order: those of one stock, stretched alike at the place.

    A token that one layer has no finite row of is a neighbour in another: such layers are searched by themselves.
    """
    groups: list[list[int]] = []
    for n, one in enumerate(encoded):
        if groups and _alike(encoded[groups[-1][0]], one):
            groups[-1].append(n)
        else:
            groups.append([n])
    return groups


def _alike(one: Encoded, other: Encoded) -> bool:
    a, b = one.source, other.source
    if not isinstance(a, Shared) or not isinstance(b, Shared) or a.stock.vectors is not b.stock.vectors:
        return False
    alike = a.bias.shape == b.bias.shape and one.place.scale is other.place.scale
    return alike and torch.equal(a.finite, b.finite)


def joined(encoded: Sequence[Encoded]) -> Encoded:
    """Encodings that are `joinable`, the heads of one layer after those of another; vectors have entered already."""
    sources = [one.source for one in encoded if isinstance(one.source, Shared)]
    places = [one.place for one in encoded]
    shift, bias = (_of_all([getattr(place, name) for place in places], sources) for name in ("shift", "bias"))
    return replace(encoded[0], source=Shared.joined(sources), place=Place(places[0].scale, shift, bias), aim=None)


def _of_all(parts: list[Tensor | None], sources: list[Shared]) -> Tensor | None:
    if all(part is None for part in parts):
        return None
    return torch.cat(
        [torch.zeros_like(of.bias) if part is None else part for part, of in zip(parts, sources, strict=True)]
    )
