"""The way of a token from its id to one layer's attention, walked by the model itself.

Every vocabulary token is a text of one token; block l is fed block 0's input; the run ends at the attention
call, where v is read. That is the definition of a vocabulary encoding: exact for every
architecture, because nothing of the model is rewritten here (docs/inside.md, "The vocabulary").
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from headscope.model.capture.anatomy import Anatomy
from headscope.model.capture.capture import held
from headscope.model.capture.norms import Norm, measure, normalises
from headscope.model.capture.passes import Recorder, is_recorded_by
from headscope.model.capture.precision import widened
from headscope.model.capture.stored import device_of
from headscope.model.capture.trace import Trace
from headscope.model.feed.positions import Path, Positions, Spot, Spotter, arguments, replaced
from headscope.model.feed.runs import Part, Place, Runs, Steer, StopAtAttention
from headscope.model.feed.steering import arrive, before, instead, told_at


class Feed(Runs):
    """Runs vocabulary tokens, each alone, up to any layer's attention call."""

    def __init__(self, model: PreTrainedModel, anatomy: Anatomy, positions: Positions, finite_ids: Tensor) -> None:
        super().__init__(model, anatomy, positions, finite_ids)
        self._norms: dict[tuple[int, Part], Norm | None] = {}

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
        assert isinstance(recorder, StopAtAttention)
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

    def told(self, rows: Tensor, layer: int, part: Part, spot: Spot, *, counted: bool) -> Tensor:
        """As `projected`, by texts of one token whose attention module is told what it is told at the spot.

        The same where the attention knows the position from its arguments alone, and a long text cheaper. Not
        `counted`: it is told numbers (cosines and sines) and no places, at which it may look for keys (MiniMax M3).
        """
        attention = self.anatomy.blocks[layer].attention
        heard: dict[Path, Tensor] = {}

        def listen(hooks: ExitStack, recorder: Recorder) -> None:
            def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                if is_recorded_by(recorder):
                    found = dict(arguments(args, kwargs))
                    heard.update(found if counted else {path: x for path, x in found.items() if _is_number(x)})

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
            if not given.is_floating_point() or given.dim() != 3 or given.shape[1] != 1:
                continue  # texts of one token each: what has more is a norm of each head (Chameleon), behind q or k
            with held(call.module), widened(self.model, self._halves):
                if not normalises(call.module, given):
                    continue
                found = measure(call.module, call.nth, given.shape[-1], given)
            disturbed = made.float() + torch.linspace(0.5, 1.5, made.shape[-1], device=made.device)
            before, after = (self._vectors_after(found, rows[:, 0], layer, part) for rows in (made.float(), disturbed))
            if not torch.allclose(before, after):
                return found
        return None


def _is_number(given: Tensor) -> bool:
    """Whether a tensor's entries are numbers to compute with (an angle, a bias), and no places or yes and no."""
    return given.is_floating_point() or given.is_complex()
