"""numba as this package uses it: a decorator, where compiling may be ended, and two instructions it has no word for."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, event
from numba.extending import intrinsic

from headscope.question.stopping import stop_point

LINE = 16  # floats that memory answers with at a time
WIDE = 16  # values looked at together: the widest vectors of any processor


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


class _StopPoint(event.Listener):  # type: ignore[misc]
    def on_start(self, event: object) -> None:
        stop_point()

    def on_end(self, event: object) -> None:
        pass


def stops_between_passes() -> AbstractContextManager[object]:
    """Inside, each pass of the compiler is a stop point: what takes half a minute ends within seconds."""
    stops: AbstractContextManager[object] = event.install_listener("numba:run_pass", _StopPoint())
    return stops


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


@intrinsic  # type: ignore[untyped-decorator]
def within(typing: Any, array: Any, start: Any, low: Any, high: Any) -> Any:
    """Which of the WIDE values from array[start] on lie in low … high: bit n stands for array[start + n]."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        made = context.make_array(array)(context, builder, values[0])
        at = cgutils.get_item_pointer(context, builder, array, made, values[1:2], wraparound=False)
        wide = ir.VectorType(ir.FloatType(), WIDE)
        several = builder.load(builder.bitcast(at, wide.as_pointer()), align=4)

        def all_of(value: Any) -> Any:
            first = builder.insert_element(ir.Constant(wide, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), WIDE), None))

        reach = builder.fcmp_ordered(">=", several, all_of(values[2]))
        inside = builder.and_(reach, builder.fcmp_ordered("<=", several, all_of(values[3])))
        return builder.zext(builder.bitcast(inside, ir.IntType(WIDE)), ir.IntType(64))

    return types.uint64(array, types.intp, types.float32, types.float32), generate
