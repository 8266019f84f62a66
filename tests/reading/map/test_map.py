"""A head's map: what is in it, where that comes from, and what a reader is told."""

from __future__ import annotations

import json
import pickle

import plain
import pytest
import torch
import zoo
from sklearn.manifold import trustworthiness

from headscope import Scope
from headscope.errors import InputError

OTHER = "A bird likes a banana."
ODD = {"layer": 1, "head": 2, "method": "pca", "size": 120}  # a head that is not the first


@pytest.fixture(params=plain.FAMILIES)
def name(request):
    return request.param


@pytest.fixture
def reading(scope):
    return scope.read(zoo.TEXT)


@pytest.fixture
def bert(scope_of):
    return scope_of("bert").read(zoo.TEXT)


def points(found):
    """All places in the order of `space`."""
    return torch.cat([found.vocabulary, *(torch.cat([text.values, text.outputs]) for text in found.texts)])


def apart(vectors):
    return torch.pdist(vectors.double())


@pytest.mark.parametrize("reference", ["input", "layer"])
@pytest.mark.parametrize("at", [None, 3])
def test_the_space_is_the_vocabularys_encodings_and_the_texts_values_and_outputs(name, scope, reading, reference, at):
    found = reading.map(**ODD, reference=reference, metric="euclidean", at=at)
    encodings = plain.encodings(name, scope.bench.opened.model, 0 if reference == "input" else 1, at)
    kv_head = 2 * encodings.shape[1] // scope.card.heads
    own = torch.cat([reading.vectors("v", 1)[:, 2], reading.z[1, :, 2]]).double()
    expected = torch.cat([encodings[found.ids, kv_head], own])
    assert (found.space - expected).abs().max() < 2e-5 * expected.abs().max()
    assert found.question.use_position is (at is not None and scope.card.position_embeddings)


def test_under_cosine_only_directions_count(bert):
    whole = ODD | {"size": 10_000}
    euclidean, cosine = (bert.map(**whole, metric=metric) for metric in ("euclidean", "cosine"))
    same = [
        torch.cat([found.ids.argsort(), torch.arange(len(found.ids), len(found.space))])
        for found in (euclidean, cosine)
    ]
    directions = torch.nn.functional.normalize(euclidean.space[same[0]], dim=-1)
    assert cosine.space[same[1]].allclose(directions, atol=1e-6)


def test_the_sample_is_the_text_what_is_near_its_outputs_and_a_seeded_rest(bert):
    found = bert.map(**ODD, k=3)
    by_group = {
        group: {int(i) for i, g in zip(found.ids, found.groups, strict=True) if g == group} for group in found.groups
    }
    everywhere = range(len(bert.tokens))
    near = bert.nearest(list(everywhere), 1, reference="layer", position=False, k=3).ids[:, 2].flatten().tolist()
    text = {token.id for token in bert.tokens}
    assert by_group["text"] == text
    assert by_group["near"] == set(near) - text
    assert len(found.ids) == len(set(found.ids.tolist())) == 120
    assert set(found.names) == set(found.ids.tolist())
    assert torch.equal(found.ids, bert.map(**ODD, k=3).ids)
    other = bert.map(**ODD, k=3, seed=1)
    assert torch.equal(found.ids[: len(text)], other.ids[: len(text)])
    assert set(found.ids.tolist()) != set(other.ids.tolist())


def test_a_map_may_hold_the_whole_vocabulary_or_only_words(bert):
    size = bert.vocabulary.size
    assert sorted(bert.map(**ODD | {"size": 10_000}).ids.tolist()) == list(range(size))
    words = bert.map(**ODD | {"size": 10_000}, candidates="words").ids
    assert sorted(words.tolist()) == bert.vocabulary.names.words.nonzero().flatten().tolist()


