"""What was said in general of the heads, asked of a corpus: S3, S5, S6, S8's half and S10, from surveys' tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headscope.inference.estimates import number
from headscope.inference.left_out import Jackknifed
from headscope.inference.max_t import together
from headscope.inference.verdicts import MARGIN, RATE, Condition, Ruling, above, below, ruling
from headscope.show.numbers import between, rate
from headscope.studies.claims.sample import rise
from headscope.studies.claims.sentence import HEAD
from headscope.studies.claims.surveyed import LayerRows, Surveyed
from headscope.studies.claims.verdict import Arithmetic, Finding, agreed, figures_of, signed
from headscope.studies.survey.tables import MATCHED

NO_CHANCE = "no other document has a token at such positions, so there is no chance to hold them against."
NOTHING_APART = "no head of layer {} tells a token from another."
_NOISE = {  # what is to be at chance where a layer is noise
    "in_text": "in-text rate",
    "auc_own": "AUC of the own rank (topic)",
    "own": "Own within the text",
    "signal": "Token Signal",
}
_OF_OTHERS = ("in_text", "auc_own", "signal")  # of these, those whose chance is of other documents
SAME_GENRE = "Held against documents of the same genre"
_AT_CHANCE: dict[str, Condition] = {"at chance": True, "above": False, "below": False}
_ELSEWHERE = "elsewhere"  # the kind of a nearest token that is not in the text


def preserved(survey: Surveyed, arithmetic: Arithmetic, sentence: Finding) -> Finding:
    """S3: head 7's own@1 above every other head's of layer 0; and what the sentence said."""
    if sentence.ruling == "not applicable":
        return sentence
    rates = [survey.kept("own_at_1", "input", 0, head) for head in range(survey.heads)]
    # A head that tells no token from another has no rate, and nothing is above it.
    others = [head for head, one in enumerate(rates) if head != HEAD and not np.isnan(one.value)]
    if not others or np.isnan(rates[HEAD].value):
        said = f"head {HEAD} or every other head of layer 0 tells no token from another."
        return Finding("S3", arithmetic, None, "not applicable", said)
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
    """S5: whether the last layer is at chance, under one reference.

    What is above documents of any genre knows something of its text, be it the genre alone: chance of the same genre
    contradicts nothing by itself, and is asked before the claim holds.
    """
    last = survey.layers - 1
    rows = [row for name in _NOISE if (row := survey.statistic(name, reference, last)) is not None]
    if len(rows) < len(_NOISE):
        return Finding("S5", arithmetic, reference, "undetermined", _nothing(survey, last, reference))
    ruled = ruling([_is_noise(row) for row in rows])
    strong = rows[-1]
    told = f"layer {last}: {'; '.join(map(_at_chance, rows))}."
    if MATCHED in survey.chances:
        found = [survey.statistic(f"{name}{MATCHED}", reference, last) for name in _OF_OTHERS]
        of_genre = [row for row in found if row is not None]
        rows += of_genre
        ruled = _of_genre_too(ruled, [None if row is None else _AT_CHANCE.get(row["verdict"]) for row in found])
        told += f" {SAME_GENRE}: {'; '.join(map(_at_chance, of_genre)) or NO_CHANCE.removesuffix('.')}."
    figures = tuple(
        {"layer": last, "statistic": row["statistic"]}
        | {
            name: row[name]
            for name in ("value", "chance", "difference", "difference_low", "difference_high", "verdict")
        }
        for row in rows
    )
    return Finding(
        "S5", arithmetic, reference, ruled, told, strong["value"], strong["low"], strong["high"], strong["chance"],
        figures,
    )  # fmt: skip


def _nothing(survey: Surveyed, layer: int, reference: str) -> str:
    """Why a layer has no figures beside their chance."""
    return NO_CHANCE if survey.rows(layer, reference).alive.any() else NOTHING_APART.format(layer)


def _is_noise(row: Mapping[str, Any]) -> Condition:
    """Whether a statistic is at chance. A survey corrects over its layers, not over the statistics that are asked here.

    That all are at chance is wrongly said only where one that is not is found to be, so each may be asked alone; that
    any is not, at one level for all.
    """
    found = _AT_CHANCE.get(row["verdict"])
    return None if found is False and row["p"] > RATE / len(_NOISE) else found


def _at_chance(row: Mapping[str, Any]) -> str:
    """A statistic beside its chance, in words."""
    return (
        f"{_NOISE[row['statistic'].removesuffix(MATCHED)]} {rate(row['value'])}, over chance "
        f"{rate(row['difference'], signed=True)} {between(row['difference_low'], row['difference_high'])}: "
        f"{row['verdict']}{', small' if row['small'] else ''}"
    )


def _of_genre_too(ruled: Ruling, conditions: Sequence[Condition]) -> Ruling:
    """A ruling by other documents, where those of the same genre only keep a claim from holding."""
    return "undetermined" if ruled == "holds" and ruling(conditions) != "holds" else ruled


def elsewhere(survey: Surveyed, arithmetic: Arithmetic) -> Finding:
    """S6: at layer 0, how often another token of the text is the nearest, less how often the own one is.

    Where texts have genres, both more than outputs of other documents have, and more than those of the same genre.
    """
    rows = survey.rows(0, "input")
    found = {ends: _elsewhere_over(survey, rows, ends) for ends in survey.chances}
    general = found[""]
    if general is None:
        return Finding("S6", arithmetic, None, "undetermined", _nothing(survey, 0, "input"))
    rates, chance, over = general.rates, general.chance, general.over
    told = (
        f"another token of the text {rates['other'].value:.3f}, the own token {rates['own'].value:.3f}: "
        f"{signed(rates['other − own'])}; by chance {signed(chance)}, so over chance {signed(over)}."
    )
    conditions, figures = [above(over)], general.figures("")
    if MATCHED in found:
        of_genre = found[MATCHED]
        conditions.append(None if of_genre is None else above(of_genre.over))
        figures += () if of_genre is None else of_genre.figures(", same genre")
        told += f" {SAME_GENRE}: " + (
            NO_CHANCE
            if of_genre is None
            else f"by chance {signed(of_genre.chance)}, so over chance {signed(of_genre.over)}."
        )
    return Finding(
        "S6", arithmetic, None, ruling([agreed(conditions)]), told, number(over.value), *_ends(over),
        number(chance.value), figures,
    )  # fmt: skip


@dataclass(frozen=True)
class _Elsewhere:
    """S6's rates by name, their chance, and what they are over it, of the tokens that are held against something."""

    rates: dict[str, Jackknifed[float]]
    chance: Jackknifed[float]

    @property
    def over(self) -> Jackknifed[float]:
        return self.rates["other − own"] - self.chance

    def figures(self, of: str) -> tuple[dict[str, Any], ...]:
        """Every number; `of`: what ends their names."""
        return (
            *(figures_of(rate, rate=f"{name}{of}") for name, rate in self.rates.items()),
            figures_of(self.chance, rate=f"other − own, by chance{of}"),
            figures_of(self.over, rate=f"other − own, over chance{of}"),
        )


