"""Float32 arithmetic on half-precision weights, without a second copy of them; and how far from exact a model is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from typing_extensions import Self

from headscope.model.capture.parts import modules_of
from headscope.model.capture.stored import is_packed

HALF = (torch.float16, torch.bfloat16)
_LEFT = {"__get__", "__set__"}
_CASTS = {"to", "type", "half", "bfloat16"}


class _Float32Arithmetic(TorchFunctionMode):
    """Every torch function inside sees its half-precision arguments as float32, one operation at a time.

    But for modules that pack their weights: they compute as they are, since what they keep has its own dtypes, and some
    fit it to what they are given.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._packed = [module for module in modules_of(model) if is_packed(module)]
        self._dtype = next(one.dtype for one in model.parameters() if one.dtype in HALF)
        self._natively = False
        self._had: list[tuple[nn.Module, Callable[..., Any] | None]] = []

    def __enter__(self) -> Self:
        for module in self._packed:
            self._had.append((module, module.__dict__.get("forward")))
            module.forward = partial(self._native, module.forward)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        while self._had:
            module, had = self._had.pop()
            if had is None:
                del module.forward
            else:
                module.forward = had

    def _native(self, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        before, self._natively = self._natively, True
        try:
            return forward(
                *(self._narrow(value) for value in args), **{key: self._narrow(value) for key, value in kwargs.items()}
            )
        finally:
            self._natively = before

    def _narrow(self, value: Any) -> Any:
        return value.to(self._dtype) if isinstance(value, Tensor) and value.dtype == torch.float32 else value

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        if self._natively or name in _LEFT or name in _CASTS:
            made = func(*args, **(kwargs or {}))
            if self._natively or name in _LEFT:
                return made
            # What a model casts to its weights' precision (T5's norm) would be rounded.
            narrowed = isinstance(made, Tensor) and made.dtype in HALF and args[0].dtype == torch.float32
            return args[0].to(made.device) if narrowed else made
        widened = {key: _widen(value) for key, value in (kwargs or {}).items()}
        return func(*(_widen(value) for value in args), **widened)


def _widen(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value


def float32_arithmetic(model: nn.Module) -> AbstractContextManager[Any]:
    """A context in which `model` computes in float32, whatever the precision of its weights."""
    return widened(model, has_halves(model))


def has_halves(model: nn.Module) -> bool:
    """Whether a model has weights in half precision; it goes through all of them, which takes its time."""
    return any(parameter.dtype in HALF for parameter in model.parameters())


def widened(model: nn.Module, halves: bool) -> AbstractContextManager[Any]:
    """A context in which a model with or without half precision computes in float32."""
    return _Float32Arithmetic(model) if halves else nullcontext()


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


def basis_length(dtype: torch.dtype) -> float:
    """How long basis vectors are that W is measured with: a power of two, so that (c W + b) − b rounds W no more than
    the dtype does anyway, even where |b| ≫ |W|; and short enough for float16, where integers are summed unscaled."""
    return 2.0**5 if dtype == torch.float16 else 2.0**10


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
