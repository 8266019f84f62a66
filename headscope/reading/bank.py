"""A bank: what the heads write in other texts, so that a reading can be told from what any text would give."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from headscope.cores.one_thread import alone
from headscope.errors import InputError, ModelError, cut
from headscope.keep.paths import path_of
from headscope.keep.remote import refuse_remote
from headscope.model.lengths import alike
from headscope.model.tokens import Token
from headscope.neighbors import warm_up
from headscope.question import notes
from headscope.question.choices import MASKS, Mask, one_of
from headscope.question.given import number, texts_of
from headscope.question.passage import Passage
from headscope.question.question import Question
from headscope.reading.bench import Bench
from headscope.reading.captured import Captured, capture
from headscope.reading.kept_bank import KeptOutputs, same

SENTENCES = "the project's sentences"
_TOKENS = 256  # that are read at a time: larger batches pad more, and gain nothing on a CPU
_UNKNOWN = 0.1  # of a bank's tokens: beyond it, the texts are in a language that the tokenizer does not know


@dataclass(frozen=True, eq=False)
class Bank:
    """Outputs of all heads at the non-special positions of several texts; made by `Scope.bank`.

    `z` float32 [output, layer, head, d_head]; `positions`, `ids`, `text_of` int64 [output]: where each output stands in
    its text, the token there, and which of `texts` it is. All on the CPU.
    """

    z: Tensor
    positions: Tensor
    ids: Tensor
    text_of: Tensor
    texts: tuple[str, ...]
    name: str  # where the texts come from
    mask: Mask
    weights_sha256: str  # of the model that read them
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.z)

    def __repr__(self) -> str:
        return f"Bank of {len(self):,} outputs from {len(self.texts):,} texts ({self.name}), mask {self.mask!r}"

    @property
    def nbytes(self) -> int:
        """Memory the bank holds, in bytes."""
        return sum(part.nbytes for part in (self.z, self.positions, self.ids, self.text_of))

    def without(self, text: str) -> Bank:
        """The bank without the outputs of `text`."""
        if text.strip() not in self.texts:
            return self
        number = self.texts.index(text.strip())
        kept = self.text_of != number
        return replace(
            self,
            z=self.z[kept],
            positions=self.positions[kept],
            ids=self.ids[kept],
            text_of=self.text_of[kept] - (self.text_of[kept] > number).long(),
            texts=(*self.texts[:number], *self.texts[number + 1 :]),
        )

    def apart_from(self, captured: Captured) -> Bank:
        """The bank without the outputs of the texts that were captured."""
        texts = [text for text in (captured.passage.text, captured.passage.pair) if text is not None]
        return reduce(Bank.without, texts, self)

    def check(self, captured: Captured, asked: Question) -> None:
        """Refuse a bank that a question about what was captured cannot be held against."""
        if asked.space == "unembedding" and asked.metric == "euclidean":
            raise InputError(
                "a bank keeps no residual stream, by whose scale the Euclidean distance to the unembedding goes; open: "
                "cosine, dot."
            )
        card = captured.bench.card
        if self.weights_sha256 != card.weights_sha256 or self.z.shape[1:] != captured.z[:, 0].shape:
            raise InputError(f"the bank was made with other weights than the reading: make it with {card.name}.")
        if self.mask != captured.mask:
            raise InputError(f"the bank was read under the mask {self.mask!r}, and this text under {captured.mask!r}.")

    def around(self, position: int, least: int) -> Tensor:
        """The outputs in the smallest window around `position` that holds `least` of them, or all: int64 [output]."""
        apart = (self.positions - position).abs()
        radius = apart.sort().values[min(least, len(apart)) - 1]
        return (apart <= radius).nonzero()[:, 0]


@dataclass(frozen=True)
class BankTexts:
    """Texts that a bank can be made of: what they are called, what tells them from others, the way through them."""

    name: str
    key: Hashable
    lines: Callable[[], Iterator[str]]


def source(texts: str | os.PathLike[str] | Iterable[str] | None) -> BankTexts:
    """The project's sentences (None), a text file with one text a line (its path), or a list of texts.

    Raises InputError for a file that is not there, or anything else.
    """
    if texts is None:
        return BankTexts(
            SENTENCES, None, lambda: iter((files("headscope.reading") / "sentences.txt").read_text("utf-8").split("\n"))
        )
    if isinstance(texts, (str, os.PathLike)):
        refuse_remote([texts], "a bank is made of")
        path = path_of(texts, "the file of a bank's texts")
        if not path.is_file():
            wrong = "is no regular file" if path.exists() else "is not there"
            raise InputError(f"{str(texts)!r} {wrong}: a bank is made of a text file, one text a line.")
        found = path.stat()
        return BankTexts(path.name, (path.resolve(), found.st_mtime_ns, found.st_size), lambda: _lines(path))
    try:
        listed = tuple(texts_of(texts))
    except InputError as error:
        raise InputError(f"a bank's texts are the path of a text file, or a list of strings: {error}") from None
    return BankTexts(f"{len(listed):,} texts", listed, lambda: iter(listed))


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from file
    except UnicodeDecodeError as error:
        raise InputError(f"the file {str(path)!r} is no UTF-8 text: {error}.") from None


def bank_of(bench: Bench, texts: BankTexts, size: int = 2000, mask: Mask = "model") -> Bank:
    """See `Scope.bank`: the first texts that give `size` outputs, whichever one of them is left out."""
    size = number(size, range(2, sys.maxsize), f"the size of a bank is {size!r}; it is a number of outputs, 2 or more.")
    one_of("mask", mask, MASKS)
    bench.check()
    key = ("bank", texts.key, size, mask)
    return bench.kept.made(key, lambda: _filled(bench, texts, size, mask, ("so far", *key)))


def held_by(captured: Captured, bank: Bank | None) -> Bank:
    """The bank that an answer is held against: that which is given; None: the project's sentences, under its mask."""
    if bank is None:
        return bank_of(captured.bench, source(None), mask=captured.mask)
    if not isinstance(bank, Bank):
        raise InputError(f"bank is what scope.bank(texts) gives, not {cut(repr(bank))}.")
    return bank


