"""Surveys that no model measured: rows of random numbers in the shape and the files of real ones, of any size."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headscope.corpus.bank import ASKED, strata
from headscope.keep.rows import write_table
from headscope.question.kinds import KINDS
from headscope.reading.words import WORD_CLASSES
from headscope.studies.survey import tables
from headscope.studies.survey.manifest import FORMULA, SCHEMA, claim, work_of
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.store import BANK, Sink, Store, write_vocabulary

TEXT = 20  # tokens of every text
DOCUMENT = 5  # texts of every document
OUTPUTS = 64  # of each stratum of the bank


@dataclass(frozen=True)
class MadeSurvey:
    """The shape of a survey: a multiple of so many positions, in shards of so many."""

    positions: int
    shard_positions: int = 4000
    layers: int = 6
    heads: int = 12
    vocab_size: int = 30522

    @property
    def shards(self) -> int:
        """How many shards it has."""
        return self.positions // self.shard_positions

    @property
    def documents(self) -> int:
        """How many documents it has."""
        return self.positions // (TEXT * DOCUMENT)

    def begin(self, directory: Path) -> None:
        """Write its manifest, vocabulary and bank."""
        work_of(directory).refuse_foreign()
        directory.mkdir(parents=True, exist_ok=True)
        claim(directory, self._manifest())
        frequencies = (self.positions / np.arange(1, self.vocab_size + 1)).astype(np.int64)
        labels = [f"t{id}" for id in range(self.vocab_size)]
        write_vocabulary(directory, labels, ["word"] * self.vocab_size, frequencies)
        write_table(directory / BANK, self._bank())

    def measure(self, directory: Path, shard: int) -> None:
        """Write one shard, as if it had been measured."""
        with Store(directory).making(shard, 0.0) as writing:
            assert writing is not None, "nobody else measures it"
            with writing as sink:
                self._fill(sink, shard)

    def _manifest(self) -> dict[str, Any]:
        texts = self.shard_positions // TEXT
        digest = hashlib.sha256(repr(self).encode()).hexdigest()
        of_model = dict.fromkeys(("kv_heads", "d_head", "d_model"), 0)
        return {
            "schema": SCHEMA,
            "formula": FORMULA,
            "versions": {"headscope": "made"},
            "model": {"name": "made", "revision": None, "weights_sha256": digest, "dtype": "float32", "causal": False}
            | {"layers": self.layers, "heads": self.heads, "vocab_size": self.vocab_size, "architecture": "none"}
            | dict.fromkeys(of_model, 1),
            "options": SurveyOptions(shard_positions=self.shard_positions).to_dict(),
            "texts": {
                "sources": ["made"],
                "sha256": digest,
                "texts": texts * self.shards,
                "positions": self.positions,
                "groups": self.documents,
                "documents": self.documents,
                "left_out": {},
                "examples": [],
            },
            "shards": [
                {"texts": texts, "positions": self.shard_positions, "sha256": f"{n:064x}"} for n in range(self.shards)
            ],
        }

    def _bank(self) -> pa.Table:
        draw, levels = np.random.default_rng(0), int(strata(np.array([TEXT - 1]))[0]) + 1
        stratum = np.repeat(np.arange(levels), OUTPUTS)
        lenders = draw.choice(self.documents, min(self.documents, 2 * OUTPUTS), replace=False)
        group = np.concatenate([draw.permutation(lenders)[:OUTPUTS] for _ in range(levels)])
        return pa.table([stratum, group, group * DOCUMENT, np.zeros_like(stratum)], schema=tables.BANK)

    def _fill(self, sink: Sink, shard: int) -> None:
        draw, count = np.random.default_rng([1, shard]), self.shard_positions
        texts = np.arange(count // TEXT) + shard * (count // TEXT)
        text, position = np.repeat(texts, TEXT), np.tile(np.arange(TEXT), count // TEXT)
        documents = [f"d{n // DOCUMENT}" for n in texts]
        sink.texts(_table(tables.TEXTS, {
            "text": texts, "group": texts // DOCUMENT, "document": documents, "line": texts,
            "source": ["made"] * len(texts), "content": ["made"] * len(texts)}))  # fmt: skip
        asked = strata(position)[:, None] * OUTPUTS + draw.random((count, OUTPUTS)).argsort(1)[:, :ASKED]
        sink.tokens(_table(tables.TOKENS, {
            "text": text, "position": position, "id": (draw.pareto(1, count) * 10).astype(int) % self.vocab_size,
            "label": ["t"] * count, "tag": [None] * count, "word_class": draw.choice(WORD_CLASSES, count),
            "frequency": np.ones(count, int), "asked": asked}))  # fmt: skip
        for layer in range(self.layers):
            sink.patterns(_table(tables.PATTERNS, self._keys(text, position, layer) | {
                "entropy": 3 * draw.random(count * self.heads), "on_own": draw.random(count * self.heads),
                "on_previous": np.where(np.tile(position, self.heads) > 0, draw.random(count * self.heads), np.nan),
                "on_special": draw.random(count * self.heads)}))  # fmt: skip
        for reference in ("input", "layer"):
            for layer in range(self.layers):
                sink.rows(_table(tables.ROWS, self._keys(text, position, layer) | self._row(draw, reference)))

    def _keys(self, text: np.ndarray, position: np.ndarray, layer: int) -> dict[str, Any]:
        rows = len(text) * self.heads
        keys = {"text": np.tile(text, self.heads), "position": np.tile(position, self.heads)}
        return keys | {
            "layer": np.full(rows, layer),
            "head": np.repeat(np.arange(self.heads), len(text)),
            "mask": ["model"] * rows,
        }

    def _row(self, draw: np.random.Generator, reference: str) -> dict[str, Any]:
        rows = self.shard_positions * self.heads

        def ranks(*shape: int) -> np.ndarray:
            spread: np.ndarray = draw.random(shape)
            return 1 + (self.vocab_size * spread**4).astype(int)

        floats = (*tables.SIGNALS, *tables.WITHIN)
        return {
            "space": ["value"] * rows, "reference": [reference] * rows, "metric": ["cosine"] * rows,
            "candidates": np.full(rows, self.vocab_size), "own_rank": ranks(rows), "own_distance": draw.random(rows),
            "nearest": ranks(rows) - 1, "distance": draw.random(rows),
            "kind": draw.choice(KINDS, rows), "in_text": draw.random(rows) < 0.2,
            "chance_own_rank": ranks(rows, ASKED), "chance_in_text": draw.random((rows, ASKED)) < 0.05,
        } | {name: draw.random(rows) - 0.3 for name in floats}  # fmt: skip


def _table(schema: pa.Schema, columns: dict[str, Any]) -> pa.Table:
    return pa.Table.from_arrays([_column(columns[field.name], field.type) for field in schema], schema=schema)


def _column(values: Any, of: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(of):
        return pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(values)).cast(of.value_type), ASKED)
    if pa.types.is_dictionary(of):
        return pa.array(list(map(str, values))).dictionary_encode().cast(of)
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        return pa.array(values, from_pandas=True).cast(of, safe=False)
    return pa.array(values, of)
