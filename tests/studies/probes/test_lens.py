"""The linear lens: what was planted is read, what is not there is not, and its file keeps all of it."""

from __future__ import annotations

import json
import random

import numpy as np
import plain
import pytest
import torch
import zoo
from safetensors import safe_open
from safetensors.torch import save

from headscope import InputError, Scope
from headscope.studies.probes import LinearLens, fit, fit_lens
from tests.studies.probes.planted import BLIND, OWN, PREVIOUS
from tests.studies.survey.corpora import sentences


@pytest.fixture
def used(built, own):
    """The planted model with its lens in use."""
    built.use_lens(own)
    yield built
    built.use_lens(None)


def seen(scope, texts):
    """Readings, z [layer, sample, head, d_head] and own ids [sample] at positions that are not special."""
    readings = scope.read_many(texts)
    here = [[t.position for t in reading.tokens if not t.special] for reading in readings]
    z = torch.cat([reading.z[:, p] for reading, p in zip(readings, here, strict=True)], 1)
    ids = torch.tensor([r.tokens[p].id for r, ps in zip(readings, here, strict=True) for p in ps])
    return readings, here, z, ids


def embeddings(scope):
    return scope.bench.vocabulary.encoded("embedding", None, 0, None).table.rows[0]


def test_a_head_whose_z_is_an_invertible_image_of_its_token_is_read(own):
    for name in ("top1", "top10", "r2"):
        figure = getattr(own.scores, name)
        assert figure.value[0, OWN] > 0.97
        assert figure.difference_low[0, OWN] > 0.7


def test_a_head_whose_z_is_independent_of_its_token_is_at_the_control(own):
    top10, r2 = own.scores.top10, own.scores.r2
    for head in (BLIND, PREVIOUS):
        assert top10.difference_low[0, head] <= 0.02
        assert top10.value[0, head] < 0.25
        assert abs(r2.value[0, head]) < 0.05
        assert abs(r2.control[0, head]) < 0.05


@pytest.mark.parametrize("bias", [0.0, 0.7])
def test_a_head_that_writes_nothing_of_its_text_recovers_nothing(build, bias):
    model, tokenizer = build("bert")
    scope = Scope.from_model(model, tokenizer)
    value = plain.blocks("bert", model)[1].attention.self.value
    with torch.no_grad():
        value.weight[: scope.card.d_head] = 0
        value.bias[: scope.card.d_head] = bias
    scope = Scope.from_model(model, tokenizer)
    lens = fit_lens(scope, sentences(24, seed=2))
    for figure in (lens.scores.top1, lens.scores.top10):
        assert figure.value[1, 0] == figure.control[1, 0] == 0
        assert not figure.above[1, 0]
    assert "-0–" not in repr(lens)
    scope.use_lens(lens)  # the same, but for the rounding of its weights' sum, is no direction
    near = scope.read(zoo.TEXT).nearest(3, 1, space="fitted")
    assert near.own_rank[0] == 0
    assert torch.equal(near.distances[0], torch.ones(15))


@pytest.mark.slow
def test_what_a_head_mixes_is_read_from_its_sources(own, sources):
    # At the first word the source is [CLS], and the strongest ordinary one says nothing.
    assert sources.scores.top1.value[0, PREVIOUS] > 0.85
    assert sources.scores.r2.value[0, PREVIOUS] > 0.9
    assert sources.scores.top1.difference_low[0, PREVIOUS] > 0.6
    assert own.scores.top1.value[0, PREVIOUS] < 0.2
    assert sources.scores.top1.value[0, OWN] > 0.97  # its only source is the own token
    assert sources.scores.top1.value[0, BLIND] < 0.2


def test_the_maps_are_the_ridge_of_scikit_learn_on_all_positions(built, own, texts):
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed (extra: maps)")
    _, _, z, ids = seen(built, texts)
    wanted = embeddings(built)[ids].double().numpy()
    for layer in range(3):
        for head in range(4):
            x = z[layer, :, head].double().numpy()
            expected = linear_model.Ridge(alpha=float(own.alpha[layer, head]), solver="svd").fit(x, wanted)
            found = own(z[layer, :5], layer)[:, head].numpy()
            assert np.allclose(found, expected.predict(x[:5]), atol=1e-4)