def test_a_plane_planted_in_a_model_is_the_map(build):
    model, tokenizer = build("bert")
    heads = plain.heads("bert", model, 1)
    with torch.no_grad():
        left, _, right = torch.linalg.svd(heads.w_v[2], full_matrices=False)
        heads.w_v[2] = left[:, :2] * torch.tensor([3.0, 2.0]) @ right[:2]
    found = Scope.from_model(model, tokenizer).read(zoo.TEXT).map(**ODD, metric="euclidean")
    assert apart(points(found)).allclose(apart(found.space), atol=1e-4)
    assert sum(found.explained) == pytest.approx(1, abs=1e-5)
    assert found.trustworthiness == pytest.approx(1, abs=1e-3)
    assert not any("Do not read nearness" in note for note in found.notes)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_clusters_planted_in_a_model_stand_apart(build, method):
    model, tokenizer = build("bert")
    heads = plain.heads("bert", model, 1)
    with torch.no_grad():
        embeddings = model.embeddings.word_embeddings.weight
        even = torch.arange(len(embeddings)) % 2 == 0
        embeddings += torch.where(even, 1.0, -1.0)[:, None] * 30 * torch.eye(32)[5]
        heads.w_v[2, :, 5] += 3
    found = Scope.from_model(model, tokenizer).read(zoo.TEXT).map(**ODD | {"method": method})
    nearest = torch.cdist(found.vocabulary, found.vocabulary).fill_diagonal_(torch.inf).argmin(-1)
    assert torch.equal(found.ids[nearest] % 2, found.ids % 2)
    # A value of the text stands with its own token's side.
    own = torch.tensor([token.id for token in found.texts[0].tokens]) % 2
    beside = torch.cdist(found.texts[0].values, found.vocabulary).argmin(-1)
    assert torch.equal(found.ids[beside] % 2, own)


@pytest.mark.slow
def test_tsne_is_seeded_and_kept(bert, build, tmp_path, monkeypatch):
    asked = ODD | {"method": "tsne", "perplexity": 10}
    first = bert.map(**asked)
    anew = Scope.from_model(*build("bert"))
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))  # nothing on the disk
    assert torch.equal(points(anew.read(zoo.TEXT).map(**asked)), points(first))
    steps: list[int] = []
    assert torch.equal(points(bert.map(**asked, progress=lambda done, _: steps.append(done))), points(first))
    assert not steps, "made once"
    assert not torch.equal(points(bert.map(**asked, seed=1))[:20], points(first)[:20])


def laid(method):
    return {"method": method} | ({"perplexity": 10} if method == "tsne" else {})


@pytest.mark.parametrize(("method", "off"), [("pca", 0.0), ("tsne", 0.05)])
def test_a_text_lands_on_itself_in_its_own_map(bert, method, off):
    found = bert.map(**ODD | laid(method))
    both = found.place(bert)
    assert torch.equal(both.vocabulary, found.vocabulary)
    assert torch.equal(both.texts[0].outputs, found.texts[0].outputs)
    far = off * apart(found.vocabulary).median()
    assert (both.texts[1].values - found.texts[0].values).norm(dim=-1).max() <= far
    assert (both.texts[1].outputs - found.texts[0].outputs).norm(dim=-1).max() <= far


def test_two_texts_stand_in_one_picture(bert, scope_of):
    other = scope_of("bert").read(OTHER, mask="causal")
    found = bert.map(**ODD).place(other)
    assert [text.text for text in found.texts] == [zoo.TEXT, OTHER]
    assert found.texts[1].mask == "causal"
    assert found.texts[1].values.shape == (len(other.tokens), 2)
    assert found.trustworthiness == trustworthiness(found.space.numpy(), points(found).numpy(), n_neighbors=15)
    third = found.place(bert)
    assert len(third.texts) == 3
    assert len(third.space) == len(points(third))
    with pytest.raises(InputError, match="map's own model"):
        found.place(scope_of("roberta").read(OTHER))


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_trustworthiness_is_scikit_learns_and_a_low_one_is_said(bert, method):
    found = bert.map(**ODD | laid(method))
    assert found.trustworthiness == trustworthiness(found.space.numpy(), points(found).numpy(), n_neighbors=15)
    said = [note for note in found.notes if "Do not read nearness off this picture" in note]
    assert bool(said) is (found.trustworthiness < 0.9)
    if method == "pca":  # 8 numbers are no plane
        assert f"{found.trustworthiness:.2f}" in said[0]
        assert "t-SNE keeps neighbours better" in said[0]


