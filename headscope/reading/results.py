"""What a reading answers: frozen tensors with their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.model.tokens import Token, TokenName
from headscope.neighbors import Hubness, Metric
from headscope.question.kinds import KINDS
from headscope.reading.finding import Question, Split
from headscope.show import html, record
from headscope.show import terminal as text

if TYPE_CHECKING:
    import pandas

    from headscope.reading.reading import Reading


@dataclass(frozen=True)
class Ends:
    """The tokens in the opposite direction of what a head writes, the farthest first: ids, distances [head, k]."""

    ids: Tensor
    distances: Tensor


@dataclass(frozen=True, repr=False)
class Neighbors:
    """For each head, the vocabulary tokens that its output at a token is nearest to.

    ids, distances, ranks [head, k], nearest first; own_rank, own_distance [head]. Tied tokens share a rank and
    stand in the order of their ids. kinds uint8 [head, k]: indices of question.kinds.KINDS. For a list of tokens
    each tensor has a leading axis.
    """

    question: Question
    tokens: tuple[Token, ...]  # the selected ones
    ids: Tensor
    distances: Tensor
    ranks: Tensor
    own_rank: Tensor
    own_distance: Tensor
    kinds: Tensor
    places: Mapping[int, tuple[int, ...]]  # positions of the ids that the text has, itself or in another form
    names: Mapping[int, TokenName]  # of every id above
    notes: tuple[str, ...]
    suppressed: Ends | None = None  # in the spaces embedding and unembedding: what the head writes against
    reading: Reading | None = field(default=None, compare=False)  # None after unpickling

    def __repr__(self) -> str:
        return text.neighbors(self)

    def _repr_html_(self) -> str:
        return html.neighbors(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(record.neighbors(self))

    def why(self, head: int, id: int) -> Why:
        """The exact split of a token's score in one head over the positions that it mixed; see `Reading.why`."""
        if self.reading is None:
            raise InputError(
                "this answer was loaded from a file, without its reading: ask reading.why(near, head, id)."
            )
        return self.reading.why(self, head, id)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"reading": None}  # a reading holds its model

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each neighbour: position, head, rank, id, token, label, distance, kind, positions."""
        return frame(record.neighbor_rows(self))

    def each(self) -> tuple[Neighbors, ...]:
        """One answer for each selected token, without the leading axis."""
        if self.ids.dim() == 2:
            return (self,)
        return tuple(
            Neighbors(
                self.question,
                (token,),
                self.ids[n],
                self.distances[n],
                self.ranks[n],
                self.own_rank[n],
                self.own_distance[n],
                self.kinds[n],
                self.places,
                self.names,
                self.notes,
                None if self.suppressed is None else Ends(self.suppressed.ids[n], self.suppressed.distances[n]),
                self.reading,
            )
            for n, token in enumerate(self.tokens)
        )


@dataclass(frozen=True, repr=False)
class Why:
    """How much of a token's score in one head each source position brought.

    `weights`, `shares` float64 [source]; `rest` belongs to no position (the share of attention sinks); `score` is
    their sum: 1 − distance for cosine, −distance for dot, the dot product for euclidean.
    """

    question: Question
    token: Token  # the selected one
    head: int
    neighbor: TokenName
    tokens: tuple[Token, ...]  # the sources, by position
    split: Split

    @property
    def weights(self) -> Tensor:
        return self.split.weights

    @property
    def shares(self) -> Tensor:
        return self.split.shares

    @property
    def rest(self) -> float:
        return self.split.rest

    @property
    def score(self) -> float:
        return float(self.split.shares.sum()) + self.split.rest

    def __repr__(self) -> str:
        return text.why(self)

    def _repr_html_(self) -> str:
        return html.why(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(record.why(self))

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each source position: position, token, weight, share."""
        return frame(record.why_rows(self))


@dataclass(frozen=True)
class Chance:
    """What other texts' outputs give for the same question, at positions `first` to `last`.

    own_rank [head]: the median rank of the selected token under them; as_near [head]: the share of them that rank it
    at least as near as the answer does (both nan where its encoding is not finite); in_text [head]: the share whose
    nearest token is a token of this text, and not special; listed [head, k]: for each of the answer's neighbours the
    share that has it among its k nearest.
    """

    own_rank: Tensor
    as_near: Tensor
    in_text: Tensor
    listed: Tensor
    first: int
    last: int
    outputs: int


