"""Encodings merged: the most alike first, as a greedy search by hand finds them."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.neighbors import distances
from headscope.studies.capacity.merging import Merging, Tree


def encodings(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))


def by_hand(x: torch.Tensor, groups: int) -> set[frozenset[int]]:
    """Merge the two groups with the smallest mean cosine distance between members, until `groups` are left."""
    apart = distances("cosine", x[:, None], x[None])
    found = [frozenset([n]) for n in range(len(x))]
    while len(found) > groups:
        pairs = [(a, b) for i, a in enumerate(found) for b in found[i + 1 :]]
        near = min(pairs, key=lambda pair: float(apart[list(pair[0])][:, list(pair[1])].mean()))
        found = [one for one in found if one not in near] + [near[0] | near[1]]
    return set(found)


def groups_of(merging: Merging) -> set[frozenset[int]]:
    labels = merging.labels.tolist()
    return {frozenset(n for n, one in enumerate(labels) if one == label) for label in set(labels)}


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(0, 99), st.data())
def test_the_most_alike_are_merged_first(n, seed, data):
    x = encodings(n, seed)
    groups = data.draw(st.integers(1, n))
    assert groups_of(Tree(x).merged_to(groups)) == by_hand(x, groups)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(0, 99), st.data())
def test_a_group_becomes_its_mean_and_no_other_changes(n, seed, data):
    x = encodings(n, seed)
    merging = Tree(x).merged_to(data.draw(st.integers(1, n)))
    for one in (merging, merging.shuffled(seed)):
        made = one(x)
        for group in groups_of(one):
            members = sorted(group)
            assert torch.allclose(made[members], x[members].mean(0).expand(len(members), -1), atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(0, 99))
def test_no_merging_changes_nothing_to_the_bit(n, seed):
    x = encodings(n, seed)
    merging = Tree(x).merged_to(n)
    assert torch.equal(merging(x), x)
    assert torch.equal(merging.shuffled(seed)(x), x)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 12), st.integers(0, 99), st.data())
def test_chance_merges_groups_of_the_same_sizes(n, seed, data):
    merging = Tree(encodings(n, seed)).merged_to(data.draw(st.integers(1, n)))
    sizes = sorted(map(len, groups_of(merging)))
    assert sorted(map(len, groups_of(merging.shuffled(seed)))) == sizes


def test_encodings_that_are_zero_or_equal_can_be_merged():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
    assert frozenset([1, 2]) in groups_of(Tree(x).merged_to(3))
    assert len(groups_of(Tree(x).merged_to(1))) == 1
