"""What a survey says of a head, or of a layer, in words: its contrasts, and a claim only where both are sure.

A claim needs more than even attention and more than untrained twins (q ≤ .05 in both): an untrained network's mixing is
above even attention by itself. Without twins the figures describe. With them the words say above what a head is, and
whether its attention alone may bring that: what twins that attend as it does tell, or `headline.AS_SHARP`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headscope.inference.verdicts import MARGIN
from headscope.show.numbers import between, two
from headscope.studies.survey.contrasts import TWINS, VALUES
from headscope.studies.survey.headline import AS_SHARP, Over, OverBoth, of_each
from headscope.studies.survey.nulls import variants
from headscope.studies.survey.opened import OpenedSurvey, View

_ORDER = ("carry", "own")
_NAMES = {"carry": "Carry", "own": "Own within the text"}
_HEAD = {"carry": "writes what it attends to", "own": "keeps its own token"}
_LAYER = {"carry": "write what they attend to", "own": "keep their own token"}
_SIDES = {"above": " above", "below": " below", "not above": ", no more than", "undetermined": ", not told apart from"}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def said(survey: OpenedSurvey, view: View) -> dict[tuple[int, int | None], str]:
    """What is said of every head of a view, and of every layer (head None)."""
    return sentences(of_each(survey.contrasts, view), survey.manifest["texts"])


def sentences(
    found: Mapping[tuple[str, int, int | None], OverBoth], texts: Mapping[str, Any]
) -> dict[tuple[int, int | None], str]:
    """The same of contrasts by statistic, layer and head; `texts`: of the manifest."""
    places = dict.fromkeys((layer, head) for _, layer, head in found)
    return {
        (layer, head): sentence(
            {name: found[name, layer, head] for name in _ORDER if (name, layer, head) in found}, texts, head is None
        )
        for layer, head in places
    }


def sentence(found: Mapping[str, OverBoth], texts: Mapping[str, Any], of_layer: bool) -> str:
    """What one head's contrasts say, or those of the mean of a layer's heads."""
    count = f"Over {texts['texts']:,} texts" + (", the mean of the layer’s heads" if of_layer else "")
    figures = "; ".join(f"{_NAMES[name]} {_figure(over, n == 0)}" for n, (name, over) in enumerate(found.items()))
    sharp = _of_attention({name: over for name, over in found.items() if over.conclusion == "stands out"}, of_layer)
    return f"{_concluded(found, of_layer)} {count}: {figures}.{sharp}"


def _figure(over: OverBoth, first: bool) -> str:
    """What it has over each; what it is held against is said in full the first time."""
    if over.twins is None:
        return f"{_over(over.even)} even attention"
    # Untrained heads are exchangeable: all of the layer's are what one head is held against.
    twins = f"the heads of this layer in {_NUMBERS[len(variants(TWINS))]} untrained twins"
    return f"{_over(over.even)} even attention, and {_over(over.twins)} {twins if first else 'those heads'}"


def _of_attention(shown: Mapping[str, OverBoth], of_layer: bool) -> str:
    """Of what stands out: whether the attention that is there would bring as much over random values."""
    held = {name: over.values for name, over in shown.items() if over.values is not None}
    if not held:
        return f" {AS_SHARP}" if shown else ""
    they, their = ("they do", "Their") if of_layer else ("it does", "Its")
    beyond = [_NAMES[name] for name, part in held.items() if part.standing == "above"]
    rest = [_NAMES[name] for name, part in held.items() if part.standing != "above"]
    alone = f"does not bring {_and(beyond)}, and may bring {_and(rest)}"
    alone = alone if beyond and rest else "does not bring that" if beyond else "may bring as much"
    twins = f"{_NUMBERS[len(variants(VALUES))]} such twins that attend as {they}"
    figures = ", ".join(f"{_NAMES[name]} {_number(part)}" for name, part in held.items())
    return f" {their} attention alone {alone}: over {twins}, {figures}."


def _over(part: Over) -> str:
    """A difference, its interval, and on which side of what it is held against it is sure to be.

    >>> _over(Over(0.12, 0.09, 0.15, 0.001, 0.001, 0.04)), _over(Over(-0.004, -0.02, 0.01, 0.6, 0.7, 0.03))
    ('+.12 [+.09, +.15] above', '.00 [−.02, +.01], no more than')
    """
    return f"{_number(part)}{_SIDES[part.standing]}"


def _number(part: Over) -> str:
    interval = "" if part.low is None or part.high is None else f" {between(part.low, part.high, two)}"
    return f"{two(part.difference)}{interval}"


def _concluded(found: Mapping[str, OverBoth], of_layer: bool) -> str:
    claims = _LAYER if of_layer else _HEAD
    shown = [name for name, over in found.items() if over.conclusion == "stands out"]
    if shown:
        who = "On average its heads" if of_layer else "This head"
        small = " by little (under .02)" if all(found[name].least < MARGIN for name in shown) else ""
        does = _and([claims[name] for name in shown])
        return f"{who} {does}{small}, more than even attention and untrained twins would."
    if all(over.twins is None for over in found.values()):
        return "Untrained twins were not measured, and any mixing is above even attention: nothing is claimed."
    return "Not more than even attention and untrained twins would, as far as these texts show: nothing is claimed."


def _and(words: Sequence[str]) -> str:
    return " and ".join(words)
