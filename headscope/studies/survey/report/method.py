"""What was measured, of what, and how: everything that is needed to measure it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headscope.inference.left_out import FEWEST, FEWEST_TESTED, MOST
from headscope.inference.studentised import POWER
from headscope.inference.verdicts import MARGIN, RATE
from headscope.show.document import Cell, Code, DocumentTable, Items, Section
from headscope.studies.survey.headline import AS_SHARP
from headscope.studies.survey.nulls import TWINS
from headscope.studies.survey.opened import OpenedSurvey
from headscope.studies.survey.report.measures import SAME_GENRE
from headscope.studies.survey.report.three_lines import BY_ITSELF, of_groups
from headscope.studies.survey.signal import SIZED

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
    "genre_column": "column of the genre",
    "language_column": "column of the language",
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
                    "Within the text, over tokens that occur once in it: AUC_ij = 1 − (r − 1)/(V − 1), with r the rank "
                    "of token j under the output at i among V candidates. Own within the text: AUC_ii less the mean of "
                    "AUC_ji over the other positions j that may see i. Carry: the mean of AUC_ij weighted by the "
                    "attention of i, less the even mean, over the tokens that i may see; “at most” is the largest "
                    "AUC_ij less that mean.",
                    "Even attention, the chance of both: the same with z recomputed as if the head attended alike to "
                    "all that it may see; Carry is weighted by the attention that the head has.",
                    BY_ITSELF,
                    "Untrained twins: the same architecture initialised anew with "
                    f"{TWINS} seeds, on the same texts (--null random). A head is held against all heads of its "
                    "layer in them; seeds and heads are in the error.",
                    "Untrained twins that attend as it does: the same twins, given the model’s attention in every "
                    "layer (--null values). A head is held against the same head in them; seeds are in the error.",
                    "A head stands out where it is above even attention and above untrained twins, each at a false "
                    "discovery rate of 5 % (one-sided). Whether its attention alone may bring that, twins that attend "
                    f"as it does tell. Without these: {AS_SHARP} Without twins nothing is claimed: any network that "
                    "mixes has more Carry than even attention.",
                    "In-text rate: how often the nearest token is of a type of the text. κ = (p − p₀)/(1 − p₀), with "
                    "p₀ its chance.",
                    "AUC of the own rank: mean of AUC_ii over all tokens. What it has over its chance is called Topic: "
                    "an output is nearer to the tokens of its own text than those of other documents are, whichever "
                    "token it is of.",
                    "Token Signal: 2·AUC − 1 of the text's types against sets of types of other texts, in [−1, 1], "
                    f"corrected for hubs; its chance is 0. It falls with the length of a text; sets of {SIZED} are of "
                    "one size.",
                    "Chance of these: the same question asked of outputs of other documents at about the same "
                    "position, from one bank that is the same for the whole survey. A token for which there is no such "
                    "output has no chance; it counts in the value, and not in the difference. Tables give both.",
                    *((SAME_GENRE,) if any(survey.of_genres for survey in surveys.values()) else ()),
                    "Left out everywhere: special positions (such as <s>, [CLS]).",
                    "Intervals: 95 %, from the figure without each document in turn (a delete-one jackknife with "
                    "Student's t, of fewer degrees of freedom where few documents make most of the variance; without "
                    f"each text where no documents are marked). None below {FEWEST} documents. Of more than {MOST:,}, "
                    "several are left out at a time.",
                    f"p and q: from the same t, none below {FEWEST_TESTED} documents; q is corrected over the heads "
                    "(Benjamini–Hochberg).",
                    f"Above, below: q is at most {RATE}. Small: by less than {MARGIN}, and of a rate less than its "
                    "chance again.",
                    f"At chance: the interval of the difference includes 0 and lies within ±{MARGIN}, and of a rate "
                    "within half to double its chance.",
                    "Undetermined: neither. Beside it the smallest difference that these texts would have shown with a "
                    f"chance of {100 * POWER:.0f} %.",
                    "Contrasts: figures of the same texts, subtracted without each document in turn.",
                )
            ),
        ],
    )


def _facts(survey: OpenedSurvey) -> dict[str, Cell]:
    model, texts, options = survey.model, survey.manifest["texts"], survey.manifest["options"]
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
        "Intervals are over": f"{texts['groups']:,} {of_groups(texts)}",
        "Texts left out": "; ".join(f"{reason}: {count:,}" for reason, count in texts["left_out"].items()) or "none",
        "Nulls beside other texts": ", ".join(survey.nulls) or "none",
    }
    if "genres" in texts:
        told = ", ".join(f"{name} {count:,}" for name, count in texts["genres"].items())
        facts["Documents of each genre"] = told or "too many genres"
    facts |= {f"Option: {words}": _option(options[name]) for name, words in _OPTIONS.items() if name in options}
    facts |= {f"Version of {name}": str(version) for name, version in survey.manifest["versions"].items()}
    return facts | {"Schema, formula": f"{survey.manifest['schema']}, {survey.manifest['formula']}"}


def _option(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "all" if value is None else str(value)
