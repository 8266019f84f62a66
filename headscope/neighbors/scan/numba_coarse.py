"""Products of coarse rows, compiled: for x86 processors with AVX2, where one instruction multiplies 32 numbers.

Cells are at most 255 and steps at most 63, so no pair of their products passes 16 bits, and what many pairs add up to
is right in the end, whatever overflows on the way: see `coarse`. Where the processor has AVX-512 VNNI one instruction
multiplies 64, and adds them up in 32 bits; the products are the same.
"""

import platform
from dataclasses import dataclass
from functools import cache
from typing import Any

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from headscope.neighbors.coarse import CHUNK, GROUP, QUAD
from headscope.neighbors.scan.numba_jit import jit

LANES = 4  # vectors multiplied at a time: what the vector registers hold
_REGISTERS = 2  # of rows
_SIZE, _HALF = ir.IntType(64), ir.IntType(32)

compiled = jit("contract", "reassoc", "nsz")


@cache
def _has(feature: str) -> bool:
    """Whether numba compiles for a processor that has these instructions."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if config.CPU_FEATURES is not None:
        return f"+{feature}" in config.CPU_FEATURES.split(",")
    return config.CPU_NAME is None and bool(binding.get_host_cpu_features().get(feature))


def is_open() -> bool:
    """Whether numba compiles for a processor on which this is possible."""
    return _has("avx2")


BY_FOURS = is_open() and _has("avx512f") and _has("avx512vnni")
_GROUPS = _REGISTERS if BY_FOURS else 1  # multiplied at a time


@dataclass(frozen=True)
class _Code:
    """Where code is put, and what it works on: cells, steps, start, out, lane and token of `_multiply_some`."""

    context: Any
    builder: Any
    types: Any
    values: Any
    bits: int  # of a register

    def vector(self, bits: int) -> Any:
        """The type of a register of such numbers."""
        return ir.VectorType(ir.IntType(bits), self.bits // bits)

    def number(self, value: int) -> Any:
        return ir.Constant(_SIZE, value)

    def instruction(self, name: str, result: Any, *given: Any) -> Any:
        """A function that is one instruction, by what LLVM calls it."""
        shape = ir.FunctionType(result, given)
        return cgutils.get_or_insert_function(self.builder.module, shape, f"llvm.x86.{name}")

    def shape(self, which: int) -> Any:
        array = self.context.make_array(self.types[which])(self.context, self.builder, self.values[which])
        return cgutils.unpack_tuple(self.builder, array.shape)

    def item(self, which: int, *at: Any) -> Any:
        """Where an item of an array lies."""
        array = self.context.make_array(self.types[which])(self.context, self.builder, self.values[which])
        return cgutils.get_item_pointer(self.context, self.builder, self.types[which], array, at, wraparound=False)

    def loaded(self, pointer: Any, kind: Any, past: Any = None) -> Any:
        """What lies so many bytes past a pointer: nothing is multiplied by lengths that are known."""
        at = self.builder.gep(
            self.builder.bitcast(pointer, cgutils.voidptr_t), [self.number(0) if past is None else past]
        )
        return self.builder.load(self.builder.bitcast(at, kind.as_pointer()), align=1)

    def spread(self, one: Any) -> Any:
        """Four bytes, again and again."""
        longs = self.vector(32)
        first = self.builder.insert_element(ir.Constant(longs, ir.Undefined), one, ir.Constant(_HALF, 0))
        return self.builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_HALF, longs.count), None))

    def lanes(self) -> list[Any]:
        return [self.builder.add(self.values[4], self.number(n)) for n in range(LANES)]

    def each(self, first: Any, last: Any) -> Any:
        """A loop over whole numbers."""
        return cgutils.for_range_slice(self.builder, first, last, self.number(1), _SIZE)

    def factors(self, quad: Any, vectors: list[Any], apart: Any) -> tuple[list[Any], list[Any]]:
        """Of one quad the cells of as many tokens as fit, in registers `apart` bytes, and every lane's steps."""
        group, none, longs = self.item(0, *[self.number(0)] * 3), self.number(0), self.vector(32)
        past = self.builder.mul(quad, self.number(GROUP * QUAD))
        begins = [none, apart]
        rows = [self.loaded(group, longs, self.builder.add(past, begin)) for begin in begins]
        at = self.builder.mul(quad, self.number(QUAD))
        return rows, [self.spread(self.loaded(vector, _HALF, at)) for vector in vectors]

    def write(self, totals: list[Any]) -> None:
        """Put what was added up for every lane and register where it belongs."""
        for n, total in enumerate(totals):
            begin = self.number(n % _REGISTERS * self.vector(32).count)
            at = self.builder.add(self.values[5], begin)
            pointer = self.builder.bitcast(
                self.item(3, self.lanes()[n // _REGISTERS], at), self.vector(32).as_pointer()
            )
            self.builder.store(self.builder.load(total), pointer, align=4)


def _by_pairs(code: _Code) -> None:
    """AVX2: pairs of products are added up in 16 bits, and those of a chunk in 32."""
    builder, none = code.builder, code.number(0)
    bytes_, words, longs = (code.vector(bits) for bits in (8, 16, 32))
    lanes, quads, chunks = code.lanes(), code.shape(1)[1], code.shape(2)[1]
    chunks = builder.sub(chunks, code.number(1))
    vectors = [code.item(1, at, none, none) for at in lanes]
    pairs = code.instruction("avx2.pmadd.ub.sw", words, bytes_, bytes_)
    add, ones = code.instruction("avx2.pmadd.wd", longs, words, words), ir.Constant(words, [1] * words.count)
    # Where they are added up stays beside the processor; what is written at last need not.
    sums = [cgutils.alloca_once_value(builder, ir.Constant(words, None)) for _ in range(LANES * _REGISTERS)]
    totals = [cgutils.alloca_once(builder, longs) for _ in sums]
    for total in totals:
        builder.store(ir.Constant(longs, None), total)
    with code.each(none, chunks) as (chunk, _):
        for n, held in enumerate(sums):
            begin = code.loaded(code.item(2, lanes[n // _REGISTERS], chunk), _HALF)
            builder.store(builder.bitcast(code.spread(begin), words), held)
        first = builder.mul(chunk, code.number(CHUNK))
        last = builder.add(first, code.number(CHUNK))
        last = builder.select(builder.icmp_signed("<", last, quads), last, quads)
        with code.each(first, last) as (quad, _):
            rows, spread = code.factors(quad, vectors, code.number(bytes_.count))
            for n, held in enumerate(sums):
                row, vector = (builder.bitcast(one, bytes_) for one in (rows[n % _REGISTERS], spread[n // _REGISTERS]))
                builder.store(builder.add(builder.load(held), builder.call(pairs, [row, vector])), held)
        for held, total in zip(sums, totals, strict=True):
            builder.store(builder.add(builder.load(total), builder.call(add, [builder.load(held), ones])), total)
    code.write(totals)


def _by_fours(code: _Code) -> None:
    """AVX-512 VNNI: four products are added up in 32 bits at once; each register of rows is of a group."""
    builder, none, longs = code.builder, code.number(0), code.vector(32)
    lanes, quads, chunks = code.lanes(), code.shape(1)[1], code.shape(2)[1]
    vectors = [code.item(1, at, none, none) for at in lanes]
    # LLVM takes both for whole numbers of 32 bits; from version 22 on it turns that into its own.
    fours = code.instruction("avx512.vpdpbusd.512", longs, longs, longs, longs)
    totals = [cgutils.alloca_once(builder, longs) for _ in range(LANES * _REGISTERS)]
    for n, total in enumerate(totals):
        whole = code.item(2, lanes[n // _REGISTERS], builder.sub(chunks, code.number(1)))
        builder.store(code.spread(code.loaded(whole, _HALF)), total)
    with code.each(none, quads) as (quad, _):
        rows, spread = code.factors(quad, vectors, builder.mul(quads, code.number(GROUP * QUAD)))
        for n, total in enumerate(totals):
            given = [builder.load(total), rows[n % _REGISTERS], spread[n // _REGISTERS]]
            builder.store(builder.call(fours, given), total)
    code.write(totals)


@intrinsic  # type: ignore[untyped-decorator]
def _multiply_some(typing: Any, cells: Any, steps: Any, start: Any, out: Any, lane: Any, token: Any) -> Any:
    """Put products of cells [quad, GROUP, 4] with steps [lane, quad, 4] into out int32 [lane, token].

    Of LANES lanes from `lane` on, into the tokens of _GROUPS groups from `token` on, of which `cells` is the first;
    start int32 [lane, chunk + 1].
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if BY_FOURS:
            _by_fours(_Code(context, builder, signature.args, values, 512))
        else:
            _by_pairs(_Code(context, builder, signature.args, values, 256))
        return context.get_dummy_value()

    integer = types.int64
    return types.void(cells, steps, start, out, integer, integer), generate


@compiled
def multiply(cells, steps, start, out):  # type: ignore[no-untyped-def]
    """Products of one tile's cells [group, quad, GROUP, 4] with steps int8 [lane, quad, 4] → out int32 [lane, token].

    Lanes come in multiples of LANES.
    """
    for group in range(0, len(cells), _GROUPS):
        for lane in range(0, len(steps), LANES):
            _multiply_some(cells[group], steps, start, out, lane, group * GROUP)
