"""Interventions: a head's z, all heads' of a layer, their attention, or the residual stream, replaced in the pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.model.capture.anatomy import Anatomy
from headscope.model.telling import first_line
from headscope.question.choices import REPLACEMENTS, Replacement
from headscope.question.given import whole

Part = Literal["pattern", "z", "residual"]
Change = Callable[[Tensor], Tensor]
Edits = Mapping[tuple[int, int | Part], Replacement | Tensor | Change]
"""Where → what takes its place, in the order of the mapping.

Where: (layer, head), that head's z [position, d_head]; (layer, "z"), the z of all its heads side by side
[position, head · d_head]; (layer, "residual"), the stream that the layer's block returns [position, d_model].
What: zeros, its mean over the text, a tensor [position, width] or [width], or a function from what is there, float32
[position, width] without padding, to what takes its place. (layer, "pattern"), the attention of the layer's heads
[head, query, source], becomes a tensor of that shape or what a function gives; z is then the values mixed by it, before
anything is put in its place.
"""


def plain_edits(edits: Edits | None) -> Edits:
    """Edits with layers and heads as ints; None: no edit. Raises InputError for what names no place."""
    if edits is not None and not isinstance(edits, Mapping):
        raise InputError(f"edit is a dictionary, (layer, head) → what takes its place, not {edits!r}.")
    plain: dict[tuple[int, int | Part], Replacement | Tensor | Change] = {}
    for key, replacement in (edits or {}).items():
        named: tuple[Any, Any] = key if isinstance(key, tuple) and len(key) == 2 else (None, None)
        layer = whole(named[0])
        is_part = isinstance(named[1], str) and named[1] in get_args(Part)
        part = cast(Part, named[1]) if is_part else whole(named[1])
        if layer is None or part is None:
            raise InputError(
                f"an edit is of (layer, head), (layer, 'z'), (layer, 'pattern') or (layer, 'residual'), not {key!r}."
            )
        plain[layer, part] = replacement
    return plain


def check_edits(edits: Edits, anatomy: Anatomy, length: int) -> None:
    """Raise InputError for a place that is not there or a replacement that does not fit."""
    layers, block = len(anatomy.blocks), anatomy.blocks[0]
    widths = {"z": block.heads * block.d_head, "residual": anatomy.d_model}
    for key, replacement in edits.items():
        layer, part = key
        if not 0 <= layer < layers or (isinstance(part, int) and not 0 <= part < block.heads):
            raise InputError(f"there is no head {key!r}: layers are 0 to {layers - 1}, heads 0 to {block.heads - 1}.")
        if part == "pattern":
            _check_pattern(replacement, layer, (block.heads, length, length))
            continue
        width = block.d_head if isinstance(part, int) else widths[part]
        if isinstance(replacement, Tensor):
            if replacement.shape not in ((width,), (length, width)):
                raise InputError(
                    f"the tensor for {key} is {list(replacement.shape)}; it is [{width}] or [{length}, {width}] "
                    "(width, or position and width)."
                )
        elif not callable(replacement) and not (isinstance(replacement, str) and replacement in REPLACEMENTS):
            raise InputError(
                f"an edit is {', '.join(map(repr, REPLACEMENTS))}, a tensor or a function, not {replacement!r}."
            )


def _check_pattern(replacement: object, layer: int, shape: tuple[int, ...]) -> None:
    """Raise InputError for what is no attention of a layer's heads [head, query, source], nor gives one."""
    if isinstance(replacement, Tensor) and replacement.shape != shape:
        raise InputError(
            f"the pattern for layer {layer} is {list(replacement.shape)}; it is {list(shape)} (head, query, source)."
        )
    if not isinstance(replacement, Tensor) and not callable(replacement):
        raise InputError(f"the edit of a pattern is a tensor or a function, not {replacement!r}.")


