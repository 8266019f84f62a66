"""What the model's output loses where something in it is changed."""

from __future__ import annotations

import torch
from torch import Tensor

_LOGITS = 2**22  # that are compared at a time


def moved(before: Tensor, after: Tensor) -> Tensor:
    """|f' − f| / |f| of outputs [..., d_model]: how far each is moved, [...]; `before` may be one for all."""
    found: Tensor = (after - before).norm(dim=-1) / before.norm(dim=-1).clamp_min(1e-30)
    return found


def kl(before: Tensor, after: Tensor) -> Tensor:
    """KL of the distributions before from those after, in nats: float64 [token], on the CPU.

    Of logits [token, id]; those before may be one row for all.

    >>> kl(torch.tensor([0.0, 0.0]), torch.tensor([[1.0, 1.0], [torch.log(torch.tensor(3.0)), 0.0]]))
    tensor([0.0000, 0.1438], dtype=torch.float64)
    """
    found = []
    size = max(1, _LOGITS // after.shape[-1])
    for one, other in zip(before.expand_as(after).split(size), after.split(size), strict=True):
        p, q = (x.cpu().double().log_softmax(-1) for x in (one, other))  # not every device has float64
        found.append((p.exp() * (p - q)).sum(-1))
    return torch.cat(found)
