"""What was said in general of the heads, asked of a corpus: S3, S5, S6, S8's half and S10, from surveys' tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headscope.inference.estimates import Resampled, number, recorded, rise
from headscope.inference.verdicts import MARGIN, Condition, above, at_chance, below, ruling
from headscope.studies.claims.sentence import HEAD
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.claims.verdict import Arithmetic, Finding, figures_of, signed
from headscope.studies.survey.report.measures import between, rate

NOISE = ("in_text", "auc_own", "signal")  # what is to be at chance where a layer is noise
NO_CHANCE = "no other text has a token at these positions, so there is no chance to hold them against."
_NAMES = {"in_text": "in-text rate", "auc_own": "AUC of the own rank", "signal": "Token Signal"}


def preserved(survey: Surveyed, arithmetic: Arithmetic, sentence: Finding) -> Finding:
    """S3: head 7's own@1 above every other head's of layer 0; and what the sentence said."""
    if sentence.ruling == "not applicable" and survey.heads <= HEAD:
        return sentence
    rates = [survey.replicated("own_at_1", "input", 0, head) for head in range(survey.heads)]
    others = [head for head in range(survey.heads) if head != HEAD]
    apart = {head: rates[HEAD] - rates[head] for head in others}
    nearest = min(others, key=lambda head: apart[head].value)
    conditions: list[Condition] = [above(one) for one in apart.values()]
    # Where the sentence cannot be asked, the corpus alone can contradict the claim and not bear it out.
    conditions.append(None if sentence.ruling == "not applicable" else sentence.ruling == "holds")
    difference = apart[nearest]
    told = (
        f"own@1 of head {HEAD} is {rates[HEAD].value:.3f}, {signed(difference)} from the best other head, {nearest}. "
        f"In the sentence: {sentence.found}"
    )
    figures = tuple(figures_of(rate, head=head) for head, rate in enumerate(rates))
    return Finding(
        "S3", arithmetic, None, ruling(conditions), told, difference.value, *_ends(difference), figures=figures
    )  # fmt: skip


def noise(survey: Surveyed, arithmetic: Arithmetic, reference: str) -> Finding:
    """S5: whether the last layer is at chance, under one reference."""
    last = survey.layers - 1
    rows = [row for name in NOISE if (row := survey.statistic(name, reference, last)) is not None]
    if len(rows) < len(NOISE):
        return Finding("S5", arithmetic, reference, "undetermined", NO_CHANCE)
    conditions = [
        at_chance(recorded(row["difference"], row["difference_low"], row["difference_high"]), row["verdict"])
        for row in rows
    ]
    told = "; ".join(
        f"{_NAMES[row['statistic']]} {rate(row['value'])}, over chance {rate(row['difference'], signed=True)} "
        f"{between(row['difference_low'], row['difference_high'])}"
        for row in rows
    )
    strong = rows[NOISE.index("signal")]
    figures = tuple(
        {"layer": last, "statistic": row["statistic"]}
        | {
            name: row[name]
            for name in ("value", "chance", "difference", "difference_low", "difference_high", "verdict")
        }
        for row in rows
    )
    return Finding(
        "S5", arithmetic, reference, ruling(conditions), f"layer {last}: {told}.", strong["value"],
        strong["low"], strong["high"], strong["chance"], figures,
    )  # fmt: skip


def elsewhere(survey: Surveyed, arithmetic: Arithmetic) -> Finding:
    """S6: at layer 0, how often another token of the text is the nearest, less how often the own one is."""
    rows = survey.rows(0, "input")
    known = ~np.isnan(rows.own_rank)
    own, other = rows.own_rank == 1, rows.kind == "text"

    def by_token(values: NDArray[Any], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.where(counted, values.astype(np.float64), np.nan).mean(0)  # over heads
        return found

    # Token by token, before they are drawn: so the difference is paired.
    difference = survey.sample.mean(by_token(other * 1.0 - own, known))
    rates = {name: survey.sample.mean(by_token(values, known)) for name, values in (("other", other), ("own", own))}
    chance_own = np.where(np.isnan(rows.chance_own_rank), np.nan, rows.chance_own_rank == 1)
    # A nearest token that is in the text may be the own one: other = in_text − own, and own is taken off once more.
    chance = survey.sample.mean((rows.chance_in_text - 2 * chance_own).mean(0))
    told = (
        f"another token of the text {rates['other'].value:.3f}, the own token {rates['own'].value:.3f}: "
        f"{signed(difference)}."
    )
    figures = (
        *(figures_of(rate, rate=name) for name, rate in rates.items()),
        figures_of(difference, rate="other − own"),
        figures_of(chance, rate="other − own, by chance"),
    )
    return Finding(
        "S6", arithmetic, None, ruling([above(difference)]), told, number(difference.value), *_ends(difference),
        number(chance.value), figures,
    )  # fmt: skip


def own_by_layer(survey: Surveyed, reference: str) -> list[dict[str, Any]]:
    """Own (the AUC of the own rank less chance), mean over heads, at every layer that has a chance."""
    found = [survey.statistic("auc_own", reference, layer) for layer in range(survey.layers)]
    rows = [row for row in found if row is not None]
    return [
        {"layer": row["layer"], "statistic": "Own", "value": row["difference"], "low": row["difference_low"]}
        | {"high": row["difference_high"]}
        for row in rows
    ]


def abstraction(survey: Surveyed, arithmetic: Arithmetic, reference: str, surfaces: NDArray[np.int64]) -> Finding:
    """S10: whether the nearest tokens of other words are the own word's part of speech, more so by layer.

    `surfaces` int64 [vocab_size] numbers the word that an id spells (−1: none), see `TokenNames.surfaces`.
    """
    tags = survey.tokens["tag"]
    if not any(tag is not None for tag in tags):
        said = "the texts have no part-of-speech tags: give tagged ones (CoNLL-U)."
        return Finding("S10", arithmetic, reference, "undetermined", said)
    own_tag, lexicon = _lexicon(tags, survey.tokens["id"], surfaces)
    own_word = surfaces[survey.tokens["id"]]
    partner = survey.partners
    over: list[Resampled[float]] = []
    figures: list[dict[str, Any]] = []
    for layer in range(survey.layers):
        nearest = survey.rows(layer, reference).nearest  # (head, token)
        agree = _agreement(nearest, own_tag, own_word, surfaces, lexicon)
        chance = np.where(partner >= 0, _agreement(nearest[:, partner], own_tag, own_word, surfaces, lexicon), np.nan)
        rate, by_chance = (_pooled(survey, values) for values in (agree, chance))
        over.append(rate - by_chance)
        figures += [
            figures_of(rate, layer=layer, rate="agreement"),
            figures_of(by_chance, layer=layer, rate="chance"),
            figures_of(over[-1], layer=layer, rate="agreement − chance"),
        ]
    if survey.layers < 2 or any(np.isnan(one.value) for one in over):
        said = "too few nearest tokens are words that the tagged texts have."
        return Finding("S10", arithmetic, reference, "undetermined", said, figures=tuple(figures))
    risen = rise(over)
    # A rise that is sure and yet within the margin is none: the margin is asked first.
    flat = below(risen, MARGIN) is True
    condition: Condition = True if flat else (False if above(risen) is True else None)
    by_layer = ", ".join(f"{one.value:+.3f}" for one in over).replace("-", "−")
    told = f"agreement over chance by layer: {by_layer}; from first to last {signed(risen)}."
    return Finding(
        "S10", arithmetic, reference, ruling([condition]), told, number(risen.value), *_ends(risen),
        figures=tuple(figures),
    )  # fmt: skip


def _lexicon(
    tags: NDArray[Any], ids: NDArray[np.int64], surfaces: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The tag of every token, as a number, and of every word its most frequent tag in the texts (−1: none)."""
    numbers = {tag: n for n, tag in enumerate(sorted({tag for tag in tags if tag is not None}))}
    of_token = np.array([-1 if tag is None else numbers[tag] for tag in tags])
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    for word, tag in zip(surfaces[ids].tolist(), of_token.tolist(), strict=True):
        if word >= 0 and tag >= 0:
            counts[word][tag] += 1
    lexicon = np.full(int(surfaces.max()) + 2, -1)  # its last place is that of −1: no word
    for word, counted in counts.items():
        # Of tags that are as frequent, the first by name: the order of the texts decides nothing.
        lexicon[word] = min(counted, key=lambda tag: (-counted[tag], tag))
    return of_token, lexicon


def _agreement(
    nearest: NDArray[np.int64],
    own_tag: NDArray[np.int64],
    own_word: NDArray[np.int64],
    surfaces: NDArray[np.int64],
    lexicon: NDArray[np.int64],
) -> NDArray[np.float64]:
    """1 or 0 [head, token]; nan where the nearest is a form of the own word, or a word without a tag in the texts."""
    word = surfaces[nearest]
    tag = lexicon[word]
    known = (tag >= 0) & (own_tag >= 0) & (word != own_word)
    return np.where(known, (tag == own_tag).astype(np.float64), np.nan)


def _pooled(survey: Surveyed, values: NDArray[np.float64]) -> Resampled[float]:
    """The mean over all known values [head, token]."""
    known = ~np.isnan(values)
    return survey.sample.mean(np.where(known, values, 0.0).sum(0), known.sum(0).astype(np.float64))


def _ends(figure: Resampled[float]) -> tuple[float | None, float | None]:
    return number(figure.low), number(figure.high)
