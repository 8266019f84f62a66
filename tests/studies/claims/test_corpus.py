"""Claims on a corpus, from tables that were written down: parts of speech, and the rules of S5 and S8."""

from __future__ import annotations

import numpy as np
import pytest

from headscope.errors import InputError
from headscope.inference.bootstrap import Draws
from headscope.inference.grouped import Grouped
from headscope.studies.claims.corpus import abstraction, noise
from headscope.studies.claims.linear import distributed, linked
from headscope.studies.claims.surveyed import LayerRows
from tests.studies.claims.planted import planted
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

    layers, heads = 3, HEADS

    def __init__(self, right: tuple[float, ...], tagged: bool = True) -> None:
        draw = np.random.default_rng(0)
        ids = draw.integers(0, 3 * WORDS_OF_A_TAG, TOKENS)
        tags = np.array([TAGS[id % 3] if tagged else None for id in ids], dtype=object)
        self.tokens = {"id": ids, "tag": tags}
        self.sample = Grouped(np.arange(TOKENS) // LENGTH, Draws(TEXTS, seed=0))
        # The output of the text before, at the same place.
        self.partners = (np.arange(TOKENS) - LENGTH) % TOKENS
        self._nearest = [self._drawn(draw, ids, share) for share in right]

    def _drawn(self, draw: np.random.Generator, ids: np.ndarray, share: float) -> np.ndarray:
        step = np.where(draw.random((HEADS, TOKENS)) < share, 3, draw.integers(1, 3, (HEADS, TOKENS)))
        return (ids + step) % (3 * WORDS_OF_A_TAG)  # three on: another word of the same tag

    def rows(self, layer: int, reference: str) -> LayerRows:
        nothing = np.zeros((HEADS, TOKENS))
        return LayerRows(nothing, self._nearest[layer], nothing.astype(str), nothing, nothing)


SURFACES = np.arange(3 * WORDS_OF_A_TAG)


def test_agreement_is_counted_among_other_words_and_held_against_other_texts():
    survey = Written((0.9, 0.9, 0.9))
    found = abstraction(survey, "right", "layer", SURFACES)
    by_rate = {(row["layer"], row["rate"]): row["value"] for row in found.figures}
    ids = survey.tokens["id"]
    for layer in range(3):
        nearest = survey.rows(layer, "layer").nearest
        assert by_rate[layer, "agreement"] == pytest.approx(np.mean(nearest % 3 == ids % 3))
        theirs = nearest[:, survey.partners]
        other = theirs != ids
        assert by_rate[layer, "chance"] == pytest.approx(np.mean((theirs % 3 == ids % 3)[other]))


@pytest.mark.parametrize(
    ("right", "ruling"), [((0.3, 0.6, 0.95), "fails"), ((0.95, 0.6, 0.3), "holds"), ((0.6, 0.6, 0.61), "undetermined")]
)
def test_a_hierarchy_is_agreement_that_rises(right, ruling):
    assert abstraction(Written(right), "right", "layer", SURFACES).ruling == ruling


def test_forms_of_the_own_word_do_not_count():
    survey = Written((0.9, 0.9, 0.9))
    # All words that are three apart are one word: no nearest token of the same tag is another word.
    found = abstraction(survey, "right", "layer", SURFACES % 3)
    assert {row["value"] for row in found.figures if row["rate"] == "agreement"} == {0.0}


def test_without_tags_nothing_is_said():
    assert abstraction(Written((0.9, 0.9, 0.9), tagged=False), "right", "layer", SURFACES).ruling == "undetermined"


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
    found = abstraction(survey, "right", "layer", scope._opened.names.surfaces.numpy())
    assert len(found.figures) == 3 * survey.layers
    assert found.value is not None


class Figures:
    """A survey's statistics, written down: {statistic: (value, chance, low, high, verdict)} of the differences."""

    layers = 2

    def __init__(self, **rows: tuple[float, float, float, float, str]) -> None:
        self._rows = rows

    def statistic(self, statistic: str, reference: str, layer: int) -> dict[str, object]:
        value, chance, low, high, verdict = self._rows[statistic]
        return {
            "statistic": statistic, "layer": layer, "value": value, "chance": chance, "difference": value - chance,
            "difference_low": low, "difference_high": high, "low": low, "high": high, "verdict": verdict,
        }  # fmt: skip


CHANCE = (0.5, 0.5, -0.01, 0.01, "at chance")


@pytest.mark.parametrize(
    ("signal", "ruling"),
    [
        ((0.0, 0.0, -0.01, 0.01, "at chance"), "holds"),
        ((0.0, 0.0, -0.05, 0.05, "undetermined"), "undetermined"),
        ((0.3, 0.0, 0.25, 0.35, "above"), "fails"),
        # Under this reference at chance, though another reference keeps the survey from saying so.
        ((0.0, 0.0, -0.01, 0.01, "undetermined"), "holds"),
    ],
)
def test_noise_is_three_figures_at_chance_under_the_reference(signal, ruling):
    assert noise(Figures(in_text=CHANCE, auc_own=CHANCE, signal=signal), "right", "layer").ruling == ruling


def row(place: str, layer: int, offset: int, low: float, high: float, samples: int = 200) -> dict[str, object]:
    middle = (low + high) / 2
    return {
        "place": place, "layer": layer, "offset": offset, "samples": samples, "value": middle, "control": 0.0,
        "difference": middle, "low": low, "high": high,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("own", "map_low", "ruling"),
    [(CHANCE, -0.02, "holds"), (CHANCE, 0.1, "fails"), ((0.7, 0.5, 0.1, 0.3, ""), -0.02, "fails")],
)
def test_later_outputs_are_unlinked_only_if_neither_own_nor_a_map_finds_the_token(own, map_low, ruling):
    maps = [row("z", 0, 0, 0.5, 0.6), row("z", 1, 0, map_low, map_low + 0.1)]
    assert linked(Figures(auc_own=own), "right", "layer", maps).ruling == ruling


def test_without_maps_chance_alone_is_not_enough():
    assert linked(Figures(auc_own=CHANCE), "right", "layer", InputError("too few texts")).ruling == "undetermined"


@pytest.mark.parametrize(
    ("rows", "ruling"),
    [
        ([row("z", 0, 1, 0.1, 0.2), row("residual", 1, -1, 0.1, 0.2)], "holds"),
        ([row("z", 0, 1, 0.1, 0.2), row("residual", 1, -1, -0.01, 0.01)], "fails"),
        ([row("z", 0, 1, 0.1, 0.2), row("residual", 1, -1, -0.01, 0.1)], "undetermined"),
        ([row("z", 0, 1, 0.1, 0.2), row("residual", 1, -1, -0.01, 0.01, samples=20)], "undetermined"),
        # What block 0 gets, and the own position, are not asked.
        ([row("z", 0, 1, 0.1, 0.2), row("residual", 0, 1, 0.0, 0.0), row("z", 0, 0, 0.0, 0.0)], "holds"),
    ],
)
def test_information_is_everywhere_only_if_every_map_finds_it(rows, ruling):
    assert distributed(rows).ruling == ruling
