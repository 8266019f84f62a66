"""The verdict above the tables of the page's view of heads: what an answer says, its strips, and how that is known."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape

import torch

from headscope.reading.standing import Others, Standing
from headscope.show.html import tables

_HOW = (
    "The rank of a token is its place among the whole vocabulary by its distance from the head’s output; 1 is the "
    "nearest. Even attention is what the output would be if the head attended alike to all that it may see: any "
    "network that mixes puts the text’s words somewhat nearer, trained or not.",
    "What a head does beyond that takes many texts: the attended and the own token against even attention, and "
    "against the same network untrained, five times: as it attends itself (its heads are alike, so a head is held "
    "against all of its layer’s), and given the attention of this model (against the same head). Only where it is "
    "above even attention and untrained twins (false discovery rate 5 %) is anything claimed, and no more than that; "
    "the twins that attend as it does say whether its attention alone may bring it.",
)
_WAYS = (
    ('{"view":"written"}', "The matrix: what this head writes where, beside what it attends to"),
    ('{"hubs":true}', "The chance: what other texts’ outputs are near to"),
)


def verdict(found: Standing, head: int | None) -> str:
    """What is said of one head, or of the layer, as HTML without styles or scripts; all words of the text escaped.

    The strip of the chosen head is large; those of all heads are small, and choose them. What a survey says of it is
    not known here, and has its place.
    """
    chosen = "" if head is None else f'<div class="strip">{found.strip(head)}</div>'
    told, room = _isolated(_says(found, head), found), escape(_says(_with_room(found), head))
    words = f'<p class="verdict-says">{told}</p><p class="surveyed"></p>'
    words = f'<div class="verdict-words" data-room="{room}"><div>{words}</div></div>'
    return f"{words}{chosen}{_all(found, head)}{_how(found, head)}"


def _says(found: Standing, head: int | None) -> str:
    return found.says() if head is None else found.says_of(head)


def _with_room(found: Standing) -> Standing:
    """The same beside other texts at their longest: room that is kept, so that nothing below moves once they come."""
    low = torch.full(found.ranks.shape, found.candidates - 1.0, dtype=torch.float64)
    none = torch.full((len(found.ranks),), 0.99, dtype=torch.float64)  # nearer than every token: the longest sentence
    return replace(found, others=Others(low, low + 1, none, none, 0, 0, 0, ""))


def _isolated(says: str, found: Standing) -> str:
    """A sentence as HTML, in which each quoted token keeps its direction to itself."""
    labels = sorted({escape(name.label) for name in found.names.values()}, key=len, reverse=True)
    return re.sub(f"“({'|'.join(map(re.escape, labels))})”", r"“<bdi>\1</bdi>”", escape(says))


def _all(found: Standing, chosen: int | None) -> str:
    """A small strip for every head."""
    heads = "".join(
        f'<button type="button" data-choose="{head}" aria-pressed="{str(head == chosen).lower()}">'
        f"<span>head {head}</span>{found.strip(head, named=False)}</button>"
        for head in range(len(found.ranks))
    )
    return f'<div class="strips" role="group" aria-label="Where the text’s tokens rank, in every head">{heads}</div>'


def _how(found: Standing, head: int | None) -> str:
    others = found.others
    band = (
        "The band behind the marks (the middle half of other texts’ outputs) comes as soon as these are read."
        if others is None
        else f"The band behind the marks is the middle half of where {others.outputs:,} outputs of other texts "
        f"({others.bank}) put the same tokens, at {others.where}."
    )
    strip = (
        f"A strip is the whole vocabulary of {found.candidates:,} tokens, the nearest at the left, on a logarithmic "
        "scale: from 1 to 10 is as far as from 1,000 to 10,000. Every mark is a token of this text; the taller, the "
        "more attention it has. " + band
    )
    ways = "".join(
        f'<li><button type="button" class="quiet" data-go="{escape(choice)}">{words}</button></li>'
        for choice, words in _WAYS
    )
    sentences = "".join(f"<p>{escape(line)}</p>" for line in (strip, *_HOW))
    sheet = "" if head is None else tables([found.sheet_of(head)])
    return (
        f'<details class="verdict-how"><summary>How do we know?</summary>{sheet}<div class="says">{sentences}</div>'
        f'<ul>{ways}<li><a href="#how">The method, step by step</a></li></ul></details>'
    )