@dataclass(frozen=True)
class _SoFar:
    """What the heads write in some of a bank's texts, by their number: [output, layer, head, d_head] each."""

    z: dict[int, Tensor]

    @property
    def nbytes(self) -> int:
        return sum(one.nbytes for one in self.z.values())


@alone()
def _filled(bench: Bench, source: BankTexts, size: int, mask: Mask, so_far: Hashable) -> Bank:
    """`so_far`: where it is kept what was read, for work that is ended before its time and asked for again."""
    texts, ordinary = _enough(bench, source, size)
    if bench.opened.model.device.type == "cpu":
        warm_up()  # searches with so many outputs come next, and it is there by then
    ids = [token.id for here in ordinary for token in here]
    # What a user's own texts make the model write is on no disk.
    at = [[(token.position, token.id) for token in here] for here in ordinary]
    kept = KeptOutputs(bench, mask, at) if source.key is None else None
    z = _outputs(bench, texts, ordinary, mask, so_far, kept)
    unknown = bench.opened.names.tokenizer.unk_token_id
    share = sum(id == unknown for id in ids) / len(ids)
    return Bank(
        z=z,
        positions=torch.tensor([token.position for here in ordinary for token in here]),
        ids=torch.tensor(ids),
        text_of=torch.arange(len(texts)).repeat_interleave(torch.tensor([len(here) for here in ordinary])),
        texts=tuple(texts),
        name=source.name,
        mask=mask,
        weights_sha256=bench.card.weights_sha256,
        notes=(notes.unknown_words(share),) if share > _UNKNOWN else (),
    )


def _outputs(
    bench: Bench, texts: list[str], ordinary: list[list[Token]], mask: Mask, so_far: Hashable, kept: KeptOutputs | None
) -> Tensor:
    """Outputs [output, layer, head, d_head] of all texts: read; or kept, where the model writes the first few so."""
    found = bench.kept.get(so_far) or _SoFar({})
    lengths = [len(here) for here in ordinary]
    for count, some in enumerate(alike(lengths, _TOKENS)):
        if not found.z.keys() >= set(some):
            passages = [Passage(texts[n]) for n in some]
            for n, read in zip(some, capture(Captured, bench, passages, mask, truncate=True), strict=True):
                outputs = read.z[:, [token.position for token in ordinary[n]]].transpose(0, 1)  # (output, L, H, d_head)
                if not bool(outputs.isfinite().all()):
                    raise ModelError(f"the model computes no numbers for the bank's text {read.text[:60]!r}.")
                found.z[n] = outputs.clone()
            bench.kept.put(so_far, found)
        if count == 0 and kept is not None:
            there = kept.get(found.z[some[0]].shape[1:])
            if there is not None and all(same(there.split(lengths)[n], found.z[n]) for n in some):
                bench.kept.drop(so_far)
                return there
    bench.kept.drop(so_far)
    z = torch.cat([found.z[n] for n in range(len(texts))])
    if kept is not None:
        kept.put(z)
    return z


def _enough(bench: Bench, source: BankTexts, size: int) -> tuple[list[str], list[list[Token]]]:
    """The first texts, each once, that have `size` ordinary tokens whichever is left out, and each one's; InputError
    where there are not so many."""
    texts: dict[str, list[Token]] = {}
    outputs = longest = 0
    for line in source.lines():
        text = line.strip()
        if not text or text in texts:
            continue
        texts[text] = [token for token in bench.tokens(Passage(text), truncate=True) if not token.special]
        outputs, longest = outputs + len(texts[text]), max(longest, len(texts[text]))
        if outputs - longest >= size:
            break
    if outputs < size:
        raise InputError(
            f"{source.name}: {len(texts):,} texts give {outputs:,} outputs at tokens that are not special, and "
            f"the bank is to hold {size:,}: give more texts, or in Python a smaller size."
        )
    return list(texts), list(texts.values())
