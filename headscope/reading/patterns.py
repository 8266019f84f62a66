"""How a head's attention is spread: entropy, and the weight on the own position, the previous one and special ones."""

from __future__ import annotations

import torch
from torch import Tensor

PATTERN = ("entropy", "on_own", "on_previous", "on_special")


def pattern_figures(pattern: Tensor, special: Tensor) -> Tensor:
    """The figures named in PATTERN (the entropy in nats) of every query: float32 [figure, head, query].

    `pattern` [head, query, source], `special` bool [source]. Nothing stands before position 0: its weight on the
    previous one is nan, not 0.
    """
    own = pattern.diagonal(dim1=-2, dim2=-1)  # (head, query)
    previous = torch.nn.functional.pad(pattern.diagonal(-1, dim1=-2, dim2=-1), (1, 0), value=torch.nan)
    return torch.stack([torch.special.entr(pattern).sum(-1), own, previous, pattern[..., special].sum(-1)])
