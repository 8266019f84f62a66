"""A head that encodes every token alike, as a pruned one does, is near to nothing: no rank, and words that say so."""

from __future__ import annotations

import pytest
import torch
import zoo

from headscope import Scope
from headscope.question.kinds import KINDS
from headscope.reading.standing_words import StandingToken, Stood, of_head

SAYS = "Head 1 of layer {} tells no token from another: all are as near to the output, and none has a rank."


@pytest.fixture(scope="module")
def scope() -> Scope:
    """A tiny BERT with head 1 of layer 0 writing its bias alone, and head 1 of layer 1 nothing."""
    model, tokenizer = zoo.build("bert")
    with torch.no_grad():
        for layer in model.encoder.layer[:2]:
            layer.attention.self.value.weight[8:16] = 0
        model.encoder.layer[1].attention.self.value.bias[8:16] = 0
    return Scope.from_model(model, tokenizer)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
def test_its_tokens_have_no_rank(scope, layer, metric):
    reading = scope.read(zoo.TEXT)
    near = reading.nearest(2, layer, metric=metric)
    assert (near.own_rank > 0).tolist() == (near.ranks > 0).all(1).tolist() == [True, False, True, True]
    assert SAYS.format(layer) in near.notes
    written = reading.written(layer, metric=metric)
    assert written.auc.isnan().flatten(1).all(1).tolist() == [False, True, False, False]
    assert all(of_heads[1].isnan() for of_heads in written.means().values())
    assert SAYS.format(layer) in written.notes
    atlas = reading.atlas(2, metric=metric)
    assert [(atlas.own_rank[n, 1] == 0).item() for n in range(3)] == [True, True, False]
    assert {SAYS.format(0), SAYS.format(1)} <= set(atlas.notes)


@pytest.mark.parametrize("layer", [0, 1])
def test_its_verdict_is_that_it_is_near_to_nothing(scope, layer):
    found = scope.read(zoo.TEXT).standing(2, layer)
    assert not found.ranks[1].any()
    assert found.says_of(1) == (
        f"Layer {layer}, head 1: all tokens are as near to its output, so it is near to nothing in particular."
    )
    assert "head 1 " not in found.says()
    assert SAYS.format(layer) in found.notes


def test_a_portrait_does_not_begin_with_it(scope):
    reading = scope.read(zoo.TEXT)
    found = reading.portrait(2, 1, k=scope.card.vocab_size - 2)
    listed = [row for row in found.near.kinds[1].tolist() if KINDS[row] in ("own", "text")]
    assert listed  # all tokens tie, and stand in the order of their ids
    assert found.shown != 1
    assert not found.to_dict()["heads"][1]["resembles"]
    assert all(head["resembles"] for head in found.to_dict()["heads"] if head["head"] != 1)
    assert found.cards()[1][0].says == "All tokens are as near to its output, so it resembles none."


def test_it_shares_no_neighbours_and_its_token_does_not_move(scope):
    found = scope.read(zoo.TEXT).compare(scope.read(zoo.TEXT, "causal"), 2, 1)
    dead = found.rows()[1]
    assert (dead["overlap"], dead["own_rank"], dead["other_own_rank"], dead["moved"]) == (None, 0, 0, None)
    assert all(row["overlap"] is not None and row["moved"] is not None for row in found.rows() if row["head"] != 1)
    assert [cell.label for cell in found.sheets()[0].rows[-1].cells[2:4]] == ["none near", "no rank"]
    # Of one side alone it has no rank either: its places are not those of 0.
    assert scope.read(zoo.TEXT).compare(scope.read(zoo.TEXT), 2, 2, other_reference="input").rows()[1]["moved"] is None


def test_so_it_is_beside_other_texts(scope):
    bank = scope.bank(zoo.CORPUS, size=20)
    reading = scope.read(zoo.TEXT)
    found = reading.background(reading.nearest(2, 1), bank)
    assert found.own_rank[1] == 0
    assert found.chance.own_rank[1].isnan()
    assert "nothing in particular" in reading.standing(2, 1, bank=bank).says_of(1)
    assert found._repr_html_()


def test_an_output_that_w_o_drops_is_near_to_nothing_either():
    model, tokenizer = zoo.build("bert")
    with torch.no_grad():
        model.encoder.layer[1].attention.output.dense.weight[:, 8:16] = 0
    reading = Scope.from_model(model, tokenizer).read(zoo.TEXT)
    assert (reading.nearest(2, 1, "value").own_rank > 0).all()
    for space in ("output", "embedding"):
        assert (reading.nearest(2, 1, space).own_rank > 0).tolist() == [True, False, True, True]


def test_it_is_of_no_kind_in_an_atlas_nor_in_its_chance(scope):
    reading, bank = scope.read(zoo.TEXT), scope.bank(zoo.CORPUS, size=20)
    found = reading.atlas_chance(reading.atlas(2), bank)
    assert found.tied.nonzero().tolist() == [[0, 1], [1, 1]]
    assert found.chance is not None
    for rates in (found.rates(), found.chance.rates()):
        # Three heads of four have a nearest token in the first layers, and all in the last.
        assert rates.sum(1).tolist() == pytest.approx([0.75, 0.75, 1.0])
    alive = scope.read(zoo.TEXT).atlas(2).kinds[:2, [0, 2, 3]]
    for n, kind in enumerate(KINDS):
        assert found.counts()[:2, n].tolist() == (alive == n).sum(1).tolist(), kind


def test_other_texts_have_no_nearest_token_there_either(scope):
    """Else the first ids would be hubs, listed and in the text by every output."""
    bank, reading = scope.bank(zoo.CORPUS, size=20), scope.read(", a b")
    near = reading.nearest(2, 1, candidates="words", k=4)
    assert reading.tokens[1].id in near.ids[1]  # a token of the text is among the first ids
    held = reading.background(near, bank)
    assert held.chance.in_text[1] == 0
    assert held.chance.listed[1].tolist() == [0.0] * 4
    assert (held.hubs.largest[1], held.hubs.skewness[1]) == (0, 0)
    assert (held.hubs.largest[[0, 2, 3]] > 0).all()


def test_tokens_without_a_rank_alone_are_no_tie():
    one = StandingToken(5, "x", 0, 0, 0.5, True, True, None)
    assert "all tokens" not in of_head(1, Stood(0, (one,), 100, None))
    assert "no ordinary token of the text that has a rank" in of_head(1, Stood(0, (one,), 100, None))
    assert "all tokens are as near" in of_head(1, Stood(0, (one,), 100, None, tied=True))


def test_a_model_whose_first_layer_writes_nothing_is_read():
    """Its values are those of tokens alone, all of them 0; it was refused, for they differed by 0/0."""
    model, tokenizer = zoo.build("bert")
    with torch.no_grad():
        for part in model.encoder.layer[0].attention.self.value.parameters():
            part.zero_()
    reading = Scope.from_model(model, tokenizer).read(zoo.TEXT)
    near = reading.nearest(2, 0)
    assert not near.own_rank.any()
    assert any(note.startswith("Heads 0, 1, 2 and 3 of layer 0 tell no token from another") for note in near.notes)
    assert (reading.nearest(2, 1).own_rank > 0).all()
