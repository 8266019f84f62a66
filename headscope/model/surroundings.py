"""The torch settings that headscope computes under: its own, whatever the program around it has set.

Autocast, another default dtype or device, inference mode, gradients and coarser float32 products would change the
numbers, or break them off. What people call is marked by `settled`, so that everything below it needs no thought of
its own. `torch.use_deterministic_algorithms` stays as it is: no number depends on it.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)

_CASTING = ("cpu", "cuda", "mps", "xpu")


@contextmanager
def surroundings() -> Iterator[None]:
    """A context with float32 as the default dtype and in products, the CPU as the default device, and nothing recorded
    for gradients; the caller's settings are back behind it."""
    with ExitStack() as stack:
        stack.enter_context(_process_wide)
        if torch.is_inference_mode_enabled():  # what is made here is kept, and used outside of that mode
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        for device in _CASTING:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def settled(function: Callable[P, R]) -> Callable[P, R]:
    """The function, computing under headscope's own settings."""

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with surroundings():
            return function(*args, **kwargs)

    return inside


def settled_class(cls: C) -> C:
    """The class, with every public method and property settled."""
    for name, member in list(vars(cls).items()):
        if name.startswith("_"):
            continue
        if isinstance(member, property) and member.fget is not None:
            setattr(cls, name, property(settled(member.fget), member.fset, member.fdel, member.__doc__))
        elif isinstance(member, classmethod):
            setattr(cls, name, classmethod(settled(member.__func__)))
        elif inspect.isfunction(member):
            setattr(cls, name, settled(member))
    return cls


class _ProcessWide:
    """The settings that all threads share: changed by the first that comes in, put back by the last that leaves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._changed: list[Callable[[], None]] = []  # how each changed setting is put back

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            dtype = torch.get_default_dtype()
            if dtype != torch.float32:
                torch.set_default_dtype(torch.float32)
                self._changed.append(lambda: torch.set_default_dtype(dtype))
            for settings, name, exact in _products():
                precision = getattr(settings, name)
                if precision not in exact:
                    setattr(settings, name, exact[0])
                    self._changed.append(partial(setattr, settings, name, precision))

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            while not self._inside and self._changed:
                self._changed.pop()()


def _products() -> Iterator[tuple[Any, str, tuple[object, ...]]]:
    """How coarse a float32 product may be: where that is set, by which name, and what is exact, to be set first.

    TF32 keeps ten bits of a float32's 23, bfloat16 seven: no rank would survive them.
    """
    for backend in (getattr(torch.backends.mkldnn, "matmul", None), torch.backends.cuda.matmul):
        if hasattr(backend, "fp32_precision"):
            yield backend, "fp32_precision", ("ieee", "none")
        elif hasattr(backend, "allow_tf32"):  # torch before 2.9
            yield backend, "allow_tf32", (False,)


_process_wide = _ProcessWide()
