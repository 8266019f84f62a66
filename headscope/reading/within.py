"""What a head writes where, within one text: from AUC_ij, how near z_i is to token j among the vocabulary, to figures.

AUC_ij = 1 − (r − 1)/(V − 1), r the rank of token j among all V tokens under z_i, each output read with the vocabulary
at its own place: .5 for a token anywhere, 1 for the nearest. The figures are over ordinary positions, and tokens that
occur once in their text: of a token that stands in two places nobody can say which of them an output tells of.
docs/survey.md, "Within the text".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.model.tokens import Token


@dataclass(frozen=True)
class Shown:
    """How far a head's outputs tell own and attended tokens from others: float32 [head, position] each, nan: missing.

    `own`: AUC_ii. `others`: the mean of AUC_ji over the other positions j that may see i; own − others is *Own within
    the text*. `carry`: Σ_j α_ij AUC_ij − mean_j AUC_ij over the tokens j that i may see, α renormalised over them:
    whether what the head attends to is what it writes. `ceiling`: max_j AUC_ij − mean_j AUC_ij, what Carry could be.
    """

    own: Tensor
    others: Tensor
    carry: Tensor
    ceiling: Tensor


def shown(auc: Tensor, pattern: Tensor, sees: Tensor, counts: Tensor, ordinary: Tensor) -> Shown:
    """The figures of one layer of one text.

    auc, pattern float [head, position i, token j]; sees bool [i, j], whether i may see j; counts bool [j], whether a
    token counts, see `counting`; ordinary bool [i]. What is not finite in `auc` is left out.

    >>> auc = torch.tensor([[[.9, .5], [.6, .8]]])
    >>> every = torch.ones(2, dtype=torch.bool)
    >>> found = shown(auc, torch.tensor([[[.5, .5], [1., 0.]]]), torch.ones(2, 2, dtype=torch.bool), every, every)
    >>> [round(x, 2) for x in (found.own - found.others)[0].tolist()]  # .9 − .6, .8 − .5
    [0.3, 0.3]
    >>> [round(x, 2) for x in found.carry[0].tolist()], [round(x, 2) for x in found.ceiling[0].tolist()]
    ([0.0, -0.1], [0.2, 0.1])
    """
    auc, known = torch.nan_to_num(auc), auc.isfinite() & counts
    itself = torch.eye(len(counts), dtype=torch.bool, device=auc.device)
    others = known & (sees & counts[:, None] & ordinary[:, None]) & ~itself  # j sees i, by [head, j, i]
    own = torch.diagonal(torch.where(known, auc, torch.nan), dim1=-2, dim2=-1)
    by_others = _over(torch.where(others, auc, 0.0).sum(-2), others.sum(-2))
    seen = known & sees & ordinary[:, None]
    count = seen.sum(-1)
    mean = _over(torch.where(seen, auc, 0.0).sum(-1), count)
    weights = torch.where(seen, pattern, 0.0)
    carried = _over((weights * auc).sum(-1), weights.sum(-1)) - mean
    most = torch.where(seen, auc, -torch.inf).amax(-1) - mean
    told = own.isfinite() & by_others.isfinite() & counts & ordinary
    enough = count >= 2  # of one token, all that is attended to is all that there is
    return Shown(
        torch.where(told, own, torch.nan),
        torch.where(told, by_others, torch.nan),
        torch.where(enough, carried, torch.nan),
        torch.where(enough, most, torch.nan),
    )


def counting(tokens: Sequence[Token]) -> Tensor:
    """Which tokens the figures are over: those that are not special and occur once in their text; bool [position]."""
    times: dict[int, int] = {}
    for token in tokens:
        times[token.id] = times.get(token.id, 0) + 1
    return torch.tensor([not token.special and times[token.id] == 1 for token in tokens])


def evenly(sees: Tensor, v: Tensor, heads: int) -> Tensor:
    """z if every head attended alike to all that it may see, special positions included: [position, head, d_head].

    sees bool [query, source]; v [source, kv_head, d_head], those of the model as it is: nothing below the layer moves.
    """
    values = v.repeat_interleave(heads // v.shape[1], dim=1)  # (S, H, d_head)
    # Positions that see the same have the same z, to the last bit: a search of them all does it once.
    sets, which = torch.unique(sees, dim=0, return_inverse=True)
    weights = sets.to(v.dtype) / sets.sum(-1, keepdim=True).clamp_min(1)
    mixed: Tensor = torch.einsum("qs,shd->qhd", weights, values)
    return mixed[which]


def _over(total: Tensor, count: Tensor) -> Tensor:
    return torch.where(count > 0, total / count.clamp_min(torch.finfo(torch.float32).tiny), torch.nan)
