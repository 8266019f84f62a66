"""What the model loses under a condition, against the model run by hand; nothing where nothing is taken away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plain
import pytest
import torch
import zoo

from headscope import Scope
from headscope.errors import InputError
from headscope.studies.capacity import sweep
from headscope.studies.capacity.figures import curve, needed
from headscope.studies.capacity.fitting import fitted_groups
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.result import Capacity
from headscope.studies.capacity.run import Run
from headscope.studies.capacity.subspaces import Axes
from tests.studies.survey.corpora import sentences, written

EIGHTHS = tuple(n / 8 for n in range(9))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("texts") / "texts.txt", [*zoo.CORPUS, *sentences(20)])


def measured(scope: Scope, texts: Path, **options: object) -> Capacity:
    return Run.prepare(scope, [texts], CapacityOptions(**options)).run()  # type: ignore[arg-type]


@pytest.mark.slow(cases=3)
@pytest.mark.parametrize(
    "name",
    [
        *("albert", "bart/decoder", "gpt2", "llama"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("bert", "bloom", "gemma2", "roberta")),
    ],
)
def test_all_axes_and_no_merging_change_nothing(name, scope_of, texts):
    scope = scope_of(name)
    found = measured(scope, texts, sites=("heads", "z", "residual", "head"), keep=(0, 1))
    everything = [one for one in found.outcomes if one.condition.share == 1]
    nothing = [one for one in found.outcomes if one.condition.share == 0]
    layers, heads = scope.card.layers, scope.card.heads
    assert len(everything) == len(nothing) == layers * (3 + heads + 2)
    has_head = scope.bench.opened.model.get_output_embeddings() is not None
    for one in everything:
        assert one.figures["moved"].value < 1e-5
        assert np.isnan(one.figures["kl"].value) or abs(one.figures["kl"].value) < 1e-9
        assert np.isnan(one.figures["kl"].value) != has_head
    for one in everything:
        if one.condition.what == "number":
            assert one.figures["moved"].value == 0
    assert all(one.figures["moved"].value > 1e-4 for one in nothing if one.condition.site != "head")


@pytest.mark.slow
def test_the_curve_of_a_low_rank_head_breaks_at_its_rank(build, texts):
    model, tokenizer = build("gpt2")
    rank, layer, head = 3, 1, 2
    weights = plain.heads("gpt2", model, layer).w_v
    with torch.no_grad():
        u, s, v = torch.linalg.svd(weights[head], full_matrices=False)
        s[:rank], s[rank:] = s[:rank].mean(), 0
        weights[head] = u * s @ v
    found = measured(
        Scope.from_model(model, tokenizer), texts, parts=("dimension",), sites=("heads", "head"), keep=EIGHTHS
    )
    moved = {
        one.condition.kept: one.figures["moved"].value
        for one in curve(found.outcomes, False, site="head", layer=layer, head=head)
    }
    assert set(moved) == set(range(9))
    assert all(moved[r] < 1e-5 for r in range(rank, 9))
    assert all(moved[r] > 1e-4 for r in range(rank))
    other = {
        one.condition.kept: one.figures["moved"].value
        for one in curve(found.outcomes, False, site="head", layer=layer, head=0)
    }
    assert other[rank] > 1e-4
    at_random = curve(found.outcomes, True, site="head", layer=layer, head=head)
    assert all(one.figures["moved"].value > 1e-5 for one in at_random if 0 < one.condition.kept < 8)
    (size,) = (size for size in found.sizes if (size.layer, size.head) == (layer, head))
    assert size.dimension_95 <= rank
    assert size.participation_ratio < rank + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_sizes_are_those_of_the_encodings_of_the_fitted_texts(name, scope_of, texts):
    scope = scope_of(name)
    run = Run.prepare(scope, [texts], CapacityOptions(keep=(1,)))
    found = run.run()
    fitted = fitted_groups(run.census, 0)
    lines = [line for line in texts.read_text().splitlines() if line]
    readings = [scope.read(line) for line, group in zip(lines, run.census.groups, strict=True) if fitted[group]]
    assert 0 < len(readings) < len(lines)
    ours = [[token.position for token in one.tokens if not token.special] for one in readings]
    for size in found.sizes:
        if size.site == "residual":
            x = torch.cat([one.residual[size.layer + 1, at] for one, at in zip(readings, ours, strict=True)])
        else:
            x = torch.cat([one.z[size.layer, at] for one, at in zip(readings, ours, strict=True)])
            x = x.flatten(1) if size.head is None else x[:, size.head]
        values = np.sort(np.linalg.eigvalsh(np.cov(x.double().numpy().T, bias=True)))[::-1].clip(0)
        assert size.positions == len(x)
        assert size.width == x.shape[1]
        assert size.participation_ratio == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-4)
        reached = values.cumsum() / values.sum()
        assert size.dimension_95 == int((reached < 0.95).sum()) + 1


@pytest.mark.parametrize("site", ["z", "residual"])
def test_a_projection_s_loss_is_that_of_the_model_edited_by_hand(site, scope_of, tmp_path):
    scope = scope_of("gpt2")
    path = written(tmp_path / "two.txt", zoo.CORPUS[:2])
    run = Run.prepare(scope, [path], CapacityOptions(parts=("dimension",), sites=(site,), keep=(0.25,)))
    found = run.run()
    order = np.argsort(~fitted_groups(run.census, 0))  # the fitted text first
    fitted, other = (zoo.CORPUS[n] for n in order)
    layer = 1
    before = scope.read(fitted)
    x = (before.z[layer].flatten(1) if site == "z" else before.residual[layer + 1]).double()
    projection = Axes.principal(x.mean(0), x.T.cov(correction=0)).projection(8)
    clean, edited = scope.read(other), scope.read(other, edit={(layer, site): projection})
    apart = (edited.residual[-1] - clean.residual[-1]).norm(dim=-1) / clean.residual[-1].norm(dim=-1)
    (one,) = (one for one in found.outcomes if one.condition.layer == layer and not one.condition.control)
    assert one.figures["moved"].value == pytest.approx(float(apart.mean()), rel=1e-4)
    model = scope.bench.opened.model
    p, q = (
        model.lm_head(model.transformer.ln_f(reading.residual[-1])).detach().double().log_softmax(-1)
        for reading in (clean, edited)
    )
    assert one.figures["kl"].value == pytest.approx(float((p.exp() * (p - q)).sum(-1).mean()), rel=1e-3)


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_own_ranks_of_unchanged_encodings_are_those_of_the_readings(name, scope_of, texts):
    scope = scope_of(name)
    run = Run.prepare(scope, [texts], CapacityOptions(parts=("number",), keep=(1,)))
    found = run.run()
    lines = [line for line in texts.read_text().splitlines() if line]
    fitted = fitted_groups(run.census, 0)
    readings = [scope.read(line) for line, group in zip(lines, run.census.groups, strict=True) if not fitted[group]]
    at_z, at_stream, tokens = np.zeros(scope.card.layers), np.zeros(scope.card.layers), 0
    for one in readings:
        ours = [token.position for token in one.tokens if not token.special]
        tokens += len(ours)
        for layer in range(scope.card.layers):
            near = one.nearest(ours, layer, reference="layer", k=1)
            at_z[layer] += float((near.own_rank == 1).double().mean(-1).sum())
            at_stream[layer] += float((one.journey().own_rank[2 * layer + 2, ours] == 1).sum())
    assert tokens <= 128, "all tokens take part"
    for site, by_hand in (("z", at_z), ("residual", at_stream)):
        for one in curve(found.outcomes, False, site=site):
            assert one.figures["own_at_1"].value == pytest.approx(by_hand[one.condition.layer] / tokens, abs=1e-6)


@pytest.mark.slow
def test_texts_of_which_no_token_is_drawn_have_no_own_ranks(scope_of, texts, monkeypatch):
    monkeypatch.setattr(sweep, "RECOVERED", 0)
    for one in measured(scope_of("bert"), texts, keep=(0, 1)).outcomes:
        assert np.isfinite(one.figures["moved"].value)
        assert all(np.isnan(one.figures[name].value) for name in ("own_at_1", "own_auc", "linear_at_1"))


def test_a_document_is_fitted_on_or_measured_not_both(scope_of, tmp_path):
    path = written(tmp_path / "documents.txt", sentences(12), every=3)
    run = Run.prepare(scope_of("bert"), [path], CapacityOptions())
    for fitted, measured_ones in run.halves():
        assert not {one.group for one in fitted} & {one.group for one in measured_ones}
        assert fitted
        assert measured_ones
    one = written(tmp_path / "one.txt", sentences(1))
    with pytest.raises(InputError, match="all texts are of one document"):
        Run.prepare(scope_of("bert"), [one], CapacityOptions())


@pytest.mark.slow
def test_what_a_layer_needs_is_where_the_loss_stays_small(scope_of, texts):
    found = measured(scope_of("gpt2"), texts, parts=("dimension",), sites=("residual",), keep=EIGHTHS)
    for layer in range(3):
        points = curve(found.outcomes, False, layer=layer)
        enough = needed(points, "kl")
        assert enough is not None
        most = points[0].figures["kl"].value
        for one in points:
            within = one.figures["kl"].value <= 0.1 * most
            assert within or one.condition.share < enough.condition.share


@pytest.mark.long
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_linear_map_is_scikit_learn_s_ridge_on_the_fitted_texts(name, scope_of, texts):
    linear_model = pytest.importorskip("sklearn.linear_model")
    scope = scope_of(name)
    run = Run.prepare(scope, [texts], CapacityOptions(sites=("z", "residual"), keep=(0, 1)))
    found = run.run()
    lines = [line for line in texts.read_text().splitlines() if line]
    fitted = fitted_groups(run.census, 0)
    embeddings = scope.bench.vocabulary.arriving(None).rows(torch.arange(scope.card.vocab_size))[:, 0]
    sides: dict[bool, list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]] = {True: [], False: []}
    for line, group in zip(lines, run.census.groups, strict=True):
        one = scope.read(line)
        ours = [token.position for token in one.tokens if not token.special]
        ids = torch.tensor([one.tokens[at].id for at in ours])
        sides[bool(fitted[group])].append((one.z[:, ours].flatten(2), one.residual[1:, ours], ids))
    for at, site in enumerate(("z", "residual")):
        for layer in range(scope.card.layers):
            x, other = (torch.cat([one[at][layer] for one in sides[side]]).double().numpy() for side in (True, False))
            ids, own = (torch.cat([one[2] for one in sides[side]]) for side in (True, False))
            y = embeddings[ids].numpy()
            alpha = 0.01 * np.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0))).mean()
            guess = torch.from_numpy(linear_model.Ridge(alpha=alpha).fit(x, y).predict(other) - y.mean(0))
            rows = embeddings - torch.from_numpy(y.mean(0))
            scores = torch.nn.functional.cosine_similarity(guess[:, None], rows, dim=-1)
            nearest = float((scores.argmax(-1) == own).double().mean())
            (one,) = curve(found.outcomes, False, what="number", site=site, layer=layer, share=1)
            assert nearest > 0 or site == "z"
            assert one.figures["linear_at_1"].value == pytest.approx(nearest, abs=1.5 / len(own))
            # The mean tells nothing.
            (none,) = curve(found.outcomes, False, what="dimension", site=site, layer=layer, share=0)
            assert none.figures["linear_at_1"].value == 0
            assert none.figures["linear_auc"].value == pytest.approx(0.5, abs=0.01)
