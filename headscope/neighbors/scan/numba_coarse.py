"""Products of coarse rows, compiled: for x86 processors with AVX2, where one instruction multiplies 32 numbers.

Cells are at most 255 and steps at most 63, so no pair of their products passes 16 bits, and what many pairs add up to
is right in the end, whatever overflows on the way: see `coarse`.
"""

import platform
from functools import cache
from typing import Any

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from headscope.neighbors.coarse import CHUNK, GROUP, QUAD
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
def _multiply_some(typing: Any, cells: Any, steps: Any, start: Any, out: Any, lane: Any, token: Any) -> Any:
    """Put products of cells [quad, GROUP, 4] with steps [lane, quad, 4] into out int32 [lane, token].

    Of LANES lanes from `lane` on, into GROUP tokens from `token` on; start int32 [lane, chunk].
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bytes_, words, longs = (ir.VectorType(ir.IntType(n), 256 // n) for n in (8, 16, 32))
        size, half = ir.IntType(64), ir.IntType(32)

        def number(value: int) -> Any:
            return ir.Constant(size, value)

        def instruction(name: str, result: Any, given: Any) -> Any:
            shape = ir.FunctionType(result, [given, given])
            return cgutils.get_or_insert_function(builder.module, shape, f"llvm.x86.avx2.{name}")

        def array(which: int) -> Any:
            return context.make_array(signature.args[which])(context, builder, values[which])

        def item(which: int, *at: Any) -> Any:
            return cgutils.get_item_pointer(context, builder, signature.args[which], array(which), at, wraparound=False)

        def loaded(pointer: Any, kind: Any, past: Any = None) -> Any:
            """What lies so many bytes past a pointer: nothing is multiplied by lengths that are known."""
            at = builder.gep(builder.bitcast(pointer, cgutils.voidptr_t), [number(0) if past is None else past])
            return builder.load(builder.bitcast(at, kind.as_pointer()), align=1)

        def spread(one: Any) -> Any:
            """Four bytes, again and again."""
            first = builder.insert_element(ir.Constant(longs, ir.Undefined), one, ir.Constant(half, 0))
            return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(half, _WIDE), None))

        _, _, _, _, lane, token = values
        none, quads = number(0), cgutils.unpack_tuple(builder, array(1).shape)[1]
        lanes = [builder.add(lane, number(n)) for n in range(LANES)]
        group, vectors = item(0, none, none, none), [item(1, at, none, none) for at in lanes]
        pairs, add = instruction("pmadd.ub.sw", words, bytes_), instruction("pmadd.wd", longs, words)
        ones = ir.Constant(words, [1] * 16)
        # Where they are added up stays beside the processor; what is written at last need not.
        sums = [cgutils.alloca_once_value(builder, ir.Constant(words, None)) for _ in range(LANES * _REGISTERS)]
        totals = [cgutils.alloca_once(builder, longs) for _ in sums]
        for total in totals:
            builder.store(ir.Constant(longs, None), total)
        chunks = cgutils.unpack_tuple(builder, array(2).shape)[1]
        with cgutils.for_range_slice(builder, none, chunks, number(1), size) as (chunk, _):
            for n, held in enumerate(sums):
                begin = loaded(item(2, lanes[n // _REGISTERS], chunk), half)
                builder.store(builder.bitcast(spread(begin), words), held)
            first = builder.mul(chunk, number(CHUNK))
            last = builder.add(first, number(CHUNK))
            last = builder.select(builder.icmp_signed("<", last, quads), last, quads)
            with cgutils.for_range_slice(builder, first, last, number(1), size) as (quad, _):
                past = builder.mul(quad, number(GROUP * QUAD))
                rows = [loaded(group, bytes_, builder.add(past, number(n * _WIDE * QUAD))) for n in range(_REGISTERS)]
                for n, of_lane in enumerate(vectors):
                    one = loaded(of_lane, half, builder.mul(quad, number(QUAD)))
                    vector = builder.bitcast(spread(one), bytes_)
                    for row, held in zip(rows, sums[n * _REGISTERS :], strict=False):
                        builder.store(builder.add(builder.load(held), builder.call(pairs, [row, vector])), held)
            for held, total in zip(sums, totals, strict=True):
                builder.store(builder.add(builder.load(total), builder.call(add, [builder.load(held), ones])), total)
        for n, total in enumerate(totals):
            at = builder.add(token, number(n % _REGISTERS * _WIDE))
            pointer = builder.bitcast(item(3, lanes[n // _REGISTERS], at), longs.as_pointer())
            builder.store(builder.load(total), pointer, align=4)
        return context.get_dummy_value()

    integer = types.int64
    return types.void(cells, steps, start, out, integer, integer), generate


@compiled
def multiply(cells, steps, start, out):  # type: ignore[no-untyped-def]
    """Products of one tile's cells [group, quad, GROUP, 4] with steps int8 [lane, quad, 4] → out int32 [lane, token].

    Lanes come in multiples of LANES.
    """
    for group in range(len(cells)):
        for lane in range(0, len(steps), LANES):
            _multiply_some(cells[group], steps, start, out, lane, group * GROUP)