def _elsewhere_over(survey: Surveyed, rows: LayerRows, ends: str) -> _Elsewhere | None:
    """S6's rates against one chance; None where no token has any."""
    alive, held = rows.alive, rows.by_chance[ends]
    if not alive.any():
        return None
    rank, other = rows.own_rank[alive], rows.kind[alive] == "text"
    known, own = ~np.isnan(rank), rank == 1
    # A nearest token that is in the text may be the own one: other = in_text − own, and own is taken off once more.
    by_chance = (held.in_text - 2.0 * (held.own_rank == 1))[alive].mean(0)  # (token, output), over heads
    asked = ~np.isnan(by_chance)
    if not asked.any():
        return None
    paired = known.all(0) & asked.any(1)  # so the rates and their chance are of the same tokens

    def rate_of(values: NDArray[Any]) -> Jackknifed[float]:
        return survey.sample.mean(np.where(paired, values.astype(np.float64).mean(0), np.nan))

    share = np.where(asked & paired[:, None], 1 / np.maximum(asked.sum(1, keepdims=True), 1), 0.0)
    chance = survey.sample.lent(np.where(asked, by_chance, 0.0) * share, share, survey.lent[ends].lenders)
    return _Elsewhere(
        {"other": rate_of(other), "own": rate_of(own), "other − own": rate_of(other * 1.0 - own)}, chance
    )  # fmt: skip


