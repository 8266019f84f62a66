"""Chance beside an atlas's shares: other texts' outputs at near positions, counted as the text's own are."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
import zoo

from headscope import InputError, Scope
from headscope.question.kinds import KINDS
from headscope.reading.bank import Bank

WORDS = ("one", "two", "three", "time", "flies")
TEXTS = [" ".join(words) for words in permutations(WORDS)][:60]
TEXT = "two three one two"


@pytest.fixture(scope="module")
def scope() -> Scope:
    return Scope.from_model(*zoo.build("bert"))


@pytest.fixture(scope="module")
def bank(scope: Scope) -> Bank:
    return scope.bank(TEXTS, size=250)


@pytest.mark.parametrize("reference", ["layer", "input"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_it_is_that_of_float64_brute_force(scope: Scope, bank: Bank, reference: str, metric: str) -> None:
    reading = scope.read(TEXT)
    atlas = reading.atlas_chance(reading.atlas(2, reference=reference, metric=metric), bank)  # type: ignore[arg-type]
    chance, window = atlas.chance, bank.around(2, 100)
    assert chance is not None
    assert (chance.outputs, chance.bank) == (len(window), bank.name)
    for layer in range(len(reading.z)):
        encoded = reading.vocabulary.encoded(atlas.question.space, reference, layer, reading.stands(2, True))  # type: ignore[arg-type]
        rows = encoded.rows(torch.arange(reading.vocabulary.size)).double()  # (token, head, width)
        outputs = encoded.enter(bank.z[window, layer]).double()  # (output, head, width)
        apart = outputs[:, None] - rows
        far = (
            apart.norm(dim=-1)
            if metric == "euclidean"
            else 1 - torch.nn.functional.cosine_similarity(outputs[:, None], rows, dim=-1)
        )
        kinds = reading.kinds_of(far.argmin(1), torch.tensor(atlas.token.id))
        shares = [float((kinds == kind).double().mean()) for kind in range(len(KINDS))]
        assert chance.rates()[layer].tolist() == pytest.approx(shares, abs=1e-12)


def test_it_stands_beside_every_share_and_nowhere_before(scope: Scope, bank: Bank) -> None:
    reading = scope.read(TEXT)
    plain = reading.atlas(2)
    held = reading.atlas_chance(plain, bank)
    assert held.chance is not None
    assert "chance" not in plain.to_dict()
    assert not any(cell.beside for row in plain.sheets()[1].rows for cell in row.cells)
    told = [[cell.beside for cell in row.cells] for row in held.sheets()[1].rows]
    assert all(one.startswith("chance ") for row in told for one in row)
    listed = held.to_dict()["chance"]["layers"]
    assert [one["elsewhere"] for one in listed] == held.chance.rates()[:, -1].tolist()


def test_this_very_text_is_no_chance(scope: Scope, bank: Bank) -> None:
    reading = scope.read(TEXTS[0])
    chance = reading.atlas_chance(reading.atlas(2), bank).chance
    assert chance is not None
    assert chance.outputs == len(bank.without(TEXTS[0]).around(2, 100))


def test_an_atlas_of_another_text_is_refused(scope: Scope, bank: Bank) -> None:
    other = scope.read("flies time").atlas(2)
    with pytest.raises(InputError, match="which this reading does not have there"):
        scope.read(TEXT).atlas_chance(other, bank)
