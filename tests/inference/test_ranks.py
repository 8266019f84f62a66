"""What a rank says among any number of candidates."""

from __future__ import annotations

import numpy as np
import torch

from headscope.inference.ranks import auc


def test_it_is_how_many_of_the_others_are_no_nearer():
    ranks, candidates = np.array([1.0, 2.0, 5.0]), 5
    assert auc(ranks, candidates).tolist() == [1 - (rank - 1) / 4 for rank in ranks]
    assert auc(torch.from_numpy(ranks), candidates).tolist() == auc(ranks, candidates).tolist()


def test_one_candidate_is_the_nearest_and_an_unknown_rank_stays_unknown():
    assert auc(np.array([1.0]), np.array([1])).tolist() == [1.0]
    assert np.isnan(auc(np.array([np.nan]), 5)).all()