def abstraction(survey: Surveyed, arithmetic: Arithmetic, reference: str, surfaces: NDArray[np.int64]) -> Finding:
    """S10: whether the nearest tokens are of the own word's part of speech, more so by layer.

    Nearest tokens that are in the text are left out in every layer: how often there are any is another question, and
    what stands beside a word tells its part of speech by itself. Where texts have genres, a rise over other documents
    may be one of the genre's words: only what chance of the same genre shows too is ruled.

    `surfaces` int64 [vocab_size] numbers the word that an id spells (−1: none), see `TokenNames.surfaces`.
    """
    tags = survey.tokens["tag"]
    if not any(tag is not None for tag in tags):
        said = "the texts have no part-of-speech tags: give tagged ones (CoNLL-U)."
        return Finding("S10", arithmetic, reference, "undetermined", said)
    agreeing = _Agreeing.of(survey, surfaces)
    over: dict[str, list[Jackknifed[float]]] = {ends: [] for ends in survey.chances}
    figures: list[dict[str, Any]] = []
    for layer in range(survey.layers):
        rows = survey.rows(layer, reference)
        for ends, by_layer in over.items():
            rate, by_chance = agreeing.rates(rows, ends)
            by_layer.append(rate - by_chance)
            named = ", same genre" if ends else ""
            figures += [
                figures_of(rate, layer=layer, rate=f"agreement{named}"),
                figures_of(by_chance, layer=layer, rate=f"chance{named}"),
                figures_of(by_layer[-1], layer=layer, rate=f"agreement − chance{named}"),
            ]
    if survey.layers < 2 or any(np.isnan(one.value) for one in over[""]):
        said = "too few nearest tokens are words that the tagged texts have."
        return Finding("S10", arithmetic, reference, "undetermined", said, figures=tuple(figures))
    risen = {ends: rise(by_layer) for ends, by_layer in over.items()}
    told = f"agreement over chance by layer: {_rising(over[''], risen[''])}."
    if MATCHED in over:
        told += f" {SAME_GENRE}: {_rising(over[MATCHED], risen[MATCHED])}."
    main = risen[""]
    return Finding(
        "S10", arithmetic, reference, ruling([agreed(map(_flat, risen.values()))]), told, number(main.value),
        *_ends(main), figures=tuple(figures),
    )  # fmt: skip


def _flat(risen: Jackknifed[float]) -> Condition:
    """Whether a figure does not rise; False where it surely does."""
    # A rise that is sure and yet within the margin is none: the margin is asked first.
    if below(risen, MARGIN) is True:
        return True
    return False if above(risen) is True else None


def _rising(over: Sequence[Jackknifed[float]], risen: Jackknifed[float]) -> str:
    by_layer = ", ".join(rate(one.value, signed=True) for one in over)
    return f"{by_layer}; from first to last {signed(risen)}"


@dataclass(frozen=True)
class _Agreeing:
    """How a survey's nearest tokens agree with the own words' parts of speech, and by chance."""

    survey: Surveyed
    surfaces: NDArray[np.int64]
    tags: NDArray[np.int64]  # of every token; -1: none
    lexicon: NDArray[np.int64]  # of every word

    @classmethod
    def of(cls, survey: Surveyed, surfaces: NDArray[np.int64]) -> _Agreeing:
        return cls(survey, surfaces, *_lexicon(survey.tokens["tag"], survey.tokens["id"], surfaces))

    def rates(self, rows: LayerRows, ends: str) -> tuple[Jackknifed[float], Jackknifed[float]]:
        """Agreement of a layer, and by chance."""
        partner = self.survey.lent[ends].partners
        words = self.surfaces[self.survey.tokens["id"]]
        outside = rows.kind == _ELSEWHERE  # (head, token)
        if ends:  # of a genre with too few documents no token has such a chance: its rate would be of other texts
            outside = outside & (partner >= 0).any(1)
        agree = np.where(outside, self._agreement(rows.nearest, self.tags, words), np.nan)
        # Of the outputs of others, too, those that write nothing of their own text, nor of this one's.
        theirs = rows.kind[:, partner] == _ELSEWHERE
        lent = theirs & (rows.by_chance[ends].in_text == 0) & (partner >= 0)  # (head, token, output)
        agrees = self._agreement(rows.nearest[:, partner], self.tags[:, None], words[:, None])
        return _pooled(self.survey, agree), self._lent(np.where(lent, agrees, np.nan), ends)

    def _agreement(
        self, nearest: NDArray[np.int64], own_tag: NDArray[np.int64], own_word: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """1 or 0, like `nearest` [head, token, …].

        nan where the nearest is a form of the own word, or a word without a tag in the texts.
        """
        word = self.surfaces[nearest]
        tag = self.lexicon[word]
        known = (tag >= 0) & (own_tag >= 0) & (word != own_word)
        return np.where(known, (tag == own_tag).astype(np.float64), np.nan)

    def _lent(self, values: NDArray[np.float64], ends: str) -> Jackknifed[float]:
        """The mean over all known values [head, token, output]; every head and token counts once."""
        known = ~np.isnan(values)
        share = known / np.maximum(known.sum(-1, keepdims=True), 1)
        lenders = self.survey.lent[ends].lenders
        return self.survey.sample.lent((np.nan_to_num(values) * share).sum(0), share.sum(0), lenders)


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


def _pooled(survey: Surveyed, values: NDArray[np.float64]) -> Jackknifed[float]:
    """The mean over all known values [head, token]."""
    known = ~np.isnan(values)
    return survey.sample.mean(np.where(known, values, 0.0).sum(0), known.sum(0).astype(np.float64))


def _ends(figure: Jackknifed[float]) -> tuple[float | None, float | None]:
    return number(figure.low), number(figure.high)
