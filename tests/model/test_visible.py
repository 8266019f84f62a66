"""What a position may see is the mask's to say, also where float32 holds every head's weight on it to be 0."""

from __future__ import annotations

import math
import re

import pytest
import torch
import zoo

from headscope import Scope
from headscope.model.capture import heads
from headscope.reading.within import evenly
from tests.studies.survey.corpora import surveyed, table, written

# By name and watched; encoders and decoders; a window of 6 in mistral's every layer, and in gpt-neo's layer 1.
NAMES = ["bert", "mpnet", "llama", "mistral", "gpt-neo", "opt", "t5-encoder"]
TEXT = "A dog by the sea is a dog I like and the cat is not by the sea"
SHARP = 1000.0  # about the largest score: weights underflow 104 below it
_QUERIES = (".query.", "q_proj.", ".q.")


def sharp(name: str) -> tuple[Scope, Scope]:
    """A tiny model, and the same with queries in layers 0 and 1 so long that a head's weight lies on one position."""
    model, tokenizer = zoo.build(name)
    plain = Scope.from_model(model, tokenizer, stack=zoo.stack_of(name))
    reading = plain.read(TEXT)
    exchanged, tokenizer = zoo.build(name)
    with torch.no_grad():
        for layer in (0, 1):
            q, k = reading.vectors("q", layer), reading.vectors("k", layer)
            largest = (torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(q.shape[-1])).abs().max()
            for where, parameter in exchanged.named_parameters():
                if re.search(rf"^\D*\.{layer}\.", where) and any(part in where for part in _QUERIES):
                    parameter *= SHARP / largest
    return plain, Scope.from_model(exchanged, tokenizer, stack=zoo.stack_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_that_underflows_in_every_head_is_no_mask(name):
    plain, sharpened = sharp(name)
    for layer in (0, 1):
        by_weights = plain.read(TEXT).attended(layer).pattern > 0  # none underflows
        found = sharpened.read(TEXT).attended(layer)
        assert torch.equal(found.visible, by_weights.any(0))
        assert torch.equal(plain.read(TEXT).attended(layer).visible, by_weights.any(0))
        assert not torch.equal((found.pattern > 0).any(0), found.visible), "the layer is not sharp"


@pytest.mark.parametrize("name", ["bert", "mpnet", "llama"])
def test_other_masks_padding_and_long_texts_are_seen_through_alike(name, monkeypatch):
    _, sharpened = sharp(name)
    size = len(sharpened.read(TEXT).tokens)
    everything = torch.ones(size, size, dtype=torch.bool)
    for mask, expected in (("full", everything), ("causal", everything.tril())):
        assert torch.equal(sharpened.read(TEXT, mask).attended(0).visible, expected)
    alone = sharpened.read(TEXT).attended(1)
    together = sharpened.read_many([TEXT, "A dog", f"{TEXT} and the sky"])
    assert torch.equal(together[0].attended(1).visible, alone.visible)
    monkeypatch.setattr(heads, "PATTERN_BYTES", 0)  # too large to keep: the model is run again
    again = sharpened.read(TEXT).attended(1)
    assert torch.equal(again.visible, alone.visible)
    assert torch.equal(again.pattern, alone.pattern)


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "gpt-oss", "bloom", "deberta-v2", "modernbert"])
def test_windows_sinks_and_biases_are_told_from_masks(scope_of, name):
    reading = scope_of(name).read(TEXT)
    for layer in range(len(reading.z)):
        assert torch.equal(reading.attended(layer).visible, (reading.pattern_of(layer) > 0).any(0))


@pytest.mark.slow
def test_written_and_surveys_go_by_the_mask(tmp_path):
    plain, sharpened = sharp("bert")
    reading = sharpened.read(TEXT)
    seen = torch.ones(len(reading.tokens), len(reading.tokens), dtype=torch.bool)
    found = reading.written(0)
    assert torch.equal(found.visible, seen)
    # Of every text's token that occurs once: the mean over all other positions, whether a head attends there or not.
    assert torch.equal(found.within.others.isnan(), plain.read(TEXT).written(0).within.others.isnan())
    directory = surveyed(sharpened, written(tmp_path / "t.txt", [TEXT, "A dog by the sea"]), tmp_path / "s")
    rows = table(directory, "rows")
    rows = rows[(rows.text == 0) & (rows.layer == 0) & (rows.reference == "layer") & rows.even_own_auc.notna()]
    assert len(rows) > 20
    even, ids = evenly(seen, reading.v[0], 4), [token.id for token in reading.tokens]
    assert torch.equal(even, even[:1].expand_as(even))  # to the last bit: whoever sees the same has the same
    for row in rows.itertuples():
        encoded = sharpened.bench.vocabulary.encoded("value", "layer", 0, reading.spots[row.position])
        encodings = encoded.rows(torch.arange(row.candidates))[:, row.head].double()
        near = torch.nn.functional.cosine_similarity(even[row.position, row.head].double()[None], encodings, dim=-1)
        rank = int((near > near[ids[row.position]] + 1e-9).sum()) + 1
        assert row.even_own_auc == pytest.approx(1 - (rank - 1) / (row.candidates - 1), abs=1e-5)
