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

from headscope.corpus.texts import Corpus, Text, Unreadable
from headscope.errors import InputError
from headscope.model.tokens import Token
from headscope.studies.survey.options import Options

BANK = 128  # texts whose types may serve as distractors where a shard has too few texts of its own
_EXAMPLES = 5
_DIGEST = 16  # bytes of a text's hash
Tokens = Callable[[Text], Sequence[Token]]  # raises InputError for a text that cannot be read


@dataclass(frozen=True)
class ShardPlan:
    """Which texts a shard holds: the slice [first, stop) of the census's texts, their positions and hash."""

    index: int
    first: int
    stop: int
    positions: int
    sha256: str


@dataclass(frozen=True)
class LeftOut:
    """A text that is not surveyed, and why."""

    reason: str
    source: str
    line: int


@dataclass(frozen=True)
class Census:
    """What is known of the texts that will be surveyed; `numbers`, `groups`, `positions` are by text, in order.

    `positions` counts tokens that are not special. `frequencies` int64 [vocab_size] counts them by id. `bank`: the
    token types of up to BANK texts.
    """

    numbers: NDArray[np.int64]
    groups: NDArray[np.int32]
    positions: NDArray[np.int32]
    longest: int
    documents: int | None
    frequencies: NDArray[np.int64]
    bank: tuple[tuple[int, NDArray[np.int64]], ...]  # text number, ids
    left_out: dict[str, int]
    examples: tuple[LeftOut, ...]
    shards: tuple[ShardPlan, ...]
    sha256: str

    @property
    def group_count(self) -> int:
        """Documents, where all texts are of one; every text without a document is a group by itself."""
        return int(self.groups.max()) + 1

    @property
    def total(self) -> int:
        """Positions in all."""
        return int(self.positions.sum())

    def texts_of(self, corpus: Corpus, wanted: set[int]) -> Iterator[tuple[ShardPlan, list[Text]]]:
        """The texts of each wanted shard, read again; InputError where they are not what they were."""
        reading = iter(corpus)
        for shard in self.shards:
            numbers = set(self.numbers[shard.first : shard.stop].tolist())
            texts: list[Text] = []
            while len(texts) < len(numbers):
                item = next(reading, None)
                if item is None:
                    break
                if isinstance(item, Text) and item.number in numbers:
                    texts.append(item)
            if shard.index not in wanted:
                continue
            groups = self.groups[shard.first : shard.stop].tolist()
            if hash_of(b"".join(map(digest_of, texts, groups))) != shard.sha256:
                raise InputError("the texts changed while they were being surveyed: run the survey again.")
            yield shard, texts


def take_census(corpus: Corpus, tokens: Tokens, options: Options, vocab_size: int) -> Census:
    """Read, tokenise and count the texts that are asked for.

    A line that cannot be read, a text that is too long or has no token but special ones is left out and counted.
    Raises InputError where nothing is left.
    """
    chosen = _chosen(corpus, options)
    left_out: Counter[str] = Counter()
    examples: list[LeftOut] = []

    def leave_out(reason: str, source: str, line: int) -> None:
        left_out[reason] += 1
        if len(examples) < _EXAMPLES:
            examples.append(LeftOut(reason, source, line))

    numbers, groups, positions, digests = array("q"), array("i"), array("i"), bytearray()  # a few bytes a text
    names: dict[str, int] = {}
    frequencies = np.zeros(vocab_size, dtype=np.int64)
    bank: list[tuple[int, NDArray[np.int64]]] = []
    draw = random.Random(options.seed)
    longest = group = 0
    for item in corpus:
        if isinstance(item, Unreadable):
            leave_out(item.reason, item.source, item.line)
            continue
        if chosen is not None and item.number not in chosen:
            continue
        try:
            read = tokens(item)
        except InputError as error:
            leave_out(_reason(error), item.source, item.line)
            continue
        ids = np.array([token.id for token in read if not token.special], dtype=np.int64)
        if not len(ids):
            leave_out("no token but special ones", item.source, item.line)
            continue
        if item.document is None or item.document not in names:
            if item.document is not None:
                names[item.document] = group
            at, group = group, group + 1
        else:
            at = names[item.document]
        numbers.append(item.number)
        groups.append(at)
        positions.append(len(ids))
        digests += digest_of(item, at)
        longest = max(longest, len(read))
        np.add.at(frequencies, ids, 1)
        _keep_some(bank, (item.number, np.unique(ids)), len(numbers), draw)
    if not numbers:
        why = "; ".join(f"{count} × {reason}" for reason, count in left_out.items())
        raise InputError(f"there is no text to survey{': ' + why if why else ''}.")
    counts = np.frombuffer(positions, dtype=np.int32)
    return Census(
        numbers=np.frombuffer(numbers, dtype=np.int64),
        groups=np.frombuffer(groups, dtype=np.int32),
        positions=counts,
        longest=longest,
        documents=len(names) or None,
        frequencies=frequencies,
        bank=tuple(bank),
        left_out=dict(left_out),
        examples=tuple(examples),
        shards=tuple(_shards(counts, digests, options.shard_positions)),
        sha256=hash_of(digests),
    )


def _chosen(corpus: Corpus, options: Options) -> set[int] | None:
    """Numbers of the sampled texts; None: all."""
    if options.sample is None:
        return None
    total = sum(isinstance(item, Text) for item in corpus)
    if options.sample >= total:
        return None
    return set(random.Random(options.seed).sample(range(total), options.sample))


def _reason(error: InputError) -> str:
    sentence = str(error)
    return "longer than the model reads" if "reads at most" in sentence else sentence.partition(":")[0]


def _keep_some(
    bank: list[tuple[int, NDArray[np.int64]]],
    one: tuple[int, NDArray[np.int64]],
    seen: int,
    draw: random.Random,
) -> None:
    """Keep every text with the same chance, BANK in all."""
    if len(bank) < BANK:
        bank.append(one)
    elif (place := draw.randrange(seen)) < BANK:
        bank[place] = one


def _shards(positions: NDArray[np.int32], digests: bytearray, size: int) -> Iterator[ShardPlan]:
    """Shards of about equal size: the last one must not be too small to compare its texts with one another."""
    ends = positions.cumsum(dtype=np.int64)
    total = int(ends[-1])
    count = max(1, round(total / size))
    # A text belongs to the shard in which its middle lies.
    shard_of = ((ends - positions / 2) * count / total).astype(np.int64)
    firsts = np.unique(shard_of, return_index=True)[1].tolist()
    for index, (first, stop) in enumerate(pairwise([*firsts, len(positions)])):
        digest = hash_of(digests[first * _DIGEST : stop * _DIGEST])
        yield ShardPlan(index, first, stop, int(positions[first:stop].sum()), digest)


def digest_of(text: Text, group: int) -> bytes:
    """A text's, of what the figures depend on: not of the file's name, nor of the document's."""
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for part in (text.content, str(group), *(word.tag for word in text.words)):
        digest.update(part.encode() + b"\0")
    return digest.digest()


def hash_of(digests: bytes | bytearray) -> str:
    """Of several texts, by their digests."""
    return hashlib.sha256(digests).hexdigest()
