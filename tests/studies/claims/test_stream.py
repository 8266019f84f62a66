"""B2 to B7 on streams that were written down to make each hold, and to make it fail."""

from __future__ import annotations

import numpy as np
import pytest
import zoo

from headscope import Scope
from headscope.studies.claims import stream
from headscope.studies.claims.passes import mixing
from headscope.studies.claims.sample import Sample
from headscope.studies.claims.surveyed import Streams, Surveyed
from tests.studies.survey.corpora import sentences, surveyed, written

TOKENS, GROUPS = 120, 30


def words() -> stream.TokenClasses:
    """Every other token is a content word; there is no punctuation."""
    members = np.arange(TOKENS) % 2 == 0
    none = np.zeros(TOKENS, dtype=bool)
    sample = Sample(np.arange(TOKENS) // 4, GROUPS)
    return stream.TokenClasses(sample, {"content": members, "function": ~members, "punctuation": none})


def tokens(content: float, function: float, noise: float = 0.0) -> np.ndarray:
    """A value for every token, by its class."""
    values = np.where(np.arange(TOKENS) % 2 == 0, content, function).astype(float)
    return values + noise * np.random.default_rng(0).standard_normal(TOKENS)


def ranked(*layers: tuple[float, float]) -> Streams:
    """Ranks after attention, (content, function) by layer; the rest does not matter."""
    return Streams([tokens(*layer) for layer in layers], [], [], [])


@pytest.mark.parametrize(
    ("last", "ruling", "said"),
    [
        ((5000, 2), "holds", ""),
        ((500, 2), "undetermined", "not as far as was said"),
        ((5000, 40), "undetermined", "not as far as was said"),
        ((2, 5000), "contradicted", "it is function words that lie farther out"),
    ],
)
def test_content_words_leap_and_function_words_stay_or_the_reverse(last, ruling, said):
    found = stream._leap(words(), ranked((1, 1), last), 1, 50_000)
    assert found.ruling == ruling
    assert found.value == last[0]
    assert said in found.found


def test_a_median_that_could_be_on_either_side_is_undetermined():
    """Half of the texts have content words at 900, half at 1,100."""
    wide = np.where(np.arange(TOKENS) // 4 % 2, tokens(900, 1), tokens(1100, 1))
    assert stream._leap(words(), Streams([wide], [], [], []), 0, 50_000).ruling == "undetermined"


def test_a_small_vocabulary_has_no_thousands():
    assert stream._leap(words(), ranked((1, 1), (300, 2)), 1, 512).ruling == "not applicable"


@pytest.mark.parametrize(
    ("fifth", "sixth", "ruling"),
    [
        ((1, 50_000), (1, 3), "holds"),
        ((1, 50_000), (1, 60_000), "contradicted"),  # no return
        ((900, 50_000), (1, 3), "contradicted"),  # content words jump too
        ((1, 0.5), (1, 3), "contradicted"),  # function words do not
    ],
)
def test_function_words_jump_and_return(fifth, sixth, ruling):
    found = stream._jump(words(), ranked(*[(1, 1)] * 5, fifth, sixth), 6)
    assert found.ruling == ruling


def test_a_model_without_layer_6_cannot_jump_and_return():
    assert stream._jump(words(), ranked(*[(1, 1)] * 6), 5).ruling == "not applicable"


@pytest.mark.parametrize(
    ("last", "ruling", "said"),
    [
        ((800, 1), "holds", ""),
        ((1, 800), "contradicted", "it is function words that move out"),
        ((0.5, 0.1), "contradicted", "content words move in"),
        ((800, 2), "undetermined", "both classes move out"),
    ],
)
def test_the_last_layer_is_the_reverse_or_that_is_reversed(last, ruling, said):
    found = stream._reverse(words(), ranked((1, 1), last), 1)
    assert found.ruling == ruling
    assert said in found.found


def drifting(content: list[float], function: list[float]) -> Streams:
    """Cosines before all layers and after each."""
    return Streams([], [], [tokens(*both) for both in zip(content, function, strict=True)], [])


FALLS_AND_TURNS = [1.0, 0.7, 0.4, 0.45, 0.5]


@pytest.mark.parametrize(
    ("content", "function", "ruling"),
    [
        (FALLS_AND_TURNS, FALLS_AND_TURNS, "holds"),
        (FALLS_AND_TURNS, [1.0, 0.9, 0.8, 0.82, 0.84], "contradicted"),  # not the same for all tokens
        ([1.0, 0.7, 0.4, 0.3, 0.2], [1.0, 0.7, 0.4, 0.3, 0.2], "contradicted"),  # no way back
        ([1.0, 0.9, 0.8, 1.1, 1.4], [1.0, 0.9, 0.8, 1.1, 1.4], "contradicted"),  # farther back than away
    ],
)
def test_the_cosine_drifts_and_walks_back_a_little(content, function, ruling):
    assert stream._drift(words(), drifting(content, function), 3).ruling == ruling


def test_a_steady_drift_falls_at_every_step():
    falls = drifting([1.0, 0.8, 0.5, 0.4], [1.0, 0.8, 0.5, 0.4])
    turns = drifting([1.0, 0.8, 0.9, 0.4], [1.0, 0.8, 0.9, 0.4])
    assert stream._steady(words().sample, falls, 2).ruling == "holds"
    found = stream._steady(words().sample, turns, 2)
    assert found.ruling == "contradicted"
    assert "−+−" in found.found


def stories(shared: float) -> Streams:
    """Streams of four layers whose three figures are drawn for every token, and have a part in common."""
    draw = np.random.default_rng(0)
    layers = [draw.standard_normal((4, TOKENS)) for _ in range(5)]
    drifts = np.linspace(2, -2, 5)  # all three fall from layer to layer
    parts = [[shared * one[0] + one[n] + drift for one, drift in zip(layers, drifts, strict=True)] for n in (1, 2, 3)]
    return Streams([], [10 ** -(x - 9) for x in parts[0]], parts[1], parts[2])


def test_three_stories_are_told_apart_at_the_tokens_of_a_layer():
    """A drift that all three share from layer to layer is no story: any three figures that fall have that."""
    three = stream._three(words().sample, stories(0.0), 3)
    assert three.ruling == "holds"
    assert abs(three.value) < 0.2
    one = stream._three(words().sample, stories(5.0), 3)
    assert one.ruling == "contradicted"
    assert one.value > 0.9
    assert {row.get("layer") for row in one.figures} == {0, 1, 2, 3, None}


def test_figures_that_are_the_same_at_all_tokens_tell_no_story():
    same = [tokens(1, 1)] * 3
    assert stream._three(words().sample, Streams([], same, same, same), 1).ruling == "undetermined"


@pytest.mark.slow
def test_punctuation_is_neither_a_function_word_nor_a_content_word(tmp_path):
    path = written(tmp_path / "t.txt", sentences(6))
    scope = Scope.from_model(*zoo.build("bert"))
    survey = Surveyed(surveyed(scope, path, tmp_path / "s", stream=True), "model")
    found = stream.TokenClasses.of(survey).members
    dots = survey.tokens["word_class"] == "punctuation"
    assert dots.any()
    assert (found["punctuation"] == dots).all()
    assert not (found["function"] & dots).any()
    assert not (found["function"] & found["content"]).any()
    assert [one.claim for one in stream.by_layer(survey)] == ["B2", "B3", "B4", "B5", "B6", "B7"]


@pytest.mark.slow
def test_density_is_the_mean_cosine_to_the_nearest_embeddings(tmp_path):
    path = written(tmp_path / "t.txt", sentences(6))
    model, tokenizer = zoo.build("gpt2")
    scope = Scope.from_model(model, tokenizer)
    survey = Surveyed(surveyed(scope, path, tmp_path / "s"), "model")
    found = stream.density(survey, scope)
    rows = torch_normalised(model.transformer.wte.weight)
    ids, classes = survey.tokens["id"], survey.tokens["word_class"]
    means = {}
    for name in stream.WORDS:
        types = [id for id in sorted(set(ids)) if mostly(classes[ids == id]) == name]
        cosines = [np.sort(np.delete(rows @ rows[id], id))[-10:].mean() for id in types]
        means[name] = np.mean(cosines)
    assert found.value == pytest.approx(means["content"] - means["function"], abs=1e-6)


def torch_normalised(weight) -> np.ndarray:
    rows = weight.detach().double().numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def mostly(classes) -> str:
    names = sorted(set(classes))
    return max(names, key=lambda name: (np.sum(classes == name), -names.index(name)))


def test_mixing_is_that_of_each_reading(tmp_path):
    scope = Scope.from_model(*zoo.build("bert"))
    readings = scope.read_many(["time flies like an arrow.", "a bird."])
    found = mixing(readings)
    row = 0
    for reading in readings:
        expected = reading.mixing().layernorm
        for token in reading.tokens:
            if not token.special:
                assert found["layernorm"][row] == pytest.approx(expected[:, token.position].numpy(), abs=1e-6)
                row += 1
    assert row == len(found["layernorm"])
