"""Which kind a nearest token is of: own, of the text, a variant, special, elsewhere; in that order."""

from __future__ import annotations

import pytest
import torch
import zoo

from headscope.question.kinds import KINDS
from headscope.vocabulary.kinds import TextKinds

TEXT = "The sea and the Sea shells; she sells sea shells."


def bare(name, wordpiece):
    """A token's word by the definition: no leading space, no ##, no case."""
    word = name.label.lstrip("␣")
    word = word.removeprefix("##") if wordpiece else word
    return (word or name.label).casefold()


def expected(names, id, own, tokens, wordpiece):
    if id == own:
        return "own"
    words = [token for token in tokens if names[token.id].sort == "word"]
    if names[id].sort != "word":
        return "special"
    if id in {token.id for token in words}:
        return "text"
    if bare(names[id], wordpiece) in {bare(names[token.id], wordpiece) for token in words}:
        return "variant"
    return "elsewhere"


@pytest.mark.parametrize("model", ["bert", "roberta", "llama", "gpt2"])
@pytest.mark.parametrize("token", [0, 2])
def test_the_kind_of_every_id_is_that_of_the_definition(scope_of, model, token):
    reading = scope_of(model).read(TEXT)
    names, own = reading.bench.opened.names, reading.tokens[token].id
    near = reading.nearest(token, 1, k=scope_of(model).card.vocab_size)
    want = {id: expected(names, id, own, reading.tokens, model == "bert") for id in range(len(near.ids[0]))}
    assert [[KINDS[kind] for kind in row] for row in near.kinds.tolist()] == [
        [want[id] for id in row] for row in near.ids.tolist()
    ]
    assert set(want.values()) | ({"variant"} if model == "bert" else set()) == set(KINDS)
    for id, positions in near.places.items():
        same = {i for i in want if bare(names[i], model == "bert") == bare(names[id], model == "bert")}
        ids = same if want[id] == "variant" else {id}
        assert positions == tuple(t.position for t in reading.tokens if t.id in ids)
    there = {id for id, kind in want.items() if kind in ("own", "text", "variant")} | {t.id for t in reading.tokens}
    assert set(near.places) == there


@pytest.mark.parametrize(
    ("token", "kind", "positions"),
    [("flies", "own", [2, 8]), ("banana", "text", [11]), ("##time", "variant", [1]), ("[SEP]", "special", [13])],
)
def test_kinds_on_a_real_vocabulary(demo, token, kind, positions):
    reading = demo.read(zoo.TEXT)
    vocabulary = reading.bench.opened.names.tokenizer.get_vocab()
    kinds = TextKinds(reading.bench.opened.names, reading.tokens)
    id = torch.tensor([vocabulary[token]])
    assert KINDS[int(kinds.of(id, torch.tensor(vocabulary["flies"])))] == kind
    assert list(kinds.places(id)[int(id)]) == positions


def test_ids_of_any_shape_with_an_own_token_for_each_row(demo):
    reading = demo.read(zoo.TEXT)
    near = reading.nearest([1, 7, 11], 2, k=4)
    atlas = reading.atlas(11)
    assert near.kinds.shape == near.ids.shape
    for n, token in enumerate([1, 7, 11]):
        assert torch.equal(near.kinds[n], reading.nearest(token, 2, k=4).kinds)
    assert torch.equal(atlas.kinds[2], reading.nearest(11, 2, reference="layer", k=1).kinds[:, 0])
    for layer, row in enumerate(atlas.kinds.tolist()):
        counted = [row.count(kind) / len(row) for kind in range(len(KINDS))]
        assert atlas.rates()[layer].tolist() == pytest.approx(counted)


def test_every_view_tells_the_kind(demo):
    near = demo.read(zoo.TEXT).nearest("banana", 1, reference="input", k=3)
    (cell,) = [n for n in near.to_dict()["selected"][0]["heads"][7]["neighbors"] if n["token"] == "an"]
    assert (cell["kind"], cell["positions"]) == ("text", [4])
    assert "•an " in repr(near)
    assert (
        '•</span><bdi class="hs-label">an</bdi><span class="hs-hidden"> (rank 1, in the text at' in near._repr_html_()
    )
    frame = near.to_pandas()
    assert list(frame.loc[(frame["head"] == 7) & (frame["token"] == "an"), "kind"]) == ["text"]