@dataclass(frozen=True, repr=False)
class Background:
    """An answer, and what a bank of other texts' outputs says of it.

    ids, ranks, scores [head, k]: the hub-aware neighbours, highest score first; kinds as in `near`; own_rank,
    own_score [head]. A score says by how many standard deviations over the bank the token is nearer than usual.
    `hubs`: how unequally tokens are among the 10 nearest of the bank's outputs.
    """

    near: Neighbors
    ids: Tensor
    ranks: Tensor
    scores: Tensor
    kinds: Tensor
    own_rank: Tensor
    own_score: Tensor
    hubs: Hubness
    chance: Chance
    bank: str  # where its texts come from
    outputs: int  # of the bank
    places: Mapping[int, tuple[int, ...]]
    names: Mapping[int, TokenName]  # of every id here and in `near`
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return text.background(self)

    def _repr_html_(self) -> str:
        return html.background(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(record.background(self))

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each neighbour of both lists: head, list, rank, id, token, distance, score, kind, chance."""
        return frame(record.background_rows(self))


@dataclass(frozen=True, repr=False)
class PositionNeighbors:
    """For each head, the positions of the text in the order of their distance from the head's output at a token.

    positions, distances [head, position], nearest first, the own position included. `against` "z": the heads'
    outputs at those positions; "v": the values there, which are what the head mixes.
    """

    layer: int
    metric: Metric
    against: str
    token: Token
    tokens: tuple[Token, ...]  # all of the text, by position
    positions: Tensor
    distances: Tensor
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return text.positions(self)

    def _repr_html_(self) -> str:
        return html.positions(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(record.positions(self))

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each head and position: head, place in the order, position, token, distance."""
        return frame(record.position_rows(self))


@dataclass(frozen=True, repr=False)
class Atlas:
    """For every layer and head, the one vocabulary token that the head's output at a token is nearest to.

    ids, distances, own_rank [layer, head]; kinds uint8 [layer, head]: indices of headscope.question.kinds.KINDS.
    """

    question: Question
    token: Token
    ids: Tensor
    distances: Tensor
    own_rank: Tensor
    kinds: Tensor
    places: Mapping[int, tuple[int, ...]]  # positions of the ids that the text has, itself or in another form
    names: Mapping[int, TokenName]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return text.atlas(self)

    def _repr_html_(self) -> str:
        return html.atlas(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(record.atlas(self))

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each layer and head: layer, head, id, token, label, distance, own_rank, kind, positions."""
        return frame(record.atlas_rows(self))

    def rates(self) -> Tensor:
        """The share of each layer's heads whose nearest token is of a kind: [layer, kind], kinds as in KINDS."""
        return torch.nn.functional.one_hot(self.kinds.long(), len(KINDS)).double().mean(1)  # (layer, kind)


@dataclass(frozen=True, repr=False)
class Attention:
    """For each head, how much of each position of the text it mixes into its output at a token.

    shares [head, source]: with `weigh` "weights" the attention weights α_ij, whose sum is 1 but for attention sinks;
    with "norms" the lengths ‖α_ij v_j W_O‖ of what the sources add to the residual stream.
    """

    layer: int
    weigh: str
    token: Token  # the query
    tokens: tuple[Token, ...]  # all of the text, by position
    shares: Tensor
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return text.attention(self)

    def _repr_html_(self) -> str:
        return html.attention(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(record.attention(self))

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each head and source: head, position, token, label, share."""
        return frame(record.attention_rows(self))


@dataclass(frozen=True, repr=False)
class Comparison:
    """How the neighbours of one selected token differ between two answers: masks, models, references, metrics.

    `overlap` [head]: the share of the k nearest tokens that both have. `moved` [head]: how many places the own token
    is farther off in `other` than in `one`.
    """

    one: Neighbors
    other: Neighbors
    overlap: Tensor
    moved: Tensor

    def __repr__(self) -> str:
        return text.comparison(self)

    def _repr_html_(self) -> str:
        return html.comparison(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(record.comparison(self))

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each head: overlap, own rank in both, moved."""
        return frame(record.comparison_rows(self))


def compared(one: Neighbors, other: Neighbors) -> Comparison:
    """Two answers for the same token, side by side.

    Raises InputError where they are not about the same vocabulary, token, number of heads or k.
    """
    if one.ids.dim() != 2 or other.ids.dim() != 2:
        raise InputError("a comparison is of one token: give a position or a text, not a list.")
    if one.ids.shape != other.ids.shape:
        (heads, k), (other_heads, other_k) = one.ids.shape, other.ids.shape
        raise InputError(
            f"a comparison needs as many heads and neighbours on both sides: {heads} heads × {k}, "
            f"{other_heads} heads × {other_k}."
        )
    shared = set(one.names) & set(other.names)
    if one.tokens[0].id != other.tokens[0].id or any(one.names[id].text != other.names[id].text for id in shared):
        raise InputError("a comparison needs the same token of one tokenizer on both sides.")
    both = (one.ids[:, :, None] == other.ids[:, None, :]).any(-1)  # (head, k)
    return Comparison(one, other, both.float().mean(-1), other.own_rank - one.own_rank)


def named(ids: Tensor, names: Any) -> dict[int, TokenName]:
    """The names of all ids in a tensor of any shape."""
    return {id: names[id] for id in torch.unique(ids).tolist()}


def frame(rows: Sequence[Mapping[str, Any]]) -> pandas.DataFrame:
    """Rows as a data frame; ImportError where pandas is not installed."""
    try:
        import pandas
    except ImportError:
        raise ImportError("to_pandas() needs pandas: pip install pandas") from None
    return pandas.DataFrame(rows)
