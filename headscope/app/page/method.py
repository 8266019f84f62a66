"""How a view is read, in steps, as HTML without styles or scripts; the method of Heads with an answer's own numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from headscope.app.page.words import WORDS
from headscope.model.card import Card
from headscope.reading.records import LookHeadRecord, LookRecord
from headscope.show.html import labelled
from headscope.show.numbers import distance

_PART = re.compile(r"\{([^}]+)\}|\[(\w+)\]")  # of a step: a formula, or what an answer says
_SET = re.compile(r"([_^])([^\W_]+)")  # of a formula: set low or high


def steps(told: Sequence[tuple[str, str]], parts: Mapping[str, str] | None = None) -> str:
    """A list of steps, each a title and what it says: formulas in braces, parts in brackets, given as HTML.

    A step that needs a part which is not there is left out.

    >>> steps([("One", "of {z_i} at [at]"), ("Two", "[missing]")], {"at": "3"})
    '<ol><li><h3>One</h3><p>of <span class="math">z<sub>i</sub></span> at 3</p></li></ol>'
    """
    there = parts or {}
    items = (
        f"<li><h3>{escape(title)}</h3><p>{_filled(body, there)}</p></li>"
        for title, body in told
        if all(name in there for _, name in _PART.findall(body) if name)
    )
    return f"<ol>{''.join(items)}</ol>"


def method(answer: LookRecord, card: Card) -> str:
    """The method, told by the head that ranks the own token best."""
    return steps(WORDS["steps"]["heads"], _parts(answer, card))


def _filled(body: str, parts: Mapping[str, str]) -> str:
    # What is split at a part has the text before it, its formula, and its name.
    pieces = _PART.split(body)
    told = [escape(pieces[0])]
    for formula, name, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        told += [_formula(formula) if formula else parts[name], escape(text)]
    return "".join(told)


def _formula(text: str) -> str:
    tags = {"_": "sub", "^": "sup"}
    shown = _SET.sub(lambda found: f"<{tags[found[1]]}>{found[2]}</{tags[found[1]]}>", escape(text))
    return f'<span class="math">{shown}</span>'


def _parts(answer: LookRecord, card: Card) -> dict[str, str]:
    selected, layer, space = answer["selected"], answer["layer"], answer["space"]
    own, reference = answer["tokens"][selected], answer["reference"]
    best = min(answer["heads"], key=lambda head: head["own"]["rank"] or card.vocab_size + 1)
    through = str(0 if reference == "input" else layer)
    road = "alone" if reference == "isolated" else "placed" if answer["use_position"] else "unplaced"
    parts = {
        "token": labelled(own["label"]),
        "id": str(own["id"]),
        "position": str(selected),
        "layer": str(layer),
        "metric": answer["metric"],
        "n_tokens": f"{len(answer['tokens']):,}",
        "n_heads": str(len(answer["heads"])),
        "d_head": str(card.d_head),
        "vocabulary": f"{card.vocab_size:,}",
        f"{road}_in": through,
        "capture_error": f"{card.capture_error:.1e}".replace("e-0", "e-").replace("-", "−"),
        **_best(best, own["label"], selected, answer),
    }
    return parts if space == "value" else parts | {"other_space": escape(WORDS["space"][space][0])}


def _best(best: LookHeadRecord, own: str, selected: int, answer: LookRecord) -> dict[str, str]:
    nearest = best["neighbors"][0]
    rank = best["own"]["rank"]
    parts = {
        "best": str(best["head"]),
        "nearest": labelled(nearest["label"]),
        "nearest_distance": _distance(nearest["distance"]),
        "own_distance": _distance(best["own"]["distance"]),
    }
    parts |= {"rank": f"{rank:,}", "nearer": f"{rank - 1:,}"} if rank else {"unranked": labelled(own)}
    for other in best["positions"]:
        if other["position"] != selected:
            label = answer["tokens"][other["position"]]["label"]
            where = {"other": str(other["position"]), "other_token": labelled(label)}
            return parts | where | {"other_distance": _distance(other["distance"])}
    return parts


def _distance(value: float | None) -> str:
    return "–" if value is None else distance(value).replace("-", "−")
