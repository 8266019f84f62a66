"""Folds: what is judged shares neither texts nor token types with what was fitted."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.errors import InputError
from headscope.studies.probes.folds import Folds

VOCABULARY = 50


@st.composite
def corpora(draw):
    """Text groups and token types of samples, with enough of both for four folds."""
    count = draw(st.integers(8, 120))
    groups = draw(st.lists(st.integers(0, 20), min_size=count, max_size=count))
    ids = draw(st.lists(st.integers(4, VOCABULARY - 1), min_size=count, max_size=count))
    return torch.tensor([0, 1, 2, 3, *groups]), torch.tensor([0, 1, 2, 3, *ids])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(corpora(), st.integers(0, 1000))
def test_no_fold_shares_texts_or_types_with_its_fit(corpus, seed):
    groups, ids = corpus
    folds = Folds.of(groups, ids, VOCABULARY, seed=seed)
    cells = folds.cells(groups, ids)
    for fold in range(folds.count):
        for inner in range(folds.count):
            judged, fitted = folds.judges(cells, fold), folds.fits(cells, fold, inner)
            assert not set(groups[judged].tolist()) & set(groups[fitted].tolist())
            assert not set(ids[judged].tolist()) & set(ids[fitted].tolist())
            inside = folds.judges(cells, inner)  # where the penalty is chosen
            assert not set(groups[inside].tolist()) & set(groups[fitted].tolist())
            assert not set(ids[inside].tolist()) & set(ids[fitted].tolist())


@settings(max_examples=60, deadline=None)
@given(corpora(), st.integers(0, 1000))
def test_every_text_and_every_type_is_in_one_fold(corpus, seed):
    groups, ids = corpus
    folds = Folds.of(groups, ids, VOCABULARY, seed=seed)
    assert set(folds.of_group[groups].tolist()) == set(folds.of_type[ids].tolist()) == set(range(4))
    unseen = torch.ones(VOCABULARY, dtype=torch.bool)
    unseen[ids] = False
    assert (folds.of_type[unseen] == -1).all()


def test_folds_are_drawn_by_the_seed():
    groups, ids = torch.arange(40), torch.arange(40)
    one, same, other = (Folds.of(groups, ids, VOCABULARY, seed=seed).of_group for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_folds_are_of_about_equal_size_where_a_type_is_frequent():
    ids = torch.tensor([7] * 30 + list(range(20, 50)) * 3)
    folds = Folds.of(torch.arange(len(ids)), ids, VOCABULARY)
    sizes = torch.bincount(folds.of_type[ids])
    assert sizes.tolist() == [30, 30, 30, 30]


@pytest.mark.parametrize(("groups", "ids", "what"), [(3, 20, "texts"), (20, 3, "token types")])
def test_too_few_texts_or_types_are_refused(groups, ids, what):
    samples = torch.arange(40)
    with pytest.raises(InputError, match=f"4 folds need 4 .*{what}.* 3"):
        Folds.of(samples % groups, samples % ids, VOCABULARY)
