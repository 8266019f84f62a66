"""The guided visit: what was measured on this model and text, a step a sentence, each with the view that shows it.

Tokens, layers and heads are chosen by the measurements; of those that would do, tables come first that hold no word
which the classroom switch hides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from headscope.app.api.answers import SurveyedRecord, VisitRecord, VisitStepRecord
from headscope.app.page.classroom import hides
from headscope.model.tokens import Token
from headscope.question.choices import Reference
from headscope.question.kinds import KINDS
from headscope.question.question import Question
from headscope.reading.atlas import Atlas
from headscope.reading.nearest import Neighbors
from headscope.reading.reading import Reading
from headscope.show.numbers import distance

_MOST = 12  # tokens of a long text that are looked at
_OF_TEXT = ("own", "text")
# What every step asks for, so that nothing of the view before stays.
_VIEW: dict[str, Any] = {
    "layer": 0,
    "head": None,
    "space": "value",
    "vector": "z",
    "metric": "cosine",
    "reference": "layer",
    "position": True,
    "candidates": "all",
    "weigh": "weights",
    "compare": "none",
    "hubs": False,
    "teach": False,
}

AskAtlas = Callable[[Question, int], Atlas]


@dataclass(frozen=True)
class _TokenTables:
    """A token's tables of one layer."""

    near: Neighbors

    @property
    def token(self) -> Token:
        return self.near.tokens[0]

    @property
    def hidden(self) -> int:
        return _hidden(self.near.names[id].label for id in self.near.ids.flatten().tolist())

    def nearest(self, kinds: tuple[str, ...]) -> list[int]:
        """The heads whose nearest token is of one of the kinds."""
        nearest = zip(self.near.kinds[:, 0].tolist(), self.near.ranks[:, 0].tolist(), strict=True)
        return [head for head, (kind, rank) in enumerate(nearest) if rank and KINDS[kind] in kinds]

    def first(self, kind: str) -> tuple[float, int] | None:
        """The least distance of a head whose nearest token is of a kind, and the head."""
        return min(((self.near.distances[head, 0].item(), head) for head in self.nearest((kind,))), default=None)


def steps(reading: Reading, ask_atlas: AskAtlas) -> VisitRecord:
    """What a visitor is shown of a text; `ask_atlas`: an atlas by its question and position."""
    card = reading.bench.card
    words = [token for token in reading.tokens if not token.special and any(map(str.isalpha, token.label))]
    # What sees nothing but itself, as the first token of a causal model, can write nothing else: no finding.
    alone = reading.pattern_of(0, "weights").diagonal(dim1=1, dim2=2).amin(0) > 0.9999  # (position,)
    seeing = [token for token in words if not alone[token.position]]
    at = [token.position for token in (seeing or words or reading.tokens)[:_MOST]]
    first = _tables(reading, 0, at)
    own = _own(first, card.vocab_size)
    told = [own, *_elsewhere(reading, first)]
    if card.layers > 1:
        preferred = sorted(at, key=lambda position: position != own["view"]["token"])
        told += _bases(ask_atlas, preferred)
        told.append(_last(_tables(reading, card.layers - 1, preferred), card.layers - 1, card.vocab_size))
    return {"steps": told}


def surveyed(survey: SurveyedRecord | None) -> VisitStepRecord:
    """What the survey says that is open, if one is."""
    if survey is None:
        says = "No survey of this model is open here, so nothing that you saw is tested."
    else:
        says = f"Survey {survey['name']}, {survey['texts']:,} texts: {' '.join(survey['concluded'])}"
    return _step("What many texts say", f"That was one text, and one text proves nothing. {says}", 0, view="survey")


