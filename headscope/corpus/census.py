"""One pass over the texts before anything is measured: how many there are, how long, and how they fall into shards."""

from __future__ import annotations

import hashlib
import random
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from headscope.corpus.asked import CorpusOptions
from headscope.corpus.bank import BankDraw, BankPlan
from headscope.corpus.genres import GenreDraw, Genres, TextTypes, keep_some
from headscope.corpus.same import GroupOf
from headscope.corpus.texts import Corpus, CorpusText, Unreadable
from headscope.errors import InputError
from headscope.model.tokens import Token
from headscope.question.shown import Summarised

SHARD_POSITIONS = 4096  # about how many tokens a shard has: what a run that is killed may lose
_EXAMPLES = 5
_DIGEST = 16  # bytes of a text's hash
_CHANGED = (
    "the texts changed while they were being surveyed, and what was measured is of the texts as they were: give these "
    "again, and the same command goes on; or survey the new ones in another directory."
)
Tokens = Callable[[CorpusText], Sequence[Token]]  # raises InputError for a text that cannot be read


@dataclass(frozen=True)
class ShardPlan:
    """Which texts a shard holds: the slice [first, stop) of the census's texts, their positions and hash."""

    index: int
    first: int
    stop: int
    positions: int
    sha256: str


@dataclass(frozen=True, repr=False)
class Census(Summarised):
    """What is known of the texts that will be surveyed; `numbers`, `groups`, `positions` are by text, in order.

    `positions` counts tokens that are not special. `frequencies` int64 [vocab_size] counts them by id. `bank`: whose
    outputs chance is measured with. `distractors`: the token types of some texts. `genres`: the same of each genre,
    where the texts have some. `same`: how many texts are, character for character, one that stood before them and has
    no document either.
    """

    numbers: NDArray[np.int64]
    groups: NDArray[np.int32]
    positions: NDArray[np.int32]
    longest: int
    documents: int | None
    same: int
    frequencies: NDArray[np.int64]
    bank: BankPlan
    distractors: tuple[TextTypes, ...]
    genres: Genres | None
    left_out: dict[str, int]
    examples: tuple[Unreadable, ...]
    shards: tuple[ShardPlan, ...]
    sha256: str

    @property
    def group_count(self) -> int:
        """Documents, where all texts are of one; texts without a document are a group with those that are the same."""
        return int(self.groups.max()) + 1

    @property
    def total(self) -> int:
        """Positions in all."""
        return int(self.positions.sum())

    def texts_of(self, corpus: Corpus, wanted: set[int]) -> Iterator[tuple[ShardPlan, list[CorpusText]]]:
        """The texts of each wanted shard, read again; InputError where they are not what they were."""
        reading = iter(corpus)
        for shard in self.shards:
            numbers = set(self.numbers[shard.first : shard.stop].tolist())
            texts: list[CorpusText] = []
            while len(texts) < len(numbers):
                item = next(reading, None)
                if item is None:
                    break
                if isinstance(item, CorpusText) and item.number in numbers:
                    texts.append(item)
            if shard.index not in wanted:
                continue
            groups = self.groups[shard.first : shard.stop].tolist()
            if hash_of(b"".join(map(digest_of, texts, groups))) != shard.sha256:
                raise InputError(_CHANGED)
            yield shard, texts


def take_census(
    corpus: Corpus, tokens: Tokens, options: CorpusOptions, vocab_size: int, shard_positions: int = SHARD_POSITIONS
) -> Census:
    """Read, tokenise and count the texts that are asked for; a shard has about `shard_positions` tokens.

    A line that cannot be read, a text that is too long or has no token but special ones is left out and counted.
    Raises InputError where nothing is left.
    """
    chosen = _chosen(corpus, options)
    count = _Count(vocab_size, options.seed)
    for item in corpus:
        if isinstance(item, Unreadable):
            count.leave_out(item.reason, item)
            continue
        if chosen is not None and item.number not in chosen:
            continue
        try:
            read = tokens(item)
        except InputError as error:
            count.leave_out(_reason(error), item)
        else:
            count.take(item, read)
    return count.census(shard_positions)


