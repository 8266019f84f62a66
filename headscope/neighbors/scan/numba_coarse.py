"""Products of coarse rows, compiled: for x86 processors with AVX2, where one instruction multiplies 32 numbers.

Cells are at most 127 and steps at least −127, so no pair of their products passes 16 bits, and what many pairs add up
to is right in the end, whatever overflows on the way: see `coarse`.
"""

import platform
from functools import cache
from typing import Any

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from headscope.neighbors.coarse import CHUNK, GROUP
from headscope.neighbors.scan.numba_jit import jit

LANES = 4  # vectors multiplied at a time: what the vector registers hold
_WIDE = 8  # tokens of one register
_REGISTERS = GROUP // _WIDE

compiled = jit("contract", "reassoc", "nsz")


@cache
def is_open() -> bool:
    """Whether numba compiles for a processor that has the instructions."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if config.CPU_FEATURES is not None:
        return "+avx2" in config.CPU_FEATURES
    return config.CPU_NAME is None and bool(binding.get_host_cpu_features().get("avx2"))


@intrinsic  # type: ignore[untyped-decorator]
def _multiply_some(
    typing: Any, cells: Any, steps: Any, start: Any, chunk: Any, first: Any, last: Any, out: Any, lane: Any, token: Any
) -> Any:
    """Add products of cells [quad, GROUP, 4] with steps [lane, quad, 4] to out int32 [lane, token].

    Of LANES lanes from `lane` on, into GROUP tokens from `token` on, and of quads first to last, which are one chunk;
    start int32 [lane, chunk].
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bytes_, words, longs = (ir.VectorType(ir.IntType(n), 256 // n) for n in (8, 16, 32))
        size, half = ir.IntType(64), ir.IntType(32)

        def number(value: int) -> Any:
            return ir.Constant(size, value)

        def instruction(name: str, result: Any, given: Any) -> Any:
            shape = ir.FunctionType(result, [given, given])
            return cgutils.get_or_insert_function(builder.module, shape, f"llvm.x86.avx2.{name}")

        def item(array: int, *at: Any) -> Any:
            made = context.make_array(signature.args[array])(context, builder, values[array])
            return cgutils.get_item_pointer(context, builder, signature.args[array], made, at, wraparound=False)

        def spread(pointer: Any) -> Any:
            """Four bytes, again and again."""
            one = builder.load(builder.bitcast(pointer, half.as_pointer()), align=1)
            first = builder.insert_element(ir.Constant(longs, ir.Undefined), one, ir.Constant(half, 0))
            return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(half, _WIDE), None))

        _, _, _, chunk, first, last, _, lane, token = values
        none = number(0)
        lanes = [builder.add(lane, number(n)) for n in range(LANES)]
        sums = []
        for at in lanes:
            begin = builder.bitcast(spread(item(2, at, chunk)), words)
            sums += [cgutils.alloca_once_value(builder, begin) for _ in range(_REGISTERS)]
        pairs, add = instruction("pmadd.ub.sw", words, bytes_), instruction("pmadd.wd", longs, words)
        with cgutils.for_range_slice(builder, first, last, number(1), size) as (quad, _):
            rows = []
            for n in range(_REGISTERS):
                pointer = item(0, quad, number(n * _WIDE), none)
                rows.append(builder.load(builder.bitcast(pointer, bytes_.as_pointer()), align=1))
            for n, at in enumerate(lanes):
                vector = builder.bitcast(spread(item(1, at, quad, none)), bytes_)
                for row, held in zip(rows, sums[n * _REGISTERS :], strict=False):
                    builder.store(builder.add(builder.load(held), builder.call(pairs, [row, vector])), held)
        ones = ir.Constant(words, [1] * 16)
        for n, held in enumerate(sums):
            at = builder.add(token, number(n % _REGISTERS * _WIDE))
            pointer = builder.bitcast(item(6, lanes[n // _REGISTERS], at), longs.as_pointer())
            both = builder.call(add, [builder.load(held), ones])
            builder.store(builder.add(builder.load(pointer, align=4), both), pointer, align=4)
        return context.get_dummy_value()

    integer = types.int64
    return types.void(cells, steps, start, integer, integer, integer, out, integer, integer), generate


@compiled
def multiply(cells, steps, start, out):  # type: ignore[no-untyped-def]
    """Products of one tile's cells [group, quad, GROUP, 4] with steps int8 [lane, quad, 4] → out int32 [lane, token].

    Lanes come in multiples of LANES.
    """
    out[:] = 0
    quads = steps.shape[1]
    for group in range(len(cells)):
        for lane in range(0, len(steps), LANES):
            for chunk in range(start.shape[1]):
                first, last = chunk * CHUNK, min((chunk + 1) * CHUNK, quads)
                _multiply_some(cells[group], steps, start, chunk, first, last, out, lane, group * GROUP)
