"""Mixing over a corpus, and information on tokens, on planted data and by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
import zoo
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score

from headscope import Scope
from headscope.corpus.counted import CountedCorpus
from headscope.corpus.files import find_sources
from headscope.studies.capacity import forgetting, tasks
from headscope.studies.capacity import joined as joining
from headscope.studies.capacity.information import clustered, information
from headscope.studies.capacity.joined import JoinedInputs
from headscope.studies.capacity.mixed import KINDS, PUBLISHED, published
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.run import Run
from tests.studies.survey.corpora import sentences, written


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return written(tmp_path_factory.mktemp("texts") / "texts.txt", sentences(24), every=2)


def reproduced(scope, texts, **options):
    return Run.prepare(scope, [texts], CapacityOptions(parts=("reproductions",), **options)).run().reproductions


# ---- mixing ----


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("name", ["bert", "gemma2", "llama"])
def test_mixing_over_a_corpus_is_the_mean_of_single_readings(name, scope_of, texts):
    scope = scope_of(name)
    found = reproduced(scope, texts)
    readings = [scope.read(line) for line in texts.read_text().splitlines() if line]
    parts = {"weights": lambda m: m.weights.mean(1), "norms": lambda m: m.norms_all,
             "residual": lambda m: m.residual, "layernorm": lambda m: m.layernorm}  # fmt: skip
    mixings = [(one, one.mixing()) for one in readings]
    for kind, ratio in parts.items():
        for of in ("all", "words"):
            each = [
                ratio(mixing)[:, [token.position for token in one.tokens if of == "all" or not token.special]]
                for one, mixing in mixings
            ]
            every = torch.cat(each, 1)  # (layer, token)
            here = {one.layer: one.figure for one in found.mixed if (one.kind, one.of) == (kind, of)}
            assert set(here) == {None, 0, 1, 2}
            for layer, figure in here.items():
                expected = float(every.mean() if layer is None else every[layer].mean())
                if np.isnan(expected):  # no norm of the sum there, or a norm of what the heads write
                    assert np.isnan(figure.value)
                    continue
                assert figure.value == pytest.approx(expected, abs=1e-6)
                assert figure.low <= figure.value <= figure.high


def test_published_ratios_stand_beside_models_of_that_name_and_shape_only(scope_of):
    card = scope_of("roberta").card
    roberta = replace(card, name="FacebookAI/roberta-base", layers=12, heads=12, d_model=768, vocab_size=50265)
    assert dict(zip(KINDS, published(roberta).ratios, strict=True)) == {
        "weights": 0.958, "norms": 0.844, "residual": 0.196, "layernorm": 0.162,
    }  # fmt: skip
    assert published(replace(roberta, name="/somewhere/roberta-base/")) is PUBLISHED[0]
    bert = replace(roberta, name="google-bert/bert-base-uncased", vocab_size=30522)
    assert published(bert).ratios == (0.971, 0.852, 0.223, 0.188)
    for other in (
        replace(roberta, name="FacebookAI/roberta-large"),
        replace(roberta, layers=6),
        replace(roberta, name="someone/finetuned-roberta-base-sst2"),
        card,
    ):
        assert published(other) is None


# ---- joined and masked, as the paper has it ----


@pytest.mark.parametrize(("longest", "most"), [(30, 30), (128, 40)])
def test_texts_of_a_document_are_joined_in_order_to_as_many_tokens_as_fit(
    longest, most, scope_of, tmp_path, monkeypatch
):
    monkeypatch.setattr(joining, "LONGEST", longest)
    scope, lines = scope_of("bert"), sentences(80, seed=1, least=5)
    assert scope.card.positions == 40
    ends = [0, 50, 53, 80]  # a long document, a short one, another
    documents = [lines[start:stop] for start, stop in pairwise(ends)]
    inputs = joined(scope, tmp_path, documents)
    for group, document in enumerate(documents):
        here = [one for one in inputs.inputs if one.group == group]
        assert " ".join(one.text for one in here) == " ".join(document)
        for one in here:
            every = zoo.tokenize(one.text, scope.bench.opened.names)
            assert len(one.tokens) == min(most, len(every))
            assert [token.id for token in one.tokens[:-1]] == [token.id for token in every[: len(one.tokens) - 1]]
            assert one.tokens[-1].id == every[-1].id  # the end is not cut
            assert [token.position for token in one.tokens] == list(range(len(one.tokens)))
        # What is left at a document's end is shorter; a text that stands behind a space may have a token less.
        assert all(len(one.tokens) >= most - 2 for one in here[:-1])
    assert max(len(one.tokens) for one in inputs.inputs) == most
    assert min(len(one.tokens) for one in inputs.inputs) < most
    assert inputs.size.full == sum(len(one.tokens) == most for one in inputs.inputs) > 1


def test_where_no_documents_are_marked_the_corpus_is_one(scope_of, tmp_path):
    lines = sentences(60, seed=2)
    inputs = joined(scope_of("bert"), tmp_path, [lines])
    assert [one.group for one in inputs.inputs] == [one.number for one in inputs.inputs] != [0]
    assert " ".join(one.text for one in inputs.inputs) == " ".join(lines)
    assert inputs.size.count == len(inputs.inputs)
    assert inputs.size.tokens == pytest.approx(np.mean([len(one.tokens) for one in inputs.inputs]))


def test_twelve_per_cent_of_what_is_not_special_is_masked(scope_of, tmp_path):
    scope, lines = scope_of("modernbert"), sentences(80, seed=3)
    inputs = joined(scope, tmp_path, [lines[:50], lines[50:79], lines[79:]])
    for one in inputs.inputs:
        ours = {token.position for token in one.tokens if not token.special}
        assert set(one.masked) <= ours
        assert len(one.masked) == len(set(one.masked)) == max(1, int(0.12 * len(ours)))
    again = joined(scope, tmp_path, [lines[:50], lines[50:79], lines[79:]])
    assert again == inputs
    other = joined(scope, tmp_path, [lines[:50], lines[50:79], lines[79:]], seed=1)
    assert [one.masked for one in other.inputs] != [one.masked for one in inputs.inputs]


@pytest.mark.long
def test_ratios_of_joined_texts_are_those_of_what_the_model_then_reads(scope_of, tmp_path):
    scope, lines = scope_of("bert"), sentences(40, seed=5, least=6)
    path = written(tmp_path / "texts.txt", lines, every=20)
    inputs = joined(scope, tmp_path, [lines[:20], lines[20:]])
    found = reproduced(scope, path)
    assert found.inputs == inputs.size
    parts = {"weights": lambda m: m.weights.mean(1), "norms": lambda m: m.norms_all,
             "residual": lambda m: m.residual, "layernorm": lambda m: m.layernorm}  # fmt: skip
    plain, masked = [], []
    for one in inputs.inputs:
        whole = scope.read(scope_text(scope, [token.id for token in one.tokens[1:-1]]))
        assert [token.id for token in whole.tokens] == [token.id for token in one.tokens]
        plain.append(whole.mixing())
        ids = [token.id for token in one.tokens]
        for at in one.masked:
            ids[at] = scope.bench.opened.names.tokenizer.mask_token_id
        spelled = scope.read(scope_text(scope, ids[1:-1]))
        assert [token.id for token in spelled.tokens] == ids
        masked.append(spelled.mixing())
    for of, readings in (("joined", plain), ("masked", masked)):
        for kind, ratio in parts.items():
            expected = torch.cat([ratio(one) for one in readings], 1)  # (layer, token), all positions
            for figure in (one for one in found.mixed if (one.of, one.kind) == (of, kind)):
                mean = expected.mean() if figure.layer is None else expected[figure.layer].mean()
                assert figure.figure.value == pytest.approx(float(mean), abs=1e-6)
    by = {(one.of, one.kind): one.figure.value for one in found.mixed if one.layer is None}
    assert by["joined", "weights"] > by["all", "weights"]  # more tokens, more of them others
    assert by["masked", "weights"] != by["joined", "weights"]


@pytest.mark.slow
def test_a_model_that_reads_no_masked_tokens_has_joined_texts_alone_and_says_so(scope_of, texts):
    found = Run.prepare(scope_of("gpt2"), [texts], CapacityOptions(parts=("reproductions",))).run()
    assert {one.of for one in found.reproductions.mixed} == {"all", "words", "joined"}
    assert "reads no masked tokens" in str(found)
    assert found.to_dict()["reproductions"]["inputs"]["masked"] is False


@pytest.mark.long
def test_what_was_measured_of_joined_texts_is_kept(scope_of, texts, tmp_path, monkeypatch):
    options = CapacityOptions(parts=("reproductions",))
    before = Run.prepare(scope_of("bert"), [texts], options, tmp_path / "out").run().reproductions
    monkeypatch.setattr(tasks, "mixing_of", None)  # nothing is left to measure
    assert Run.prepare(scope_of("bert"), [texts], options, tmp_path / "out").run().reproductions.mixed == before.mixed


def scope_text(scope, ids):
    """A text that is read as these tokens."""
    return scope.bench.opened.names.tokenizer.decode(ids, clean_up_tokenization_spaces=False)


def joined(scope, tmp_path, documents, seed=0):
    path = tmp_path / "joined.txt"
    path.write_text("\n\n".join("\n".join(document) for document in documents) + "\n")
    counted = CountedCorpus.of(scope, find_sources([path]), CapacityOptions(sample=None), 64)
    shards = (shard for _, shard in counted.read(set(range(len(counted)))))
    some = [one for shard in shards for one in zip(shard.texts, shard.groups, strict=True)]
    return JoinedInputs.of(scope, some, counted.census.documents is not None, seed)


# ---- information ----


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 20), st.integers(2, 10), st.integers(0, 99))
def test_clusters_that_tell_the_classes_give_the_log_of_their_number(classes, each, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(classes), each))
    renamed = np.random.default_rng(seed).permutation(classes)[labels]
    found = information(labels, renamed)
    assert found.corrected == pytest.approx(np.log(classes), abs=1e-9)
    assert found.plain == pytest.approx(np.log(classes), abs=1e-9)


def test_independent_clusters_give_nothing_once_chance_is_taken_off():
    labels = np.repeat(np.arange(30), 20)
    draws = [information(labels, np.random.default_rng(n).integers(0, 60, len(labels))) for n in range(40)]
    assert np.mean([one.plain for one in draws]) > 1  # what the correction is for
    corrected = np.array([one.corrected for one in draws])
    assert abs(corrected.mean()) < 4 * corrected.std() / np.sqrt(len(draws)) + 1e-9
    assert np.abs(corrected).max() < 0.15


def test_chance_is_the_mean_over_permutations():
    draw = np.random.default_rng(0)
    labels, clusters = np.repeat(np.arange(5), 6), draw.integers(0, 8, 30)
    permuted = [information(draw.permutation(labels), clusters).plain for _ in range(300)]
    assert information(labels, clusters).chance == pytest.approx(np.mean(permuted), abs=4 * np.std(permuted) / 300**0.5)


def test_the_correction_is_that_of_adjusted_mutual_information():
    draw = np.random.default_rng(1)
    labels = np.repeat(np.arange(6), 20)
    clusters = np.where(draw.random(120) < 0.5, labels, draw.integers(0, 6, 120))
    found = information(labels, clusters)
    # With the labels' entropy as the most there can be, where scikit-learn offers that of either side.
    if found.entropy <= information(clusters, labels).entropy:
        expected = adjusted_mutual_info_score(labels, clusters, average_method="min")
    else:
        expected = adjusted_mutual_info_score(labels, clusters, average_method="max")
    assert found.corrected / found.entropy == pytest.approx(expected, abs=1e-9)


def test_points_around_their_classes_are_clustered_by_class():
    draw = np.random.default_rng(2)
    labels = np.repeat(np.arange(10), 12)
    centres = 20 * draw.normal(size=(10, 16))
    near = (centres[labels] + draw.normal(size=(120, 16))).astype(np.float32)
    assert information(labels, clustered(near, 20, 0)).corrected > 0.9 * np.log(10)
    assert len(np.unique(clustered(np.repeat(near[::12], 12, 0), 20, 0))) == 10  # no more clusters than points


# ---- forgetting and recreating ----


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("bert", ["input token"]),
        ("roberta", ["input token", "masked token"]),
        ("llama", ["input token", "next token"]),
    ],
)
def test_a_stream_is_asked_for_what_the_model_reads_and_what_it_predicts(name, asked, scope_of, texts, monkeypatch):
    monkeypatch.setattr(forgetting, "OCCURRENCES", 3)
    scope = scope_of(name)
    found = reproduced(scope, texts).forgetting
    assert [one.of for one in found.curves] == asked
    for one in found.curves:
        assert len(one.levels) == scope.card.layers + 1
        assert all(figure.low <= figure.value <= figure.high <= one.entropy + 1e-9 for figure in one.levels)
    # Before the first layer a token is told by its embedding (which random positions blur), and one that is masked by
    # nothing but its place.
    first = found.curves[0].levels[0]
    assert first.value > (0.9 if name == "llama" else 0.2) * found.curves[0].entropy
    if name == "roberta":
        assert found.curves[1].levels[0].value < 0.15 * found.curves[1].entropy
    assert found.own_rank[0] == 1


@pytest.mark.long
def test_own_ranks_are_those_of_the_journey(scope_of, texts, monkeypatch):
    monkeypatch.setattr(forgetting, "OCCURRENCES", 3)
    scope = scope_of("bert")
    run = Run.prepare(scope, [texts], CapacityOptions(parts=("reproductions",)))
    found = run.run().reproductions.forgetting
    some = [one for fitted, measured in run.halves() for one in (*fitted, *measured)]
    some.sort(key=lambda one: one.number)
    labelled = forgetting._labelled(some, "input token")
    counts = Counter(labelled.values())
    assert found.curves[0].types == sum(count >= 3 for count in counts.values())
    places = forgetting._drawn(labelled, [id for id, _ in counts.most_common(2)], 5)
    assert len(places) == 6
    lines = [line for line in texts.read_text().splitlines() if line]
    stream = forgetting._streams(scope, some, places, masked=False)
    ranks, _ = forgetting._own(scope, some, places, stream)
    journeys = {n: scope.read(lines[n]).journey() for n, _ in places}
    by_hand = np.array([[int(journeys[n].own_rank[stage, at]) for n, at in places] for stage in (0, 2, 4, 6)])
    assert ranks == tuple(np.median(by_hand, axis=1))


def test_texts_with_too_few_repetitions_say_so(scope_of, texts):
    made = reproduced(scope_of("bert"), texts, sample=4)
    assert made.forgetting is None
    assert "Give more texts (--sample)" in made.notes[0]


@pytest.mark.slow
def test_a_model_that_forgets_by_construction_is_seen_to(build, texts, monkeypatch):
    """A layer that returns a constant: nothing is left of the token."""
    monkeypatch.setattr(forgetting, "OCCURRENCES", 4)
    model, tokenizer = build("llama")

    def forget(module, args, out):
        return (torch.ones_like(out[0]), *out[1:]) if isinstance(out, tuple) else torch.ones_like(out)

    model.model.layers[1].register_forward_hook(forget)
    curve = reproduced(Scope.from_model(model, tokenizer), texts).forgetting.curves[0]
    assert curve.levels[0].value > 0.9 * curve.entropy
    assert curve.levels[2].value == 0
