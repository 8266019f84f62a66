"""The test on sixty texts that the page begins, killed again and again: it ends with an unbroken one's numbers."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="surveys are not installed (extra: survey)")

import httpx
import pyarrow.parquet as pq
import torch
from aside import Program
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from headscope.studies.survey.finished import CONTRASTS, STATISTICS
from headscope.studies.tested.question import SENTENCES

# Sixty short texts in the place of the sentences: with them it takes seconds.
SERVE = """
import sys
from pathlib import Path
from headscope.commands.cli import main
from headscope.studies.tested import question
question.SENTENCES = Path(sys.argv[1])
main(["serve", "--model", sys.argv[2], "--port", "0", "--no-browser"])
"""
# Of all that is to be measured: among the model's own texts, in the twins, and in what is worked out at the end.
MOMENTS = (0.05, 0.5, 0.8, 1.0)


class Served:
    """`headscope serve` in a process of its own that can be killed, and what its page asks it."""

    def __init__(self, texts: Path, model: Path, cache: Path) -> None:
        self._program = Program(
            SERVE, texts, model, folder=cache / "said", environment={**os.environ, "HEADSCOPE_CACHE": str(cache)}
        )
        self._program.until(lambda: "headscope is at" in self._program.out)
        found = re.search(r"http://\S+(?=/)", self._program.out)
        assert found, self._program.err
        self._client = httpx.Client(base_url=found[0], timeout=60)

    def begin(self) -> None:
        """What the page's button does."""
        self._client.post("/api/v1/survey/test").raise_for_status()

    def until(self, share: float) -> Any:
        """Wait until so much of all is measured, or it has ended; what the page is told then."""
        while True:
            told = self._client.get("/api/v1/survey").json()
            test = told["testing"]
            if test["state"] not in ("waiting", "working") or test["done"] >= share * (test["total"] or 10**9):
                return told
            time.sleep(0.01)

    def usual(self) -> Any:
        """The figures under the heads' names."""
        return self._client.post("/api/v1/usual", json={"layer": 0}).raise_for_status().json()["heads"]

    def kill(self) -> None:
        """SIGKILL."""
        self._client.close()
        self._program.kill()
        self._program.wait()


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """The first words of the sixty sentences."""
    file = tmp_path / "texts.txt"
    short = [" ".join(text.split()[:8]) for text in SENTENCES.read_text("utf-8").strip().split("\n\n")]
    file.write_text("\n\n".join(short), "utf-8")
    return file


@pytest.fixture
def model(texts: Path, tmp_path: Path) -> Path:
    """A tiny model whose tokens are the words of the texts."""
    words = sorted(set(re.findall(r"\w+|[^\w\s]+", texts.read_text("utf-8").lower())))
    vocabulary = {word: id for id, word in enumerate(["[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    for part in (BertModel(config), PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")):
        part.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.long
def test_killed_at_four_moments_it_ends_with_the_numbers_of_an_unbroken_one(
    texts: Path, model: Path, tmp_path: Path
) -> None:
    ended, kept = {}, {}
    for name, moments in (("whole", ()), ("broken", MOMENTS)):
        cache = tmp_path / name
        for moment in moments:
            server = Served(texts, model, cache)
            server.begin()
            told = server.until(moment)
            server.kill()
            assert told["testing"]["state"] == "working", told
        server = Served(texts, model, cache)
        assert server.until(0)["survey"] is None
        server.begin()
        told = server.until(2)
        assert told["testing"]["state"] == "ready", told
        assert told["survey"]["texts"] == 60
        ended[name] = told["survey"], server.usual()
        server.kill()
        (place,) = {file.parent for file in cache.rglob(STATISTICS)}  # the figures, and nothing of what was begun
        kept[name] = [pq.read_table(place / table) for table in (STATISTICS, CONTRASTS)]
    assert ended["whole"] == ended["broken"]
    assert all(one.equals(other) for one, other in zip(kept["whole"], kept["broken"], strict=True))