class _Count:
    """What is counted while the texts go by: a few bytes of each are held."""

    def __init__(self, vocab_size: int, seed: int) -> None:
        self._draw, self._bank, self._genres = random.Random(seed), BankDraw(seed), GenreDraw(seed)
        self._numbers, self._groups, self._positions, self._digests = array("q"), array("i"), array("i"), bytearray()
        self._documents: dict[str, int] = {}
        self._others = GroupOf()  # texts without a document
        self._frequencies = np.zeros(vocab_size, dtype=np.int64)
        self._distractors: list[TextTypes] = []
        self._left_out: Counter[str] = Counter()
        self._examples: list[Unreadable] = []
        self._longest = self._next_group = self._same = 0

    def leave_out(self, reason: str, item: CorpusText | Unreadable) -> None:
        """Count what is not surveyed, and keep the first few as examples."""
        self._left_out[reason] += 1
        if len(self._examples) < _EXAMPLES:
            self._examples.append(Unreadable(reason, item.source, item.line))

    def take(self, text: CorpusText, read: Sequence[Token]) -> None:
        """Count a text in; one with nothing but special tokens is left out."""
        ordinary = [(token.id, token.position) for token in read if not token.special]
        ids, places = np.array(ordinary, dtype=np.int64).reshape(-1, 2).T
        if not len(ids):
            self.leave_out("no token but special ones", text)
            return
        group = self._group(text)
        self._numbers.append(text.number)
        self._groups.append(group)
        self._positions.append(len(ids))
        digest = digest_of(text, group)
        self._digests += digest
        self._longest = max(self._longest, len(read))
        np.add.at(self._frequencies, ids, 1)
        self._bank.take(text.number, group, places, digest)
        types = TextTypes(text.number, group, np.unique(ids))
        keep_some(self._distractors, types, len(self._numbers), self._draw)
        if text.genre is not None:
            self._genres.take(text.genre, types, places, digest)

    def _group(self, text: CorpusText) -> int:
        # What is left out for intervals must be independent, and texts of one document are not: a document is one
        # group wherever its texts stand. Where no document is known, a text that is there again is the same once more.
        new = self._next_group
        if text.document is not None:
            group = self._documents.setdefault(text.document, new)
        else:
            group = self._others.find(text.content, new)
            self._same += group < new
        self._next_group += group == new
        return group

    def census(self, shard_positions: int) -> Census:
        """What was counted; InputError where that is nothing."""
        if not self._numbers:
            why = "; ".join(f"{count} × {reason}" for reason, count in self._left_out.items())
            raise InputError(f"there is no text to read{': ' + why if why else ''}.")
        positions = np.frombuffer(self._positions, dtype=np.int32)
        return Census(
            numbers=np.frombuffer(self._numbers, dtype=np.int64),
            groups=np.frombuffer(self._groups, dtype=np.int32),
            positions=positions,
            longest=self._longest,
            documents=len(self._documents) or None,
            same=self._same,
            frequencies=self._frequencies,
            bank=self._bank.plan(),
            distractors=tuple(self._distractors),
            genres=self._genres.genres(),
            left_out=dict(self._left_out),
            examples=tuple(self._examples),
            shards=tuple(_shards(positions, self._digests, shard_positions)),
            sha256=hash_of(self._digests),
        )


def _chosen(corpus: Corpus, options: CorpusOptions) -> set[int] | None:
    """Numbers of the sampled texts; None: all."""
    if options.sample is None or corpus.drawn:
        return None
    total = sum(isinstance(item, CorpusText) for item in corpus)
    if options.sample >= total:
        return None
    return set(random.Random(options.seed).sample(range(total), options.sample))


def _reason(error: InputError) -> str:
    sentence = str(error)
    return "longer than the model reads" if "reads at most" in sentence else sentence.partition(":")[0]


def _shards(positions: NDArray[np.int32], digests: bytearray, size: int) -> Iterator[ShardPlan]:
    """Shards of about equal size, in positions: what a shard costs in time and memory goes by them, not by texts."""
    # Of equal size, not full ones and a rest: the last must not be too small to compare its texts with one another.
    ends = positions.cumsum(dtype=np.int64)
    total = int(ends[-1])
    count = max(1, round(total / size))
    # A text belongs to the shard in which its middle lies.
    shard_of = ((ends - positions / 2) * count / total).astype(np.int64)
    firsts = np.unique(shard_of, return_index=True)[1].tolist()
    for index, (first, stop) in enumerate(pairwise([*firsts, len(positions)])):
        digest = hash_of(digests[first * _DIGEST : stop * _DIGEST])
        yield ShardPlan(index, first, stop, int(positions[first:stop].sum()), digest)


def texts_of_bank(bank: BankPlan, corpus: Corpus) -> list[CorpusText]:
    """The texts of a bank, read again, in order; InputError where they are not what they were."""
    found: list[CorpusText] = []
    for item in corpus:
        if len(found) == len(bank.digests):
            break
        if isinstance(item, CorpusText) and item.number in bank.digests:
            found.append(item)
    group_of = dict(zip(bank.text.tolist(), bank.document.tolist(), strict=True))
    changed = any(digest_of(text, group_of[text.number]) != bank.digests[text.number] for text in found)
    if changed or len(found) < len(group_of):
        raise InputError(_CHANGED)
    return found


def digest_of(text: CorpusText, group: int) -> bytes:
    """A text's, of what the figures depend on: not of the file's name, nor of the document's."""
    digest = hashlib.blake2b(digest_size=_DIGEST)
    genre = () if text.genre is None else (f"genre {text.genre}",)  # no tag has a space
    for part in (text.content, str(group), *(word.tag for word in text.words), *genre):
        digest.update(part.encode() + b"\0")
    return digest.digest()


def hash_of(digests: bytes | bytearray) -> str:
    """Of several texts, by their digests."""
    return hashlib.sha256(digests).hexdigest()
