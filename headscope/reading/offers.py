"""The answers that every surface gives by name: the command line, the API and the page ask them of any reading."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from headscope.question import choices
from headscope.reading.answer import Answer
from headscope.reading.reading import Reading

# What a reader chooses, by the names that methods have for it; `reading` is asked by nothing else.
CHOICES: dict[str, Any] = {
    "token": int | str,
    "layer": int,
    "head": int | None,
    "space": choices.Space,
    "reference": choices.Reference | None,
    "metric": choices.Metric,
    "position": bool,
    "k": int,
    "candidates": choices.Candidates,
    "vector": choices.Vector,
    "at": int | None,
    "weigh": choices.Weigh,
    "against": choices.Against,
    "replaced_by": choices.Replacement,
    "isolated": bool,
}


@dataclass(frozen=True)
class Offer:
    """A question of a reading that has a name and takes choices alone, each with its default.

    `says`: what is answered, in a sentence. `record`: the type of what the answer's `to_dict` gives.
    """

    name: str
    says: str
    choices: Mapping[str, Any]
    record: Any

    def asked(self, reading: Reading, given: Mapping[str, Any]) -> Answer:
        """The answer under those choices of `given` that the question knows; by its own defaults where none is."""
        answer: Answer = getattr(reading, self.name)(**{name: given[name] for name in self.choices if name in given})
        return answer


def offers() -> dict[str, Offer]:
    """Every method of `Reading` that returns an `Answer` and takes nothing but choices.

    >>> sorted(offers())[:3], sorted(offers()["attention"].choices)
    (['atlas', 'attention', 'effects'], ['layer', 'token', 'weigh'])
    """
    return {
        name: offer
        for name, method in inspect.getmembers(Reading, inspect.isfunction)
        if not name.startswith("_") and (offer := _offer(name, method)) is not None
    }


def _offer(name: str, method: Any) -> Offer | None:
    answer = get_type_hints(method).get("return")
    given = dict(list(inspect.signature(method).parameters.items())[1:])
    if not (inspect.isclass(answer) and issubclass(answer, Answer) and given.keys() <= CHOICES.keys()):
        return None
    says = (inspect.getdoc(method) or "").partition("\n")[0]
    defaults = {choice: parameter.default for choice, parameter in given.items()}
    return Offer(name, says, defaults, get_type_hints(answer.to_dict)["return"])
