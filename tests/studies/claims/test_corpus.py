"""Claims on a corpus, from tables that were written down: parts of speech, and the rules of S3, S5 and S6."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headscope.studies.claims.corpus import SAME_GENRE, abstraction, elsewhere, noise
from headscope.studies.claims.sample import Sample
from headscope.studies.claims.surveyed import ChanceOutputs, LayerRows, Lent
from headscope.studies.survey.tables import MATCHED
from tests.studies.claims.planted import planted
from tests.studies.claims.simulated_genres import Agreeing, Documents
from tests.studies.survey.corpora import sentences, surveyed

TAGS = ("NOUN", "VERB", "DET")
TEXTS, LENGTH, HEADS = 60, 6, 2
WORDS_OF_A_TAG = 20
TOKENS = TEXTS * LENGTH


class Written:
    """A survey's tables, written down: ids 0–59, of which id t is of tag t mod 3; nearest tokens as they are given.

    `right` says for every layer how often the nearest token of another word is of the own word's tag; other texts'
    outputs have a tag that does not look at the token.
    """

    layers, heads, chances = 3, HEADS, ("",)

    def __init__(self, right: tuple[float, ...], tagged: bool = True) -> None:
        draw = np.random.default_rng(0)
        ids = draw.integers(0, 3 * WORDS_OF_A_TAG, TOKENS)
        tags = np.array([TAGS[id % 3] if tagged else None for id in ids], dtype=object)
        self.tokens = {"id": ids, "tag": tags}
        self.sample = Sample(np.arange(TOKENS) // LENGTH, TEXTS)
        # The outputs of the two texts before, at the same place.
        partners = np.stack([(np.arange(TOKENS) - n * LENGTH) % TOKENS for n in (1, 2)], 1)
        self.lent = {"": Lent(partners, partners // LENGTH)}
        self.kind = np.full((HEADS, TOKENS), "elsewhere")
        self._nearest = [self._drawn(draw, ids, share) for share in right]

    def _drawn(self, draw: np.random.Generator, ids: np.ndarray, share: float) -> np.ndarray:
        step = np.where(draw.random((HEADS, TOKENS)) < share, 3, draw.integers(1, 3, (HEADS, TOKENS)))
        return (ids + step) % (3 * WORDS_OF_A_TAG)  # three on: another word of the same tag

    def rows(self, layer: int, reference: str) -> LayerRows:
        nothing, of_outputs = np.zeros((HEADS, TOKENS)), np.zeros((HEADS, TOKENS, 2))
        by_chance = dict.fromkeys(self.chances, ChanceOutputs(of_outputs, of_outputs))
        return LayerRows(nothing, self._nearest[layer], self.kind, by_chance)


SURFACES = np.arange(3 * WORDS_OF_A_TAG)


def test_agreement_is_counted_among_other_words_and_held_against_other_texts():
    survey = Written((0.9, 0.9, 0.9))
    found = abstraction(survey, "right", "layer", SURFACES)
    by_rate = {(row["layer"], row["rate"]): row["value"] for row in found.figures}
    ids = survey.tokens["id"]
    for layer in range(3):
        nearest = survey.rows(layer, "layer").nearest
        assert by_rate[layer, "agreement"] == pytest.approx(np.mean(nearest % 3 == ids % 3))
        theirs = nearest[:, survey.lent[""].partners]  # (head, token, output)
        other = theirs != ids[:, None]
        agree = np.where(other, theirs % 3 == ids[:, None] % 3, np.nan)
        assert by_rate[layer, "chance"] == pytest.approx(np.nanmean(np.nanmean(agree, 2)))


@pytest.mark.parametrize(
    ("right", "ruling"),
    [((0.3, 0.6, 0.95), "contradicted"), ((0.95, 0.6, 0.3), "holds"), ((0.6, 0.6, 0.61), "undetermined")],
)
def test_a_hierarchy_is_agreement_that_rises(right, ruling):
    assert abstraction(Written(right), "right", "layer", SURFACES).ruling == ruling


def test_nearest_tokens_that_are_in_the_text_are_left_out_in_every_layer():
    """Else a layer that writes other tokens of the text, whose tags go together, would look like a rise."""
    survey = Written((0.6, 0.6, 0.6))
    inside = np.arange(TOKENS) % 2 == 0
    survey.kind[:, inside] = "text"
    survey._nearest[2][:, inside] = (survey.tokens["id"][inside] + 3) % (3 * WORDS_OF_A_TAG)  # all of the own tag
    found = abstraction(survey, "right", "layer", SURFACES)
    assert found.ruling != "contradicted"
    last = next(row for row in found.figures if row["layer"] == 2 and row["rate"] == "agreement")
    nearest, ids = survey.rows(2, "layer").nearest[:, ~inside], survey.tokens["id"][~inside]
    assert last["value"] == pytest.approx(np.mean(nearest % 3 == ids % 3))


class Nearest:
    """Layer 0's rows, written down: how often another token of the text is the nearest, and by each chance."""

    def __init__(self, rate: float, chance: float, of_genre: float | None = None) -> None:
        draw = np.random.default_rng(0)
        self.sample = Sample(np.arange(TOKENS) // LENGTH, TEXTS)
        by = {"": chance} | ({} if of_genre is None else {MATCHED: of_genre})
        lenders = np.stack([(self.sample.groups + n) % TEXTS for n in (1, 2)], 1)
        self.chances, self.lent = tuple(by), dict.fromkeys(by, Lent(lenders, lenders))
        inside = draw.random((HEADS, TOKENS)) < rate
        ranks = np.full((HEADS, TOKENS), 9.0)
        lent = {ends: (draw.random((HEADS, TOKENS, 2)) < share).astype(float) for ends, share in by.items()}
        by_chance = {ends: ChanceOutputs(np.full(one.shape, 9.0), one) for ends, one in lent.items()}
        self._rows = LayerRows(ranks, ranks, np.where(inside, "text", "elsewhere"), by_chance)

    def rows(self, layer: int, reference: str) -> LayerRows:
        return self._rows


@pytest.mark.parametrize(
    ("rate", "chance", "ruling"), [(0.3, 0.05, "holds"), (0.3, 0.3, "undetermined"), (0.05, 0.3, "contradicted")]
)
def test_another_token_of_the_text_is_nearest_more_often_than_by_chance(rate, chance, ruling):
    found = elsewhere(Nearest(rate, chance), "right")
    assert found.ruling == ruling
    assert found.chance == pytest.approx(chance, abs=0.03)


def test_forms_of_the_own_word_do_not_count():
    survey = Written((0.9, 0.9, 0.9))
    # All words that are three apart are one word: no nearest token of the same tag is another word.
    found = abstraction(survey, "right", "layer", SURFACES % 3)
    assert {row["value"] for row in found.figures if row["rate"] == "agreement"} == {0.0}


def test_without_tags_nothing_is_said():
    assert abstraction(Written((0.9, 0.9, 0.9), tagged=False), "right", "layer", SURFACES).ruling == "undetermined"


@pytest.mark.slow
def test_tags_come_from_tagged_texts(tmp_path):
    from headscope.studies.claims.surveyed import Surveyed

    path = tmp_path / "t.conllu"
    lines = []
    for text in sentences(12, seed=1):
        words = text.removesuffix(".").split()
        lines += [f"# text = {text}"]
        lines += [f"{n}\t{word}\t_\t{TAGS[len(word) % 3]}" + "\t_" * 6 for n, word in enumerate(words, 1)]
        lines += [f"{len(words) + 1}\t.\t_\tPUNCT" + "\t_" * 6, ""]
    path.write_text("\n".join(lines))
    scope = planted()
    survey = Surveyed(surveyed(scope, path, tmp_path / "s"), "model")
    found = abstraction(survey, "right", "layer", scope.bench.opened.names.surfaces.numpy())
    assert len(found.figures) == 3 * survey.layers
    assert found.value is not None


class Figures:
    """A survey's statistics, written down: the verdict on each; one that is sure "alone" is not among four."""

    layers = 2

    def __init__(self, **verdicts: str) -> None:
        self._verdicts = verdicts
        self.chances = ("", MATCHED) if f"signal{MATCHED}" in verdicts else ("",)

    def statistic(self, statistic: str, reference: str, layer: int) -> dict[str, object]:
        numbers = dict.fromkeys(
            ("value", "chance", "difference", "low", "high", "difference_low", "difference_high"), 0.0
        )
        verdict, _, more = self._verdicts[statistic].partition(", ")
        p = 0.03 if more == "alone" else 0.001 if verdict in ("above", "below") else 0.5
        return numbers | {"statistic": statistic, "layer": layer, "verdict": verdict, "small": more == "small", "p": p}


@pytest.mark.parametrize(
    ("own", "ruling"),
    [
        ("at chance", "holds"),
        ("undetermined", "undetermined"),
        ("above", "contradicted"),
        ("above, small", "contradicted"),
        ("below", "contradicted"),
        ("above, alone", "undetermined"),
        ("below, alone", "undetermined"),
    ],
)
def test_noise_is_four_figures_at_chance(own, ruling):
    rest = dict.fromkeys(("in_text", "auc_own", "signal"), "at chance")
    found = noise(Figures(own=own, **rest), "right", "layer")
    assert found.ruling == ruling
    assert found.found.count("at chance") == 3 + (own == "at chance")
    assert ("small" in found.found) == ("small" in own)


# ---- topic-matched chance, where texts have genres ----

AT_CHANCE = dict.fromkeys(("in_text", "auc_own", "own", "signal"), "at chance")
OF_GENRE = dict.fromkeys((f"{name}{MATCHED}" for name in ("in_text", "auc_own", "signal")), "at chance")


@pytest.mark.parametrize(
    ("general", "of_genre", "ruling"),
    [
        ("at chance", "at chance", "holds"),
        ("at chance", "undetermined", "undetermined"),
        ("at chance", "above", "undetermined"),
        ("undetermined", "above", "undetermined"),
        ("above", "at chance", "contradicted"),  # it knows the genre at least
        ("above", "above", "contradicted"),
    ],
)
def test_noise_is_at_chance_among_documents_of_the_same_genre_too(general, of_genre, ruling):
    survey = Figures(**AT_CHANCE | OF_GENRE | {"auc_own": general, f"auc_own{MATCHED}": of_genre})
    found = noise(survey, "right", "layer")
    assert found.ruling == ruling
    assert [row["statistic"] for row in found.figures] == [*AT_CHANCE, *OF_GENRE]
    first, said = found.found.split(f" {SAME_GENRE}: ")
    assert f"AUC of the own rank (topic) 0.000, over chance 0.000 [0.000, 0.000]: {general}" in first
    assert f"AUC of the own rank (topic) 0.000, over chance 0.000 [0.000, 0.000]: {of_genre}" in said


@pytest.mark.parametrize(
    ("rate", "chance", "of_genre", "ruling"),
    [
        (0.3, 0.05, 0.05, "holds"),
        (0.3, 0.05, 0.3, "undetermined"),  # any document of the genre would have it
        (0.3, 0.05, 0.6, "undetermined"),
        (0.05, 0.3, 0.3, "contradicted"),
    ],
)
def test_another_token_of_the_text_is_nearest_more_often_than_by_both_chances(rate, chance, of_genre, ruling):
    found = elsewhere(Nearest(rate, chance, of_genre), "right")
    assert found.ruling == ruling
    assert f"{SAME_GENRE}: by chance +0" in found.found
    by_name = {row["rate"]: row["value"] for row in found.figures}
    for end, expected in (("", chance), (", same genre", of_genre)):
        assert by_name[f"other − own, by chance{end}"] == pytest.approx(expected, abs=0.03)
        over = by_name[f"other − own{end}"] - by_name[f"other − own, by chance{end}"]
        assert by_name[f"other − own, over chance{end}"] == pytest.approx(over)


@pytest.mark.parametrize(
    ("text", "genre", "alone", "ruling"),
    [
        (0.5, 0.0, "contradicted", "contradicted"),
        (0.0, 0.5, "contradicted", "undetermined"),  # the rise is one of the genre's words
    ],
)
def test_a_rise_that_any_document_of_the_genre_has_is_no_hierarchy(text, genre, alone, ruling):
    draw = np.random.default_rng(0)
    survey = Agreeing(draw, Documents.drawn(draw, 300), text=text, genre=genre)
    found = abstraction(survey, "right", "layer", SURFACES)
    assert found.ruling == ruling
    assert f" {SAME_GENRE}: " in found.found
    assert len(found.figures) == 2 * 3 * survey.layers
    survey.chances = ("",)
    without = abstraction(survey, "right", "layer", SURFACES)
    assert without.ruling == alone
    assert list(without.figures) == [row for row in found.figures if not row["rate"].endswith("same genre")]
    assert (without.value, without.low, without.high) == (found.value, found.low, found.high)


def test_tokens_of_a_genre_that_has_no_chance_are_not_held_against_it():
    draw = np.random.default_rng(0)
    survey = Agreeing(draw, Documents.drawn(draw, 60), text=0.5)
    lone = survey.sample.groups < 20
    held = survey.lent[MATCHED]
    held.partners[lone] = -1
    rate = "agreement, same genre"
    found = next(row for row in abstraction(survey, "right", "layer", SURFACES).figures[::-1] if row["rate"] == rate)
    ids, nearest = survey.tokens["id"], survey.rows(survey.layers - 1, "layer").nearest[0]
    known = (held.partners >= 0).any(1) & (nearest != ids)
    assert found["value"] == pytest.approx(np.mean(nearest[known] % 3 == ids[known] % 3))


class OfDeadHeads(Written):
    """The same where no head tells a token from another: none has a figure, whatever other documents have."""

    def rows(self, layer: int, reference: str) -> LayerRows:
        found = super().rows(layer, reference)
        return replace(found, nearest=np.full_like(found.nearest, -1), kind=np.full_like(found.kind, ""))

    def statistic(self, statistic: str, reference: str, layer: int) -> None:
        return None


def test_what_no_head_can_tell_is_not_put_down_to_other_documents():
    survey = OfDeadHeads((0.5, 0.5, 0.5))
    for found, layer in ((noise(survey, "right", "layer"), 2), (elsewhere(survey, "right"), 0)):
        assert found.ruling == "undetermined"
        assert found.found == f"no head of layer {layer} tells a token from another."
    assert abstraction(survey, "right", "layer", SURFACES).ruling == "undetermined"
