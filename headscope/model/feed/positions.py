"""What a model does for the position of a token, found by watching it, and read off any run.

Nothing is assumed about how a model counts: it may begin at 2, give padding a place of its own, count backwards or by
twos, or turn a whole text by other angles once it is long. What it did is in what its modules returned and were told.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from headscope.model.capture.anatomy import Anatomy
from headscope.model.capture.capture import prepared, without_cache
from headscope.model.capture.passes import Arrived, Attend, Attended, Recorder, is_recorded_by, recording
from headscope.model.capture.stored import brought, device_of
from headscope.model.capture.trace import Call, Trace

_PROBE = 7  # odd: no width of a rotation
_GROWING = ("dynamic", "longrope")  # rotations whose angles follow the length of the text

Path = tuple[str | int, ...]  # how to come to one tensor among a module's arguments


@dataclass(frozen=True)
class Positions:
    """What depends on the position: modules that return a vector for each, and what the blocks are told of it.

    Empty `modules`: the model's input carries no position (RoPE, ALiBi, relative biases act in the attention). `told`:
    paths of the blocks' arguments that hold something for each position, with its axis from the end. `limit`: how
    many positions there are (None: no limit). `together`: up to which length texts that are padded to one length are
    read as they are alone (None: always). `types`: modules that return a vector for each token type (of the first
    and the second text of a pair).
    """

    modules: tuple[nn.Module, ...]
    limit: int | None
    told: tuple[tuple[Path, int], ...] = ()
    together: int | None = None
    types: tuple[nn.Module, ...] = ()


@dataclass(frozen=True)
class Spot:
    """A token's place in a text as the model counted it; equal where the model did the same for it.

    `text`, `index`: the token ids of such a text, and where in it; `rows`: what each position module returned there.
    `types`: what each module of token types returned, where the text has such types. `placed`: whether the position
    counts, or the token type alone.
    """

    key: bytes
    text: tuple[int, ...] = field(compare=False, repr=False)
    index: int = field(compare=False)
    rows: tuple[Tensor, ...] = field(compare=False, repr=False)
    types: tuple[Tensor, ...] = field(default=(), compare=False, repr=False)
    placed: bool = field(default=True, compare=False)

    @property
    def added(self) -> tuple[Tensor, ...]:
        """What the modules return there that give positions and token types."""
        return (*self.rows, *self.types)

    @property
    def unplaced(self) -> Spot | None:
        """The token type alone, at no position; None where the text has no token types."""
        if not self.types:
            return None
        key = b"unplaced" + b"".join(row.numpy().tobytes() for row in self.types)
        rows = tuple(torch.zeros_like(row) for row in self.rows)
        return replace(self, key=hashlib.blake2b(key, digest_size=16).digest(), rows=rows, placed=False)


class Spotter:
    """Sees, in one pass over texts padded on the right, what the model did for every position."""

    def __init__(self, positions: Positions, anatomy: Anatomy, typed: bool = False) -> None:
        """`typed`: whether the texts have token types."""
        self.positions, self.anatomy = positions, anatomy
        self._types = positions.types if typed else ()
        self._rows: dict[nn.Module, Tensor] = {}
        self._told: dict[int, tuple[Tensor, int]] = {}  # by the tensor: all blocks are told by the same one

    @contextmanager
    def watching(self, recorder: Recorder) -> Iterator[None]:
        """While the pass of `recorder` runs."""

        def keep(module: nn.Module, args: Any, output: Tensor) -> None:
            if is_recorded_by(recorder):
                self._rows[module] = output

        def hear(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if is_recorded_by(recorder):
                given = dict(arguments(args, kwargs))
                heard = [(given[path], axis) for path, axis in self.positions.told if path in given]
                self._told.update({id(tensor): (tensor, axis) for tensor, axis in heard})

        with ExitStack() as hooks:
            for module in (*self.positions.modules, *self._types):
                hooks.callback(module.register_forward_hook(keep).remove)
            for module in {block.module for block in self.anatomy.blocks} if self.positions.told else ():
                hooks.callback(module.register_forward_pre_hook(hear, with_kwargs=True).remove)
            yield

    def spots(self, texts: Sequence[Sequence[int]]) -> list[tuple[Spot, ...]]:
        """Where the tokens of each text stood."""
        rows = [self._rows[module].float().cpu() for module in (*self.positions.modules, *self._types)]
        told = [(tensor.detach().cpu(), axis) for tensor, axis in self._told.values()]
        told = [(tensor.float() if tensor.is_floating_point() else tensor, axis) for tensor, axis in told]
        return [tuple(self._spots(tuple(text), n, len(texts), rows, told)) for n, text in enumerate(texts)]

    def _spots(
        self, text: tuple[int, ...], n: int, of: int, rows: Sequence[Tensor], told: Sequence[tuple[Tensor, int]]
    ) -> Iterator[Spot]:
        # (position, width): most modules return it for every text of the batch, a table of sines only once.
        ours = [(part := _of_text(tensor, n, of, -2)).reshape(-1, *part.shape[-2:])[0] for tensor in rows]
        heard = [_of_text(tensor, n, of, axis).movedim(axis, 0) for tensor, axis in told]  # (position, ...)
        count = len(self.positions.modules)
        for index in range(len(text)):
            digest = hashlib.blake2b(digest_size=16)
            for tensor in (*ours, *heard):
                digest.update(tensor[index].numpy().tobytes())
            if not ours and not heard:  # nothing tells how the attention counts but the place in a text of this length
                digest.update(f"{index} of {len(text)}".encode())
            # Copies: a spot that is kept must not keep a batch.
            here = tuple(tensor[index].clone() for tensor in ours)
            yield Spot(digest.digest(), text, index, here[:count], here[count:])


class _UpToAttention(Trace):
    key: Tensor | None = None  # the first attention's

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Attended:
        self.key = k
        raise Arrived


def find_positions(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, anatomy: Anatomy, tokens: tuple[int, int]
) -> Positions:
    """Watch one token repeated, then another.

    A module whose output differs by position, and whose input does not, gives each its own vector; an argument of the
    blocks that differs by position, and not by the token, tells it.
    """
    known = known_positions(model)
    length = min(_PROBE, known or _PROBE)
    trace, heard = _watched(model, anatomy, tokens[0], length)
    found = [call for call in _before_blocks(trace, anatomy) if not call.children and _gives_position(call, length)]
    found = [call for call in found if not _is_factor(model, anatomy, tokens[0], call, length)]
    limits = [limit for call in found if (limit := _limit(model, anatomy, tokens[0], call, length)) is not None]
    if known is not None:
        limits.append(known)
    if not limits and tokenizer.model_max_length < 10**9:
        limits.append(tokenizer.model_max_length)
    _, other = _watched(model, anatomy, tokens[1], length)
    return Positions(
        tuple(call.module for call in found),
        min(limits, default=None),
        tuple(
            (path, axes[0])
            for path, tensor in heard.items()
            if len(axes := _axes(tensor, length)) == 1
            and _differs(tensor, axes[0])
            and path in other
            and torch.equal(tensor, other[path])
        ),
        _growing_beyond(model),
        _find_types(model, anatomy, tokens[0], length),
    )


def known_types(model: PreTrainedModel) -> int:
    """How many token types the model tells apart; 0 where it knows none."""
    known = getattr(_innermost(model).config, "type_vocab_size", None)
    takes = "token_type_ids" in inspect.signature(model.forward).parameters
    return known if takes and isinstance(known, int) else 0


def _find_types(model: PreTrainedModel, anatomy: Anatomy, token: int, length: int) -> tuple[nn.Module, ...]:
    """Watch one token repeated, with token types and without: the modules that only the types make a difference to."""
    if known_types(model) < 2:
        return ()
    types = (torch.arange(length) % 2)[None].to(device_of(model))
    plain, marked = (
        _before_blocks(_watched(model, anatomy, token, length, one)[0], anatomy) for one in (types * 0, types)
    )
    return tuple(
        there.module
        for here, there in zip(plain, marked, strict=True)
        if not there.children and not _same(here.output, there.output) and all(map(_same, here.inputs, there.inputs))
    )


def _same(one: object, other: object) -> bool:
    """Whether two tensors are equal, as far as they hold numbers that a model computes with."""
    if not (isinstance(one, Tensor) and isinstance(other, Tensor) and one.is_floating_point()):
        return True
    return torch.equal(one, other)


def known_positions(model: PreTrainedModel) -> int | None:
    """How many positions the configuration announces; None where it says nothing (XLNet says −1)."""
    known = getattr(_innermost(model).config, "max_position_embeddings", None)
    return known if isinstance(known, int) and known > 0 else None


def arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[Path, Tensor]]:
    """The tensors among a module's arguments, also those in tuples, each with the way to it."""
    for n, given in enumerate(args):
        yield from _within((n,), given)
    for name, given in kwargs.items():
        yield from _within((name,), given)


