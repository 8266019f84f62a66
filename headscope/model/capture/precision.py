"""Float32 arithmetic on half-precision weights, without a second copy of them; and how far from exact a model is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
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
    return widened(has_halves(model))


def has_halves(model: nn.Module) -> bool:
    """Whether a model has weights in half precision; it goes through all of them, which takes its time."""
    return any(parameter.dtype in HALF for parameter in model.parameters())


def widened(halves: bool) -> AbstractContextManager[Any]:
    """A context in which a model with or without half precision computes in float32."""
    return _Float32Arithmetic() if halves else nullcontext()


def tolerance(dtype: torch.dtype) -> float:
    """What rounding in a model's own precision may add up to, relative to the largest value."""
    return 1e-4 if dtype == torch.float32 else 0.1


def relative_error(got: Tensor, expected: Tensor) -> float:
    """The largest difference between two tensors, relative to the largest |expected|."""
    expected = exact(expected)
    return float((got - expected).abs().amax() / expected.abs().amax().clamp_min(torch.finfo(torch.float32).tiny))


def exact(tensor: Tensor) -> Tensor:
    """The numbers in float64, on the CPU: not every device has float64."""
    return tensor.detach().cpu().double()
