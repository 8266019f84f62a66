"""S3 on own@1 that was written down: head 7 above every other, each asked alone; another above it, all at one level."""

from __future__ import annotations

import numpy as np
import pytest

from headscope.inference.left_out import Jackknifed
from headscope.studies.claims.corpus import preserved
from headscope.studies.claims.sentence import HEAD
from headscope.studies.claims.verdict import Finding

GROUPS, HEADS = 60, 12


class Kept:
    """A survey of which only own@1 of layer 0's heads is asked."""

    def __init__(self, rates: np.ndarray) -> None:  # [head, group]
        self.heads, self._rates = len(rates), rates

    def kept(self, statistic: str, reference: str, layer: int, head: int) -> Jackknifed:
        assert (statistic, reference, layer) == ("own_at_1", "input", 0)
        one = self._rates[head]
        return Jackknifed(one.mean(), (one.sum() - one) / (len(one) - 1), len(one))


def ruling(rates: np.ndarray, sentence: str = "holds") -> str:
    return preserved(Kept(rates), "right", Finding("S3", "right", None, sentence, "–")).ruling


def rates(values: dict[int, float], rest: float, noise: float = 0.05, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    means = np.array([values.get(head, rest) for head in range(HEADS)])
    found = draw.standard_normal((HEADS, GROUPS))
    found -= found.mean(1, keepdims=True)  # so that means are what they are said to be
    return means[:, None] + noise * found


@pytest.mark.parametrize(
    ("found", "sentence", "said"),
    [
        (rates({HEAD: 0.9}, 0.5), "holds", "holds"),
        (rates({HEAD: 0.9}, 0.5), "contradicted", "contradicted"),
        (rates({HEAD: 0.9}, 0.5), "undetermined", "undetermined"),
        (rates({HEAD: 0.9, 3: 0.9}, 0.5), "holds", "undetermined"),
        (rates({HEAD: 0.5, 3: 0.9}, 0.2), "holds", "contradicted"),
        # Each of the others is two and a half standard errors above: that all are is no worse for their number.
        (rates({HEAD: 0.523}, 0.5), "holds", "holds"),
    ],
)
def test_the_others_are_each_below_or_any_is_surely_above(found, sentence, said):
    assert ruling(found, sentence) == said


def test_a_head_that_tells_nothing_apart_is_none_of_the_others():
    found = rates({HEAD: 0.9}, 0.5)
    found[0] = np.nan  # it has no own rank anywhere, and so no rate
    assert ruling(found) == "holds"
    found[HEAD] = np.nan
    assert ruling(found) == "not applicable"


def test_one_of_eleven_at_two_standard_errors_above_contradicts_nothing():
    found = rates({HEAD: 0.9, 3: 0.921}, 0.5)
    one, other = (Kept(found).kept("own_at_1", "input", 0, head) for head in (HEAD, 3))
    assert (one - other).high < 0
    assert ruling(found) == "undetermined"


@pytest.mark.simulation
def test_where_all_heads_are_alike_it_is_contradicted_in_at_most_a_twentieth_of_runs():
    draw, runs, wrong, alone = np.random.default_rng(1), 600, 0, 0
    for _ in range(runs):
        noise = (draw.standard_normal((HEADS, GROUPS)) + 0.7 * draw.standard_normal(GROUPS)) * draw.gamma(
            2, 0.5, GROUPS
        )
        found = 0.5 + 0.1 * noise
        wrong += ruling(found) == "contradicted"
        kept = [Kept(found).kept("own_at_1", "input", 0, head) for head in range(HEADS)]
        alone += any((kept[HEAD] - one).high < 0 for head, one in enumerate(kept) if head != HEAD)
    print(f"contradicted {wrong / runs:.3f}, by intervals one by one {alone / runs:.3f}")
    assert wrong / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert alone / runs > 0.1