@pytest.mark.slow
def test_the_maps_to_the_sources_are_too(built, sources, texts):
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed (extra: maps)")
    readings, here, z, _ = seen(built, texts)
    table = embeddings(built).double()
    for layer, head in ((0, PREVIOUS), (2, 1)):
        wanted = torch.cat(
            [
                reading.pattern[layer, head, p].double() @ table[[token.id for token in reading.tokens]]
                for reading, p in zip(readings, here, strict=True)
            ]
        ).numpy()
        x = z[layer, :, head].double().numpy()
        expected = linear_model.Ridge(alpha=float(sources.alpha[layer, head]), solver="svd").fit(x, wanted)
        assert np.allclose(sources(z[layer, :5], layer)[:, head].numpy(), expected.predict(x[:5]), atol=1e-4)


def test_readings_of_the_space_are_the_formula(used, own):
    reading = used.read("the early bird catches the worm.")
    table = embeddings(used).double() - own.centre.double()
    for layer in range(3):
        near = reading.nearest(2, layer, "fitted", k=8)
        vectors = torch.einsum("hd,hdm->hm", reading.z[layer, 2].double() - own.mean[layer], own.weight[layer].double())
        apart = 1 - torch.nn.functional.normalize(vectors, dim=-1) @ torch.nn.functional.normalize(table, dim=-1).T
        expected, ids = apart.sort(dim=-1, stable=True)
        assert torch.allclose(near.distances.double(), expected[:, :8], atol=1e-5)
        assert torch.equal(near.ids[OWN], ids[OWN, :8])
        own_apart = apart[:, reading.tokens[2].id]
        assert torch.equal(near.own_rank, 1 + (apart < own_apart[:, None]).sum(-1))
    assert reading.nearest(2, 0, "fitted", k=1).own_rank[OWN] == 1


def test_the_atlas_why_and_other_texts_know_the_space(used):
    reading = used.read("the early bird catches the worm.")
    atlas = reading.atlas(2, "fitted")
    near = reading.nearest(2, 0, "fitted", k=3)
    assert torch.equal(atlas.ids[0], near.ids[:, 0])
    why = near.why(OWN, int(near.ids[OWN, 0]))
    assert why.score == pytest.approx(1 - float(near.distances[OWN, 0]), abs=1e-5)
    held = used.bank(sentences(60, seed=9), size=100)
    background = reading.background(near, held)
    assert int(background.own_rank[OWN]) == 1


def test_a_narrowed_space_keeps_every_distance(used):
    encoded = used.bench.vocabulary.encoded("fitted", None, 1, None)
    narrow = encoded.narrowed()
    z = used.read("the early bird catches the worm.").z[1]
    ids = torch.arange(used.card.vocab_size)
    wide, few = encoded.rows(ids)[:, 0], narrow.rows(ids)  # (token, width), (token, head, d_head + 1)
    full = torch.einsum("shm,tm->sht", encoded.enter(z).double(), wide)
    assert torch.allclose(torch.einsum("shm,thm->sht", narrow.enter(z).double(), few), full, atol=1e-4)
    assert torch.allclose(few.norm(dim=-1), wide.norm(dim=-1)[:, None].expand(-1, 4), atol=1e-4)


def test_a_saved_lens_gives_equal_readings(built, own, used, tmp_path):
    reading = built.read("the early bird catches the worm.")
    before = reading.nearest(2, 1, "fitted")
    own.save(tmp_path / "lens.safetensors")
    built.use_lens(tmp_path / "lens.safetensors")
    after = reading.nearest(2, 1, "fitted")
    for name in ("ids", "distances", "own_rank"):
        assert torch.equal(getattr(before, name), getattr(after, name))
    assert before.notes == after.notes
    loaded = LinearLens.load(tmp_path / "lens.safetensors")
    assert loaded.origin == own.origin
    assert json.dumps(loaded.to_dict()) == json.dumps(own.to_dict())


