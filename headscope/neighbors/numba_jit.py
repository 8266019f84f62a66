"""numba as this package uses it: a decorator, and the one instruction that numba has no word for."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic


def jit(*fastmath: str) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function that lets go of the interpreter, with the named liberties of LLVM's `fastmath`.

    It is cached on disk where there is a directory to write to.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
        try:
            return njit(function, cache=True, **options)
        except RuntimeError:  # neither the package's directory nor the user's cache can be written to
            return njit(function, **options)

    return compiled


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing: Any, array: Any, row: Any, column: Any) -> Any:
    """Ask for the cache line of array[row, column], which may lie past the array's end."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        made = context.make_array(array)(context, builder, values[0])
        at = cgutils.get_item_pointer(context, builder, array, made, values[1:], wraparound=False)
        line, flag = builder.bitcast(at, cgutils.voidptr_t), ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [line.type, flag, flag, flag])
        call = cgutils.get_or_insert_function(builder.module, shape, "llvm.prefetch.p0")
        builder.call(call, [line, *(ir.Constant(flag, value) for value in (0, 3, 1))])  # to read, keep it, data
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate
