"""A corpus that was counted for a model: its texts, shard by shard, as often as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from headscope.corpus.asked import CorpusOptions
from headscope.corpus.census import SHARD_POSITIONS, Census, ShardPlan, take_census
from headscope.corpus.drawn import Draw
from headscope.corpus.files import TextFile
from headscope.corpus.texts import Corpus, CorpusText
from headscope.errors import InputError
from headscope.model.tokens import Token
from headscope.question.choices import Format
from headscope.question.shown import Summarised
from headscope.scope import Scope

_WITHOUT_COLUMNS: dict[Format, str] = {"text": "plain text", "conllu": "CoNLL-U"}


@dataclass(frozen=True)
class Shard:
    """Some texts that are measured together, and each one's group: its document, or it alone."""

    plan: ShardPlan
    texts: list[CorpusText]
    groups: list[int]


def corpus_of(sources: Sequence[TextFile], asked: CorpusOptions) -> Corpus:
    """The texts of some files; where a sample of them is asked for, no more is read than it needs.

    Raises InputError for a column that is named, where no file has columns.
    """
    if all(source.format in _WITHOUT_COLUMNS for source in sources):
        for option, name in asked.columns.named:
            raise InputError(
                f"{sources[0].name} is read as {_WITHOUT_COLUMNS[sources[0].format]}, which has no columns: {option} "
                f"{name} goes with --format jsonl, csv or parquet."
            )
    return Corpus(sources, asked.columns, None if asked.sample is None else Draw(asked.sample, asked.seed))


@dataclass(frozen=True, repr=False)
class CountedCorpus(Summarised):
    """Texts and their census."""

    corpus: Corpus
    census: Census

    @classmethod
    def of(
        cls, scope: Scope, sources: Sequence[TextFile], asked: CorpusOptions, shard_positions: int = SHARD_POSITIONS
    ) -> CountedCorpus:
        """Count the texts that are asked for, as the model reads them. Raises InputError where nothing is left."""
        corpus = corpus_of(sources, asked)

        def tokens(text: CorpusText) -> tuple[Token, ...]:
            return scope.tokens(text.content, truncate=asked.truncate)

        return cls(corpus, take_census(corpus, tokens, asked, scope.card.vocab_size, shard_positions))

    @property
    def everywhere(self) -> CountedCorpus:
        """The same with names of files that mean the same wherever a process stands."""
        return replace(self, corpus=self.corpus.everywhere)

    def __len__(self) -> int:
        """How many shards there are."""
        return len(self.census.shards)

    def read(self, wanted: set[int]) -> Iterator[tuple[int, Shard]]:
        """The wanted shards with their numbers; InputError where the texts are not what they were."""
        for plan, texts in self.census.texts_of(self.corpus, wanted):
            yield plan.index, Shard(plan, texts, self.census.groups[plan.first : plan.stop].tolist())
