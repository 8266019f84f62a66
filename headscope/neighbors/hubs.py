"""Hubs: tokens that are near to whatever is compared, and scores that tell how much nearer than usual a token is.

s(z, t) is the similarity of a vector z and a token t: the cosine, the dot product, or −|z − R|², which orders tokens
as the Euclidean distance does. Over a bank Q of other vectors it has a mean μ_t and a standard deviation σ_t, and the
*hub-aware* score of z is (s(z, t) − μ_t) / σ_t. A token that is near to everything has a high μ_t, and gains nothing
by it.

No pass over Q × V is needed. Every s is a(z)·b(t) + c(t):

    cosine      a = z/|z|       b = R/|R|
    dot         a = z           b = R
    euclidean   a = (z, |z|²)   b = (2R, −1)    c = −|R|²

so the score is (a(z) − ā)·b / |F b|, with ā the mean over Q, and FᵀF the covariance over Q (both float64); c cancels.
Where the vectors of Q hardly differ for a token (σ_t is next to nothing of what it could be, as for a zero row), its
score is 0: it is as near as usual.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.neighbors.metrics import ranks_of
from headscope.neighbors.table import Place, Table
from headscope.question.choices import Metric
from headscope.question.stopping import stop_point

_SILENT = 1e-6  # of the σ_t that b(t) could have: float32 encodings are known no better
_SLACK = 1e-7  # by how much a product of matrices may miss a score, relative to 1 + |score|
_SCORES = 2**22  # components of encodings held at a time


@dataclass(frozen=True)
class Moments:
    """Mean and spread over a bank of the side of a similarity that depends on the vector."""

    metric: Metric
    mean: Tensor  # float64 [head, feature]; float32 where `in_float32`
    factor: Tensor  # float64 [head, direction, feature]: factorᵀ factor is the covariance

    @classmethod
    def of(cls, metric: Metric, vectors: Tensor) -> Moments:
        """Moments of a bank's vectors [vector, head, d_head]; ValueError for fewer than two."""
        if vectors.ndim != 3 or len(vectors) < 2:
            raise ValueError(f"vectors {list(vectors.shape)} do not fit [vector, head, d_head] with two or more")
        a = _of_vectors(metric, vectors.double()).transpose(0, 1)  # (head, vector, feature)
        mean = a.mean(1)
        centred = (a - mean[:, None]) / len(vectors) ** 0.5
        _, factor = torch.linalg.qr(centred, mode="r")
        return cls(metric, mean, factor)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.mean.nbytes + self.factor.nbytes

    def in_float32(self) -> Moments:
        """The same, for scores in float32: an error of 1e-6 matters only where two scores all but tie."""
        return Moments(self.metric, self.mean.float(), self.factor.float())

    def scores(self, encodings: Tensor, vectors: Tensor) -> Tensor:
        """Hub-aware scores of some tokens, [head, vector, token] in the precision of the encodings; higher is nearer.

        `vectors` [vector, head, d_head] share the one place at which the tokens have `encodings` [table head, token,
        d_head], as precise as these moments; head h reads table head h · heads // q_heads.
        """
        stop_point()
        heads = len(encodings)
        b = _of_tokens(self.metric, encodings)  # (table head, token, feature)
        # The heads that share a table head are rows of one product.
        factor = self.factor.unflatten(0, (heads, -1))  # (table head, group, direction, feature)
        sizes = torch.linalg.vector_norm(factor, dim=2)  # (table head, group, feature)
        along = (b @ factor.flatten(1, 2).mT).unflatten(2, factor.shape[1:3])  # (table head, token, group, direction)
        spread = torch.linalg.vector_norm(along, dim=-1)  # (table head, token, group)
        silent = ~(spread > _SILENT * (b.abs() @ sizes.mT))  # a row that is not finite is, too
        a = _of_vectors(self.metric, vectors.to(b.dtype)) - self.mean
        a = a.transpose(0, 1).reshape(heads, -1, a.shape[-1])  # (table head, group · vector, feature)
        scores: Tensor = (a @ b.mT).unflatten(1, (factor.shape[1], -1))  # (table head, group, vector, token)
        scores *= (1 / spread).mT[:, :, None]
        if silent.any():
            scores.masked_fill_(silent.mT[:, :, None], 0.0)
        return scores.flatten(0, 1)  # (head, vector, token)

    def exact(self, table: Table, place: Place, vector: Tensor, head: int, tokens: Tensor) -> Tensor:
        """Scores of one vector [head, d_head] in one head, float64 [token]; equal rows get equal bits."""
        a = _of_vectors(self.metric, vector[head].double()) - self.mean[head]
        of_table = head * len(table.rows) // len(vector)
        sizes = torch.linalg.vector_norm(self.factor[head], dim=0)  # (feature,)
        found = []
        for some in tokens.split(max(1, _SCORES // self.factor[head].numel())):
            b = _of_tokens(self.metric, table.encodings(place, some)[of_table])  # (token, feature)
            # Row by row, not as a product of matrices: see `metrics.distances`.
            spread = (b[:, None] * self.factor[head]).sum(-1).square().sum(-1).sqrt()
            heard = spread > _SILENT * (b.abs() * sizes).sum(-1)
            found.append(torch.where(heard, (b * a).sum(-1) / spread, 0.0))
        return torch.cat(found) if found else a.new_empty(0)


@dataclass(frozen=True)
class HubAware:
    """The k tokens of the highest hub-aware scores for one vector in every head."""

    ids: Tensor  # int64 [head, k], highest first; ties by id
    ranks: Tensor  # int64 [head, k], 1 + the candidates with a higher score; ties share a rank
    scores: Tensor  # float64 [head, k]
    own_rank: Tensor  # int64 [head]; 0 where the own token's row is not finite
    own_score: Tensor  # float64 [head]; nan where the own token's row is not finite


def hub_aware(
    moments: Moments, table: Table, place: Place, vector: Tensor, own: int, k: int, candidates: Tensor | None = None
) -> HubAware:
    """The `k` tokens that `vector` [head, d_head] is nearer to than usual, and where the token `own` stands.

    `candidates` bool [token]: who may be a neighbour and is counted in ranks (None: all); never a token whose row
    is not finite. Scores, ids and ranks are those of float64 arithmetic. Raises ValueError where k exceeds the
    number of candidates.
    """
    allowed = table.finite if candidates is None else table.finite & candidates
    if not 1 <= k <= int(allowed.sum()):
        raise ValueError(f"k is {k}, but there are {int(allowed.sum())} candidates")
    scores = _all_scores(moments, table, place, vector).masked_fill_(~allowed, -torch.inf)  # (head, token)
    known = bool(table.finite[own])
    least = scores.topk(k).values[:, -1]
    ids, best, own_rank, own_score = [], [], [], []
    for head, row in enumerate(scores):
        near = (row >= least[head] - _slack(least[head])).nonzero()[:, 0]
        exact, order = moments.exact(table, place, vector, head, near).sort(descending=True, stable=True)
        ids.append(near[order[:k]])
        best.append(exact[:k])
        mine = moments.exact(table, place, vector, head, near.new_tensor([own]))[0]
        doubtful = ((row - mine).abs() <= _slack(mine)).nonzero()[:, 0]
        closer = moments.exact(table, place, vector, head, doubtful) > mine
        own_rank.append(1 + (row > mine + _slack(mine)).sum() + closer.sum())
        own_score.append(mine)
    found = torch.stack(best)
    return HubAware(
        ids=torch.stack(ids),
        ranks=ranks_of(-found),
        scores=found,
        own_rank=torch.stack(own_rank) * known,
        own_score=torch.stack(own_score).masked_fill(torch.tensor(not known, device=found.device), torch.nan),
    )


@dataclass(frozen=True)
class Hubness:
    """How unequally the tokens of a vocabulary are near: of N_k(t), how often t is among the k nearest of a bank."""

    skewness: Tensor  # float64 [head], of N_k over the candidates; 0 where all are equal
    largest: Tensor  # float64 [head], the largest N_k as a share of the bank
    largest_id: Tensor  # int64 [head], whose it is; the least id of several

    @classmethod
    def of(cls, counts: Tensor, candidates: int, vectors: int) -> Hubness:
        """From how often each token was near one of so many vectors, int64 [head, token]; only candidates ever are."""
        largest = counts.max(1)
        least = (counts == largest.values[:, None]).to(torch.int8).argmax(1)
        skewed = torch.stack([_skewness(one, candidates) for one in counts])
        return cls(skewed, largest.values.double() / vectors, least)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.skewness.nbytes + self.largest.nbytes + self.largest_id.nbytes


def hubness(ids: Tensor, allowed: Tensor) -> Hubness:
    """Hubness from the k nearest of every vector of a bank, ids [vector, head, k]; `allowed` bool [token]: candidates.

    −1 stands for no token.

    >>> found = hubness(torch.tensor([[[3, 1]], [[3, 2]], [[3, 0]]]), torch.ones(4, dtype=torch.bool))
    >>> found.largest_id.item(), found.largest.item(), round(found.skewness.item(), 3)
    (3, 1.0, 1.155)
    """
    counts = torch.stack([torch.bincount(head[head >= 0], minlength=len(allowed)) for head in ids.transpose(0, 1)])
    return Hubness.of(counts, int(allowed.sum()), len(ids))


def _skewness(counts: Tensor, candidates: int) -> Tensor:
    """Of the counts of all candidates, float64 []; those that are not above 0 in `counts` [token] are 0."""
    some = counts[counts > 0].double()
    mean, rest = some.sum() / candidates, candidates - len(some)
    square, cube = (((some - mean).pow(n).sum() + rest * (-mean).pow(n)) / candidates for n in (2, 3))
    return torch.where(square > 0, cube / square.pow(1.5), 0.0)


def _slack(score: Tensor) -> Tensor:
    return _SLACK * (1 + score.abs())


def _all_scores(moments: Moments, table: Table, place: Place, vector: Tensor) -> Tensor:
    """Scores of one vector [head, d_head] for the whole vocabulary, float64 [head, token]."""
    tokens, size = table.rows.shape[1], max(1, _SCORES // table.rows[:, 0].numel())
    parts = (slice(start, start + size) for start in range(0, tokens, size))
    return torch.cat([moments.scores(table.encodings(place, part), vector[None])[:, 0] for part in parts], dim=1)


def _of_vectors(metric: Metric, vectors: Tensor) -> Tensor:
    """a of vectors [..., d_head]: [..., feature]."""
    if metric == "cosine":  # a zero vector stays one, so that its cosine is 0
        length: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
        return vectors / length.masked_fill(length == 0, 1.0)
    return torch.cat([vectors, vectors.square().sum(-1, keepdim=True)], -1) if metric == "euclidean" else vectors


def _of_tokens(metric: Metric, encodings: Tensor) -> Tensor:
    """b of encodings [..., d_head]: [..., feature], up to a length that cancels in a score."""
    return torch.cat([2 * encodings, -torch.ones_like(encodings[..., :1])], -1) if metric == "euclidean" else encodings
