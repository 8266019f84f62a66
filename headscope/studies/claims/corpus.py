"""What was said in general of the heads, asked of a corpus: S3, S5, S6, S8's half and S10, from surveys' tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headscope.inference.estimates import number
from headscope.inference.left_out import Jackknifed
from headscope.inference.max_t import together
from headscope.inference.verdicts import MARGIN, Condition, above, below, ruling
from headscope.studies.claims.sample import rise
from headscope.studies.claims.sentence import HEAD
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.claims.verdict import Arithmetic, Finding, figures_of, signed
from headscope.studies.survey.report.measures import between, rate

NO_CHANCE = "no other document has a token at such positions, so there is no chance to hold them against."
_NOISE = {  # what is to be at chance where a layer is noise
    "in_text": "in-text rate",
    "auc_own": "AUC of the own rank (topic)",
    "own": "Own within the text",
    "signal": "Token Signal",
}
_AT_CHANCE: dict[str, Condition] = {"at chance": True, "above": False, "below": False}
_ELSEWHERE = "elsewhere"  # the kind of a nearest token that is not in the text


def preserved(survey: Surveyed, arithmetic: Arithmetic, sentence: Finding) -> Finding:
    """S3: head 7's own@1 above every other head's of layer 0; and what the sentence said."""
    if sentence.ruling == "not applicable":
        return sentence
    rates = [survey.kept("own_at_1", "input", 0, head) for head in range(survey.heads)]
    others = [head for head in range(survey.heads) if head != HEAD]
    apart = {head: rates[HEAD] - rates[head] for head in others}
    nearest = min(others, key=lambda head: apart[head].value)
    # That every difference is above 0 is wrongly said only where one that is not is found to be: each may be asked
    # alone. That any is below 0 is asked at one level for all.
    ends = together([one.told for one in apart.values()], np.stack([one.influences for one in apart.values()]))
    conditions: list[Condition] = [
        True if above(one) is True else (False if high < 0 else None)
        for one, high in zip(apart.values(), ends.high, strict=True)
    ]
    # Where the sentence cannot be asked, the corpus alone can contradict the claim and not bear it out.
    conditions.append({"holds": True, "contradicted": False}.get(sentence.ruling))
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
    rows = [row for name in _NOISE if (row := survey.statistic(name, reference, last)) is not None]
    if len(rows) < len(_NOISE):
        return Finding("S5", arithmetic, reference, "undetermined", NO_CHANCE)
    conditions = [_AT_CHANCE.get(row["verdict"]) for row in rows]
    told = "; ".join(
        f"{_NOISE[row['statistic']]} {rate(row['value'])}, over chance {rate(row['difference'], signed=True)} "
        f"{between(row['difference_low'], row['difference_high'])}: {row['verdict']}{', small' if row['small'] else ''}"
        for row in rows
    )
    strong = rows[-1]
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
    # A nearest token that is in the text may be the own one: other = in_text − own, and own is taken off once more.
    by_chance = (rows.chance_in_text - 2.0 * (rows.chance_own_rank == 1)).mean(0)  # (token, output), over heads
    asked = ~np.isnan(by_chance)
    if not asked.any():
        return Finding("S6", arithmetic, None, "undetermined", NO_CHANCE)
    paired = known.all(0) & asked.any(1)  # so the rates and their chance are of the same tokens

    def rate_of(values: NDArray[Any]) -> Jackknifed[float]:
        return survey.sample.mean(np.where(paired, values.astype(np.float64).mean(0), np.nan))

    share = np.where(asked & paired[:, None], 1 / np.maximum(asked.sum(1, keepdims=True), 1), 0.0)
    chance = survey.sample.lent(np.where(asked, by_chance, 0.0) * share, share, survey.lenders)
    rates = {"other": rate_of(other), "own": rate_of(own), "other − own": rate_of(other * 1.0 - own)}
    over = rates["other − own"] - chance
    told = (
        f"another token of the text {rates['other'].value:.3f}, the own token {rates['own'].value:.3f}: "
        f"{signed(rates['other − own'])}; by chance {signed(chance)}, so over chance {signed(over)}."
    )
    figures = (
        *(figures_of(rate, rate=name) for name, rate in rates.items()),
        figures_of(chance, rate="other − own, by chance"),
        figures_of(over, rate="other − own, over chance"),
    )
    return Finding(
        "S6", arithmetic, None, ruling([above(over)]), told, number(over.value), *_ends(over),
        number(chance.value), figures,
    )  # fmt: skip


def abstraction(survey: Surveyed, arithmetic: Arithmetic, reference: str, surfaces: NDArray[np.int64]) -> Finding:
    """S10: whether the nearest tokens are of the own word's part of speech, more so by layer.

    Nearest tokens that are in the text are left out in every layer: how often there are any is another question, and
    what stands beside a word tells its part of speech by itself.

    `surfaces` int64 [vocab_size] numbers the word that an id spells (−1: none), see `TokenNames.surfaces`.
    """
    tags = survey.tokens["tag"]
    if not any(tag is not None for tag in tags):
        said = "the texts have no part-of-speech tags: give tagged ones (CoNLL-U)."
        return Finding("S10", arithmetic, reference, "undetermined", said)
    own_tag, lexicon = _lexicon(tags, survey.tokens["id"], surfaces)
    own_word = surfaces[survey.tokens["id"]]
    partner = survey.partners
    over: list[Jackknifed[float]] = []
    figures: list[dict[str, Any]] = []
    for layer in range(survey.layers):
        rows = survey.rows(layer, reference)
        nearest, outside = rows.nearest, rows.kind == _ELSEWHERE  # (head, token)
        agree = np.where(outside, _agreement(nearest, own_tag, own_word, surfaces, lexicon), np.nan)
        # Of the outputs of others, too, those that write nothing of their own text, nor of this one's.
        lent = outside[:, partner] & (rows.chance_in_text == 0) & (partner >= 0)  # (head, token, output)
        agrees = _agreement(nearest[:, partner], own_tag[:, None], own_word[:, None], surfaces, lexicon)
        rate, by_chance = _pooled(survey, agree), _lent(survey, np.where(lent, agrees, np.nan))
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
    """1 or 0, like `nearest` [head, token, …].

    nan where the nearest is a form of the own word, or a word without a tag in the texts.
    """
    word = surfaces[nearest]
    tag = lexicon[word]
    known = (tag >= 0) & (own_tag >= 0) & (word != own_word)
    return np.where(known, (tag == own_tag).astype(np.float64), np.nan)


def _pooled(survey: Surveyed, values: NDArray[np.float64]) -> Jackknifed[float]:
    """The mean over all known values [head, token]."""
    known = ~np.isnan(values)
    return survey.sample.mean(np.where(known, values, 0.0).sum(0), known.sum(0).astype(np.float64))


def _lent(survey: Surveyed, values: NDArray[np.float64]) -> Jackknifed[float]:
    """The mean over all known values [head, token, output]; every head and token counts once."""
    known = ~np.isnan(values)
    share = known / np.maximum(known.sum(-1, keepdims=True), 1)
    return survey.sample.lent((np.nan_to_num(values) * share).sum(0), share.sum(0), survey.lenders)


def _ends(figure: Jackknifed[float]) -> tuple[float | None, float | None]:
    return number(figure.low), number(figure.high)
