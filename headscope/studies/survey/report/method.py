"""What was measured, of what, and how: everything that is needed to measure it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headscope.inference.verdicts import MARGIN
from headscope.show.document import Cell, Code, DocumentTable, Items, Section
from headscope.studies.survey.opened import OpenedSurvey

_OPTIONS = {
    "spaces": "spaces",
    "references": "references",
    "metrics": "metrics",
    "masks": "masks",
    "position": "position embedding in the vocabulary",
    "candidates": "candidates",
    "sample": "sample of texts",
    "seed": "seed",
    "truncate": "too long texts are cut",
    "stream": "residual stream",
    "format": "format",
    "column": "column of the text",
    "document_column": "column of the document",
    "shard_positions": "tokens of a shard, about",
}


def measured(surveys: Mapping[str, OpenedSurvey]) -> Section:
    """A table with one column for each survey."""
    told = {name: _facts(survey) for name, survey in surveys.items()}
    names = list(dict.fromkeys(fact for facts in told.values() for fact in facts))
    rows = tuple((name, *(facts.get(name, "–") for facts in told.values())) for name in names)
    section = Section(
        "What was measured", "measured", [DocumentTable("From the surveys' manifests.", ("", *surveys), rows)]
    )
    notes = tuple(f"{name}: {note}" for name, survey in surveys.items() for note in survey.notes)
    if notes:
        section.blocks.append(Items(notes))
    left = [
        (name, example["reason"], f"{example['source']}, line {example['line']}")
        for name, survey in surveys.items()
        for example in survey.manifest["texts"]["examples"]
    ]
    if left:
        section.blocks.append(
            DocumentTable("Examples of texts that were left out.", ("Survey", "Why", "Where"), tuple(left))
        )
    return section


def how(surveys: Mapping[str, OpenedSurvey]) -> Section:
    """The definitions, in the words of docs/measurement.md and docs/survey.md."""
    formulas = sorted({survey.manifest["formula"] for survey in surveys.values()})
    return Section(
        "How it was measured",
        "how",
        [
            "What each head writes at each token, z = Σ α·v, is compared with the encoding of every token of the "
            "vocabulary. The reference input encodes the vocabulary with the first layer's projection, the reference "
            f"layer with the layer's own. Definitions: formula {', '.join(map(str, formulas))} of headscope "
            "(docs/survey.md, docs/measurement.md).",
            Items(
                (
                    "In-text rate: how often the nearest token is of a type of the text. κ = (p − p₀)/(1 − p₀), with "
                    "p₀ its chance.",
                    "AUC of the own rank: mean of 1 − (r − 1)/(V − 1), with r the rank of the own token among V "
                    "candidates. Its difference from chance is called Own.",
                    "Token Signal: 2·AUC − 1 of the text's types against sets of types of other texts, in [−1, 1], "
                    "corrected for hubs; its chance is 0.",
                    "Chance: the same figure with the output of the same head at the same position of another text. "
                    "A token at whose position no other text of its shard has one has no chance; it counts in the "
                    "value, and not in the difference. Tables give both numbers of tokens.",
                    "Left out everywhere: special positions (such as <s>, [CLS]).",
                    "Intervals: 95 %, bootstrap of 2,000 draws of documents where documents are marked, else of texts.",
                    "Above, below: the interval of the difference excludes 0, and the false discovery rate over the "
                    "heads is at most 5 % (Benjamini–Hochberg).",
                    f"At chance: the whole interval of the difference lies within ±{MARGIN} under every reference "
                    "that was measured.",
                    "Undetermined: neither. The texts do not tell it apart from chance, and its interval, or that of "
                    "another reference, is too wide to call it chance.",
                    "Contrasts: the same draws of documents on both sides, subtracted replicate by replicate.",
                )
            ),
        ],
    )


def _facts(survey: OpenedSurvey) -> dict[str, Cell]:
    model, texts, options = survey.model, survey.manifest["texts"], survey.manifest["options"]
    drawn = texts["documents"] is not None
    facts: dict[str, Cell] = {
        "Model": Code(model["name"]),
        "Architecture": Code(str(model.get("architecture", "–"))),
        "Revision": Code(str(model["revision"] or "–")),
        "SHA-256 of the weights": Code(model["weights_sha256"]),
        "Layers × heads": f"{model['layers']} × {model['heads']}",
        "Key/value heads, d_head, d_model": f"{model['kv_heads']}, {model['d_head']}, {model['d_model']}",
        "Vocabulary": f"{model['vocab_size']:,}",
        "Precision": str(model["dtype"]),
        "Texts from": Code(", ".join(texts["sources"])),
        "SHA-256 of the texts": Code(texts["sha256"]),
        "Texts": f"{texts['texts']:,}",
        "Tokens that are not special": f"{texts['positions']:,}",
        "The bootstrap draws": f"{texts['groups']:,} {'documents' if drawn else 'texts'}",
        "Texts left out": "; ".join(f"{reason}: {count:,}" for reason, count in texts["left_out"].items()) or "none",
        "Nulls beside other texts": ", ".join(survey.nulls) or "none",
    }
    facts |= {f"Option: {words}": _option(options[name]) for name, words in _OPTIONS.items() if name in options}
    facts |= {f"Version of {name}": str(version) for name, version in survey.manifest["versions"].items()}
    return facts | {"Schema, formula": f"{survey.manifest['schema']}, {survey.manifest['formula']}"}


def _option(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "all" if value is None else str(value)