def _own(found: list[_TokenTables], vocabulary: int) -> VisitStepRecord:
    """The head of layer 0 that is nearest to its own token."""
    firsts = [(first, one) for one in found if (first := one.first("own"))]
    if firsts:
        (apart, head), one = min(firsts, key=lambda pair: (pair[1].hidden, pair[0]))
        token, heads = one.token, len(one.near.ids)
        says = (
            f"The text is cut into tokens, and {_named(token)} is selected. At it, each of the {heads} heads of layer "
            f"0 writes a vector. Of {vocabulary:,} vocabulary tokens, the nearest to head {head}’s is {_named(token)} "
            f"itself (distance {distance(apart)}); so it is at {_of(len(one.nearest(('own',))), heads)}."
        )
        return _step("A head that keeps its token", says, one.hidden, token=token.position, head=head)
    one = min(found, key=lambda one: (one.hidden, _best(one.near)[0]))
    rank, head = _best(one.near)
    says = (
        f"{_named(one.token)} is selected. At {_tokens(len(found))}, no head of layer 0 writes a vector whose nearest "
        f"vocabulary token is the selected one. The best here is head {head}, which ranks {_named(one.token)} "
        f"{rank:,} of {vocabulary:,}."
    )
    return _step("No head keeps its token", says, one.hidden, token=one.token.position, head=head)


def _elsewhere(reading: Reading, found: list[_TokenTables]) -> list[VisitStepRecord]:
    """The head of layer 0 that is nearest to another token of the text, and where it looked."""
    firsts = [(first, one) for one in found if (first := one.first("text"))]
    if not firsts:
        one = min(found, key=lambda one: one.hidden)
        says = f"At {_tokens(len(found))}, no head of layer 0 is nearest to another token of the text."
        steps, head = [_step("No head writes another token", says, one.hidden, token=one.token.position)], 0
    else:
        (apart, head), one = min(firsts, key=lambda pair: (pair[1].hidden, pair[0]))
        id = int(one.near.ids[head, 0])
        places, count = one.near.places[id], len(one.nearest(("text",)))
        where = f"position{'s' if len(places) > 1 else ''} {_listed(places)}"
        says = (
            f"{_named(one.token)} is selected. Nearest to what head {head} writes here is "
            f"{_quoted(one.near.names[id].label)}, which stands at {where} of the text (distance "
            f"{distance(apart)}). Of the layer, {_of(count, len(one.near.ids))} {_are(count)} nearest to "
            "another token of the text."
        )
        view = {"token": one.token.position, "head": head}
        steps = [_step("A head that writes another token", says, one.hidden, **view)]
    return [*steps, _looked(reading, one, head)]


def _looked(reading: Reading, one: _TokenTables, head: int) -> VisitStepRecord:
    """Where a head looked most, and whether that is near to what it wrote."""
    shares = reading.attention(one.token.position, 0).shares[head]
    most = reading.tokens[int(shares.argmax())]
    listed = one.near.ids[head].tolist()
    if most.id in listed:
        rank = int(one.near.ranks[head, listed.index(most.id)])
        near = f"among the vocabulary it has rank {rank} under what the head writes here"
    else:
        near = f"it is not among the {len(listed)} vocabulary tokens nearest to what the head writes here"
    itself = ", the selected token itself" if most.position == one.token.position else ""
    says = (
        f"At {_named(one.token)}, head {head} gives its largest weight, {float(shares.max()):.2f}, to {_named(most)} "
        f"at position {most.position}{itself}; {near}."
    )
    hidden = _hidden(token.label for token in reading.tokens)
    return _step("Where it looked", says, hidden, view="attention", token=one.token.position, head=head)