def replaced(args: tuple[Any, ...], kwargs: dict[str, Any], by: dict[Path, Tensor]) -> tuple[tuple[Any, ...], Any]:
    """The same arguments with other tensors at some paths."""

    def put(path: Path, given: Any) -> Any:
        if isinstance(given, tuple):
            return tuple(put((*path, n), one) for n, one in enumerate(given))
        return by.get(path, given)

    return tuple(put((n,), one) for n, one in enumerate(args)), {key: put((key,), one) for key, one in kwargs.items()}


def _within(path: Path, given: Any) -> Iterator[tuple[Path, Tensor]]:
    if isinstance(given, Tensor):
        yield path, given
    elif isinstance(given, tuple):
        for n, one in enumerate(given):
            yield from _within((*path, n), one)


def _innermost(model: PreTrainedModel) -> PreTrainedModel:
    """The smallest model inside `model` that holds the token embeddings: its configuration is the text's."""
    embeddings = model.get_input_embeddings()
    around = [m for m in model.modules() if isinstance(m, PreTrainedModel) and embeddings in set(m.modules())]
    return min(around, key=lambda m: sum(1 for _ in m.modules()), default=model)


def _growing_beyond(model: PreTrainedModel) -> int | None:
    """The length beyond which a text is turned by other angles (LongRoPE, dynamic NTK); None where all are alike."""
    config = _innermost(model).config
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope] if "rope_type" in rope else [one for one in rope.values() if isinstance(one, dict)]
    usual = known_positions(model) or 0
    lengths = [
        int(one.get("original_max_position_embeddings") or usual) for one in kinds if one.get("rope_type") in _GROWING
    ]
    return min(lengths, default=None)


