"""The way of a token from its id to one layer's attention, walked by the model itself.

Every vocabulary token is a text of one token; block l is fed block 0's input; the run ends at the attention
call, where v is read. That is the definition of a vocabulary encoding: exact for every
architecture, because nothing of the model is rewritten here (docs/inside.md, "The vocabulary").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from headscope.errors import ModelError
from headscope.model.capture.anatomy import Anatomy
from headscope.model.capture.capture import held, prepared, without_cache
from headscope.model.capture.norms import Norm, measure, normalises
from headscope.model.capture.passes import Arrived, Attend, Attended, Recorder, is_recorded_by, recording
from headscope.model.capture.precision import has_halves, widened
from headscope.model.capture.sharing import shared_if_large
from headscope.model.capture.stored import device_of
from headscope.model.capture.trace import Trace
from headscope.model.feed.embeddings import rows_of
from headscope.model.feed.positions import Path, Positions, Spot, Spotter, arguments, replaced
from headscope.model.feed.steering import arrive, before, giving, instead, passing, restore_forward, told_at
from headscope.question.stopping import stop_point

_CHUNK_BYTES = 32 * 2**20
Place = tuple[Tensor, ...] | None  # what is added at one spot, see Spot.added; None: no position
Part = Literal["q", "k", "v"]
Steer = Callable[[ExitStack, Recorder], None]
_ALIKE = 1e-5  # of the largest number: what float32 arithmetic in another order may differ by


class _StopAtAttention(Trace):
    """Ends the run at the `last`-th attention call with its q, k or v, before that attention is computed."""

    def __init__(self, last: int, part: Part = "v") -> None:
        super().__init__()
        self.last, self.part = last, part
        self.passed: list[Tensor] = []  # the same of the attentions before

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Attended:
        found = {"q": q, "k": k, "v": v}[self.part]
        if layer == self.last:
            raise Arrived(found)
        self.passed.append(found)
        return attend()


class Feed:
    """Runs vocabulary tokens, each alone, up to any layer's attention call."""

    def __init__(self, model: PreTrainedModel, anatomy: Anatomy, positions: Positions, finite_ids: Tensor) -> None:
        """`finite_ids`: the vocabulary ids whose embeddings are finite."""
        self.model, self.anatomy, self.positions, self.finite_ids = model, anatomy, positions, finite_ids
        self._halves = has_halves(model)
        self._norms: dict[tuple[int, Part], Norm | None] = {}
        self._plain_spots: dict[int, Spot] = {}

    @property
    def device(self) -> torch.device:
        """Where encodings are kept: with the model, but for mps, which has no float64 to prove and rank them with."""
        device = device_of(self.model)
        return torch.device("cpu") if device.type == "mps" else device

    @property
    def vocab_size(self) -> int:
        """How many embeddings the model has: the ids of the vocabulary."""
        return rows_of(self.model.get_input_embeddings())

    # ---- the oracle ----

    def vectors(self, ids: Tensor, layer: int, place: Place, part: Part = "v") -> Tensor:
        """q, k or v [token, head, d_head] of `ids` [token] at `layer`, with every block before it run as well."""
        steer = self._fed_anew(layer)
        return self._chunked(ids, lambda chunk: self._run(chunk, layer, place, steer, part)[:, :, 0])

    def vectors_at(self, places: Sequence[tuple[Tensor, Place]], layer: int, part: Part = "v") -> list[Tensor]:
        """What `vectors` gives of the ids at each of several places; all in one run where the model tells them apart.

        A run reads the weights of every block up to the layer, and few tokens cost little more than that.
        """
        steer = self._fed_anew(layer)
        return self._at_places(places, lambda ids, place: self._run(ids, layer, place, steer, part)[:, :, 0])

    def _at_places(
        self, places: Sequence[tuple[Tensor, Place]], run: Callable[[Tensor, Place], Tensor]
    ) -> list[Tensor]:
        """What runs give of the ids at each of several places, as few as can be."""

        def at(place: Place) -> Callable[[Tensor], Tensor]:
            return lambda some: run(some, place)

        together = self._together(places)
        if together is None:
            return [self._chunked(ids, at(place)) for ids, place in places]
        ids, rows = together

        def one(some: Tensor) -> Tensor:
            return run(ids[some], tuple(row[some.cpu()] for row in rows))

        found = self._chunked(torch.arange(len(ids), device=ids.device), one)
        return [*found.split([len(ids) for ids, _ in places])]

    def _together(self, places: Sequence[tuple[Tensor, Place]]) -> tuple[Tensor, tuple[Tensor, ...]] | None:
        """The ids at all places, and what is added to each [token, 1, width]; None where a run has one place."""
        given = [place for _, place in places if place is not None]
        if len(places) < 2 or len(set(map(len, given))) != 1 or not self._places_by_text:
            return None
        return _in_one_run(places, given[0])

    @cached_property
    def _places_by_text(self) -> bool:
        """Whether a run may have each of its texts at a place of its own, found out by trying."""
        if self.anatomy.arithmetic.by_batch or not self.positions.modules:
            return False
        at = self.place(min(1, (self.positions.limit or 2) - 1))
        places = [(self.plain_tokens[:1], at), (self.plain_tokens[-1:], None)]
        expected = torch.cat([self.vectors(ids, 0, place) for ids, place in places])
        ids, rows = _in_one_run(places, at)
        try:
            found = self.vectors(ids, 0, rows)
        except (RuntimeError, ValueError, IndexError):  # the model counts on one row for all texts
            return False
        return bool((found - expected).abs().amax() <= _ALIKE * expected.abs().amax())

    def _fed_anew(self, layer: int) -> Steer:
        """Feeds the block of a layer what block 0 got."""
        first, block = self.anatomy.blocks[0], self.anatomy.blocks[layer]
        seen: list[Tensor] = []

        def steer(hooks: ExitStack, recorder: Recorder) -> None:
            before(hooks, recorder, first.module, first.nth, lambda given: seen.append(given))
            before(hooks, recorder, block.module, block.nth, lambda given: seen.pop())

        return steer

    def everywhere_at(self, places: Sequence[tuple[Tensor, Place]], part: Part = "v") -> list[list[Tensor]]:
        """What `vectors_at` gives of a few ids, at every layer, in no more runs than that takes at one."""
        together = self._together(places)
        if together is None:
            by_place = [self.everywhere(ids, part, place) for ids, place in places]
            return [list(of_layer) for of_layer in zip(*by_place, strict=True)]
        sizes = [len(ids) for ids, _ in places]
        return [list(found.split(sizes)) for found in self.everywhere(together[0], part, together[1])]

    def everywhere(self, ids: Tensor, part: Part = "v", place: Place = None) -> list[Tensor]:
        """What `vectors` gives of a few `ids` [token] at a place, at every layer, in one run."""
        first, *others = self.anatomy.blocks
        seen: list[Tensor] = []
        recorders: list[Recorder] = []

        def steer(hooks: ExitStack, recorder: Recorder) -> None:
            recorders.append(recorder)
            before(hooks, recorder, first.module, first.nth, lambda given: seen.append(given))
            for block in others:
                before(hooks, recorder, block.module, block.nth, lambda given: seen[0])

        last = self._run(ids, len(others), place, steer, part)
        (recorder,) = recorders
        assert isinstance(recorder, _StopAtAttention)
        return [*(found.float().to(self.device)[:, :, 0] for found in recorder.passed), last[:, :, 0]]

    def first_values(self, text: Sequence[int]) -> tuple[Tensor, tuple[Spot, ...]]:
        """v [position, head, d_head] of a whole text at layer 0, and where its tokens stood."""
        spotter = Spotter(self.positions, self.anatomy)

        def steer(hooks: ExitStack, recorder: Recorder) -> None:
            hooks.enter_context(spotter.watching(recorder))

        values = self._run_text(torch.tensor(text)[None], 0, steer)[0].transpose(0, 1)
        return values, spotter.spots([text])[0]

    def arrivals(self, ids: Tensor, place: Place) -> Tensor:
        """x [token, d_model]: what block 0 gets for `ids` [token], the start of the residual stream."""
        first = self.anatomy.blocks[0]

        def steer(hooks: ExitStack, recorder: Recorder) -> None:
            before(hooks, recorder, first.module, first.nth, arrive)

        return self._chunked(ids, lambda chunk: self._run(chunk, 0, place, steer)[:, 0])

    @cached_property
    def norms_input(self) -> bool:
        """Whether block 0 gets the embeddings through a norm: then their length makes no difference to it."""
        first, embeddings = self.anatomy.blocks[0], self.model.get_input_embeddings()

        def steer(hooks: ExitStack, recorder: Recorder) -> None:
            def lengthen(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
                return 1e3 * output if is_recorded_by(recorder) else None

            hooks.callback(embeddings.register_forward_hook(lengthen).remove)
            before(hooks, recorder, first.module, first.nth, arrive)

        some = self.plain_tokens[:8]
        longer = self._run(some, 0, None, steer)[:, 0].norm(dim=-1)
        return bool((longer < 100 * self.arrivals(some, None).norm(dim=-1)).all())

    # ---- the stations that the closed form is made of ----

    def norm(self, layer: int, part: Part = "v") -> Norm | None:
        """The last normalisation before `layer`'s attention that q, k or v depends on; None if there is none."""
        if (layer, part) not in self._norms:
            self._norms[layer, part] = self._find_norm(layer, part)
        return self._norms[layer, part]

    def known_norms(self, part: Part) -> dict[int, Norm | None]:
        """The norms that were found already, by layer."""
        return {layer: norm for (layer, of), norm in self._norms.items() if of == part}

    def take_norms(self, part: Part, norms: dict[int, Norm | None], only: int | None = None) -> None:
        """Take these for the norms of a part, by layer, or of one layer only: those that are not there are found."""
        for layer in range(len(self.anatomy.blocks)) if only is None else [only]:
            self._norms.pop((layer, part), None)
            if layer in norms:
                self._norms[layer, part] = norms[layer]

    def inputs(self, ids: Tensor, layer: int, place: Place, part: Part = "v") -> Tensor:
        """y [token, d]: what the norm of `layer` (where there is none, the block) gets for `ids` [token]."""
        (found,) = self.inputs_at([(ids, place)], layer, part)
        return found

    def inputs_at(self, places: Sequence[tuple[Tensor, Place]], layer: int, part: Part = "v") -> list[Tensor]:
        """What `inputs` gives of the ids at each of several places; in one run where that can be."""
        norm = self.norm(layer, part)

        def steer(hooks: ExitStack, recorder: Recorder) -> None:
            self._skip_to(layer, hooks, recorder)
            station = norm or self.anatomy.blocks[layer]
            before(hooks, recorder, station.module, station.nth, arrive)

        return self._at_places(places, lambda ids, place: self._run(ids, 0, place, steer)[:, 0])

    def normalised(self, y: Tensor, layer: int, part: Part = "v") -> Tensor:
        """N(y), for y [token, d]; y itself where `layer` has no norm."""
        norm = self.norm(layer, part)
        if norm is None:
            return y
        with held(norm.module), widened(self.model, self._halves):
            return norm.module(y[:, None].to(device_of(self.model)))[:, 0].to(self.device)  # type: ignore[no-any-return]

    def vectors_of(self, rows: Tensor, layer: int, part: Part = "v") -> Tensor:
        """q, k or v [row, head, d_head] at `layer` when the norm (without one: the block) has made `rows` [row, d]."""
        return self._vectors_after(self.norm(layer, part), rows, layer, part)

    def _vectors_after(self, norm: Norm | None, rows: Tensor, layer: int, part: Part) -> Tensor:
        def one(chunk: Tensor) -> Tensor:
            hidden = chunk[:, None].to(device_of(self.model))

            def steer(hooks: ExitStack, recorder: Recorder) -> None:
                self._skip_to(layer, hooks, recorder)
                if norm is None:
                    block = self.anatomy.blocks[layer]
                    before(hooks, recorder, block.module, block.nth, lambda given: hidden)
                else:
                    instead(hooks, recorder, norm.module, norm.nth, hidden)

            ids = torch.full((len(chunk),), self.plain_token)
            return self._run(ids, 0, None, steer, part)[:, :, 0]

        return self._chunked(rows, one)

    def projected(self, rows: Tensor, layer: int, part: Part, spot: Spot | None = None) -> Tensor:
        """q, k or v [row, head, d_head] at `layer` when its attention module gets `rows` [row, d_model] at `spot`.

        The rows stand everywhere in the spot's text; None: each is a text of one token.
        """
        attention = self.anatomy.blocks[layer].attention
        text, index = ([self.plain_token], 0) if spot is None else (spot.text, spot.index)
        length = len(text)

        def one(chunk: Tensor) -> Tensor:
            def steer(hooks: ExitStack, recorder: Recorder) -> None:
                self._skip_to(layer, hooks, recorder)
                before(hooks, recorder, attention, 0, lambda given: hidden)

            hidden = chunk[:, None].expand(-1, length, -1).contiguous().to(device_of(self.model))
            ids = torch.tensor(text).expand(len(chunk), length)
            return self._run_text(ids, 0, steer, part)[:, :, index]

        size = max(1, self._chunk // length)
        return torch.cat([self._chunked(chunk, one) for chunk in rows.split(size)])

    def told(self, rows: Tensor, layer: int, part: Part, spot: Spot) -> Tensor:
        """As `projected`, by texts of one token whose attention module is told what it is told at the spot.

        The same where the attention knows the position from its arguments alone, and a long text cheaper.
        """
        attention = self.anatomy.blocks[layer].attention
        heard: dict[Path, Tensor] = {}

        def listen(hooks: ExitStack, recorder: Recorder) -> None:
            def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                if is_recorded_by(recorder):
                    heard.update(arguments(args, kwargs))

            self._skip_to(layer, hooks, recorder)
            hooks.callback(attention.register_forward_pre_hook(hook, with_kwargs=True).remove)

        def steer(hooks: ExitStack, recorder: Recorder) -> None:
            def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                if not is_recorded_by(recorder):
                    return None
                given = arguments(args, kwargs)
                there = {path: told_at(heard[path], now, spot.index) for path, now in given if path in heard}
                return replaced(args, kwargs, there)

            self._skip_to(layer, hooks, recorder)
            hooks.callback(attention.register_forward_pre_hook(hook, with_kwargs=True).remove)
            before(hooks, recorder, attention, 0, lambda given: hidden[:, None])

        self._run_text(torch.tensor(spot.text)[None], 0, listen)
        hidden = rows.to(device_of(self.model))
        return self._run_text(torch.full((len(rows), 1), self.plain_token), 0, steer, part)[:, :, 0]

    @cached_property
    def plain_tokens(self) -> Tensor:
        """Up to 16 ids from all over the vocabulary that behave like most.

        Their embeddings are finite, and the padding token, which chooses its own position in RoBERTa-likes, is not
        among them.
        """
        padding = getattr(self.model.config.get_text_config(), "pad_token_id", None)
        ids = self.finite_ids
        ids = ids[ids != (-1 if padding is None else padding)]
        return ids[:: max(1, len(ids) // 16)][:16]

    @property
    def plain_token(self) -> int:
        """One of the plain tokens."""
        return int(self.plain_tokens[0])

    def spots(self, texts: Sequence[Sequence[int]]) -> list[tuple[Spot, ...]]:
        """Where the tokens of each text (their ids) stand, as the model counts them; texts are padded on the right."""
        longest = max(len(text) for text in texts)
        padding = getattr(self.model.config.get_text_config(), "pad_token_id", None) or 0
        ids = torch.tensor([[*text, *[padding] * (longest - len(text))] for text in texts])
        seen = torch.arange(longest) < torch.tensor([len(text) for text in texts])[:, None]
        spotter = Spotter(self.positions, self.anatomy)

        def steer(hooks: ExitStack, recorder: Recorder) -> None:
            self._skip_to(len(self.anatomy.blocks) - 1, hooks, recorder)
            hooks.enter_context(spotter.watching(recorder))

        self._run_text(ids, 0, steer, seen=seen.long())
        return spotter.spots(texts)

    @property
    def counts_padding(self) -> bool:
        """Whether padding behind a text changes how the model counts the text itself."""
        longer = min(7, self.positions.limit or 7)
        short = [self.plain_token] * max(1, longer // 2)
        return self.spots([short]) != self.spots([short, [self.plain_token] * longer])[:1]

    def spot(self, position: int) -> Spot:
        """Where the last token of an ordinary text of `position` + 1 tokens stands."""
        if position not in self._plain_spots:
            self._plain_spots[position] = self.spots([[self.plain_token] * (position + 1)])[0][position]
        return self._plain_spots[position]

    def place(self, position: int) -> tuple[Tensor, ...]:
        """What the model's position modules return at `position` of an ordinary text: a row [width] for each."""
        return self.spot(position).rows

    # ---- how a run is steered ----

    @cached_property
    def _chunk(self) -> int:
        """Tokens a run: few enough that a block's activations stay within bounds."""
        block = self.anatomy.blocks[0]
        return max(64, _CHUNK_BYTES // (4 * 3 * block.heads * block.d_head))

    def _chunked(self, rows: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        out: Tensor | None = None
        for start in range(0, len(rows), self._chunk):
            stop_point()
            part = run(rows[start : start + self._chunk])
            if out is None:  # filled as it comes, so that nothing is ever held twice
                out = part.new_empty(len(rows), *part.shape[1:])
            out[start : start + len(part)] = part
        assert out is not None, "there are rows to run"
        return out

    def _run(self, ids: Tensor, last: int, place: Place, steer: Steer, part: Part = "v") -> Tensor:
        """Run `ids` [token], each a text of its own at `place`, until the steering or attention `last` ends it."""

        def placed(hooks: ExitStack, recorder: Recorder) -> None:
            given = place or [None] * len(self.positions.modules)
            # Without its token type, a token is of the model's own, which is the first.
            for module, row in zip((*self.positions.modules, *self.positions.types), given, strict=False):
                hooks.callback(module.register_forward_hook(giving(row, recorder)).remove)
            steer(hooks, recorder)

        return self._run_text(ids[:, None], last, placed, part)

    def _run_text(self, ids: Tensor, last: int, steer: Steer, part: Part = "v", seen: Tensor | None = None) -> Tensor:
        """Run texts [text, position] until the steering or attention `last` ends it; `seen`: what is no padding."""
        ids = ids.to(device_of(self.model))
        recorder = _StopAtAttention(last, part)
        everything = torch.ones_like(ids) if seen is None else seen.to(ids)
        model = self.model
        try:
            with (
                prepared(model),
                ExitStack() as hooks,
                recording(recorder, everything),
                widened(self.model, self._halves),
            ):
                steer(hooks, recorder)
                hooks.enter_context(shared_if_large(self.anatomy, ids.numel()))
                model(input_ids=ids, attention_mask=everything, **without_cache(model))
        except Arrived as arrived:
            there: Tensor = arrived.args[0]
            return there.float().to(self.device)
        raise ModelError(f"{type(model).__name__} ran to its end without coming to attention call {last}.")

    def _skip_to(self, layer: int, hooks: ExitStack, recorder: Recorder) -> None:
        """Let every block before `layer` return what it was given, so that `layer`'s attention is the first."""
        for module in {block.module for block in self.anatomy.blocks[:layer]}:
            skipped = sum(block.module is module for block in self.anatomy.blocks[:layer])
            returns = next(block.returns for block in self.anatomy.blocks if block.module is module)
            had = module.__dict__.get("forward")
            module.forward = passing(module.forward, skipped, returns, recorder)
            hooks.callback(restore_forward, module, had)

    def _find_norm(self, layer: int, part: Part) -> Norm | None:
        """Search backwards from the attention for the first norm whose output, disturbed, changes q, k or v."""
        traces: list[Trace] = []

        def watched(hooks: ExitStack, recorder: Recorder) -> None:
            self._skip_to(layer, hooks, recorder)
            assert isinstance(recorder, Trace)
            hooks.enter_context(recorder.watching(self.model))
            traces.append(recorder)

        self._run(self.plain_tokens, 0, None, watched)
        for call in reversed(traces[0].calls):
            given, made = (call.inputs[0] if call.inputs else None), call.output
            if any(call.module.children()) or not isinstance(given, Tensor) or not isinstance(made, Tensor):
                continue
            if not given.is_floating_point() or given.dim() != 3:
                continue
            with held(call.module), widened(self.model, self._halves):
                if not normalises(call.module, given):
                    continue
                found = measure(call.module, call.nth, given.shape[-1], given)
            disturbed = made.float() + torch.linspace(0.5, 1.5, made.shape[-1], device=made.device)
            before, after = (self._vectors_after(found, rows[:, 0], layer, part) for rows in (made.float(), disturbed))
            if not torch.allclose(before, after):
                return found
        return None


def _in_one_run(places: Sequence[tuple[Tensor, Place]], like: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The ids at all places, and what is added to each [token, 1, width]; nothing at no place, as wide as `like`."""
    plain = tuple(torch.zeros_like(row) for row in like)
    each = [[row.expand(len(ids), 1, -1) for row in place or plain] for ids, place in places]
    return torch.cat([ids for ids, _ in places]), tuple(torch.cat(some) for some in zip(*each, strict=True))