def test_pca_says_how_much_of_the_variance_it_shows(bert):
    found = bert.map(**ODD)
    centred = found.space.double() - found.space.double().mean(0)
    shares = torch.linalg.svdvals(centred).square()
    assert found.explained == pytest.approx((shares / shares.sum())[:2].tolist())
    assert bert.map(**ODD | {"method": "tsne"}).explained is None


def test_what_a_choice_cannot_mean_is_said(bert, scope_of):
    def says(sentence, reading=bert, **choices):
        return any(sentence in note for note in reading.map(**ODD | choices).notes)

    assert says("two bases are unrelated", reference="input")
    assert not says("two bases are unrelated", reference="input", layer=0)
    assert not says("two bases are unrelated")
    assert says("stands at no position")
    assert not says("stands at no position", at=2)
    llama = scope_of("llama").read(zoo.TEXT)
    assert not says("stands at no position", llama)
    assert says("adds no position embedding", llama, at=2)
    assert says("seen through W_O", space="output")


@pytest.mark.parametrize("space", ["output", "embedding", "unembedding"])
def test_other_spaces_have_maps_too(scope_of, space):
    reading = scope_of("gpt2").read(zoo.TEXT)
    found = reading.map(**ODD | {"space": space})
    near = reading.nearest(4, 1, space, position=False, k=5)
    vocabulary, output = found.space[: len(found.ids)], found.space[len(found.ids) + len(reading.tokens) + 4]
    at = {int(id): n for n, id in enumerate(found.ids)}
    for id, distance in zip(near.ids[2].tolist(), near.distances[2].tolist(), strict=True):
        assert 1 - float(vocabulary[at[id]] @ output) == pytest.approx(distance, abs=1e-5)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"metric": "dot"}, "dot is none; open: cosine, euclidean"),
        ({"space": "key"}, "space key has no map, for it holds no values; open: value, output, embedding, unembedding"),
        ({"method": "umap"}, "no method 'umap'; open: tsne, pca"),
        ({"head": 4}, "no head 4; the layer's heads are 0 to 3"),
        ({"head": True}, "no head True"),
        ({"layer": 9}, "no layer 9"),
        ({"size": 20}, "50 to 10,000"),
        ({"k": 0}, "k is 0"),
        ({"at": 40}, "no position 40"),
        ({"seed": "a"}, "seed is 'a'"),
        ({"method": "tsne", "perplexity": 200}, "perplexity is 200"),
        ({"method": "pca", "perplexity": -1}, "perplexity is for the method tsne, not pca: leave it out"),
        ({"method": "pca", "perplexity": 30}, "perplexity is for the method tsne, not pca"),
        ({"reference": "middle"}, "no reference 'middle'"),
    ],
)
def test_a_choice_that_is_not_open_is_named(bert, choices, said):
    with pytest.raises(InputError, match=said):
        bert.map(**ODD | choices)


def test_it_travels_without_its_model(bert):
    found = bert.map(**ODD)
    loaded = pickle.loads(pickle.dumps(found))
    assert loaded.to_dict() == found.to_dict()
    with pytest.raises(InputError, match="without its model"):
        loaded.place(bert)


def test_its_numbers_as_lists_and_as_a_frame(bert, scope_of):
    pytest.importorskip("pandas")
    found = bert.map(**ODD).place(scope_of("bert").read(OTHER))
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (told["head"], told["method"], told["perplexity"]) == (2, "pca", None)
    assert sum(told["sample"].values()) == len(told["vocabulary"]) == 120
    assert [[one["x"], one["y"]] for one in told["vocabulary"]] == found.vocabulary.tolist()
    assert [one["output"] for one in told["texts"][1]["tokens"]] == found.texts[1].outputs.tolist()
    frame = found.to_pandas()
    assert torch.equal(torch.tensor(frame[["x", "y"]].to_numpy()).float(), points(found))
    assert frame.groupby("what").size().to_dict()["output"] == sum(len(text.tokens) for text in found.texts)
    text = repr(found)
    assert f"Trustworthiness {found.trustworthiness:.3f}" in text
    assert "120 of" in text
