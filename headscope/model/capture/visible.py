"""What a mask lets each position of a layer see, told by the scores that went into the softmax.

Not by the weights: a sharp head's weight on what it may see can be too small for float32, and is 0 like that of what is
hidden. A mask adds, or puts in, a number that no score of a token comes near.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

SOFTMAXES = {functional.softmax, torch.softmax, Tensor.softmax}
MASKED = -1e4  # a mask's number is at most this


def visible(pattern: Tensor, scores: Tensor | None) -> Tensor:
    """What each position may see: bool [query, source], of one text's pattern and scores [head, query, source].

    A layer's heads have one mask. Where no scores were seen (a model with a softmax of its own), what no head attends
    to at all is taken for hidden.
    """
    seen = pattern > 0
    if scores is not None:
        # Half of it: a mask's number is added to a score. Sinks stand behind the sources.
        seen = seen | (scores[..., : pattern.shape[-1]] > MASKED / 2)
    found: Tensor = seen.any(0)
    return found


def unhidden(added: Any) -> Any:
    """What is added to scores, without an additive mask in it."""
    return added.masked_fill(added <= MASKED, 0) if isinstance(added, Tensor) else added


class LastScores(TorchFunctionMode):
    """While it is on, keeps what went into the last softmax: `last`, None where there was none."""

    last: Tensor | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in SOFTMAXES:
            self.last = args[0] if args else (kwargs or {})["input"]
        return func(*args, **(kwargs or {}))
