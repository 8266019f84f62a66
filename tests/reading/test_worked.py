"""One distance worked out: every step is the reading's own number, and the last is the distance of the answer."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from headscope import InputError, Scope

TEXT = "Time flies like an arrow. Fruit flies like a banana."


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
@pytest.mark.parametrize(("space", "reference"), [("value", "input"), ("value", "layer"), ("output", "layer")])
@pytest.mark.parametrize("mask", ["model", "causal"])
def test_every_step_is_the_readings(demo: Scope, metric, space, reference, mask):
    reading = demo.read(TEXT, mask)
    near = reading.nearest(5, 2, space, reference, metric)
    for head in (0, 7):
        id = int(near.ids[head, 3])
        found = reading.work_out(near, head, id)
        q, k = reading.q[2, 5, head].double(), reading.k[2, :, head].double()
        assert torch.equal(found.products, k @ q)
        assert found.scale == 1 / math.sqrt(32)
        assert torch.equal(found.weights, reading.pattern[2, head, 5].double())
        assert found.seen.tolist() == [mask == "model" or j <= 5 for j in range(14)]
        assert found.softmax_error < 1e-6
        assert float((found.mix - reading.z[2, 5, head]).abs().max()) == found.mix_error < 1e-6
        assert found.distance == pytest.approx(float(near.distances[head, 3]), abs=1e-5)
        if space == "value":
            assert torch.equal(found.vector, reading.z[2, 5, head].double())


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert"])
def test_on_other_architectures(scope_of: Callable[[str], Scope], name):
    scope = scope_of(name)
    reading = scope.read("one two three four")
    token = len(reading.tokens) - 2
    near = reading.nearest(token, 1, reference="layer")
    found = reading.work_out(near, 1, int(near.ids[1, 0]))
    assert found.softmax_error < 1e-5
    assert found.mix_error < 1e-5
    assert found.distance == pytest.approx(float(near.distances[1, 0]), abs=1e-5)


def test_a_model_that_adds_to_its_scores_says_so(scope_of: Callable[[str], Scope]):
    reading = scope_of("t5-encoder").read("one two three four")
    near = reading.nearest(1, 1, reference="layer")
    found = reading.work_out(near, 0, int(near.ids[0, 0]))
    assert found.softmax_error > 1e-4
    assert "adds more to its scores" in " ".join(repr(found).split())
    assert found.mix_error < 1e-5


def test_it_is_shown_with_its_numbers_and_the_texts_words_escaped(demo: Scope):
    reading = demo.read("a <b> & c")
    near = reading.nearest(2, 1)
    found = reading.work_out(near, 3, int(near.ids[3, 0]))
    html, told = found._repr_html_(), found.to_dict()
    assert "2 &lt;" in html
    assert "<b>" not in html
    assert "style" not in html
    assert [one["position"] for one in told["sources"]] == list(range(len(reading.tokens)))
    for title in ("q·k", "softmax", "Σ α v", "distance"):
        assert title in repr(found)
        assert f"<h4>{title}</h4>" in html


def test_what_cannot_be_worked_out_is_refused(demo: Scope):
    reading = demo.read(TEXT)
    near = reading.nearest(1)
    with pytest.raises(InputError, match="no head 12"):
        reading.work_out(near, 12, 5)
    with pytest.raises(InputError, match="one token's z"):
        reading.work_out(reading.nearest(1, vector="v"), 0, 5)
