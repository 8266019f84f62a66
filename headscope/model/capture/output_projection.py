"""A block's output projection W_O, b_O: found by what it gets and gives, and its weights, however it keeps them."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from headscope.errors import ModelError
from headscope.model.capture.arithmetic import MOST, may_be_projection, rounding
from headscope.model.capture.capture import held
from headscope.model.capture.precision import basis_length, exact, relative_error, tolerance
from headscope.model.capture.stored import is_plain
from headscope.model.capture.trace import Call, descendants


def output_projection(block: Call, z: Tensor, where: str) -> tuple[Call, float]:
    """The call inside the block that maps the concatenated z linearly, and the error of Σ_h z W_O + b_O."""
    joined = z.flatten(2)  # (B, S, H * d_head)
    found = []
    for call in descendants(block):
        if len(call.inputs) != 1 or not isinstance(call.output, Tensor):
            continue
        given = call.inputs[0]
        fits = given.numel() == joined.numel() and given.shape[-1] == joined.shape[-1]
        if fits and _changes(call) and torch.equal(given.view_as(joined), joined):
            found.append((call, _projection_error(call, z)))
    if not found:
        raise ModelError(
            f"{where}: no projection takes the heads' concatenated output, so W_O was not found (a gate or a norm may "
            "stand between)."
        )
    # The outermost linear one: an adapter (LoRA) wraps the plain layer, and both get z.
    linear = (pair for pair in found if pair[1] <= tolerance(z.dtype) or pair[1] <= 2 * _rounding(pair[0]))
    return next(linear, min(found, key=lambda pair: pair[1]))


def _rounding(call: Call) -> float:
    """How far a projection that packs its weights misses the sum of its answers; no more than one may, else 0.0."""
    given = call.inputs[0]
    error = rounding(call.module, given) if given.dtype == torch.float32 and may_be_projection(call) else 0.0
    return error if error <= MOST else 0.0


def _changes(call: Call) -> bool:
    """Whether a call may be a projection: packed weights (GPTQ, AWQ) are no parameters, and dropout changes nothing."""
    if any(True for _ in call.module.parameters()):
        return True
    given = call.inputs[0]
    return call.output.shape[: given.dim() - 1] == given.shape[:-1] and not torch.equal(call.output, given)


def _projection_error(projection: Call, z: Tensor) -> float:
    """How far Σ_h z_h W_O^h + b_O is from what the projection returned, relative to its largest value."""
    with held(projection.module):
        weight, bias = projection_weights(projection.module, z.shape[2], z.shape[3], z)
    written = exact(z).flatten(2) @ exact(weight).flatten(0, 1) + exact(bias)
    return relative_error(written, projection.output.reshape(written.shape))


def projection_weights(module: nn.Module, heads: int, d_head: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """W_O [head, d_head, d_model] and b_O [d_model] of an output projection, measured where it is no plain layer.

    nn.Linear keeps its weight as (out, in), GPT-2's Conv1D as (in, out); anything else, and what is packed or elsewhere
    in them, is fed zero and the basis.
    """
    matrix: Tensor
    if type(module) is nn.Linear and is_plain(module.weight):
        matrix = module.weight.T
    elif type(module) is Conv1D and is_plain(module.weight):
        matrix = cast(Tensor, module.weight)
    else:
        zero = module(like.new_zeros(1, 1, heads * d_head)).reshape(-1)
        length = basis_length(like.dtype)
        basis = length * torch.eye(heads * d_head, dtype=like.dtype, device=like.device)[None]
        return ((module(basis)[0] - zero) / length).reshape(heads, d_head, -1), zero
    bias = module.bias
    constant = bias if isinstance(bias, Tensor) else matrix.new_zeros(matrix.shape[1])
    return matrix.reshape(heads, d_head, -1), constant