def _bases(ask_atlas: AskAtlas, at: list[int]) -> list[VisitStepRecord]:
    """All heads by layer 0's encoding of the vocabulary, and by each layer's own: the same outputs."""
    best: tuple[int, Atlas, Atlas] | None = None
    for position in at[:3]:
        old, new = (ask_atlas(_all_heads(reference), position) for reference in ("input", "layer"))
        hidden = sum(_hidden(one.names[id].label for id in one.ids.flatten().tolist()) for one in (old, new))
        if best is None or hidden < best[0]:
            best = hidden, old, new
        if not hidden:
            break
    assert best is not None, "a text has a token"
    hidden, old, new = best
    token = old.token
    of_text = [KINDS.index(kind) for kind in _OF_TEXT]
    by_layer = [one.counts()[:, of_text].sum(1).int().tolist() for one in (old, new)]
    before, after = (sum(counts[1:]) for counts in by_layer)
    heads = old.ids[1:].numel()
    others = int((old.ids[1:] != new.ids[1:]).sum())
    text = f"nearest to {_named(token)} or to another token of the text"
    view = {"view": "atlas", "token": token.position}
    says = (
        f"Every layer and head at {_named(token)}, with the vocabulary encoded by layer 0, as an early experiment did: "
        f"above layer 0, {_of(before, heads)} {_are(before)} {text}."
    )
    steps = [_step("Every head, encoded by layer 0", says, hidden, **view, reference="input")]
    if not others:
        title = "Here the basis changes nothing"
        says = (
            f"Encoded by each layer itself, all {heads} heads above layer 0 keep the same nearest token: {after}, too."
        )
    elif before == after:
        title = "Here the basis changes nothing in the count"
        says = f"Encoded by each layer itself: {_of(after, heads)} either way; {_have(others)} another nearest token."
    else:
        layer = max(range(1, len(by_layer[0])), key=lambda layer: abs(by_layer[1][layer] - by_layer[0][layer]))
        title = "The same outputs, another basis"
        says = (
            f"Encoded by each layer itself: {_of(after, heads)}, where it was {before}. The outputs are the same; "
            f"{_have(others)} another nearest token. The most that changed is layer {layer}: "
            f"{by_layer[1][layer]} of {old.ids.shape[1]}, where it was {by_layer[0][layer]}."
        )
    return [*steps, _step(title, says, hidden, **view, reference="layer")]


def _last(found: list[_TokenTables], layer: int, vocabulary: int) -> VisitStepRecord:
    """What the last layer is near to, at the first of the tokens whose tables are clean."""
    one = min(found, key=lambda one: one.hidden)
    token, heads, count = one.token, len(one.near.ids), len(one.nearest(_OF_TEXT))
    rank, head = _best(one.near)
    ranked = sorted(filter(None, one.near.own_rank.tolist())) or [0]  # a head that tells no token apart has none
    middle = ranked[len(ranked) // 2]
    says = (
        f"In the last layer, layer {layer}, {_of(count, heads)} {_are(count)} nearest to {_named(token)} or to another "
        f"token of the text. Head {head} ranks {_named(token)} best, {rank:,} of {vocabulary:,}; the middle head ranks "
        f"it {middle:,}."
    )
    return _step("At the top", says, one.hidden, token=token.position, layer=layer, head=head)


def _tables(reading: Reading, layer: int, at: list[int]) -> list[_TokenTables]:
    return [_TokenTables(one) for one in reading.ask_nearest(Question(layer), at).each()]


def _all_heads(reference: Reference) -> Question:
    return Question(None, reference=reference, k=1)


def _best(near: Neighbors) -> tuple[int, int]:
    """The best rank of the own token, and its head; a token that has no rank comes last."""
    ranks = near.own_rank.tolist()
    return min((rank, head) for head, rank in enumerate(ranks) if rank or not any(ranks))


def _step(title: str, says: str, hidden: int, **view: Any) -> VisitStepRecord:
    if hidden:
        words = "a word" if hidden == 1 else f"{hidden} words"
        says += f" No clean tables were found for this step: these hold {words} that the switch Classroom hides."
    return {"title": title, "says": says, "hidden": hidden, "view": {**_VIEW, "view": "heads", **view}}


def _hidden(labels: Iterable[str]) -> int:
    return sum(map(hides, labels))


def _named(token: Token) -> str:
    return _quoted(token.label)


def _quoted(label: str) -> str:
    return f"“{label.strip('␣') or label}”"


def _of(count: int, heads: int) -> str:
    return f"{count} of {heads} heads"


def _listed(places: Sequence[int]) -> str:
    """Positions in words.

    >>> _listed([2]), _listed([2, 4]), _listed([2, 4, 6])
    ('2', '2 and 4', '2, 4 and 6')
    """
    *before, last = map(str, places)
    return f"{', '.join(before)} and {last}" if before else last


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _have(count: int) -> str:
    return "1 head has" if count == 1 else f"{count} heads have"


def _tokens(count: int) -> str:
    return "the one token that was looked at" if count == 1 else f"each of the {count} tokens that were looked at"
