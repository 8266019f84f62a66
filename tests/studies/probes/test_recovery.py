"""Recovery: where in a planted model the token at i can be read, by offset and layer."""

from __future__ import annotations

import json

import pytest
import torch

from headscope import InputError
from headscope.corpus.samples import Samples
from headscope.studies.probes import recovery
from tests.studies.probes.planted import BLIND, OWN, PREVIOUS

OFFSETS = (-1, 0, 1)
BEFORE, HERE, AFTER = range(3)


@pytest.fixture(scope="module")
def found(built, texts):
    return recovery(built, texts, offsets=OFFSETS)


@pytest.mark.slow
def test_each_head_holds_the_token_that_it_was_built_to_hold(found):
    top1 = found.heads.top1
    assert top1.value[0, OWN, HERE] > 0.97
    assert top1.value[0, PREVIOUS, BEFORE] > 0.97
    for head, offset in ((OWN, BEFORE), (OWN, AFTER), (PREVIOUS, HERE), (PREVIOUS, AFTER), (BLIND, HERE)):
        assert not top1.above[0, head, offset]
        assert top1.value[0, head, offset] < 0.5
    assert top1.difference_low[0, OWN, HERE] > 0.4
    assert top1.difference_low[0, PREVIOUS, BEFORE] > 0.4


@pytest.mark.slow
def test_all_heads_together_hold_both(found):
    assert found.z.top1.value[0, HERE] > 0.97
    assert found.z.top1.value[0, BEFORE] > 0.97
    assert not found.z.top1.above[0, AFTER]


def test_the_stream_begins_with_the_own_token_and_nothing_of_the_others(found):
    assert found.residual.top1.value[0, HERE] == 1
    assert found.residual.r2.value[0, HERE] > 0.99
    assert not found.residual.top1.above[0, BEFORE]
    assert not found.residual.top1.above[0, AFTER]


def test_shapes_are_layers_heads_and_offsets(found, built):
    card = built.card
    assert found.z.top1.value.shape == (card.layers, 3)
    assert found.residual.r2.difference_low.shape == (card.layers + 1, 3)
    assert found.heads.top10.control.shape == (card.layers, card.heads, 3)
    assert found.offsets == OFFSETS
    assert found.z.samples.dtype == torch.int64


@pytest.mark.slow
def test_the_same_seed_gives_the_same_and_heads_may_be_left_out(found, built, texts):
    again = recovery(built, texts, offsets=OFFSETS, heads=False)
    assert again.heads is None
    for name, values in found.z.top1.__dict__.items():
        assert torch.equal(values, getattr(again.z.top1, name))


def test_documents_are_held_out_whole(built, texts):
    grouped = recovery(built, texts, groups=[n // 9 for n in range(len(texts))], offsets=(0,), heads=False)
    assert grouped.z.top1.value[0, 0] > 0.97
    with pytest.raises(InputError, match="4 folds need 4 texts"):
        recovery(built, texts, groups=[n // 40 for n in range(len(texts))], offsets=(0,))
    with pytest.raises(InputError, match="2 groups for 90 texts"):
        recovery(built, texts, groups=[0, 1])


def test_pairs_are_as_far_apart_as_the_offset_in_one_text(built, texts):
    samples = Samples.of(built, texts)
    for offset in (-3, 0, 1, 5):
        source, target = samples.pairs(offset)
        assert torch.equal(samples.text[source], samples.text[target])
        assert torch.equal(samples.position[target] - samples.position[source], torch.full_like(source, offset))
        here = set(zip(samples.text.tolist(), samples.position.tolist(), strict=True))
        assert len(source) == sum((text, position + offset) in here for text, position in here)


def test_samples_are_those_of_readings_whatever_the_batches(built, texts):
    samples = Samples.of(built, texts)
    seen = 0
    for batch in samples.walk(built, texts, "model"):
        for n, reading in batch:
            here = samples.of_text(n)
            tokens = [token for token in reading.tokens if not token.special]
            assert samples.ids[here].tolist() == [token.id for token in tokens]
            assert samples.position[here].tolist() == [token.position for token in tokens]
            assert reading.text == texts[n]
            seen += 1
    assert seen == len(texts)


def test_streams_of_several_texts_are_those_of_each(scope, name):
    texts = ["time flies like an arrow.", "the worm", "she sells sea shells by the sea shore"]
    readings = scope.read_many(texts)
    together = scope.bench.opened.streams([reading.input for reading in readings])
    for text, stream in zip(texts, together, strict=True):
        assert torch.allclose(stream, scope.read(text).residual, atol=2e-5)


def test_offsets_that_no_text_has_are_refused_with_those_that_there_are_before_anything_is_read(built, texts):
    def none(*_):
        raise AssertionError("it was read")

    with pytest.raises(InputError, match=r"no text has two ordinary tokens 39 apart: .* from -(\d+) to \1\.") as caught:
        recovery(built, texts, offsets=(0, 39), tell=none)
    most = int(str(caught.value).partition(" to ")[2].partition(".")[0])
    assert 0 < most < 38
    with pytest.raises(InputError, match=rf"{most + 1} apart: .* to {most}\."):
        recovery(built, texts, offsets=(most + 1,), tell=none)
    with pytest.raises(AssertionError, match="it was read"):
        recovery(built, texts, offsets=(1,), tell=none)


def test_it_is_plain_data_and_tables(found):
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert {(row["place"], row["layer"], row["offset"]) for row in told["rows"]} >= {("z", 0, -1), ("residual", 3, 1)}
    row = next(r for r in told["rows"] if (r["place"], r["layer"], r["head"], r["offset"]) == ("head", 0, OWN, 0))
    assert row["top1"]["value"] == float(found.heads.top1.value[0, OWN, HERE])
    assert row["r2"]["difference_low"] == float(found.heads.r2.difference_low[0, OWN, HERE])
    assert len(found.to_pandas()) == len(told["rows"])
    assert "Token i read off z, all heads at j" in repr(found)
