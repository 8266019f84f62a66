"""Interventions: a head's z replaced while the model runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from torch import Tensor

from headscope.errors import InputError

Kind = Literal["zero", "mean"]
Edits = Mapping[tuple[int, int], Kind | Tensor]
"""(layer, head) → what takes the place of z at every position: zeros, its mean over the text, or a tensor
[position, d_head] or [d_head]."""


def check_edits(edits: Edits, layers: int, heads: int, d_head: int, length: int) -> None:
    """Raise InputError for a head that is not there or a replacement that does not fit."""
    for key, replacement in edits.items():
        if not (isinstance(key, tuple) and len(key) == 2 and all(isinstance(n, int) for n in key)):
            raise InputError(f"an edit is of (layer, head), two numbers, not {key!r}.")
        layer, head = key
        if not (0 <= layer < layers and 0 <= head < heads):
            raise InputError(f"there is no head {key!r}: layers are 0 to {layers - 1}, heads 0 to {heads - 1}.")
        if isinstance(replacement, Tensor):
            if replacement.shape not in ((d_head,), (length, d_head)):
                raise InputError(
                    f"the tensor for {key} is {list(replacement.shape)}; it is [{d_head}] or [{length}, {d_head}] "
                    "(d_head, or position and d_head)."
                )
        elif replacement not in get_args(Kind):
            raise InputError(f"an edit is {', '.join(map(repr, get_args(Kind)))} or a tensor, not {replacement!r}.")


def edited(z: Tensor, layer: int, edits: Sequence[Edits], lengths: Sequence[int]) -> Tensor:
    """z [text, position, head, d_head] of one layer with the heads replaced that the edits of each text name."""
    replaced = [
        (row, head, replacement)
        for row, of_text in enumerate(edits)
        for (where, head), replacement in of_text.items()
        if where == layer
    ]
    if not replaced:
        return z
    z = z.clone()
    for row, head, replacement in replaced:
        there = z[row, : lengths[row], head]  # (S, d_head)
        if isinstance(replacement, Tensor):
            there.copy_(replacement)
        elif replacement == "mean":
            there.copy_(there.float().mean(0))
        else:
            there.zero_()
    return z
