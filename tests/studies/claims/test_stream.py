"""B2 to B7 on streams that were written down to make each hold, and to make it fail."""

from __future__ import annotations

import numpy as np
import pytest
import zoo

from headscope import Scope
from headscope.inference.bootstrap import Draws
from headscope.inference.grouped import Grouped
from headscope.studies.claims import stream
from headscope.studies.claims.passes import mixing
from headscope.studies.claims.surveyed import Streams, Surveyed
from tests.studies.survey.corpora import sentences, surveyed, written

TOKENS, GROUPS = 120, 30


def words() -> stream.TokenClasses:
    """Every other token is a content word."""
    members = np.arange(TOKENS) % 2 == 0
    sample = Grouped(np.arange(TOKENS) // 4, Draws(GROUPS, seed=0))
    return stream.TokenClasses(sample, {"content": members, "function": ~members})


def tokens(content: float, function: float, noise: float = 0.0) -> np.ndarray:
    """A value for every token, by its class."""
    values = np.where(np.arange(TOKENS) % 2 == 0, content, function).astype(float)
    return values + noise * np.random.default_rng(0).standard_normal(TOKENS)


def ranked(*layers: tuple[float, float]) -> Streams:
    """Ranks after attention, (content, function) by layer; the rest does not matter."""
    return Streams([tokens(*layer) for layer in layers], [], [], [])


@pytest.mark.parametrize(
    ("last", "ruling"), [((5000, 2), "holds"), ((500, 2), "fails"), ((5000, 40), "fails")]
)  # fmt: skip
def test_content_words_leap_and_function_words_stay(last, ruling):
    found = stream._leap(words(), ranked((1, 1), last), 1, 50_000)
    assert found.ruling == ruling
    assert found.value == last[0]


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
        ((1, 50_000), (1, 60_000), "fails"),  # no return
        ((900, 50_000), (1, 3), "fails"),  # content words jump too
        ((1, 0.5), (1, 3), "fails"),  # function words do not
    ],
)
def test_function_words_jump_and_return(fifth, sixth, ruling):
    found = stream._jump(words(), ranked(*[(1, 1)] * 5, fifth, sixth), 6)
    assert found.ruling == ruling


def test_a_model_without_layer_6_cannot_jump_and_return():
    assert stream._jump(words(), ranked(*[(1, 1)] * 6), 5).ruling == "not applicable"


@pytest.mark.parametrize(("last", "ruling"), [((800, 1), "holds"), ((1, 800), "fails"), ((800, 2), "fails")])
def test_the_last_layer_is_the_reverse(last, ruling):
    assert stream._reverse(words(), ranked((1, 1), last), 1).ruling == ruling


def drifting(content: list[float], function: list[float]) -> Streams:
    """Cosines before all layers and after each."""
    return Streams([], [], [tokens(*both) for both in zip(content, function, strict=True)], [])


FALLS_AND_TURNS = [1.0, 0.7, 0.4, 0.45, 0.5]


@pytest.mark.parametrize(
    ("content", "function", "ruling"),
    [
        (FALLS_AND_TURNS, FALLS_AND_TURNS, "holds"),
        (FALLS_AND_TURNS, [1.0, 0.9, 0.8, 0.82, 0.84], "fails"),  # not the same for all tokens
        ([1.0, 0.7, 0.4, 0.3, 0.2], [1.0, 0.7, 0.4, 0.3, 0.2], "fails"),  # no way back
        ([1.0, 0.9, 0.8, 1.1, 1.4], [1.0, 0.9, 0.8, 1.1, 1.4], "fails"),  # farther back than away
    ],
)
def test_the_cosine_drifts_and_walks_back_a_little(content, function, ruling):
    assert stream._drift(words(), drifting(content, function), 3).ruling == ruling


def test_a_steady_drift_falls_at_every_step():
    falls = drifting([1.0, 0.8, 0.5, 0.4], [1.0, 0.8, 0.5, 0.4])
    turns = drifting([1.0, 0.8, 0.9, 0.4], [1.0, 0.8, 0.9, 0.4])
    assert stream._steady(words().sample, falls, 2).ruling == "holds"
    found = stream._steady(words().sample, turns, 2)
    assert found.ruling == "fails"
    assert "−+−" in found.found


def stories(cosine: list[float], rank: list[float], overlap: list[float]) -> Streams:
    return Streams([], *([tokens(x, x) for x in [values[0], *values]] for values in (rank, cosine, overlap)))


def test_three_stories_are_told_apart_by_their_order():
    one = stories([0.9, 0.7, 0.5, 0.3], [1, 10, 100, 1000], [0.9, 0.8, 0.2, 0.1])
    assert stream._three(words().sample, one, 3).ruling == "fails"
    assert stream._three(words().sample, one, 3).value == pytest.approx(1)
    three = stories([0.9, 0.7, 0.5, 0.3], [1000, 1, 100, 10], [0.4, 0.2, 0.5, 0.3])
    assert stream._three(words().sample, three, 3).ruling == "holds"


def test_function_words_count_punctuation(tmp_path):
    path = written(tmp_path / "t.txt", sentences(6))
    scope = Scope.from_model(*zoo.build("bert"))
    survey = Surveyed(surveyed(scope, path, tmp_path / "s", stream=True), "model")
    found = stream.TokenClasses.of(survey).members
    dots = survey.tokens["word_class"] == "punctuation"
    assert dots.any()
    assert found["function"][dots].all()
    assert not (found["function"] & found["content"]).any()
    assert [one.claim for one in stream.by_layer(survey)] == ["B2", "B3", "B4", "B5", "B6", "B7"]


def test_density_is_the_mean_cosine_to_the_nearest_embeddings(tmp_path):
    path = written(tmp_path / "t.txt", sentences(6))
    model, tokenizer = zoo.build("gpt2")
    scope = Scope.from_model(model, tokenizer)
    survey = Surveyed(surveyed(scope, path, tmp_path / "s"), "model")
    found = stream.density(survey, scope)
    rows = torch_normalised(model.transformer.wte.weight)
    ids, classes = survey.tokens["id"], survey.tokens["word_class"]
    means = {}
    for name, some in stream.CLASSES.items():
        types = [id for id in sorted(set(ids)) if mostly(classes[ids == id]) in some]
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
    found = mixing(scope, readings)
    row = 0
    for reading in readings:
        expected = reading.mixing().layernorm
        for token in reading.tokens:
            if not token.special:
                assert found["layernorm"][row] == pytest.approx(expected[:, token.position].numpy(), abs=1e-6)
                row += 1
    assert row == len(found["layernorm"])
