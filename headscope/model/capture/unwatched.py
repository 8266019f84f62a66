"""Whether a model computes under headscope's eyes what it computes by itself, with the attention that it came with.

Its identities (dissect.py) hold of whatever the watched pass computes; this compares that pass with the model's own. A
short probe shows another mask or another bias, and not what begins beyond its length.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from headscope.errors import ModelError
from headscope.model.capture.capture import prepared, unwatched, without_cache
from headscope.model.capture.precision import HALF, Arithmetic, exact, float32_arithmetic
from headscope.model.telling import first_line

log = logging.getLogger(__name__)

# What float32 and half arithmetic in another order may add up to, of the length of a position's output. 200 models of
# three layers differ by 1e-5 and .03; those that compute something else, by .01 and more. So half precision alone tells
# only large differences, and is asked where nothing else can be.
_FLOAT32, _HALF = 1e-3, 0.05
_NO_NUMBER = 3e4  # what is this large only hides something: a token that must not be written


def check_unwatched(model: PreTrainedModel, probe: Tensor, watched: Any, arithmetic: Arithmetic) -> None:
    """Refuse a model whose output `watched`, of the watched pass on `probe`, is not that of its own pass.

    In half precision rounding alone moves it by as much as another computation may: whatever differs is settled by two
    more passes in float32 arithmetic, where the model's own attention knows that.
    """
    half = model.dtype in HALF and not arithmetic.rounding
    limit = (_HALF if arithmetic.rounding else _FLOAT32) + 10 * arithmetic.rounding
    apart = _apart(_run(model, probe), watched)
    if half and apart > limit:
        own = _run(model, probe, widened=True)
        if own is None:
            limit = _HALF
        else:
            with prepared(model), float32_arithmetic(model):
                watched = _forward(model, probe)
            apart = _apart(own, watched)
    if not apart > limit:
        return
    name = model.config._attn_implementation
    opens = _apart(_run(model, probe, "eager", widened=half and limit == _FLOAT32), watched) <= limit
    raise ModelError(
        f"{type(model).__name__} computes something else by itself, with the attention {name!r} that it came with, "
        f"than while its heads are watched (on a probe its outputs are {apart:.1%} of their length apart), so what "
        "would be shown is not what it does"
        + ("; loaded with attn_implementation='eager' it computes what is watched, and opens." if opens else ".")
    )


def _run(model: PreTrainedModel, probe: Tensor, attention: str | None = None, *, widened: bool = False) -> Any:
    """The model's own output; None where it does not run like that (a kernel that its device or dtype has not)."""
    try:
        with unwatched(model, attention), float32_arithmetic(model) if widened else nullcontext():
            return _forward(model, probe)
    except Exception as error:
        if attention is None and not widened:  # the one that it came with, as it is
            log.warning(
                "%s does not run by itself with the attention that it came with (%s): what is read is not compared "
                "with it.", type(model).__name__, first_line(error),
            )  # fmt: skip
        return None


def _forward(model: PreTrainedModel, probe: Tensor) -> Any:
    return model(input_ids=probe, attention_mask=torch.ones_like(probe), **without_cache(model))


def _apart(own: Any, watched: Any) -> float:
    """How far two outputs are apart, relative to the length of each position's: more than most positions are.

    A quarter may be further: a mixture of experts that nearly tie takes another one by a rounding. 0 where there is
    nothing to compare.
    """
    one, other = _first(own), _first(watched)
    if one is None or other is None or one.shape != other.shape or not one.numel():
        return 0.0
    one, other = (exact(tensor).reshape(-1, tensor.shape[-1]) for tensor in (one, other))  # (row, width)
    numbers = (one.abs() < _NO_NUMBER) & (other.abs() < _NO_NUMBER)
    one, other = one.where(numbers, 0), other.where(numbers, 0)
    lengths = one.norm(dim=-1).clamp_min(torch.finfo(torch.float32).tiny)
    return float(((one - other).norm(dim=-1) / lengths).quantile(0.75))


def _first(output: Any) -> Tensor | None:
    """The first tensor of numbers in what a model returns."""
    found = output.values() if isinstance(output, dict) else output if isinstance(output, tuple) else (output,)
    numbers = (one for one in found if isinstance(one, Tensor) and one.is_floating_point() and one.dim() > 0)
    return next(numbers, None)
