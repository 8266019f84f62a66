"""Coverage of intervals by document: means, rates, kappa; and differences from a bank of other documents' outputs.

`python -m pytest tests/inference -m simulation -n 0 -s` prints the tables of docs/simulations.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from headscope.corpus.bank import ASKED, OUTPUTS, strata
from headscope.inference.left_out import Jackknifed, changed
from tests.inference.simulated import assert_covers, judged, lengths, ratio, summed

pytestmark = pytest.mark.simulation
DOCUMENTS = (10, 30, 100, 300)
RUNS = 4000


@pytest.mark.parametrize("effect", [0.0, 0.5])
@pytest.mark.parametrize("groups", DOCUMENTS)
def test_means_over_tokens(groups, effect):
    draw = np.random.default_rng([1, groups, int(10 * effect)])
    tokens = lengths(draw, RUNS, groups)
    sums = tokens * effect * draw.standard_normal(tokens.shape) + np.sqrt(tokens) * draw.standard_normal(tokens.shape)
    found = judged(ratio(sums, tokens), 0.0)
    print(f"\n| mean, effect of texts {effect} | {groups} | {found} |")
    assert_covers(found, groups)


@pytest.mark.parametrize("alike", [None, 20.0])
@pytest.mark.parametrize("groups", DOCUMENTS)
def test_rates_and_kappa(groups, alike):
    """`alike`: texts' own rates are Beta with so many pseudo-counts; None: all texts have the same."""
    draw = np.random.default_rng([2, groups, int(alike or 0)])
    tokens = lengths(draw, RUNS, groups)
    rates = [
        at if alike is None else draw.beta(at * alike, (1 - at) * alike, tokens.shape) for at in (0.3, 0.15)
    ]  # fmt: skip
    inside, chance = (ratio(draw.binomial(tokens.astype(int), rate).astype(float), tokens) for rate in rates)
    kappa = changed(lambda p, p0: (p - p0) / (1 - p0), inside, chance)
    for name, figure, truth in (("rate .15", chance, 0.15), ("kappa", kappa, 0.15 / 0.85)):
        found = judged(figure, truth)
        print(f"\n| {name}, effect of texts {'none' if alike is None else '.08'} | {groups} | {found} |")
        assert_covers(found, groups)


class Bank(NamedTuple):
    """One corpus and its bank: tokens of each document; how often each document asks each output, Σ share and Σ share²
    [document, output]; whose the outputs are [output]."""

    tokens: np.ndarray
    asked: np.ndarray
    squares: np.ndarray
    lender: np.ndarray


def bank(draw: np.random.Generator, groups: int) -> Bank:
    """Up to 64 outputs of distinct documents in each stratum; each token asks four of other documents."""
    sizes = lengths(draw, groups).astype(int)
    document = np.repeat(np.arange(groups), sizes)
    stratum = strata(np.concatenate([np.arange(size) for size in sizes]))
    places = []
    for one in range(stratum.max() + 1):
        here = draw.permutation(np.flatnonzero(stratum == one))
        places.append(draw.permutation(here[np.unique(document[here], return_index=True)[1]])[:OUTPUTS])
    of, lender = stratum[np.concatenate(places)], document[np.concatenate(places)]
    asked, squares, tokens = np.zeros((groups, len(of))), np.zeros((groups, len(of))), np.zeros(groups)
    for one in range(stratum.max() + 1):
        outputs, asking = np.flatnonzero(of == one), document[stratum == one]
        fit = lender[outputs] != asking[:, None]
        order = np.where(fit, draw.random(fit.shape), np.inf).argsort(1)[:, :ASKED]
        known = np.take_along_axis(fit, order, 1)
        share = known / np.maximum(known.sum(1, keepdims=True), 1)
        np.add.at(asked, (asking[:, None], outputs[order]), share)
        np.add.at(squares, (asking[:, None], outputs[order]), share**2)
        np.add.at(tokens, asking, known.any(1))
    return Bank(tokens, asked, squares, lender)


class Effects(NamedTuple):
    """Standard deviations: of a text in its own figure and in its chance, of the outputs of a document, of one output,
    and of one pair; those of a token are 1."""

    own: float
    chance: float
    document: float
    output: float
    pair: float


def differences(draw: np.random.Generator, made: Bank, effects: Effects, runs: int) -> Jackknifed:
    """Own less chance, [run]: a document is left out as a text and as a lender of outputs, as the survey does it."""
    groups = len(made.tokens)
    text, of_document = draw.standard_normal((2, runs, groups))
    outputs = effects.document * of_document[:, made.lender]
    outputs += effects.output * draw.standard_normal(outputs.shape)
    own = text * effects.own * made.tokens + np.sqrt(made.tokens) * draw.standard_normal((runs, groups))
    at = made.asked.nonzero()
    noise = effects.pair * np.sqrt(made.squares[at]) * draw.standard_normal((runs, len(at[0])))
    pairs = np.zeros((runs, *made.asked.shape))
    pairs[:, at[0], at[1]] = made.asked[at] * (outputs[:, at[1]] + effects.chance * text[:, at[0]]) + noise
    lenders = np.eye(groups)[made.lender]  # (output, document)
    lost, lost_count = pairs.sum(2) + pairs.sum(1) @ lenders, made.tokens + made.asked.sum(0) @ lenders
    chance = Jackknifed(pairs.sum((1, 2)), pairs.sum((1, 2))[:, None] - lost, groups)
    asked = Jackknifed(np.full(runs, made.tokens.sum()), np.tile(made.tokens.sum() - lost_count, (runs, 1)), groups)
    count = summed(np.tile(made.tokens, (runs, 1)), groups)
    return summed(own, groups) / count - chance / asked


@pytest.mark.simulation(cases=4)
@pytest.mark.parametrize("groups", DOCUMENTS)
@pytest.mark.parametrize(
    ("name", "effects"),
    [
        ("none", Effects(0, 0, 0, 0, 1)),
        ("of texts", Effects(0.5, 0.2, 0, 0, 1)),
        ("of outputs", Effects(0, 0, 0.5, 0.5, 1)),
        ("of both", Effects(0.5, 0.2, 0.5, 0.5, 1)),
    ],
)
def test_differences_from_a_bank(groups, name, effects):
    draw = np.random.default_rng([3, groups, len(name)])
    runs = 50 if groups < 300 else 25
    parts = [differences(draw, bank(draw, groups), effects, runs) for _ in range(1000 // runs)]
    value, without = (np.concatenate([getattr(part, of) for part in parts]) for of in ("value", "without"))
    found = judged(Jackknifed(value, without, groups), 0.0)
    print(f"\n| difference from the bank, effects {name} | {groups} | {found} |")
    assert_covers(found, groups)
