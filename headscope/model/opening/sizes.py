"""How large a model may be that a configuration describes: no larger than its weights can fill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from headscope.errors import ModelError

_LAYERS = 10_000  # of anything that is called a layer, and
_COUNT = 2**24  # of anything else that is counted: lists as long are made before any weight is looked at
# A checkpoint may lack what is tied, of which a model has up to four, and what no weights are kept of.
_TIMES, _FREE_VALUES = 4, 2**27
_TENSORS_TIMES, _FREE_TENSORS = 64, 20_000


def check_counts(config: object, where: str) -> None:
    """Refuse a configuration (JSON) that counts more of something than any model has; ModelError."""
    for key, value in _numbers(config):
        most = _LAYERS if "layer" in key else _COUNT if key.startswith(("num_", "n_")) else None
        if most is not None and value > most:
            raise ModelError(f"{where} says {key} = {value:,}, which no model has: it is damaged.")


def _numbers(told: object, key: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(told, int) and not isinstance(told, bool):
        yield key, told
    elif isinstance(told, dict):
        for name, part in told.items():
            yield from _numbers(part, name)


class Within(TorchFunctionMode):
    """Stop what this thread builds once it has more tensors, or larger ones, than weights can fill.

    `tensors`, `values`: how many the weights have, packed ones by what they may hold. transformers builds a model on
    the meta device, loads them, and then makes room for what it found no fitting weights for: for both there is a
    limit. Raises ModelError from inside.
    """

    def __init__(self, tensors: int, values: int, where: str) -> None:
        super().__init__()
        self._held, self._where = tensors, where
        self._values, self._without = _TIMES * values + _FREE_VALUES, values + _FREE_VALUES
        self._tensors = _TENSORS_TIMES * tensors + _FREE_TENSORS

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.empty_like and args[0].is_meta:
            self._without -= args[0].numel()
            self._check()
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and made.is_meta and not any(isinstance(given, Tensor) for given in args):
            self._values -= made.numel()
            self._tensors -= 1
            self._check()
        return made

    def _check(self) -> None:
        if min(self._values, self._without, self._tensors) < 0:
            raise ModelError(
                f"{self._where} describes a model that is much larger than the weights beside it "
                f"({self._held:,} tensors): the two do not belong together."
            )


def values_of(tensor: Any) -> int:
    """How many values of a model a tensor of a safetensors file may hold: packed ones hold up to four a byte."""
    count = 1
    for size in tensor.get_shape():
        count *= size
    kind = tensor.get_dtype()
    bits = int("".join(c for c in kind.partition("_")[0] if c.isdigit()) or 8)
    return count if kind.startswith(("F", "BF")) else count * bits // 2
