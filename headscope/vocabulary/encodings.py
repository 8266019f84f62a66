"""The whole vocabulary in every space: closed form where it is proved, else the model itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property, wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from headscope.cores.one_thread import alone
from headscope.errors import InputError
from headscope.keep.memory import M, Memory, Recent
from headscope.model.capture.norms import Norm
from headscope.model.feed.feed import Feed
from headscope.model.feed.positions import Spot
from headscope.model.feed.projections import output_weights
from headscope.model.feed.runs import Part
from headscope.model.feed.runs import Place as ModelPlace
from headscope.model.feed.turns import measure_turn
from headscope.model.opened import Opened
from headscope.model.telling import as_ours
from headscope.model.unembedding import Unembedding, find_unembedding
from headscope.neighbors import Place, Source, Table
from headscope.question import notes
from headscope.question.choices import OPEN_REFERENCES, Reference, Space
from headscope.vocabulary import closed_form, forms
from headscope.vocabulary.closed_form import ClosedForm, Motion
from headscope.vocabulary.encoded import Aim, Encoded, mean_of, unbiased
from headscope.vocabulary.fitted import Fitted
from headscope.vocabulary.forms import CachedTensors, Forms, added_at
from headscope.vocabulary.isolated import Isolated
from headscope.vocabulary.numbers import KeptNumbers
from headscope.vocabulary.through_w_o import Lens, seen_through
from headscope.vocabulary.ways import Ways

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
_LARGE = 2**24  # bytes of an entry: a table, and neither a form nor a place
_PARTS: dict[Space, Part] = {"value": "v", "output": "v", "key": "k", "query": "q"}


def _encodes(method: Callable[P, R]) -> Callable[P, R]:
    """What the model's own code raises in a method of a vocabulary becomes headscope's error."""

    @wraps(method)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        vocabulary = args[0]
        assert isinstance(vocabulary, Vocabulary)
        with as_ours(vocabulary.feed.model, "its vocabulary was encoded"):
            return method(*args, **kwargs)

    return inside


class Vocabulary:
    """Encodings of a model's whole vocabulary, made when first asked for and kept within `budget`.

    That is so many bytes, or a memory that others have part in.

    `encoded(space, reference, layer, spot)` is what the reference's block makes of every token that arrives as
    block 0's input at `spot`, as `layer` compares it; None leaves out what the model does for positions.
    """

    def __init__(self, opened: Opened, budget: int | Memory, alone: Isolated) -> None:
        self.feed: Feed = opened.feed
        self.names = opened.names
        self._opened, self._alone = opened, alone
        self.fitted: Fitted | None = None  # what the space fitted is, once a lens is in use
        self._cache: Recent[Any] = Recent(budget)
        self._forms = Forms(opened.feed, self._cache, alone.weights_sha256)
        self._ways, self._numbers = Ways(), KeptNumbers(alone.weights_sha256)

    @property
    def has_positions(self) -> bool:
        """Whether the model adds something to its input for each position."""
        return bool(self.feed.positions.modules)

    def moves(self, space: Space) -> bool:
        """Whether encodings in `space` depend on the position."""
        if not OPEN_REFERENCES[space]:
            return False
        return self.has_positions or (space in ("key", "query") and self.turns)

    @cached_property
    @_encodes
    def turns(self) -> bool:
        """Whether the model turns keys and queries by their position (RoPE), at any layer."""
        # Both ends of a text: some count from its end.
        text = self.feed.spots([[self.feed.plain_token] * min(3, self.feed.positions.limit or 3)])[0]
        layers = range(len(self.feed.anatomy.blocks))
        return any(measure_turn(self.feed, layer, "k", spot) is not None for layer in layers for spot in text[::2])

    @property
    def size(self) -> int:
        """How many ids the vocabulary has."""
        return self.feed.vocab_size

    @property
    def one_value_space(self) -> bool:
        """Whether all layers share their weights (ALBERT), and so their value space."""
        return len({block.module for block in self.feed.anatomy.blocks}) == 1

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._cache.nbytes

    def within(self, budget: int) -> AbstractContextManager[None]:
        """Keep no more than `budget` bytes of encodings until the block ends: for work that goes layer by layer."""
        return self._cache.within(budget)

    def forget_tables(self) -> None:
        """Forget what takes much room: for work that follows without encodings. What proves and places them stays."""
        self._cache.forget_large(_LARGE)

    @_encodes
    def encoded(
        self, space: Space, reference: Reference | None, layer: int, spot: Spot | None, queries: int | None = None
    ) -> Encoded:
        """The vocabulary as `layer` compares it in `space`, at `spot`.

        `reference` None is for the spaces that have none. `queries`: how many vectors of each head will be compared,
        which decides whether a table is made (`ways`), 0 where they are together with other layers'; None: it is.
        Raises InputError where the model has no such space.
        """
        if space == "embedding":
            return Encoded(self._keep(("embedding",), self._embeddings), Place.none, "model", 0.0, self._writes(layer))
        if space == "fitted":
            if self.fitted is None:
                raise InputError(
                    notes.no_lens(),
                    program="headscope lens TEXTS -o FILE fits one, and --lens FILE (scope.use_lens) opens it.",
                )
            table = self._keep(("embedding",), self._embeddings)
            return Encoded(
                table, Place(bias=-self.fitted.centre[None].to(table.rows)), "model", 0.0, self._lands(layer)
            )
        if space == "unembedding":
            found = self.unembedding
            table = self._keep(("unembedding",), lambda: unbiased(found.rows(self.size)[None].to(self.feed.device)))
            return Encoded(table, Place.none, "closed form", found.error, self._writes(layer, found.norm))
        if reference == "isolated":
            values = self.isolated(layer)
            if space == "output":
                return self._seen(("output", "isolated", layer), values, self._lens(layer))
            return Encoded(values, Place.none, "model", 0.0)
        projection = 0 if reference == "input" else layer
        place = None if spot is None or not spot.added else spot
        if space == "output":
            return self._output(projection, layer, place, queries)
        encoded = self._part(_PARTS[space], projection, place, queries)
        if space == "value" or spot is None or not spot.placed:
            return encoded
        return replace(encoded, aim=self._turn(_PARTS[space], projection, spot))

    @_encodes
    def expect(self, space: Space, reference: Reference | None, layer: int, spots: Iterable[Spot | None]) -> None:
        """Make ready to be asked for `encoded` at many spots, which would be dearer one after another."""
        if reference not in ("input", "layer"):
            return
        part, projection = _PARTS[space], 0 if reference == "input" else layer
        form = self._forms.proved(part, projection).form
        if form is not None and form.stem is not None:
            placed = [None if spot is None or not spot.added else spot for spot in spots]
            self._forms.expect(part, projection, placed)

    @_encodes
    def expect_arrivals(self, spots: Iterable[Spot | None]) -> None:
        """The same for `arriving`."""
        placed = [spot for spot in spots if spot is not None and spot.added]
        if placed and self._arrivals[0] is not None:
            self._forms.expect("v", 0, placed)

    @_encodes
    def is_ready(self, space: Space, reference: Reference | None, layer: int) -> bool:
        """Whether nothing has to be computed for the whole vocabulary before few vectors of a layer are compared."""
        projection = 0 if reference == "input" else layer
        if reference not in ("input", "layer"):
            return True
        form = self._forms.proved(_PARTS[space], projection).form
        if form is None or form.stem is None:
            return False
        key: tuple[object, ...] = ("table", _PARTS[space], projection)
        if space == "output":
            key, form = ("output", projection, layer, "table"), self._seen_form(projection, layer, form)
        if key in self._cache or ("shared", *key) in self._cache:
            return True
        numbers = self._numbers.get(form)
        if numbers is not None:
            self._cache.put(("shared", *key), form.shared(numbers))
        return numbers is not None

    @_encodes
    def isolated(self, layer: int) -> Table:
        """Every token's values in `layer` when the model reads it alone."""
        return self._keep(("isolated", layer), lambda: self._alone.table(layer))

    @_encodes
    def isolated_stream(self, stage: int) -> Table:
        """Every token's residual stream at `stage` when the model reads it alone: a table of one head."""
        return self._keep(("isolated stream", stage), lambda: self._alone.streams.table(stage))

    @cached_property
    @_encodes
    def unembedding(self) -> Unembedding:
        """How this model's residual stream becomes logits; InputError where that cannot be split by heads."""
        return find_unembedding(self._opened)

    @_encodes
    def arriving(self, spot: Spot | None) -> Encoded:
        """What block 0 gets for every token at `spot`, the start of the residual stream: a table of one head."""
        if spot is not None and spot.added:
            form, error = self._arrivals
            if form is not None:
                motion = self._forms.motion("v", 0, spot)
                table = self._keep(("arrivals",), form.pack)
                at = self._keep(("arrivals", "place", spot), lambda: Place(motion.scale, _shift(form, motion)))
                return Encoded(table, at, "closed form", error)
        plain = self._keep(("embedding",), self._embeddings)
        if spot is None or not spot.added:
            return Encoded(plain, Place.none, "model", 0.0)
        ids, place = self.feed.plain_tokens, spot.added
        added = self.feed.arrivals(ids, place).double() - self.feed.arrivals(ids, None).double()
        if float((added - added[0]).abs().amax()) <= forms.TOLERANCE * float(plain.typical[0]):
            return Encoded(plain, Place(shift=added.mean(0, keepdim=True).float()), "closed form", 0.0)
        return Encoded(self._keep(("arrivals", spot), lambda: self._embeddings(place)), Place.none, "model", 0.0)

    @cached_property
    def _arrivals(self) -> tuple[ClosedForm | None, float]:
        """Models that norm the sum of embeddings (BERT): that norm's output, where it is what block 0 gets."""
        form = closed_form.fit_arrivals(self.feed, self._forms.stem((0, "v")))
        spot = self.feed.spot(0)
        expected = self.feed.arrivals(self.feed.plain_tokens, spot.rows)
        got = form.encode(self.feed.plain_tokens, self._forms.offset((0, "v"), spot))[:, 0]
        if got.shape != expected.shape:
            return None, float("inf")
        error = float((got - expected).abs().amax() / expected.abs().amax())
        return (form, error) if error <= forms.TOLERANCE else (None, error)

    def forms(self) -> list[ClosedForm]:
        """The closed forms that are kept."""
        return self._forms.kept()

    # ---- v, k and q ----

    def _part(self, part: Part, layer: int, spot: Spot | None, queries: int | None = None) -> Encoded:
        proved = self._forms.proved(part, layer)
        if proved.form is None:
            table = self._keep(("model", part, layer, spot), lambda: self._run(part, layer, spot))
            return Encoded(table, Place.none, "model", 0.0)
        form = proved.form
        source = self._source(("table", part, layer), form, queries)
        place = Place.none
        if form.stem is not None:
            motion = self._forms.motion(part, layer, spot)
            place = self._keep(("place", part, layer, spot), lambda: Place(motion.scale, _shift(form, motion)))
        return Encoded(source, place, "closed form", proved.error)

    def _source(self, key: tuple[object, ...], form: ClosedForm, queries: int | None) -> Source:
        """A closed form's rows: the table where it is held already or will pay, else what the layers share."""
        if form.stem is None or queries is None or key in self._cache:
            return self._keep(key, form.pack)
        heads = self.feed.anatomy.blocks[0].heads
        if self._ways.pays(key, form.bias.numel(), queries * heads):
            return self._keep(key, form.pack)
        return self._keep(("shared", *key), lambda: form.shared(self._numbers.of(form)))

    def _run(self, part: Part, layer: int, spot: Spot | None) -> Table:
        """The definition itself: every vocabulary id through the model."""
        ids = torch.arange(self.size, device=self.feed.device)
        found = self.feed.vectors(ids, layer, added_at(spot), part)  # (V, head, d_head)
        return unbiased(found.transpose(0, 1))  # (head, V, d_head)

    def _turn(self, part: Part, layer: int, spot: Spot) -> Aim | None:
        """Turning a vector back by the position's turn compares it with the vocabulary at position 0."""

        def measure() -> CachedTensors:
            turn = measure_turn(self.feed, layer, part, spot)
            return CachedTensors(() if turn is None else (turn.mT.contiguous(),))

        kept = self._keep(("turn", part, layer, spot), measure).tensors
        return self._for_all_heads(kept[0]) if kept else None

    def _for_all_heads(self, matrix: Tensor) -> Aim:
        matrix = matrix.repeat_interleave(self.feed.anatomy.blocks[0].heads // len(matrix), dim=0)
        return Aim(matrix, matrix.new_zeros(len(matrix), matrix.shape[2]))

    # ---- through W_O ----

    def _output(self, projection: int, layer: int, spot: Spot | None, queries: int | None) -> Encoded:
        """W_O (R − μ), with μ the vocabulary's mean encoding, in the lens's coordinates."""
        lens, proved = self._lens(layer), self._forms.proved("v", projection)
        key = ("output", projection, layer)
        if proved.form is None:
            return self._seen((*key, spot), self._part("v", projection, spot).table, lens)
        form = proved.form
        seen = self._seen_form(projection, layer, form)
        source = self._source((*key, "table"), seen, queries)

        def place() -> Place:
            if isinstance(source, Table) and form.stem is None:
                return Place(bias=-mean_of(source).float())
            motion = self._forms.motion("v", projection, spot)
            return Place(motion.scale, _shift(seen, motion), -seen.of(self._forms.centre(projection, spot)))

        at = self._keep((*key, "place", spot), place)
        assert at.bias is not None, "made above"
        return Encoded(source, at, "closed form", proved.error, Aim(lens.matrix, at.bias.double() - lens(form.bias)))

    def _seen_form(self, projection: int, layer: int, form: ClosedForm) -> ClosedForm:
        return self._keep(("output", projection, layer, "form"), lambda: form.through(self._lens(layer)))

    def _seen(self, key: tuple[object, ...], values: Table, lens: Lens) -> Encoded:
        """Values that the model itself computed, through a lens."""
        table = self._keep(key, lambda: seen_through(values, lens))
        mean = self._keep((*key, "mean"), lambda: CachedTensors((mean_of(values),))).tensors[0]
        return Encoded(table, Place.none, "model", 0.0, Aim(lens.matrix, -lens(mean)))

    def _lens(self, layer: int) -> Lens:
        return self._keep(("lens", layer), lambda: Lens.of(output_weights(self.feed, layer)[0]))

    def _writes(self, layer: int, norm: Norm | None = None) -> Aim:
        """W_O itself: what a head's vectors add to the residual stream; without what a `norm` takes out of it."""

        def measure() -> CachedTensors:
            written = output_weights(self.feed, layer)[0].double()
            return CachedTensors((written if norm is None else norm.centred(written),))

        kept = self._keep(("w_o", layer, norm is not None and norm.centres), measure)
        return self._for_all_heads(kept.tensors[0])

    def _lands(self, layer: int) -> Aim:
        """The fitted map of a layer: x ↦ (x − mean) W."""
        assert self.fitted is not None, "asked before"
        weight = self.fitted.weight[layer].to(self.feed.device).double()
        mean = self.fitted.mean[layer].to(weight)
        return Aim(weight, -torch.einsum("hd,hdm->hm", mean, weight))

    def _embeddings(self, place: ModelPlace = None) -> Table:
        return unbiased(self.feed.arrivals(torch.arange(self.size, device=self.feed.device), place)[None])

    def _keep(self, key: tuple[object, ...], build: Callable[[], M]) -> M:
        with alone():  # what is large in it is spread over the pool, or computed together
            return self._cache.made(key, build)


def _shift(form: ClosedForm, motion: Motion) -> Tensor | None:
    """a [head, d_head]: what a position adds to every row of A; None: nothing."""
    return None if motion.offset is None else form.of(motion.offset)
