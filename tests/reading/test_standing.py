"""Where the text's tokens stand under each head's output, and what that says in words: both against brute force."""

from __future__ import annotations

import math
from statistics import median

import plain
import pytest
import torch
import zoo
from torch import Tensor

from headscope import InputError, Scope
from headscope.reading.standing_words import StandingToken, Stood, Usual, of_head, of_layer, ordinal, weight
from tests.studies.survey.test_planted_within import ELSEWHERE, EVERYWHERE, PREVIOUS, planted

METRICS = ["cosine", "euclidean", "dot"]


def ranks_between(metric: str, vector: Tensor, rows: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The ranks of tokens in float64, as they would be with all of them a little nearer, and a little farther."""
    apart = plain.distance(metric, vector, rows).detach()
    near = 1e-4 * float(apart.abs().max())  # float32 in the model itself
    least, most = (1 + (apart < (apart[ids] + slack)[:, None]).sum(-1) for slack in (-near, near))
    return least, most


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("layer", "reference"), [(0, "layer"), (2, "layer"), (2, "input")])
@pytest.mark.parametrize("family", plain.FAMILIES)  # roberta and gpt2 have positions, llama RoPE and grouped heads
def test_ranks_under_z_and_under_even_attention_are_brute_force_in_float64(scope_of, family, metric, layer, reference):
    scope = scope_of(family)
    model, reading = scope.bench.opened.model, scope.read(zoo.TEXT)
    position = len(reading.tokens) - 2
    found = reading.standing(position, layer, reference=reference, metric=metric)
    ids = torch.tensor(found.ids)
    z = plain.z(family, model, [token.id for token in reading.tokens], layer)[position]
    group = scope.card.heads // scope.card.kv_heads
    sees = torch.arange(len(reading.tokens)) <= (position if scope.card.causal else len(reading.tokens))
    even = reading.v[layer][sees].mean(0).double()  # (kv_head, d_head)
    rows = plain.encodings(family, model, 0 if reference == "input" else layer, position)
    for head in range(scope.card.heads):
        for vector, ranks in ((z[head], found.ranks[head]), (even[head // group], found.even[head])):
            least, most = ranks_between(metric, vector, rows[:, head // group], ids)
            assert bool(((least <= ranks) & (ranks <= most)).all())
    assert found.candidates == scope.card.vocab_size


def test_a_token_stands_for_all_its_positions_and_special_ones_are_none(scope):
    reading = scope.read(zoo.TEXT + " " + zoo.TEXT)
    found, pattern = reading.standing(1, 1), reading.pattern_of(1)
    ordinary = [token for token in reading.tokens if not token.special]
    assert set(found.ids) == {token.id for token in ordinary}
    for n, id in enumerate(found.ids):
        places = [token.position for token in ordinary if token.id == id]
        assert torch.allclose(found.weights[:, n], pattern[:, 1, places].sum(-1))


def test_what_the_position_may_not_see_is_told_and_is_no_part_of_the_words(scope_of):
    reading = scope_of("gpt2").read(zoo.TEXT)
    found = reading.standing(1, 1)
    assert found.seen.tolist() == [id in {token.id for token in reading.tokens[:2]} for id in found.ids]
    hidden = [found.names[id].label for id, seen in zip(found.ids, found.seen.tolist(), strict=True) if not seen]
    words = " ".join([found.says(), *map(found.says_of, range(len(found.ranks)))])
    assert not any(f"“{label}”" in words for label in hidden)


@pytest.mark.parametrize("family", ["bert", "gpt2"])  # of gpt2 the position sees but some of the text's tokens
def test_other_texts_ranks_are_the_quartiles_of_their_outputs(scope_of, family):
    scope = scope_of(family)
    reading = scope.read(zoo.TEXT)
    bank = scope.bank(size=150)
    found = reading.standing(2, 1, bank=bank)
    held = bank.apart_from(reading)
    window = held.around(2, 100)
    assert found.others is not None
    assert found.others.outputs == len(window)
    every = torch.stack([_ranks(scope, reading, held.z[n, 1], found.ids) for n in window.tolist()]).double()
    low, high = every.quantile(torch.tensor([0.25, 0.75], dtype=torch.float64), dim=0)
    assert torch.allclose(found.others.low, low)
    assert torch.allclose(found.others.high, high)
    together = every[:, :, found.seen].movedim(1, 0).flatten(1)
    assert torch.allclose(found.others.all_low, together.quantile(0.25, dim=1))
    assert torch.allclose(found.others.all_high, together.quantile(0.75, dim=1))
    assert bool(found.seen.all()) == (family == "bert")


def _ranks(scope: Scope, reading, z: Tensor, ids: tuple[int, ...]) -> Tensor:
    """Ranks [head, token] of a z [head, d_head] at position 2 of layer 1, by sorting all distances."""
    encoded = scope.bench.vocabulary.encoded("value", "layer", 1, reading.stands(2, True), None)
    rows = encoded.rows(torch.arange(scope.card.vocab_size))  # (token, head, width)
    found = []
    for head in range(len(z)):
        table = rows[:, head * rows.shape[1] // len(z)]
        apart = 1 - torch.nn.functional.cosine_similarity(z[head].double()[None], table, dim=-1)
        found.append(torch.tensor([1 + int((apart < apart[id] - 1e-12).sum()) for id in ids]))
    return torch.stack(found)


def test_a_bank_under_another_mask_is_refused(scope_of):
    scope = scope_of("bert")
    reading = scope.read(zoo.TEXT)
    with pytest.raises(InputError, match="read under the mask"):
        reading.standing(1, bank=scope.bank(size=20, mask="full"))


def test_a_head_that_writes_what_it_attends_to_says_so_and_one_that_does_not_says_otherwise():
    reading = planted().read(zoo.TEXT)
    at = len(reading.tokens) - 2
    found, before = reading.standing(at), reading.tokens[at - 1].label
    most = found.weights.argmax(-1)
    assert found.names[found.ids[most[PREVIOUS]]].label == before
    assert int(found.ranks[PREVIOUS, most[PREVIOUS]]) == 1
    assert f"it ranks “{before}” first (1st of {found.candidates:,}), which has 1.00 of its weight" in found.says_of(
        PREVIOUS
    )
    # It attends to the same token, and writes where that stands: the token is not what its output is near to.
    assert int(found.ranks[ELSEWHERE, most[ELSEWHERE]]) > 1
    assert f"“{before}” first (1st" not in found.says_of(ELSEWHERE)
    # What attends evenly has nothing above even attention.
    assert torch.equal(found.ranks[EVERYWHERE], found.even[EVERYWHERE])
    assert "no token of this text stands out" in found.says_of(EVERYWHERE)


def placed(label: str, rank: int, even: int, weight: float = 0.5, **other: object) -> StandingToken:
    given = {"id": 1, "seen": True, "own": False, "usual": None} | other
    return StandingToken(label=label, rank=rank, even=even, weight=weight, **given)  # type: ignore[arg-type]


def test_the_words_follow_the_numbers():
    stood = Stood(1, (placed("banana", 1, 812, 0.61), placed("like", 90, 80, 0.3)), 30522, None)
    assert of_head(1, stood) == (
        "Layer 1, head 1: of this text’s tokens it ranks “banana” first (1st of 30,522), which has .61 of its weight; "
        "even attention would put it at 812."
    )
    mixed = Stood(1, (placed("banana", 20, 12, 0.1), placed("like", 90, 80, 0.2)), 1000, Usual(350, 650))
    assert of_head(3, mixed) == (
        "Layer 3, head 1: no token of this text stands out. The nearest is “banana”, 20th of 1,000, which has .10 of "
        "its weight; even attention would put it at 12. Most of its weight (.70) is on no ordinary token. Its output "
        "holds this text’s words (half of them in the nearest 6%; other texts’ outputs put them at 35% to 65%), as any "
        "mixing would."
    )
    near, far = (Stood(0, (placed("a", rank, rank, 1.0),), 1000, Usual(350, 650)) for rank in (400, 900))
    assert "no more than other texts’ outputs do" in of_head(0, near)
    assert "farther from this text’s words" in of_head(0, far)
    assert "even attention would put it there, too" in of_head(0, far)
    attends = Stood(0, (placed("a", 3, 9, 0.2), placed("b", 70, 60, 0.7)), 1000, None)
    assert "It attends more to “b” (.70), which it ranks at 70." in of_head(0, attends)
    for first, second, written in ((0.127, 0.134, ".13"), (0.002, 0.004, "less than .01")):
        rest = placed("its own", 900, 900, 0.9 - first - second, seen=False)
        hardly = of_head(0, Stood(0, (placed("a", 3, 9, first), placed("b", 70, 60, second), rest), 1000, None))
        assert f"has {written} of its weight" in hardly
        assert f"It attends a little more to “b” ({written}), which it ranks at 70." in hardly
    assert "nothing to rank" in of_head(0, Stood(0, (placed("a", 1, 1, seen=False),), 1000, None))
    assert of_layer(0, [stood, attends]) == (
        "Layer 0: head 1 lifts a token of this text most: “banana”, 1st of 30,522, which has .61 of its weight; even "
        "attention would put it at 812."
    )
    assert "no head puts a token of this text nearer" in of_layer(0, [mixed])


def test_every_sentence_holds_the_answers_own_numbers(demo):
    reading = demo.read("Time flies like an arrow. Fruit flies like a banana.")
    found = reading.standing("banana", 1, bank=demo.bank())
    assert found.others is not None
    said = [found.says_of(head) for head in range(len(found.ranks))]
    for head, words in enumerate(said):
        best = int(found.ranks[head].argmin())
        rank, even = int(found.ranks[head, best]), int(found.even[head, best])
        assert f"“{found.names[found.ids[best]].label}”" in words
        assert f"{ordinal(rank)} of 30,522" in words
        assert f"has {weight(float(found.weights[head, best]))} of its weight" in words
        assert (f"would put it at {even:,}" in words) or (even == rank and "there, too" in words)
        middle = median(found.ranks[head].tolist())
        low, high = float(found.others.all_low[head]), float(found.others.all_high[head])
        assert ("as any mixing would" in words) == (middle < low)
        assert ("no more than other texts’" in words) == (low <= middle <= high)
    assert len(set(said)) == len(said)
    lifts = (found.even.double() / found.ranks).log()
    assert f"head {int(lifts.max(1).values.argmax())} lifts" in found.says()
    assert math.isclose(float(lifts.max()), max(token.lift for one in found._stood() for token in one.seen))


@pytest.mark.parametrize("head", [-1, 4, "a", 1.5])
def test_a_head_that_there_is_not_is_told(scope_of, head):
    standing = scope_of("bert").read(zoo.TEXT).standing(1)
    for ask in (standing.strip, standing.says_of, standing.sheet_of):
        with pytest.raises(InputError, match=f"there is no head {head!r}; the layer's heads are 0 to 3"):
            ask(head)
