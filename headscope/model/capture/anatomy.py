"""What is known of a model's layers once it was dissected (dissect.py): no module is looked up by its name.

A *block* is the outermost module call that contains exactly one attention call. The blocks must form a chain
(each gets what the one before returned), or the words "layer" and "residual stream" would mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from headscope.errors import ModelError
from headscope.model.capture.precision import Arithmetic


@dataclass(frozen=True)
class Block:
    """One layer: the module that holds one attention call, and the projection that takes its z."""

    module: nn.Module
    attention: nn.Module  # the module that calls the attention function
    nth: int  # which of the module's calls in a pass (ALBERT calls one module many times)
    returns: int | None  # None: the hidden states themselves; n: a tuple of n that begins with them
    output: nn.Module  # the output projection W_O, b_O
    heads: int
    kv_heads: int
    d_head: int


@dataclass(frozen=True)
class Anatomy:
    """A model's blocks in order, and how well the captured z obeys its two identities on the probe."""

    blocks: tuple[Block, ...]
    d_model: int
    causal: bool
    sinks: bool  # attention weights do not sum to 1: a share goes to no position
    capture_error: float  # the largest error of z = Σ α v and Σ_h z W_O + b_O, relative to the largest |value|
    arithmetic: Arithmetic  # of the heads' projections
    used: frozenset[nn.Module]  # modules that ran up to the last block's end
    writes_over: bool  # in place, over what a module returned or was given
    picks: bool  # which positions the heads look at, from the whole length that a text is padded to
    numbers: tuple[int, ...] = ()  # which of the model's own layers these are, where others do not run on a text

    @cached_property
    def block_weights(self) -> int:
        """How many weights the first block has."""
        return sum(parameter.numel() for parameter in self.blocks[0].module.parameters())


def hidden_input(call_inputs: tuple[Tensor, ...]) -> Tensor:
    """The hidden states among a block's arguments: the first float tensor [batch, position, d_model]."""
    for tensor in call_inputs:
        if tensor.is_floating_point() and tensor.dim() == 3:
            return tensor
    raise ModelError("a block takes no hidden states of shape [batch, position, d_model].")


def hidden_output(output: Any) -> Tensor:
    """The hidden states that a block returns, alone or first in a tuple."""
    first = output[0] if isinstance(output, (tuple, list)) else output
    if not isinstance(first, Tensor):
        raise ModelError("a block returns no hidden states.")
    return first
