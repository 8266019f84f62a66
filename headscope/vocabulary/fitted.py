"""Linear maps from each head's z to where the token embeddings are, as the space `fitted` uses them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from headscope.question.shown import Summarised


@dataclass(frozen=True, repr=False)
class Fitted(Summarised):
    """Maps z ↦ (z − mean) W, to be compared with E_t − centre.

    weight float32 [layer, head, d_head, d_model]; mean [layer, head, d_head]; centre [d_model], on the CPU.
    """

    weight: Tensor
    mean: Tensor
    centre: Tensor
