"""Why a token is near: the exact split of its score over the positions that the head mixed."""

from __future__ import annotations

import pickle

import pytest
import torch
import zoo

from headscope.errors import InputError

SPACES = ["value", "output", "key", "query", "embedding"]


@pytest.mark.parametrize("name", ["bert", "llama", "gpt-oss"])
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_the_shares_sum_to_the_score(name, space, metric, scope_of):
    near = scope_of(name).read(zoo.TEXT).nearest(5, 1, space, metric=metric, k=4)
    offset = 1.0 if metric == "cosine" else 0.0
    for head, ids in enumerate(near.ids.tolist()):
        for place, id in enumerate(ids):
            why = near.why(head, id)
            assert why.score == pytest.approx(offset - float(near.distances[head, place]), rel=1e-4, abs=2e-5)


def test_the_shares_of_a_logit_sum_to_it(scope_of):
    near = scope_of("gpt2").read(zoo.TEXT).nearest(5, 2, "unembedding", metric="dot", k=4)
    assert near.why(1, int(near.ids[1, 2])).score == pytest.approx(-float(near.distances[1, 2]), rel=1e-4)


def test_a_share_is_the_weight_times_the_source_values_product(scope_of):
    scope = scope_of("llama")
    reading = scope.read(zoo.TEXT)
    near = reading.nearest(6, 2, metric="euclidean", k=3)
    id = int(near.ids[3, 1])
    row = scope.bench.vocabulary.encoded("value", "layer", 2, None).rows(torch.tensor([id]))[
        0, 1
    ]  # head 3 reads kv head 1
    expected = reading.pattern[2, 3, 6].double() * (reading.v[2, :, 1].double() @ row)
    why = near.why(3, id)
    assert torch.allclose(why.shares, expected, atol=1e-6)
    assert why.score == pytest.approx(float(reading.z[2, 6, 3].double() @ row), rel=1e-4, abs=1e-5)
    assert why.rest == 0.0


def test_what_attention_sinks_take_is_told_apart(scope_of):
    near = scope_of("gpt-oss").read(zoo.TEXT).nearest(5, 1, "output", "layer", k=1)
    assert abs(near.why(0, int(near.ids[0, 0])).rest) > 1e-6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"head": 4}, "heads are 0 to 3"),
        ({"id": -1}, "no token id"),
        ({"token": [1, 2]}, "one token"),
        ({"vector": "v"}, "z"),
    ],
)
def test_it_refuses_what_has_no_answer(change, said, scope_of):
    choices = {"token": 2, "head": 0, "id": 3, "vector": "z"} | change
    near = scope_of("bert").read(zoo.TEXT).nearest(choices["token"], 1, vector=choices["vector"], k=2)
    with pytest.raises(InputError, match=said):
        near.why(choices["head"], choices["id"])


def test_a_saved_answer_has_its_numbers_but_not_its_reading(scope_of):
    near = scope_of("bert").read(zoo.TEXT).nearest(2, 1, k=2)
    again = pickle.loads(pickle.dumps(near))
    assert torch.equal(again.ids, near.ids)
    with pytest.raises(InputError, match=r"reading\.why"):
        again.why(0, 3)


def test_it_is_shown_and_told(scope_of):
    near = scope_of("bert").read(zoo.TEXT).nearest(2, 1, k=2)
    why = near.why(1, int(near.ids[1, 0]))
    assert why.neighbor.label in repr(why)
    assert why.neighbor.label in why._repr_html_()
    told = why.to_dict()
    assert sum(source["share"] for source in told["sources"]) + told["rest"] == pytest.approx(told["score"])
    assert len(why.to_pandas()) == len(why.tokens)