def test_notes_say_what_it_was_fitted_on_and_its_scores_beside_the_control(used, own):
    reading = used.read("the early bird catches the worm.")
    fitted, scores = reading.nearest(2, 0, "fitted").notes
    assert "own token's input embedding" in fitted
    assert "90 texts" in fitted
    assert "planted.txt" in fitted
    assert f"{float(own.scores.top10.value[0].mean()):.1%} (shuffled" in scores
    assert f"{float(own.scores.r2.value[0].mean()):.3f}" in scores
    surely = (own.scores.top10.difference_low[0] > 0) | (own.scores.r2.difference_low[0] > 0)
    assert surely[OWN]
    assert not surely.all()
    others = ", ".join(f"L0H{head}" for head in range(4) if not surely[head])
    assert scores.endswith(f"Surely above the shuffled targets: {surely.sum()} of 4 heads, and not {others}.")
    under = used.read("the early bird catches the worm.", mask="causal").nearest(2, 0, "fitted").notes
    assert "fitted" in under[0]
    assert "under the mask model, while this text was read under causal" in under[0]


def test_another_models_lens_is_refused_with_both_hashes(own, scope_of):
    other = scope_of("roberta")
    with pytest.raises(InputError, match="was fitted on BertModel with the weights") as refused:
        other.use_lens(own)
    assert own.origin.weights_sha256 in str(refused.value)
    assert other.card.weights_sha256 in str(refused.value)
    assert other.lens is None


def test_without_a_lens_the_space_is_closed(scope_of):
    scope = scope_of("gpt2")
    with pytest.raises(InputError, match=r"none is open here\. headscope lens TEXTS -o FILE fits one"):
        scope.read("time flies").nearest(0, 0, "fitted")
    assert "needs a lens" in scope.closed_spaces()["fitted"]


def test_an_open_lens_opens_the_space(used):
    assert "fitted" not in used.closed_spaces()
    assert not used.moves("fitted")


@pytest.mark.parametrize(("choice", "said"), [({"reference": "layer"}, "no reference"), ({"vector": "v"}, "open: z")])
def test_choices_that_the_space_has_not_are_refused(used, choice, said):
    with pytest.raises(InputError, match=said):
        used.read("the bird").nearest(1, 0, "fitted", **choice)


@pytest.mark.slow
def test_changed_weights_close_the_space(texts, build):
    scope = Scope.from_model(*build("bert"))
    scope.use_lens(fit_lens(scope, texts))
    with torch.no_grad():
        scope.bench.opened.model.embeddings.word_embeddings.weight.mul_(1.5)
    assert scope.lens is None
    with pytest.raises(InputError, match="needs a lens"):
        scope.read("the bird").nearest(1, 0, "fitted")


@pytest.mark.parametrize("content", [b"", b"no safetensors at all", None])
def test_a_file_that_is_no_lens_is_refused(content, tmp_path, built):
    path = tmp_path / "lens.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"is no lens|there is no file"):
        built.use_lens(path)


def test_a_file_of_other_tensors_is_refused(tmp_path, built):
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="is no lens that this version"):
        built.use_lens(tmp_path / "other.safetensors")


def test_a_turned_bit_or_a_cut_end_is_noticed_or_changes_nothing(own, tmp_path):
    path = tmp_path / "lens.safetensors"
    own.save(path)
    whole, draw, noticed = path.read_bytes(), random.Random(0), 0
    header = 8 * (8 + int.from_bytes(whole[:8], "little"))
    bits = [*draw.sample(range(header), 60), *draw.sample(range(header, 8 * len(whole)), 20)]
    for bit in [*bits, None]:
        spoiled = bytearray(whole if bit is not None else whole[:-4])
        if bit is not None:
            spoiled[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoiled)
        try:
            found = LinearLens.load(path)
        except InputError as error:
            noticed += 1
            assert len(str(error).splitlines()) == 1  # noqa: PT017 - or nothing is raised
        else:
            assert found.origin == own.origin
            assert all(torch.equal(getattr(found, name), getattr(own, name)) for name in ("weight", "mean", "centre"))
    assert noticed > 60


