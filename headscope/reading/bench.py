"""The bench: an opened model with one set of weights, and all that was made of them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar, cast

from torch import Tensor

from headscope.errors import HeadscopeError, InputError, cut
from headscope.keep.memory import Memory, Recent
from headscope.model.capture.heads import HeadTensors
from headscope.model.capture.runner import Text
from headscope.model.card import Card
from headscope.model.feed.projections import output_weights
from headscope.model.opened import Opened
from headscope.model.passages import Tokenized, has_template, tokenized
from headscope.model.staying import Stays
from headscope.model.surroundings import settled_class
from headscope.model.tokens import Token
from headscope.question import notes
from headscope.question.choices import WHAT, Candidates, Space, What, one_of
from headscope.question.given import bytes_of, hearing, number
from headscope.question.passage import Passage
from headscope.show.progress import bar
from headscope.vocabulary import Vocabulary
from headscope.vocabulary.isolated import Isolated, ReadAlone

T = TypeVar("T")
Bytes = int | str | Memory


class Changed(InputError):
    """The model no longer computes what it did when this bench was made."""

    def __init__(self) -> None:
        super().__init__("the model's weights changed after this text was read: read it again.")


@dataclass(frozen=True)
class Isolation:
    """What there is on disk of the tokens read alone: bytes, files, and where; `seconds`: how long this call took."""

    bytes: int
    shards: int
    directory: str
    seconds: float


@settled_class
class Bench(Stays):
    """An opened model, its card, its vocabulary, and what was made of one set of its weights.

    A scope makes another once the weights change, and a reading keeps the one that it was made on: what hangs on a
    bench is of the same weights. `kept`: banks, and what was measured over them, in one `memory` with the encodings.
    It may be used from several threads; who looks at the model, or makes what all share, holds `lock`, which is one
    for all benches of a scope.
    """

    goes_by_streams: ClassVar[bool] = False
    """Whether `seen` goes by the residual streams too."""

    def __init__(
        self,
        opened: Opened,
        card: Card,
        anew: Callable[[], Bench],
        memory: Memory,
        vocabulary: Callable[[Opened, Memory, Isolated], Vocabulary] = Vocabulary,
    ) -> None:
        """`anew`: how the model is opened once its weights have changed; `memory`: where all is kept; `vocabulary`: who
        encodes its tokens."""
        self.opened, self.card, self.lock = opened, card, threading.RLock()
        self.isolated = Isolated(opened, card.weights_sha256)
        self.memory = memory
        self.encodings = vocabulary(opened, memory, self.isolated)
        self.kept: Recent[Any] = Recent(memory)
        self._anew = anew
        self._held: dict[type[Any], Any] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {self.card.name}, weights {self.card.weights_sha256[:12]}…"

    def anew(self) -> Bench:
        """The bench of the weights as they are now."""
        bench = self._anew()
        bench.lock = self.lock
        return bench

    def changed(self) -> bool:
        """Whether the model computes anything else than when it was opened; once it does, for good."""
        with self.lock:
            return self.opened.freshness.changed()

    def moved(self) -> bool:
        """Whether anything has moved since the model was last looked at; a glance, which runs nothing."""
        return self.opened.freshness.moved()

    def check(self) -> None:
        """Refuse what needs the model, where its weights have changed since a text was read on this bench."""
        if self.changed():
            raise Changed

    def vouch(self, ids: Tensor) -> None:
        """Refuse an answer with tokens that the model no longer embeds as it did when it was opened."""
        with self.lock:
            if not self.opened.freshness.embeds_as_before(ids.flatten()):
                raise Changed

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary's encodings by the weights of this bench; InputError if they have changed."""
        self.check()
        return self.encodings

    def seen(self, heads: Sequence[HeadTensors], texts: Sequence[Text]) -> Sequence[HeadTensors]:
        """What readings get to see of a pass over texts: what the model computed."""
        return heads

    def tokens(self, passage: Passage, *, truncate: bool = False) -> tuple[Token, ...]:
        """The tokens of a passage as the heads that are read get them; the model is not run.

        Raises InputError for an empty text, or one that is longer than the model reads, unless `truncate`.
        """
        return self.cut(passage, truncate).tokens

    def context(self, passage: Passage, *, truncate: bool = False) -> tuple[Token, ...] | None:
        """The tokens of a passage as the encoder gets them that a decoder attends to; None where none is read along."""
        return None if self.opened.stack.encoder is None else self._cut(passage, None, truncate).tokens

    def cut(self, passage: Passage, truncate: bool) -> Tokenized:
        """The tokens of a passage as the heads that are read get them, with a note if it was cut."""
        return self._cut(passage, self.opened.stack.start, truncate)

    def _cut(self, passage: Passage, start: int | None, truncate: bool) -> Tokenized:
        names, positions = self.opened.names, self.opened.positions
        limit, made = positions.limit, tokenized(passage, names).behind(start, names)
        if limit is not None and len(made.tokens) > limit:
            if not truncate:
                raise InputError(
                    f"the text has {len(made.tokens)} tokens, and the model reads at most {limit}: shorten it.",
                    program="Or let it be cut: truncate=True, --truncate.",
                )
            kept = tokenized(passage, names, limit - (0 if start is None else 1)).behind(start, names)
            made = replace(kept, notes=(*kept.notes, notes.truncated(limit, len(made.tokens))))
        if not made.types:
            return made
        if not positions.types:
            return replace(made, types=())
        return replace(made, notes=(*made.notes, notes.token_types()))

    @property
    def has_template(self) -> bool:
        """Whether the tokenizer has a template for chats."""
        return has_template(self.opened.names.tokenizer)

    def w_o(self, layer: int) -> Tensor:
        """W_O of a layer's heads, as the model has it now, on the CPU: float32 [head, d_head, d_model]."""
        return output_weights(self.opened.feed, layer)[0].cpu()

    def layer(self, given: int) -> int:
        """A layer of the model; InputError for another."""
        most = self.card.layers - 1
        return number(given, range(most + 1), f"there is no layer {given!r}; the model's layers are 0 to {most}.")

    def place(self, at: int | None) -> int | None:
        """A position that the model has (None: none is meant); InputError for another."""
        if at is None:
            return None
        limit = self.card.positions
        to = "from 0" if limit is None else f"0 to {limit - 1}"
        open_ones = range(sys.maxsize if limit is None else limit)
        return number(at, open_ones, f"there is no position {at!r}; the model's positions are {to}.")

    def count(self, k: int, candidates: Candidates = "all") -> int:
        """A number of neighbours that there are candidates for; InputError for another."""
        names = self.opened.names
        most = int(names.words.sum()) if candidates == "words" else names.vocab_size
        return number(k, range(1, most + 1), f"k is {k!r}; it is a number from 1 to {most} (the candidates).")

    def isolate(self, progress: Callable[[int, int], None] | None = None, what: What = "values") -> Isolation:
        """Read every vocabulary token alone, and keep on disk what becomes of it; see `Scope.isolate`."""
        started = time.monotonic()
        one_of("part of the tokens read alone", what, WHAT)
        progress = hearing(progress)
        self.check()  # else other weights' values would stand under the name of these
        alone = self.isolated.kept(what)
        done = alone.done()
        shown = bar(_announced(alone), "Reading tokens alone") if progress is None and done < alone.tokens else None
        with shown or nullcontext(progress or (lambda done, total: None)) as tell:
            tell(done, alone.tokens)
            for done in alone.steps():
                tell(done, alone.tokens)
        return Isolation(alone.nbytes, alone.shards, str(alone.directory), time.monotonic() - started)

    def held(self, kind: type[T]) -> T | None:
        """The one thing of a kind that belongs to this bench: the lens in use, the layouts of maps; None: none yet."""
        return cast("T | None", self._held.get(kind))

    def hold(self, kind: type[T], thing: T | None) -> None:
        """Keep the one thing of a kind, in the place of another; None: none any more."""
        with self.lock:
            self._held[kind] = thing

    def the(self, kind: type[T], make: Callable[[Memory], T]) -> T:
        """The one thing of a kind, made when it is first asked for; what it keeps is in the bench's memory."""
        with self.lock:
            if self._held.get(kind) is None:
                self._held[kind] = make(self.memory)
            return cast("T", self._held[kind])

    def forget(self) -> None:
        """Drop the banks, and what was measured over them."""
        self.kept = Recent(self.memory)

    def closed_spaces(self) -> dict[Space, str]:
        """The spaces that cannot be asked for, each with the sentence that says why."""
        closed: dict[Space, str] = {}
        try:
            self.vocabulary.unembedding  # noqa: B018 - finding it is the question
        except HeadscopeError as error:
            closed["unembedding"] = str(error)
        if self.encodings.fitted is None:
            closed["fitted"] = notes.no_lens()
        return closed


def _announced(alone: ReadAlone) -> str:
    asker = {"values": "The reference isolated", "streams": "A rank among the vocabulary read alone"}[alone.what]
    return (
        f"{asker} needs {alone.tokens:,} tokens read alone, once; their {alone.what} take "
        f"{alone.nbytes / 2**20:,.0f} MiB in {alone.directory}"
    )


def a_bench(given: object) -> Bench:
    """What a scope is made of; InputError for what a user would open one with."""
    if isinstance(given, Bench):
        return given
    raise no_scope(f", not by Scope({cut(repr(given))}).")


def a_memory(given: Bytes) -> Memory:
    """What bounds what is kept beside a model; InputError for what is no number of bytes."""
    return given if isinstance(given, Memory) else Memory(bytes_of(given, "cache_bytes"))


def no_scope(given: str) -> InputError:
    """What is told where a scope is none: how one is opened, and then what was given."""
    return InputError(f"a scope is opened by Scope.from_pretrained(name) or Scope.from_model(model, tokenizer){given}")