def named_edits(edits: Edits) -> list[tuple[str, str]]:
    """Every edit in words, layer by layer: the place, and "zero", "mean", "tensor" or "function".

    >>> named_edits({(1, 0): "mean", (0, "residual"): "zero"})
    [('L0 residual', 'zero'), ('L1H0', 'mean')]
    """
    named: list[tuple[str, str]] = []
    for layer, part in sorted(edits, key=lambda key: (key[0], isinstance(key[1], str), key[1])):
        by = edits[layer, part]
        place = f"L{layer} {part}" if isinstance(part, str) else f"L{layer}H{part}"
        named.append((place, by if isinstance(by, str) else "tensor" if isinstance(by, Tensor) else "function"))
    return named


def edited(z: Tensor, layer: int, edits: Sequence[Edits], lengths: Sequence[int]) -> Tensor:
    """z [text, position, head, d_head] of one layer with what each text's edits put in its place."""
    wanted = [found for found in _of_layer(edits, layer) if found[1] not in ("pattern", "residual")]
    if not wanted:
        return z
    z = z.clone(memory_format=torch.contiguous_format)
    for row, part, replacement in wanted:
        there = z[row, : lengths[row]]  # (S, H, d_head)
        _replace(there.flatten(1) if part == "z" else there[:, int(part)], replacement, layer)
    return z


def attended_otherwise(
    z: Tensor, pattern: Tensor, v: Tensor, layer: int, edits: Sequence[Edits], lengths: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """z [text, position, head, d_head] and pattern [text, head, query, source] of one layer, where texts' edits replace
    the latter: their values v [text, kv_head, position, d_head], mixed by what takes its place."""
    wanted = [found for found in _of_layer(edits, layer) if found[1] == "pattern"]
    if not wanted:
        return z, pattern
    z, pattern = (one.clone(memory_format=torch.contiguous_format) for one in (z, pattern))
    for row, _, replacement in wanted:
        there = pattern[row, :, : lengths[row], : lengths[row]]
        _replace(there, replacement, layer)
        values = v[row, :, : lengths[row]].repeat_interleave(len(there) // v.shape[1], 0)  # (H, S, d_head)
        z[row, : lengths[row]] = (there.to(values.dtype) @ values).transpose(0, 1)  # (S, H, d_head)
    return z, pattern


def edited_stream(hidden: Tensor, layer: int, edits: Sequence[Edits], lengths: Sequence[int]) -> Tensor:
    """What a block returns [text, position, d_model] with what each text's edits put in its place."""
    wanted = [found for found in _of_layer(edits, layer) if found[1] == "residual"]
    if not wanted:
        return hidden
    hidden = hidden.clone()
    for row, _, replacement in wanted:
        _replace(hidden[row, : lengths[row]], replacement, layer)
    return hidden


def layers_of_stream(edits: Sequence[Edits]) -> set[int]:
    """The layers whose residual stream any text's edits replace."""
    return {layer for of_text in edits for layer, part in of_text if part == "residual"}


def _of_layer(edits: Sequence[Edits], layer: int) -> Iterator[tuple[int, int | Part, Replacement | Tensor | Change]]:
    for row, of_text in enumerate(edits):
        yield from ((row, part, what) for (where, part), what in of_text.items() if where == layer)


def _replace(there: Tensor, replacement: Replacement | Tensor | Change, layer: int) -> None:
    """Write a replacement over a view [position, width], or over a pattern [head, query, source]."""
    if isinstance(replacement, Tensor):
        there.copy_(replacement)
    elif replacement == "mean":
        there.copy_(there.float().mean(0))
    elif replacement == "zero":
        there.zero_()
    else:
        try:
            made = replacement(there.float())
        except Exception as error:
            raise InputError(
                f"the function for layer {layer} failed ({type(error).__name__}: {first_line(error)[:-1]})."
            ) from error
        if not isinstance(made, Tensor):
            raise InputError(f"the function for layer {layer} gives {made!r}; it gives a tensor.")
        if made.shape != there.shape:
            axes = "position and width" if there.dim() == 2 else "head, query and source"
            raise InputError(
                f"the function for layer {layer} gives {list(made.shape)}; it is given {list(there.shape)} ({axes}), "
                "and gives as much."
            )
        there.copy_(made)
