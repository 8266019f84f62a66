"""How often claims are ruled wrongly where texts have genres, by the rules that there might be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from headscope.inference.verdicts import ruling
from headscope.studies.claims import corpus
from headscope.studies.claims.sample import rise
from headscope.studies.claims.verdict import Finding
from headscope.studies.survey.tables import MATCHED
from tests.studies.claims.simulated_genres import LAYERS, WORDS, Agreeing, Documents, Held, Judged

pytestmark = pytest.mark.simulation
DOCUMENTS = 100
SURFACES = np.arange(WORDS)
Rulings = dict[str, str]  # by rule


def of_s5(survey: Any) -> Rulings:
    found = corpus.noise(survey, "right", "layer")
    general, matched = (
        [survey.statistic(f"{name}{ends}", "layer", LAYERS - 1) for name in names]
        for ends, names in (("", corpus._NOISE), (MATCHED, corpus._OF_OTHERS))
    )
    alone, either = (ruling(map(corpus._is_noise, rows)) for rows in (general, [*general, *matched]))
    uncorrected = ruling(corpus._AT_CHANCE.get(row["verdict"]) for row in general)
    return {"as it is": found.ruling, "general alone": alone, "either": either, "uncorrected": uncorrected}


def of_s6(survey: Any) -> Rulings:
    return by_each(survey, lambda: corpus.elsewhere(survey, "right"), corpus_s6)


def corpus_s6(survey: Any) -> list[bool | None]:
    rows = survey.rows(0, "input")
    found = [corpus._elsewhere_over(survey, rows, ends) for ends in survey.chances]
    return [None if one is None else corpus.above(one.over) for one in found]


def of_s10(survey: Any) -> Rulings:
    return by_each(survey, lambda: corpus.abstraction(survey, "right", "layer", SURFACES), corpus_s10)


def corpus_s10(survey: Any) -> list[bool | None]:
    agreeing = corpus._Agreeing.of(survey, SURFACES)
    rows = [survey.rows(layer, "layer") for layer in range(survey.layers)]
    rates = {ends: [agreeing.rates(one, ends) for one in rows] for ends in survey.chances}
    return [corpus._flat(rise([rate - by_chance for rate, by_chance in both])) for both in rates.values()]


def by_each(survey: Any, ask: Callable[[], Finding], each: Callable[[Any], list[bool | None]]) -> Rulings:
    conditions = each(survey)
    return {"as it is": ask().ruling, "general alone": ruling(conditions[:1]), "either": ruling(conditions)}


ASKED = {"S5": (Judged, of_s5), "S6": (Held, of_s6), "S10": (Agreeing, of_s10)}


def shares(claim: str, runs: int, **effects: float) -> Counter[tuple[str, str]]:
    """How often each rule says what."""
    make, ask = ASKED[claim]
    found: Counter[tuple[str, str]] = Counter()
    for run in range(runs):
        draw = np.random.default_rng([run, DOCUMENTS])
        found.update(ask(make(draw, Documents.drawn(draw, DOCUMENTS), **effects)).items())
    rules = [rule for rule in ("as it is", "general alone", "either", "uncorrected") if (rule, "contradicted") in found]
    told = (f"{one}: {found[one, 'holds'] / runs:.3f}, {found[one, 'contradicted'] / runs:.3f}" for one in rules)
    print(f"\n{claim} {effects or 'nothing'}: holds, contradicted: {'; '.join(told)}", end="")
    return Counter({key: count / runs for key, count in found.items()})


def at_most(share: float, runs: int) -> float:
    return share + 3 * np.sqrt(share * (1 - share) / runs)


@pytest.mark.long
def test_noise_is_not_contradicted_oftener_for_what_is_asked_of_the_same_genre():
    found = shares("S5", 300)
    assert found["as it is", "contradicted"] <= at_most(0.05, 300) < found["uncorrected", "contradicted"]
    assert found["as it is", "contradicted"] == found["general alone", "contradicted"]
    assert found["either", "contradicted"] > found["as it is", "contradicted"]
    assert shares("S5", 100, genre=0.1)["as it is", "contradicted"] > 0.8
    assert shares("S5", 100, text=0.1)["as it is", "contradicted"] > 0.8


@pytest.mark.long
def test_another_token_is_not_nearest_for_the_genre_alone():
    nothing, genre = shares("S6", 300), shares("S6", 300, genre=0.1)
    for found in (nothing, genre):
        assert found["as it is", "holds"] <= at_most(0.025, 300)
        assert found["as it is", "contradicted"] <= at_most(0.025, 300)
    assert genre["general alone", "holds"] > 0.9
    assert shares("S6", 100, text=0.1)["as it is", "holds"] > 0.9
    assert shares("S6", 100, text=-0.1)["as it is", "contradicted"] > 0.9


@pytest.mark.long
def test_no_hierarchy_is_contradicted_for_the_genre_alone():
    nothing, genre = shares("S10", 100), shares("S10", 100, genre=0.5)
    for found in (nothing, genre):
        assert found["as it is", "contradicted"] <= at_most(0.025, 100)
    assert genre["general alone", "contradicted"] > 0.9
    assert shares("S10", 100, text=0.5)["as it is", "contradicted"] > 0.9
