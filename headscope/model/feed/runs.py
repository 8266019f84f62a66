"""One run of a model on texts of one token, or of many: how it is steered, and where it ends.

The model itself runs, up to one layer's attention call, and is left as it was. What it is given on the way, and what
is read there, is the caller's (feed.py, projections.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from headscope.errors import ModelError
from headscope.model.capture.anatomy import Anatomy
from headscope.model.capture.capture import prepared, without_cache
from headscope.model.capture.passes import Arrived, Attend, Attended, Recorder, recording
from headscope.model.capture.precision import has_halves, widened
from headscope.model.capture.sharing import shared_if_large
from headscope.model.capture.stored import device_of
from headscope.model.capture.trace import Trace
from headscope.model.feed.embeddings import rows_of
from headscope.model.feed.positions import Positions, Spot, Spotter
from headscope.model.feed.steering import giving, passing, restore_forward
from headscope.question.stopping import stop_point

_CHUNK_BYTES = 32 * 2**20
Place = tuple[Tensor, ...] | None  # what is added at one spot, see Spot.added; None: no position
Part = Literal["q", "k", "v"]
Steer = Callable[[ExitStack, Recorder], None]
_ALIKE = 1e-5  # of the largest number: what float32 arithmetic in another order may differ by


class StopAtAttention(Trace):
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


class Runs:
    """Runs a model on texts, each up to an attention call."""

    def __init__(self, model: PreTrainedModel, anatomy: Anatomy, positions: Positions, finite_ids: Tensor) -> None:
        """`finite_ids`: the vocabulary ids whose embeddings are finite."""
        self.model, self.anatomy, self.positions, self.finite_ids = model, anatomy, positions, finite_ids
        self._halves = has_halves(model)
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
        recorder = StopAtAttention(last, part)
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

    def _at_places(
        self, places: Sequence[tuple[Tensor, Place]], run: Callable[[Tensor, Place], Tensor]
    ) -> list[Tensor]:
        """What runs give of the ids at each of several places, as few as can be."""

        def at(place: Place) -> Callable[[Tensor], Tensor]:
            return lambda some: run(some, place)

        typed = any(self._is_typed(place) for _, place in places)
        alone = [n for n, (_, place) in enumerate(places) if typed and place is None]
        others = [places[n] for n in range(len(places)) if n not in alone]
        bare = iter([self._chunked(places[n][0], at(None)) for n in alone])
        together = self._together(others)
        if together is None:
            rest = iter([self._chunked(ids, at(place)) for ids, place in others])
        else:
            ids, rows = together

            def one(some: Tensor) -> Tensor:
                return run(ids[some], tuple(row[some.cpu()] for row in rows))

            found = self._chunked(torch.arange(len(ids), device=ids.device), one)
            rest = iter(found.split([len(ids) for ids, _ in others]))
        return [next(bare) if n in alone else next(rest) for n in range(len(places))]

    def _together(self, places: Sequence[tuple[Tensor, Place]]) -> tuple[Tensor, tuple[Tensor, ...]] | None:
        """The ids at all places, and what is added to each [token, 1, width]; None where a run has one place."""
        given = [place for _, place in places if place is not None]
        if len(places) < 2 or len(set(map(len, given))) != 1 or not self._places_by_text:
            return None
        if len(given) < len(places) and self._is_typed(given[0]):
            return None
        return _in_one_run(places, given[0])

    def _is_typed(self, place: Place) -> bool:
        """Whether a token type is given too: a token at no place has the model's first, which no zeros stand for."""
        return place is not None and len(place) > len(self.positions.modules)

    @cached_property
    def _places_by_text(self) -> bool:
        """Whether a run may have each of its texts at a place of its own, found out by trying."""
        if self.anatomy.arithmetic.by_batch or not self.positions.modules:
            return False
        at = self.place(min(1, (self.positions.limit or 2) - 1))
        places = [(self.plain_tokens[:1], at), (self.plain_tokens[-1:], None)]
        expected = torch.cat([self._run(ids, 0, place, _unsteered) for ids, place in places])
        ids, rows = _in_one_run(places, at)
        try:
            found = self._run(ids, 0, rows, _unsteered)
        except (RuntimeError, ValueError, IndexError):  # the model counts on one row for all texts
            return False
        if found.shape != expected.shape:
            return False
        return bool((found - expected).abs().amax() <= _ALIKE * expected.abs().amax())


def _unsteered(hooks: ExitStack, recorder: Recorder) -> None:
    pass


def _in_one_run(places: Sequence[tuple[Tensor, Place]], like: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The ids at all places, and what is added to each [token, 1, width]; nothing at no place, as wide as `like`."""
    plain = tuple(torch.zeros_like(row) for row in like)
    each = [[row.expand(len(ids), 1, -1) for row in place or plain] for ids, place in places]
    return torch.cat([ids for ids, _ in places]), tuple(torch.cat(some) for some in zip(*each, strict=True))
