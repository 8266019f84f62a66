"""Whether a model picks the positions that its heads look at, each time from the whole text (DeepSeek-V3.2).

What it does then may depend on the padding behind a text: positions of equal scores, as ReLU makes many, are picked by
the width of what they stand in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from headscope.model.capture.trace import Call, Trace

_PICKS = {torch.topk, Tensor.topk, torch.sort, Tensor.sort, torch.argsort, Tensor.argsort}


class Picking(TorchFunctionMode):
    """While it is on, notes in which calls of a traced pass something is picked along the length of its texts."""

    def __init__(self, trace: Trace, length: int) -> None:
        super().__init__()
        self._trace, self._length = trace, length
        self._seen: list[tuple[int, tuple[Call, ...]]] = []  # before which attention call, and inside which calls

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _PICKS and args and isinstance(args[0], Tensor) and self._length in args[0].shape[-1:]:
            self._seen.append((len(self._trace.attentions), self._trace.inside))
        return func(*args, **(kwargs or {}))

    def is_before_attention(self, blocks: Sequence[Call]) -> bool:
        """Whether that was so in a block, on the way to its attention: what an expert is picked by comes after it."""
        return any(layer < len(blocks) and blocks[layer] in inside for layer, inside in self._seen)
