"""Nulls: what they change, and what they leave."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headscope.reading.within import evenly
from headscope.studies.survey import nulls
from headscope.studies.survey.network import Network
from tests.studies.survey.corpora import sentences, statistics, surveyed, table, written


def test_labels_change_places_among_types_of_about_the_same_frequency():
    frequencies = np.random.default_rng(0).zipf(1.3, 500).clip(max=10**6) * (np.arange(500) % 5 > 0)
    labels = nulls.permuted_labels(frequencies, 0, 1)
    seen = np.flatnonzero(frequencies)
    assert sorted(labels.tolist()) == list(range(500))
    assert (labels[seen] != seen).all()
    assert (labels[frequencies == 0] == np.flatnonzero(frequencies == 0)).all()
    rank = np.empty(500)
    rank[seen[np.argsort(-frequencies[seen], kind="stable")]] = np.arange(len(seen))
    ties = np.array([np.abs(frequencies[seen] - frequencies[id]).argmin() for id in labels[seen]])
    assert len(ties) == len(seen)
    apart = np.abs(np.log(frequencies[labels[seen]]) - np.log(frequencies[seen]))
    assert np.median(apart) < 0.3
    assert not np.array_equal(nulls.permuted_labels(frequencies, 0, 2), labels)


def test_rotations_keep_lengths_and_angles():
    turns = nulls.rotations(2, 3, 8, 0, 1)
    assert torch.allclose(turns @ turns.mT, torch.eye(8).expand(2, 3, 8, 8), atol=1e-5)
    assert not torch.allclose(turns[0, 0], turns[0, 1])
    assert not torch.equal(nulls.rotations(2, 3, 8, 0, 2), turns)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_uniform_attention_is_the_mean_of_the_values_that_are_seen(scope_of, name):
    reading = scope_of(name).read("time flies like an arrow.")
    got = evenly(reading.attended(1).visible, reading.v[1], scope_of(name).card.heads)
    values = reading.vectors("v", 1)
    for query in range(len(reading.tokens)):
        assert torch.allclose(got[query], values[: query + 1].mean(0), atol=1e-6)


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_twin_mixes_its_own_values_by_the_model_s_attention(scope_of, name):
    scope, texts = scope_of(name), ["time flies like an arrow.", "a banana."]
    network = Network.of(scope, "values-2")
    twins = scope.randomised(2).read_many(texts)
    for own, twin, given in zip(scope.read_many(texts), twins, network.read_many(texts, "model", False), strict=True):
        assert torch.allclose(given.pattern, own.pattern, atol=1e-6)
        assert torch.allclose(
            given.v[0], twin.v[0], atol=1e-6
        )  # layer 0 reads the embeddings: attention has no part in it
        assert not torch.allclose(given.v[1], twin.v[1], atol=1e-4)
        for layer in range(scope.card.layers):
            mixed = torch.einsum("hqs,shd->qhd", own.pattern[layer], given.vectors("v", layer))
            assert torch.allclose(given.z[layer], mixed, atol=1e-5)


@pytest.mark.slow
def test_every_null_is_measured_and_named(scope_of, tmp_path):
    scope = scope_of("bert")
    path = written(tmp_path / "t.txt", sentences(12))
    directory = surveyed(scope, path, tmp_path / "s", ("labels", "random", "values"))
    names = {None, "labels", *(f"{null}-{seed}" for null in ("random", "values") for seed in range(5))}
    found = statistics(directory)
    assert {name if isinstance(name, str) else None for name in found["null"]} == names
    rows = {name: table(directory / "nulls" / name if name else directory, "rows") for name in names}
    assert len({len(one) for one in rows.values()}) == 1
    assert (rows["labels"].nearest == rows[None].nearest).all()  # what the heads do is the same
    assert not (rows["labels"].own_rank == rows[None].own_rank).all()
    assert not (rows["random-0"].nearest == rows["random-1"].nearest).all()
    assert not (rows["random-0"].nearest == rows["values-0"].nearest).all()
    patterns = {name: table(directory / "nulls" / name if name else directory, "patterns") for name in names}
    assert np.allclose(patterns["values-0"].entropy, patterns[None].entropy, atol=1e-4)  # it attends as the model does
    assert not np.allclose(patterns["random-0"].entropy, patterns[None].entropy, atol=1e-2)
    # A null can be added later, and one that is there is kept.
    surveyed(scope, path, directory, ("rotated",))
    assert set(statistics(directory)["null"].dropna()) == names - {None} | {"rotated"}


def test_a_model_is_initialised_anew_by_its_own_rules(scope_of):
    scope = scope_of("gpt2")
    before = {name: value.clone() for name, value in scope.bench.opened.model.state_dict().items()}
    state = torch.random.get_rng_state()
    fresh = scope.randomised(3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert fresh.card.name.endswith("randomly initialised (seed 3)")
    assert fresh.card.weights_sha256 == scope.randomised(3).card.weights_sha256 != scope.card.weights_sha256
    weights = fresh.bench.opened.model.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in scope.bench.opened.model.state_dict().items())
    assert weights["transformer.wte.weight"].std() == pytest.approx(0.02, rel=0.1)