def test_a_lens_of_before_there_were_checksums_is_read(own, tmp_path):
    path = tmp_path / "lens.safetensors"
    own.save(path)
    with safe_open(path, framework="pt") as file:
        told = {"headscope": file.metadata()["headscope"]}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    path.write_bytes(save(tensors, told))
    assert torch.equal(LinearLens.load(path).weight, own.weight)


def test_a_lens_is_written_where_there_is_room_or_not_at_all(own, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        own.save(tmp_path / "absent" / "lens.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_reading_the_texts_in_parts_of_the_layers_changes_nothing(built, own, texts, monkeypatch):
    monkeypatch.setattr(fit, "_SUMS", 1)
    again = fit_lens(built, texts)
    assert torch.equal(again.weight, own.weight)
    assert torch.equal(again.scores.top10.value, own.scores.top10.value)
    assert torch.equal(again.scores.r2.difference_low, own.scores.r2.difference_low)


def test_scores_may_be_taken_from_some_of_the_held_out_positions(built, own, texts, monkeypatch):
    monkeypatch.setattr(fit, "JUDGED", 60)
    some = fit_lens(built, texts)
    assert torch.equal(some.weight, own.weight)
    assert 30 < int(some.scores.samples[0, 0]) < 90 < int(own.scores.samples[0, 0])


def test_progress_ends_with_all(built, texts):
    told = []
    fit_lens(built, texts[:40], tell=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]
    assert sorted(told) == told


def test_causal_models_and_other_masks_are_fitted_too(scope_of, texts):
    lens = fit_lens(scope_of("llama"), texts, mask="full")
    assert lens.origin.mask == "full"
    assert lens.weight.shape == (3, 4, 8, 32)
    assert lens.weight.isfinite().all()


def test_too_few_texts_are_refused(built):
    with pytest.raises(InputError, match="4 folds need 4 texts"):
        fit_lens(built, ["the early bird", "the worm"])
    with pytest.raises(InputError, match="no target 'next'; open: own, sources"):
        fit_lens(built, ["the early bird"], target="next")


@pytest.mark.parametrize(
    ("field", "value"),
    [("count", "x"), ("count", True), ("positions", [1]), ("seed", None), ("target", []), ("mask", "x"), ("texts", 3)],
)
def test_a_lens_that_says_of_itself_what_cannot_be_is_refused(own, tmp_path, field, value):
    tensors, about = _of(own, tmp_path)
    told = json.loads(about["headscope"])
    told["lens"][field] = value
    (tmp_path / "lies").write_bytes(save(tensors, {"headscope": json.dumps(told)}))
    with pytest.raises(InputError, match=rf"is a damaged lens: its {field} is "):
        LinearLens.load(tmp_path / "lies")


@pytest.mark.parametrize("name", ["weight", "mean", "centre", "alpha", "samples", "top10.high"])
def test_a_lens_whose_tensors_are_of_another_kind_is_refused(own, tmp_path, name):
    tensors, about = _of(own, tmp_path)
    other = tensors[name].long() if tensors[name].is_floating_point() else tensors[name].double()
    for spoiled in (torch.zeros(0), torch.tensor(1.0), torch.zeros(2, 2), other):
        (tmp_path / "lies").write_bytes(save({**tensors, name: spoiled}, {"headscope": about["headscope"]}))
        with pytest.raises(InputError, match="is a damaged lens"):
            LinearLens.load(tmp_path / "lies")


def test_a_lens_with_maps_that_are_not_finite_is_refused(own, tmp_path):
    tensors, about = _of(own, tmp_path)
    spoiled = {**tensors, "mean": tensors["mean"] * torch.nan}
    (tmp_path / "lies").write_bytes(save(spoiled, {"headscope": about["headscope"]}))
    with pytest.raises(InputError, match="mean holds values that are not finite"):
        LinearLens.load(tmp_path / "lies")


def _of(lens, tmp_path):
    """The tensors of a lens's file, and what it says."""
    lens.save(tmp_path / "whole")
    with safe_open(tmp_path / "whole", framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118 - no mapping
