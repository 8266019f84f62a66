"""W_O as a lens: what of a head's value space reaches the residual stream, in d_head numbers instead of d_model.

Lengths and angles after W_O are those of x U for one small matrix U with U Uᵀ = W_O W_Oᵀ. They do not depend on the
basis in which the model happens to keep the head's values (docs/how-it-works.md, "Spaces").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.cores.pool import spread
from headscope.neighbors import Table
from headscope.vocabulary.encoded import mean_of, unbiased


@dataclass(frozen=True)
class Lens:
    """U float64 [head, d_head, width], width = min(d_head, d_model)."""

    matrix: Tensor

    @classmethod
    def of(cls, w_o: Tensor) -> Lens:
        """The lens of W_O [head, d_head, d_model].

        >>> w_o = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
        >>> u = Lens.of(w_o).matrix
        >>> torch.allclose(u @ u.mT, (w_o @ w_o.mT).double(), atol=1e-5)
        True
        """
        # W_Oᵀ = Q T with orthonormal columns Q, so |x W_O| = |x Tᵀ Qᵀ| = |x Tᵀ|.
        return cls(torch.linalg.qr(w_o.double().mT).R.mT.contiguous())

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.matrix.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        """x U float64 [..., head, width], for x [..., head or kv_head, d_head]."""
        x = x.double().repeat_interleave(len(self.matrix) // x.shape[-2], dim=-2)
        return torch.einsum("...hd,hde->...he", x, self.matrix)


def seen_through(values: Table, lens: Lens) -> Table:
    """(R − μ) U of value encodings R."""
    mean = mean_of(values)[:, None]  # (kv_head, 1, d_head)
    group = len(lens.matrix) // len(values.rows)

    def seen(head: int) -> Tensor:
        return ((values.rows[head // group].double() - mean[head // group]) @ lens.matrix[head]).float()

    return unbiased(torch.stack(spread(seen, range(len(lens.matrix)))))  # (head, V, width)
