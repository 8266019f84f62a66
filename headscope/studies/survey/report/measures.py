"""What the report shows of a survey, in its own words."""

from __future__ import annotations

from typing import NamedTuple

from headscope.show.numbers import between, rate
from headscope.studies.survey.opened import OpenedSurvey, Stat, Tokens, View
from headscope.studies.survey.signal import SIZED
from headscope.studies.survey.tables import MATCHED


class Measure(NamedTuple):
    """A statistic that has a chance level.

    `kept` names in left_out.parquet what is free of chance and can be contrasted between views and surveys,
    `contrasted` its title. Within one view it is the `statistic` that is held against untrained twins, `kept` or not.
    """

    statistic: str
    title: str
    over_chance: str
    kept: str
    contrasted: str


OWN = Measure("own", "Own within the text", "Own − even attention", "own_over_even", "Own over even attention")
CARRY = Measure("carry", "Carry", "Carry − even attention", "carry_over_even", "Carry over even attention")
IN_TEXT = Measure("in_text", "In-text rate", "In-text rate − chance", "kappa", "κ")
TOPIC = Measure("auc_own", "AUC of the own rank", "Topic", "topic", "Topic")
SIGNAL = Measure("signal", "Token Signal", "Signal", "signal", "Signal")
_SET = f"sets of {SIZED}"
SIGNAL_OF_SETS = Measure(
    f"signal_{SIZED}", f"Token Signal, {_SET}", f"Signal, {_SET}", f"signal_{SIZED}", f"Signal, {_SET}"
)
MEASURES = (OWN, CARRY, IN_TEXT, TOPIC, SIGNAL, SIGNAL_OF_SETS)
# The same where chance is of the same genre.
TOPIC_MATCHED = tuple(
    Measure(
        f"{one.statistic}{MATCHED}",
        f"{one.title}, same genre",
        f"{one.over_chance}, same genre",
        f"{one.kept}{MATCHED}",
        f"{one.contrasted}, same genre",
    )
    for one in (IN_TEXT, TOPIC, SIGNAL, SIGNAL_OF_SETS)
)
SAME_GENRE = (
    "Same genre: held against documents of the text’s own genre alone. What a figure has over general chance and not "
    "over this one, any document of the genre would have: it is of the genre’s words, not of this text’s."
)
CEILING = ("carry_ceiling", "Carry, at most")  # what it would be if all attention went to what is written best
EVEN_BY_CHANCE = (OWN, CARRY)  # held against even attention; the others against other documents

KINDS = {
    "own": "its own token",
    "text": "another token of the text",
    "variant": "a variant of one",
    "special": "no word (special, unused, a byte)",
    "elsewhere": "elsewhere",
}
PATTERN = {
    "entropy": "Entropy (nats)",
    "on_own": "Weight on the own position",
    "on_previous": "Weight on the previous one",
    "on_special": "Weight on special ones",
}
BY = {"word": "Word class", "frequency": "Frequency", "position": "Position"}
_MASKS = {"model": "the model's own mask", "full": "every token visible", "causal": "causal mask"}
_CLASSES = {("frequency", "1"): "most frequent quarter", ("frequency", "4"): "rarest quarter"}


def measures_of(survey: OpenedSurvey) -> tuple[Measure, ...]:
    """The measures that a survey has: with those of the same genre, where its texts have genres."""
    return (*MEASURES, *(TOPIC_MATCHED if survey.of_genres else ()))


def reference(view: View) -> str:
    """The reference in words; spaces without one are named themselves."""
    return view.reference or view.space or ""


def group(view: View) -> str:
    """What views that differ only in their reference have in common."""
    return f"space {view.space}, {view.metric}, {mask(view.mask)}"


def view_name(view: View) -> str:
    """A view in words."""
    named = f", reference {view.reference}" if view.reference else ""
    return f"space {view.space}{named}, {view.metric}, {mask(view.mask)}"


def mask(name: str) -> str:
    """A mask in words."""
    return _MASKS.get(name, name)


def tokens_name(tokens: Tokens) -> str:
    """A class of tokens in words."""
    return _CLASSES.get((tokens.by, tokens.kind), tokens.kind)


def slug(*parts: str | None) -> str:
    """A file's name, and an id, from words."""
    words = "-".join(part for part in parts if part)
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in words).strip("-").lower()


def head_name(layer: int, head: int) -> str:
    """The field's short name of a head.

    >>> head_name(5, 1)
    'L5H1'
    """
    return f"L{layer}H{head}"


def difference(stat: Stat | None) -> str:
    """A difference from chance with its interval."""
    if stat is None or stat.difference is None:
        return "–"
    return f"{rate(stat.difference, signed=True)} {between(stat.difference_low, stat.difference_high)}"


def verdict(stat: Stat) -> str:
    """A verdict with what belongs to it: that a sure difference is small, or what the texts could have shown."""
    if stat.verdict in ("above", "below"):
        return f"{stat.verdict}, small" if stat.small else stat.verdict
    if stat.verdict == "undetermined" and stat.smallest is not None:
        return f"undetermined (≥ {rate(stat.smallest)} would show)"
    return stat.verdict or "–"
