"""Maps as plain lists and as text."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from headscope.reading.answer import choices, question_record, token_record

if TYPE_CHECKING:
    from headscope.reading.map import Map, records

METHODS = {"tsne": "t-SNE", "pca": "PCA"}


def record(found: Map) -> records.MapRecord:
    """The map for JSON: every point with its place."""
    return {
        **_about(found),
        "vocabulary": [
            {"id": id, "token": found.names[id].text, "label": found.names[id].label, "group": group, "x": x, "y": y}
            for id, group, (x, y) in zip(found.ids.tolist(), found.groups, found.vocabulary.tolist(), strict=True)
        ],
        "texts": [
            {
                "text": text.text,
                "mask": text.mask,
                "tokens": [
                    {**token_record(one), "value": value, "output": output, "moved": moved}
                    for one, value, output, moved in zip(
                        text.tokens, text.values.tolist(), text.outputs.tolist(), text.moved.tolist(), strict=True
                    )
                ],
            }
            for text in found.texts
        ],
    }


def labelled(found: Map) -> records.LabelledMapRecord:
    """The map without its points, for who gets them in another way: the sample's groups follow each other."""
    ids = found.ids.tolist()
    return {
        **_about(found),
        "facts": facts(found),
        "ids": ids,
        "labels": [found.names[id].label for id in ids],
        "texts": [
            {
                "text": text.text,
                "mask": text.mask,
                "tokens": [token_record(one) for one in text.tokens],
                "moved": text.moved.tolist(),
            }
            for text in found.texts
        ],
    }


def _about(found: Map) -> records.AboutMapRecord:
    """What a map is of, how it was made, and how far it is to be trusted."""
    return {
        **question_record(found.question),
        "head": found.head,
        "method": found.way.method,
        "perplexity": found.way.perplexity if found.way.method == "tsne" else None,
        "seed": found.way.seed,
        "trustworthiness": found.trustworthiness,
        "explained": None if found.explained is None else list(found.explained),
        "of": found.of,
        "sample": dict(Counter(found.groups)),
        "notes": list(found.notes),
    }


def rows(found: Map) -> list[dict[str, Any]]:
    """One row for each point."""
    told = record(found)
    parts = [
        {"what": "vocabulary", "group": one["group"], "text": None, "position": None}
        | {"id": one["id"], "token": one["token"], "label": one["label"], "x": one["x"], "y": one["y"]}
        for one in told["vocabulary"]
    ]
    for number, text in enumerate(told["texts"]):
        for what in ("value", "output"):
            parts += [
                {"what": what, "group": None, "text": number, "position": one["position"], "id": one["id"]}
                | {"token": one["text"], "label": one["label"], "x": place[0], "y": place[1]}
                for one in text["tokens"]
                for place in (one["value"] if what == "value" else one["output"],)
            ]
    return parts


def moved_rows(found: Map) -> list[dict[str, Any]]:
    """One row for each token of each text: how far its output is from its value, in the space itself."""
    return [
        {"text": number, "position": one["position"], "id": one["id"], "label": one["label"], "moved": one["moved"]}
        | {"token": one["text"]}
        for number, text in enumerate(record(found)["texts"])
        for one in text["tokens"]
    ]


def title(found: Map) -> str:
    """Which head's space it is, and by which choices."""
    return f"Layer {found.question.layer}, head {found.head} · {choices(found.question)}"


def facts(found: Map) -> list[str]:
    """How the map was made, of what, and how far it is to be trusted: a sentence each."""
    method = METHODS[found.way.method]
    if found.way.method == "tsne":
        method += f" (perplexity {found.way.perplexity:g}, seed {found.way.seed}): axes and lengths have no unit"
    elif found.explained is not None:
        method += f": the two axes hold {sum(found.explained):.1%} of the variance"
    counts = Counter(found.groups)
    sample = (
        f"{len(found.groups):,} of {found.of:,} vocabulary tokens: {counts['text']} of the text, {counts['near']} near "
        f"its outputs, {counts['random']:,} drawn at random (seed {found.way.seed})."
    )
    trust = (
        f"Trustworthiness {found.trustworthiness:.3f}: 1 where whoever is near here is near in the space, about 0.5 in "
        "a random picture."
    )
    return [f"{method}. {sample}", trust]


def text(found: Map) -> str:
    """The map's facts, and the places of each text's values and outputs."""
    lines = [f"Map of {title(found)}", *facts(found)]
    for one in found.texts:
        lines += ["", f"{one.text!r}: value → output"]
        places = zip(one.tokens, one.values.tolist(), one.outputs.tolist(), strict=True)
        lines += [
            f"{token.position:>4} {token.label:<12} {_place(value)} → {_place(output)}"
            for token, value, output in places
        ]
    return "\n".join([*lines, *(f"Note: {note}" for note in found.notes)])


def _place(point: list[float]) -> str:
    return f"({point[0]:8.3f}, {point[1]:8.3f})"
