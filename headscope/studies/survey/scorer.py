"""Hub-corrected similarities of many outputs to a few thousand tokens: `neighbors.hubs`, in float32."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.neighbors import Moments
from headscope.question.choices import Metric

_SILENT = 1e-6  # of the widest spread: a narrower one is float32's rounding


@dataclass(frozen=True)
class Scorer:
    """Scores (s(z, t) − μ_t)/σ_t over a bank, as `Moments` defines them; what they rank is a maximum, not a rank.

    float32 is enough there: an error of 1e-6 turns a comparison of two sets only where they all but tie.
    """

    metric: Metric
    mean: Tensor  # float32 [head, feature]
    factor: Tensor  # float32 [head, feature, direction]

    @classmethod
    def of(cls, metric: Metric, bank: Tensor) -> Scorer:
        """Scorer over a bank float32 [vector, head, width]; a bank of one tells nothing."""
        moments = Moments.of(metric, bank if len(bank) > 1 else bank.repeat(2, 1, 1))
        factor = moments.factor.float()
        return cls(metric, moments.mean.float(), factor.mT.contiguous())

    def scores(self, queries: Tensor, encodings: Tensor) -> Tensor:
        """Scores float32 [head, query, token] of queries [query, head, width], encodings [table head, token, width]."""
        z = self._of_queries(queries).sub_(self.mean).transpose(0, 1)  # (head, query, feature)
        rows = self._of_tokens(encodings)
        group = len(z) // len(rows)
        if group > 1:
            rows = rows.repeat_interleave(group, dim=0)
        spread = torch.linalg.vector_norm(rows @ self.factor, dim=-1)  # (head, token)
        heard = spread > _SILENT * spread.amax(-1, keepdim=True)
        return (z @ rows.mT).mul_(torch.where(heard, 1 / spread, 0.0)[:, None])

    def _of_queries(self, queries: Tensor) -> Tensor:
        if self.metric == "cosine":
            return torch.nn.functional.normalize(queries, dim=-1)
        if self.metric == "euclidean":
            return torch.cat([queries, queries.square().sum(-1, keepdim=True)], -1)
        return queries.clone()

    def _of_tokens(self, encodings: Tensor) -> Tensor:
        # The length of an encoding cancels: no need to take it at length 1.
        if self.metric == "euclidean":
            return torch.cat([2 * encodings, -torch.ones_like(encodings[..., :1])], -1)
        return encodings
