"""What a map is made of: which vocabulary tokens, which vectors of the text, and how they are compared."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from headscope.errors import InputError, cut
from headscope.model.tokens import TokenNames
from headscope.neighbors import distances
from headscope.question import notes
from headscope.question.choices import METHODS, OPEN_VECTORS, Vector, one_of
from headscope.question.given import hearing, number
from headscope.question.question import Question
from headscope.reading.captured import Captured
from headscope.reading.finding import Finder, finder
from headscope.reading.map.layouts import Layout, Layouts, Way, check, trustworthiness
from headscope.reading.map.result import LOW, Group, Map, MappedText
from headscope.show.progress import Tell, bar

LEAST, MOST = 50, 10_000  # vocabulary tokens of a map; trustworthiness compares every point with every other


@dataclass(frozen=True)
class Plan:
    """One head's space as a text meets it: what is to be laid out, and how.

    `ids` int64 [token] are the vocabulary's sample, `groups` [token] why each is in it.
    `vectors` float32 [point, width]: the sample's encodings, then the text's values, then its outputs; of length 1
    for the metric cosine.
    """

    captured: Captured
    question: Question
    head: int
    way: Way
    ids: Tensor
    groups: tuple[Group, ...]
    vectors: Tensor
    names: TokenNames
    said: tuple[str, ...]  # what the choices cannot mean

    def map(self, progress: Tell | None) -> Map:
        """The map, made where it has not been made before; `progress` None: a bar, where there is a terminal."""
        progress, layouts = hearing(progress), self.captured.bench.the(Layouts, Layouts)
        layout = layouts.known(self.vectors, self.way)
        if layout is None:
            announced = f"t-SNE of {len(self.vectors):,} points; kept for next time"
            with nullcontext(progress) if progress else bar(announced, "t-SNE") as tell:
                layout = layouts.get(self.vectors, self.way, tell)
        sample = len(self.ids)
        text = _mapped(self.captured, self.question, layout.points[sample:], self.vectors[sample:])
        return self._told(layout, (text,), self.vectors, layout.trust)

    def place(self, ground: Map, layout: Layout, captured: Captured) -> Map:
        """The map with another reading's values and outputs in it."""
        if not isinstance(captured, Captured):
            raise InputError(f"place takes a reading, as scope.read(text) gives it, not {cut(repr(captured))}.")
        if captured.bench is not self.captured.bench:
            raise InputError("only a text that was read by the map's own model, with its weights, has a place in it.")
        vectors = _text_vectors(captured, self.question, self.head)
        points = layout.place(vectors)
        texts = (*ground.texts, _mapped(captured, self.question, points, vectors))
        shown = torch.cat([layout.points, *(torch.cat([text.values, text.outputs]) for text in texts[1:])])
        space = torch.cat([ground.space, vectors])
        trust = trustworthiness(space, shown)
        return self._told(layout, texts, space, trust)

    def _told(self, layout: Layout, texts: tuple[MappedText, ...], space: Tensor, trust: float) -> Map:
        return Map(
            question=self.question,
            head=self.head,
            way=self.way,
            ids=self.ids,
            groups=self.groups,
            vocabulary=layout.points[: len(self.ids)],
            texts=texts,
            space=space,
            trustworthiness=trust,
            explained=layout.explained,
            of=self.names.vocab_size,
            names={id: self.names[id] for id in self.ids.tolist()},
            notes=(*self.said, *((notes.low_trust(trust, self.way.method),) if trust < LOW else ())),
            place_by=lambda ground, captured: self.place(ground, layout, captured),
        )


def plan(captured: Captured, asked: Question, head: int, way: Way, size: int) -> Plan:
    """The plan of a map of one head: `size` vocabulary tokens, of them the nearest of each output of the text."""
    search, given = finder(captured, asked), asked
    asked, vocabulary, layer = search.question, search.vocabulary, search.question.layer
    if layer is None:
        raise InputError("a map is of one head: name its layer.")
    one_of("method", way.method, METHODS)
    if asked.metric == "dot":
        raise InputError("a map is of distances, and dot is none; open: cosine, euclidean.")
    if "v" not in OPEN_VECTORS[asked.space]:
        spaces = ", ".join(space for space, vectors in OPEN_VECTORS.items() if "v" in vectors)
        raise InputError(f"the space {asked.space} has no map, for it holds no values; open: {spaces}.")
    heads = captured.z.shape[2]
    head = number(head, range(heads), f"there is no head {head!r}; the layer's heads are 0 to {heads - 1}.")
    size = number(
        size,
        range(LEAST, MOST + 1),
        f"the size of a map is {size!r}; it is a number of vocabulary tokens, {LEAST} to {MOST:,}.",
    )
    text = _text_vectors(captured, asked, head)
    check(way, min(size, vocabulary.size) + len(text), text.shape[1])
    near, source = search.search(layer, range(len(captured.tokens)))
    allowed = search.allowed(source)
    open_ids = source.finite if allowed is None else source.finite & allowed
    ids, groups = _sample(captured, near.ids[:, head], open_ids.cpu(), size, way.seed)
    rows = search.placed(layer, 0, 0).encoded.rows(ids.to(source.device))  # (token, table head, width)
    encodings = _compared(rows[:, head * rows.shape[1] // heads].float().cpu(), asked)
    moves = asked.reference != "isolated" and vocabulary.moves(asked.space)
    said = (*search.notes(source, given), *notes.no_place(moves, asked.at))
    names = captured.bench.opened.names
    return Plan(captured, asked, head, way, ids, groups, torch.cat([encodings, text]), names, said)


def _sample(
    captured: Captured, near: Tensor, open_ids: Tensor, size: int, seed: int
) -> tuple[Tensor, tuple[Group, ...]]:
    """Tokens of the text, then what is near its outputs (the nearest of all first), then a random rest.

    `near` int64 [position, k]; `open_ids` bool [token]: who may be in the sample.
    """
    own = list(dict.fromkeys(token.id for token in captured.tokens))
    close = list(dict.fromkeys(near.T.flatten().tolist()))
    drawn = torch.randperm(len(open_ids), generator=torch.Generator().manual_seed(seed)).tolist()
    groups: dict[int, Group] = {}
    parts: tuple[tuple[Group, list[int]], ...] = (("text", own), ("near", close), ("random", drawn))
    for group, some in parts:
        for id in some:
            if len(groups) < size and bool(open_ids[id]):
                groups.setdefault(id, group)
    return torch.tensor(list(groups)), tuple(groups.values())


def _text_vectors(captured: Captured, asked: Question, head: int) -> Tensor:
    """The head's values, then its outputs, at every position: [2 position, width]."""
    assert asked.layer is not None, "checked above"
    parts = []
    vectors: tuple[Vector, ...] = ("v", "z")
    for vector in vectors:
        search = Finder(captured, replace(asked, vector=vector))
        parts += [search.placed(asked.layer, n, 0).vectors[head] for n in range(len(captured.tokens))]
    return _compared(torch.stack(parts).float().cpu(), asked)


def _compared(vectors: Tensor, asked: Question) -> Tensor:
    """Cosine sees directions alone; between vectors of length 1, Euclidean distance orders as cosine does."""
    return torch.nn.functional.normalize(vectors, dim=-1) if asked.metric == "cosine" else vectors


def _mapped(captured: Captured, asked: Question, points: Tensor, vectors: Tensor) -> MappedText:
    """A text by the places of its values and outputs, and their vectors."""
    count = len(captured.tokens)
    moved = distances(asked.metric, vectors[:count], vectors[count:]).float()
    return MappedText(captured.passage.called, captured.mask, captured.tokens, points[:count], points[count:], moved)
