"""A survey of a sample of Parquet rows, of which no more is read, is that of the same sample of any other kind."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.studies.survey.corpora import sentences, statistics, surveyed


@pytest.mark.long
def test_a_sample_of_parquet_is_the_sample_of_lines(scope_of, tmp_path):
    texts = sentences(60)
    documents = [f"d{n // 3}" for n in range(60)]
    lines = [json.dumps({"text": text, "document": document}) for text, document in zip(texts, documents, strict=True)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    table = pa.table({"text": texts, "document": documents})
    (tmp_path / "many").mkdir()
    for n in range(6):
        pq.write_table(table.slice(10 * n, 10), tmp_path / "many" / f"{n}.parquet", row_group_size=4)
    asked = {"sample": 20, "seed": 1, "shard_positions": 40}
    of_lines = surveyed(scope_of("bert"), tmp_path / "a.jsonl", tmp_path / "lines", **asked)
    of_parquet = surveyed(scope_of("bert"), tmp_path / "many", tmp_path / "parquet", **asked)
    assert statistics(of_parquet).equals(statistics(of_lines))
