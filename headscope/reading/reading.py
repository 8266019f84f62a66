"""Reading: one text that a model has read, and the questions that can be asked of its heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from headscope.errors import InputError, cut
from headscope.model.surroundings import settled_class
from headscope.question.choices import (
    REPLACEMENTS,
    Against,
    Candidates,
    Method,
    Metric,
    Reference,
    Replacement,
    Space,
    Weigh,
    one_of,
)
from headscope.question.given import switch
from headscope.question.question import Question
from headscope.reading import answers
from headscope.reading.alive import View
from headscope.reading.atlas import Atlas
from headscope.reading.atlas_chance import held_against
from headscope.reading.attention import Attention
from headscope.reading.bank import Bank, held_by
from headscope.reading.comparison import Comparison, compared
from headscope.reading.effects import Effects, effects
from headscope.reading.glance import Glance, glance
from headscope.reading.journey import Journey, journey
from headscope.reading.map import Map
from headscope.reading.map.layouts import Way
from headscope.reading.map.plan import plan
from headscope.reading.mixing import Mixing, mixing
from headscope.reading.nearest_questions import NearestQuestions
from headscope.reading.positions import PositionNeighbors
from headscope.reading.removed import Removed, removed
from headscope.reading.standing import Standing, standing
from headscope.reading.written import Written, written
from headscope.show.progress import Tell

VIEWS = ("heads", "atlas", "attention", "written", "journey", "layers")


@settled_class
class Reading(NearestQuestions):
    """A text as the heads of a model read it, and what can be asked of it; made by `Scope.read`.

    See `Captured` for what it holds. Every question is a method, those about nearest tokens in `NearestQuestions`; one
    that is made already is asked by `ask_nearest`, `ask_atlas` and `ask_map`.
    """

    def attention(self, token: int | str = 1, layer: int = 0, weigh: Weigh = "weights") -> Attention:
        """For each head of `layer`, how much of each position's value it mixes into its output at `token`.

        By attention weights, or with `weigh` "norms" by the lengths of what they let through; see `pattern_of`.
        """
        return self._told(
            answers.attention(self, token, layer, weigh), token, layer, lambda at, of: self.attention(at, of, weigh)
        )

    def compare(
        self,
        other: Reading,
        token: int | str = 1,
        layer: int = 0,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        position: bool = True,
        k: int = 15,
        candidates: Candidates = "all",
        *,
        other_reference: Reference | None = None,
    ) -> Comparison:
        """For each head, how the nearest tokens differ between this reading and another of the same text.

        The other may be made under another mask, by another model with the same tokenizer, or be this very reading
        with another reference (`other_reference`; None: the same on both sides).
        """
        if not isinstance(other, Reading):
            raise InputError(f"other is another reading, as scope.read(text, mask) gives it, not {cut(repr(other))}.")
        selected = self.position_of(token)
        one = Question(layer, space, reference, metric, position, candidates, k=k)
        there = replace(one, reference=other_reference or reference)
        return self._told(compared(self.ask_nearest(one, selected), other.ask_nearest(there, selected)))

    def nearest_positions(
        self, token: int | str = 1, layer: int = 0, metric: Metric = "cosine", against: Against = "z"
    ) -> PositionNeighbors:
        """For each head of `layer`, the positions of the text by their distance from its output at `token`.

        Compared with the head's outputs there (`against="z"`), or with the values there that it mixes ("v").
        """
        found = answers.positions(self, token, layer, metric, against)
        return self._told(found, token, layer, lambda at, of: self.nearest_positions(at, of, metric, against))

    def atlas(
        self,
        token: int | str = 1,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        position: bool = True,
        candidates: Candidates = "all",
    ) -> Atlas:
        """For every layer and head, the vocabulary token that its output at `token` is nearest to.

        The choices are those of `nearest`; `reference` None is each layer's own, in the spaces that have references.

        >>> atlas = scope.read("Time flies like an arrow.").atlas("flies")
        >>> atlas.ids.shape  # layer, head
        torch.Size([6, 12])
        >>> [atlas.names[id].label for id in atlas.ids[:, 8].tolist()][:2]
        ['flies', 'like']
        """
        return self.ask_atlas(Question(None, space, reference, metric, position, candidates, k=1), token)

    def atlas_chance(self, atlas: Atlas, bank: Bank | None = None) -> Atlas:
        """An atlas of this reading, with what chance gives beside each layer's shares (`Atlas.chance`).

        Chance: the same count over the outputs of other texts in the smallest window around the position that holds
        100 of them, searched in the same basis at every layer. `bank` None: the sentences that come with headscope,
        under the reading's mask; this very text is left out. Raises InputError for an atlas of another reading, or a
        bank that does not fit.

        >>> reading = scope.read("Time flies like an arrow.")
        >>> held = reading.atlas_chance(reading.atlas("flies"), scope.bank(size=100))
        >>> held.chance.rates().shape == held.rates().shape  # layer, kind
        True
        """
        return held_against(self, atlas, held_by(self, bank))

    def ask_atlas(self, asked: Question, token: int | str = 1, tell: Callable[[Atlas], None] | None = None) -> Atlas:
        """The same for a question that is made already; `tell` hears of the layers so far, at each that is found."""
        return self._told(answers.atlas(self, asked, token, tell), token, None, lambda at, _: self.ask_atlas(asked, at))

    def map(
        self,
        layer: int = 0,
        head: int = 0,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        method: Method = "tsne",
        *,
        at: int | None = None,
        candidates: Candidates = "all",
        size: int = 2000,
        k: int = 10,
        perplexity: float | None = None,
        seed: int = 0,
        progress: Tell | None = None,
    ) -> Map:
        """One head's space in two dimensions: a sample of the vocabulary, and the text's values and outputs.

        `method` is "tsne" or "pca", `metric` cosine or euclidean. The sample has `size` vocabulary tokens: those of
        the text, the `k` nearest of each output, and a random rest drawn with `seed`. They stand at position `at`;
        None: at none, for one picture shows many positions. `reference` None: the layer's own. `perplexity` is
        t-SNE's, and None: 30. Seeded, and kept in memory and on disk. `progress` hears how many iterations of t-SNE are
        done, of how many; None: a bar on standard error, where that is a terminal. Other texts are placed into it by
        `Map.place`. Needs the extra `maps`. Raises InputError for a choice that is not open.
        """
        asked = Question(layer, space, reference, metric, at is not None, candidates, at=at, k=k)
        return self.ask_map(asked, head, Way.of(method, perplexity, seed), size, progress)

    def ask_map(self, asked: Question, head: int, way: Way, size: int = 2000, progress: Tell | None = None) -> Map:
        """The same for a question that is made already, whose k is that of each output."""
        return self._told(plan(self, asked, head, way, size).map(progress))

    def written(
        self,
        layer: int = 0,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        position: bool = True,
        head: int | None = None,
    ) -> Written:
        """For each head of `layer`, which of the text's tokens each of its outputs is near to: what is written where.

        AUC_ij is how near the output at i is to token j among the whole vocabulary as it is at i, beside the weight
        with which i attended to j; and how far a head's outputs tell own and attended tokens from others. `head` is
        whose two matrices are laid out; None: that of the largest mean Carry. The choices are those of `nearest`.

        >>> written = scope.read("Time flies like an arrow.").written()
        >>> written.auc.shape == written.pattern.shape  # head, position, token
        True
        >>> round(written.auc[8, 2, 2].item(), 4)  # head 8 at "flies": that token is the nearest of all
        1.0
        """
        found = written(self, Question(self.bench.layer(layer), space, reference, metric, position, k=1), head)
        return self._told(
            found, None, layer, lambda _, of: self.written(of, space, reference, metric, position, found.head)
        )

    def standing(
        self,
        token: int | str = 1,
        layer: int = 0,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        position: bool = True,
        *,
        bank: Bank | None = None,
    ) -> Standing:
        """For each head of `layer`, where its output at `token` ranks the text's own tokens, beside even attention.

        The ranks are among the whole vocabulary; with each stand the rank that even attention would give, and the
        weight that the token has. With a `bank` also the middle half of where other texts' outputs put it. The choices
        are those of `nearest`. What it says in words describes this text, and claims nothing of the model.

        >>> standing = scope.read("Time flies like an arrow.").standing("flies")
        >>> print(standing.says_of(8).partition(",")[0], standing.ranks[8].tolist()[1])  # “flies” is the nearest of all
        Layer 0 1
        """
        asked = Question(self.bench.layer(layer), space, reference, metric, position, k=1)
        found = standing(self, asked, token, None if bank is None else held_by(self, bank))
        return self._told(found, token, layer)

    def journey(self, k: int = 10, position: bool = True, isolated: bool = False) -> Journey:
        """What becomes of every token on its way up: rank of and cosine to its own input embedding, stage by stage.

        `position`: the embedding as block 0 gets it at the token's place, or without the position. `k`: how many
        neighbours are compared between stages. `isolated`: the rank among the vocabulary read alone too, for which
        the model reads every token alone where `Scope.isolate` has not done so.
        """
        return self._told(journey(self, k, switch(position, "position"), switch(isolated, "isolated")))

    def mixing(self) -> Mixing:
        """How much of every layer's output comes from other positions; see `Mixing`."""
        return self._told(mixing(self))

    def glance(self) -> Glance:
        """Every head of this text in five numbers; see `Glance`."""
        return self._told(glance(self))

    def effects(self, token: int | str = 1, replaced_by: Replacement = "zero") -> Effects:
        """For each head, what the model's output at `token` loses when that head's z is replaced everywhere.

        By zeros, or by its mean over the text ("mean"). As many forward passes as there are heads, and one.
        """
        one_of("replacement", replaced_by, REPLACEMENTS)
        return self._told(effects(self, self.position_of(token), replaced_by), token)

    def removed(self, token: int | str = 1, layer: int = 0, replaced_by: Replacement = "zero") -> Removed:
        """What the output at `token` loses without each head of `layer`, in sentences.

        As many forward passes as the layer has heads, and one.
        """
        one_of("replacement", replaced_by, REPLACEMENTS)
        return self._told(removed(self, self.position_of(token), layer, replaced_by), token)

    def show(
        self,
        view: str = "heads",
        token: int | str = 1,
        layer: int = 0,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        position: bool = True,
    ) -> View:
        """A view of the page, alive in a notebook's cell, which goes on without a kernel; `save` makes it a file.

        `view` is "heads" (nearest tokens and positions), "atlas", "attention", "written", "journey" or "layers". It can
        be moved to the other tokens and layers that fit, by which it is asked before it is shown. Raises InputError for
        a view or a choice that is not open, or that the view has not.

        >>> view = scope.read("Time flies.").show("attention")  # as a cell's last line: the view itself
        >>> view.to_html().startswith("<!doctype html>"), "sandbox" in view._repr_html_()
        (True, True)
        """
        one_of("view", view, VIEWS)
        token, layer = self.position_of(token), self.bench.layer(layer)
        taken = {"attention": (), "journey": ("position",)}.get(view, ("space", "reference", "metric", "position"))
        usual = {"space": (space, "value"), "reference": (reference, None), "metric": (metric, "cosine")}
        for name, (given, default) in (usual | {"position": (switch(position, "position"), True)}).items():
            if name not in taken and given != default:
                raise InputError(f"the view {view} has no {name}: leave {name}={cut(repr(given))} out.")
        if view == "heads":
            near = self.nearest(token, layer, space, reference, metric, position)
            return View((near, self.nearest_positions(token, layer, metric)))
        if view == "atlas":
            return View((self.atlas(token, space, reference, metric, position),))
        if view == "attention":
            return View((self.attention(token, layer),))
        if view == "written":
            return View((self.written(layer, space, reference, metric, position),))
        if view == "journey":
            return View((self.journey(position=position), self.mixing()))
        return View((self.glance(), self.atlas(token, space, reference, metric, position)))