def _watched(
    model: PreTrainedModel, anatomy: Anatomy, token: int, length: int, types: Tensor | None = None
) -> tuple[_UpToAttention, dict[Path, Tensor]]:
    """A run of one token repeated, up to its first attention, and what its first block is told."""
    ids = torch.full((1, length), token, device=device_of(model))
    options = without_cache(model) | ({} if types is None else {"token_type_ids": types})
    trace, everything = _UpToAttention(), torch.ones_like(ids)
    heard: dict[Path, Tensor] = {}

    def hear(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if is_recorded_by(trace):
            heard.update(arguments(args, kwargs))

    with ExitStack() as hooks:
        for module in {block.module for block in anatomy.blocks}:
            hooks.callback(module.register_forward_pre_hook(hear, with_kwargs=True).remove)
        with suppress(Arrived), prepared(model), trace.watching(model), recording(trace, everything):
            model(input_ids=ids, attention_mask=everything, **options)
    return trace, heard


def _before_blocks(trace: Trace, anatomy: Anatomy) -> list[Call]:
    first = next(call for call in trace.calls if call.module is anatomy.blocks[0].module)
    return trace.calls[: trace.calls.index(first)]


def _of_text(tensor: Tensor, n: int, of: int, axis: int) -> Tensor:
    """The part of text `n` of a batch, where the batch is an axis before the positions'."""
    if tensor.dim() <= -axis or tensor.shape[0] == 1 or tensor.shape[0] % of:
        return tensor
    size = tensor.shape[0] // of
    return tensor[n * size : (n + 1) * size]


def _axes(tensor: Tensor, length: int) -> list[int]:
    """The axes, from the end, that have one entry for each position."""
    return [n - tensor.dim() for n, size in enumerate(tensor.shape) if size == length]


def _differs(tensor: Tensor, axis: int) -> bool:
    return bool((tensor != tensor.narrow(axis, 0, 1)).any())


def _varies(tensor: object, length: int) -> bool:
    """A float tensor [..., position, width] whose rows differ."""
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point() or tensor.dim() < 2:
        return False
    return tensor.shape[-2] == length and _differs(tensor, -2)


def _gives_position(call: Call, length: int) -> bool:
    if not _varies(call.output, length) or any(_varies(given, length) for given in call.inputs):
        return False
    # One row a position; a relative bias has one for each pair of positions, and acts in the attention.
    return bool(call.output.numel() == length * call.output.shape[-1])


def _is_factor(model: PreTrainedModel, anatomy: Anatomy, token: int, call: Call, length: int) -> bool:
    """Whether keys are multiplied by what a module returns (RoFormer's sines and cosines): zeros in its place leave
    none. Of what is added to the input something else is left."""

    def zeros(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return torch.zeros_like(output)

    hook = call.module.register_forward_hook(zeros)
    try:
        trace, _ = _watched(model, anatomy, token, length)
    finally:
        hook.remove()
    return trace.key is not None and not bool(trace.key.any())


def _limit(model: PreTrainedModel, anatomy: Anatomy, token: int, call: Call, length: int) -> int | None:
    """How many positions a learned table has rows for, by how its last row in use grows with the text."""
    if not isinstance(call.module, nn.Embedding) or length < 2:
        return None
    trace, _ = _watched(model, anatomy, token, length - 1)
    shorter = next(one for one in trace.calls if one.module is call.module and one.nth == call.nth)
    last, before = _last_row(call), _last_row(shorter)
    if last is None or before is None or last <= before:
        return None
    return length + (len(call.module.weight) - 1 - last) // (last - before)


def _last_row(call: Call) -> int | None:
    """The largest number of a table's row among those that a call returned."""
    made = call.output.reshape(-1, call.output.shape[-1])  # (position, width)
    with brought(call.module):
        table: Tensor = call.module.weight  # type: ignore[assignment]
        found = [(table == row).all(dim=-1).nonzero() for row in made]
    return max((int(rows[0]) for rows in found if len(rows)), default=None)
