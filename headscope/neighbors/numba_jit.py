"""numba's decorator as this package uses it: no interpreter lock, and a cache on disk where there is one."""

from collections.abc import Callable
from typing import Any

from numba import njit


def jit(*fastmath: str) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function, with the named liberties of LLVM's `fastmath`."""

    def compiled(function: Callable[..., Any]) -> Any:
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
        try:
            return njit(function, cache=True, **options)
        except RuntimeError:  # neither the package's directory nor the user's cache can be written to
            return njit(function, **options)

    return compiled
