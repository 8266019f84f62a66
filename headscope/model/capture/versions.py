"""What differs between the versions of transformers that headscope runs with, 5.0 and later: here, and nowhere else."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.masking_utils import eager_mask

_EAGER_MASK = inspect.signature(eager_mask)


@dataclass(frozen=True)
class MaskShape:
    """Of what size a mask is asked for, and of what kind."""

    texts: int
    queries: int
    sources: int
    dtype: torch.dtype
    device: torch.device


def mask_shape(args: tuple[Any, ...], options: Mapping[str, Any]) -> MaskShape:
    """What a function that makes masks is asked for: by lengths, or before 5.3 or so by the queries' positions."""
    asked = _EAGER_MASK.bind(*args, **options)
    asked.apply_defaults()
    given = asked.arguments
    placed = given.get("cache_position")
    queries = given["q_length"] if placed is None else len(placed)
    device = torch.device(given["device"]) if placed is None else placed.device
    return MaskShape(given["batch_size"], queries, given["kv_length"], given["dtype"], device)


def has_own_table(model: nn.Module) -> bool:
    """Whether a model takes its attention from a table in its own file (ModernBERT, at first): it knows no other name.

    Such a model makes its masks itself, too.
    """
    file = vars(sys.modules.get(type(model).__module__, sys))
    tables = [table for name, table in file.items() if name.endswith("ATTENTION_FUNCTION")]
    return any(isinstance(table, dict) and "eager" in table for table in tables)


def hides_by_itself(module: nn.Module) -> bool:
    """Whether a module hides later tokens by a triangle of its own (GPT-2, at first), which no other mask changes."""
    return any(buffer is not None and _is_triangle(buffer) for buffer in module._buffers.values())


def _is_triangle(buffer: Tensor) -> bool:
    if buffer.dtype != torch.bool or buffer.dim() != 4 or buffer.shape[-1] < 2:
        return False
    corner = buffer[0, 0, :2, :2]
    return bool(corner[1].all() and corner[0, 0] and not corner[0, 1])
