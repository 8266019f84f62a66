"""The strongest heads, and tokens in their context as they stand in the shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import duckdb

from headscope.errors import InputError, clause
from headscope.studies.survey.opened import OpenedSurvey, Stat, View
from headscope.studies.survey.report.measures import Measure

HEADS = 5  # of each measure
TOKENS = 4  # of each head
_AROUND = 7  # tokens of context on either side


class Example(NamedTuple):
    """A token in its context, and what the head's output there is nearest to."""

    layer: int
    head: int
    before: str
    token: str
    after: str
    nearest: str
    kind: str
    own_rank: int | None
    signal: float | None


def strongest(survey: OpenedSurvey, view: View, measure: Measure) -> list[tuple[int, int, Stat]]:
    """The heads that are above chance, the largest difference first; a few."""
    above = [
        (layer, head, stat)
        for layer, head in survey.places
        if (stat := survey.stat(view, measure.statistic, layer, head)) is not None and stat.verdict == "above"
    ]
    return sorted(above, key=lambda placed: -(placed[2].difference or 0.0))[:HEADS]


# The draw is arithmetic, so that it is the same in every version; it looks at no figure.
_DRAWN = """
    SELECT layer, head, text, position, v.label AS nearest, kind::VARCHAR AS kind, own_rank, signal
    FROM (
        SELECT *, row_number() OVER (
            PARTITION BY layer, head
            ORDER BY
                (text::BIGINT * 7919 + position * 104729 + layer * 1299709 + head * 15485863) % 100003,
                text, position
        ) AS place
        FROM read_parquet($rows)
        WHERE space = $space AND reference IS NOT DISTINCT FROM $reference AND metric = $metric AND mask = $mask
            AND list_contains($heads, layer::INTEGER * 100000 + head)
    ) AS r
    JOIN read_parquet($vocabulary) AS v ON v.id = r.nearest
    WHERE place <= $count
    ORDER BY layer, head, place
"""
_CONTEXT = """
    SELECT text, position, label FROM read_parquet($tokens) WHERE list_contains($texts, text) ORDER BY text, position
"""


def examples(survey: OpenedSurvey, view: View, heads: Sequence[tuple[int, int]]) -> list[Example]:
    """A few tokens of each (layer, head), drawn among all that were measured whatever the head does there."""
    if not heads:
        return []
    rows, tokens = ([str(path) for path in survey.tables(name)] for name in ("rows", "tokens"))
    with _told(survey), duckdb.connect() as base:
        # Bars of progress belong to a person's own queries.
        base.execute("SET enable_progress_bar = false")
        drawn = base.execute(
            _DRAWN,
            {
                "rows": rows,
                "vocabulary": str(survey.path / "vocabulary.parquet"),
                "space": view.space,
                "reference": view.reference,
                "metric": view.metric,
                "mask": view.mask,
                "heads": [layer * 100000 + head for layer, head in set(heads)],
                "count": TOKENS,
            },
        ).fetchall()
        texts: dict[int, list[tuple[int, str]]] = {}
        wanted = sorted({row[2] for row in drawn})
        for text, position, label in base.execute(_CONTEXT, {"tokens": tokens, "texts": wanted}).fetchall():
            texts.setdefault(text, []).append((position, label))
    there = {(text, position) for text, found in texts.items() for position, _ in found}
    if not all((text, at) in there for _, _, text, at, *_ in drawn):
        raise InputError(f"the tables of the survey in {str(survey.path)!r} do not agree on which tokens there are.")
    return [Example(layer, head, *_context(texts[text], at), *rest) for layer, head, text, at, *rest in drawn]


@contextmanager
def _told(survey: OpenedSurvey) -> Iterator[None]:
    """Tell in a sentence that the tables cannot be asked: a vocabulary may be another's, and its checksum with it."""
    try:
        yield
    except duckdb.Error as error:
        where = repr(str(survey.path))
        raise InputError(f"the tables of the survey in {where} cannot be read: {clause(error)}.") from None


def _context(tokens: list[tuple[int, str]], position: int) -> tuple[str, str, str]:
    """What stands before a token, the token, and what stands after it."""
    labels = [label for _, label in tokens]
    spaced = any("␣" in label for label in labels)
    pieces = [label.replace("␣", " ") if spaced else _piece(label) for label in labels]
    at = [place for place, _ in tokens].index(position)
    start, stop = max(at - _AROUND, 0), at + _AROUND + 1
    before, after = "".join(pieces[start:at]), "".join(pieces[at + 1 : stop])
    token = pieces[at]
    if not token.strip():  # a space alone is seen by its sign
        token = labels[at]
    elif token.startswith(" "):
        before, token = before + " ", token[1:]
    return ("…" if start else "") + before.lstrip(), token, after + ("…" if stop < len(labels) else "")


def _piece(label: str) -> str:
    """A token of a tokenizer that marks what goes on a word, not what begins one."""
    return label[2:] if label.startswith("##") and len(label) > 2 else f" {label}"
