"""What kind of numbers a model's projections compute with: how their weights are kept, and what they do to activations.

Both are measured. A projection that multiplies activations as they are answers to a sum with the sum of its answers;
one that rounds them first (torch's dynamic int8, bitsandbytes' 8 bit, a product in bfloat16) misses it, and by how much
is the rounding's size, with no weight looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from headscope.model.capture.capture import held
from headscope.model.capture.precision import Arithmetic, float32_arithmetic
from headscope.model.capture.stored import brought, is_packed, packed_bytes, packing
from headscope.model.capture.trace import Call

_EXACT = 1e-5  # of the largest answer: what float32 arithmetic in another order may differ by
MOST = 0.25  # and of what misses the sum by more, it is no projection


def arithmetic_of(model: nn.Module, calls: Sequence[Call]) -> Arithmetic:
    """The arithmetic of the packed projections among `calls`."""
    seen: set[nn.Module] = set()
    kinds: dict[str, tuple[int, int]] = {}
    worst, by_batch = 0.0, False
    for call in calls:
        if call.module in seen or not may_be_projection(call):
            continue
        seen.add(call.module)
        given, made = call.inputs[0], call.output
        with held(model), float32_arithmetic(model):
            error = rounding(call.module, given)
            if error > MOST:
                continue
            by_batch |= error > _EXACT and _sees_its_batch(call.module, given)
        worst = max(worst, error)
        with brought(call.module):
            kind, size = packing(call.module), packed_bytes(call.module)
        bytes_, entries = kinds.get(kind, (0, 0))
        kinds[kind] = bytes_ + size, entries + given.shape[-1] * made.shape[-1]
    named = ", ".join(f"{kind} ({8 * size / entries:.3g} bits each)" for kind, (size, entries) in kinds.items())
    return Arithmetic(named, worst if worst > _EXACT else 0.0, by_batch)


def rounding(module: nn.Module, given: Tensor) -> float:
    """How far a module misses the sum of its answers to two parts of `given` [..., width], relatively."""
    given = given.detach().float()
    one = given * (0.5 + 0.25 * torch.rand(given.shape, generator=torch.Generator().manual_seed(0)).to(given))
    other = given - one  # to the last bit: its share is half of it or more
    with held(module):
        whole, first, second, none = (module(x).float() for x in (given, one, other, torch.zeros_like(given)))
    size = whole.abs().amax().clamp_min(torch.finfo(torch.float32).tiny)
    return float((whole - first - second + none).abs().amax() / size)


def _sees_its_batch(module: nn.Module, given: Tensor) -> bool:
    """Whether a much larger text beside it changes a module's answers to a text, by more than the order of sums."""
    given = given.detach().float()
    with held(module):
        alone, together = module(given[:1]).float(), module(torch.cat([given[:1], 100 * given[1:]]))[:1].float()
    return bool((alone - together).abs().amax() > _EXACT * alone.abs().amax())


def may_be_projection(call: Call) -> bool:
    """Whether a call is of a module that packs its weights, and maps vectors to vectors."""
    if len(call.inputs) != 1 or not isinstance(call.output, Tensor) or not call.inputs[0].is_floating_point():
        return False
    if call.inputs[0].shape[:-1] != call.output.shape[:-1]:
        return False
    with brought(call.module):
        return any(map(is_packed, call.module.modules()))
