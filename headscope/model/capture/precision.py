"""Float32 arithmetic on half-precision weights, without a second copy of them; and how far from exact a model is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

HALF = (torch.float16, torch.bfloat16)


class _Float32Arithmetic(TorchFunctionMode):
    """Every torch function inside sees its half-precision arguments as float32, one operation at a time."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.to or getattr(func, "__name__", "") in {
            "__get__",
            "__set__",
            "type",
            "half",
            "bfloat16",
        }:
            return func(*args, **(kwargs or {}))
        widened = {key: _widen(value) for key, value in (kwargs or {}).items()}
        return func(*(_widen(value) for value in args), **widened)


def _widen(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value


def float32_arithmetic(model: nn.Module) -> AbstractContextManager[Any]:
    """A context in which `model` computes in float32, whatever the precision of its weights."""
    halves = any(parameter.dtype in HALF for parameter in model.parameters())
    return _Float32Arithmetic() if halves else nullcontext()


@dataclass(frozen=True)
class Arithmetic:
    """How the heads' projections compute; `weights` empty: with plain numbers, in the model's own dtype.

    `rounding`: how far they miss the sum of their answers to the parts of a sum, relative to the largest answer; 0.0
    where activations are multiplied as they are. `by_batch`: they round a text by what else is in its batch.
    """

    weights: str = ""
    rounding: float = 0.0
    by_batch: bool = False

    @property
    def allowance(self) -> float:
        """What the rounding of activations may put between a projection and its matrix, relative to the largest value.

        Twice what a sample showed: other samples have other largest errors.
        """
        return 2 * self.rounding


def tolerance(dtype: torch.dtype) -> float:
    """What the arithmetic of a model's own precision may add up to, relative to the largest value."""
    return 1e-4 if dtype == torch.float32 else 0.1


def relative_error(got: Tensor, expected: Tensor) -> float:
    """The largest difference between two tensors, relative to the largest |expected|."""
    expected = exact(expected)
    return float((got - expected).abs().amax() / expected.abs().amax().clamp_min(torch.finfo(torch.float32).tiny))


def exact(tensor: Tensor) -> Tensor:
    """The numbers in float64, on the CPU: not every device has float64."""
    return tensor.detach().cpu().double()
