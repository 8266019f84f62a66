"""Intervals of participation ratio and 95 % dimension, against derivatives by brute force, and by simulation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
import zoo
from numpy.typing import NDArray
from scipy import stats

from headscope import Scope
from headscope.studies.capacity import fitting
from headscope.studies.capacity.fitting import batches, fitted_groups, watched
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.run import Run
from headscope.studies.capacity.spread import Spread, dimension_interval, participation_interval
from headscope.studies.capacity.subspaces import Axes, dimension_at, participation_ratio
from headscope.studies.capacity.words import of_heads
from tests.conftest import SHARED
from tests.studies.survey.corpora import sentences, written

Array = NDArray[np.float64]
Encodings = tuple[Array, NDArray[np.int64]]  # [token, width], the document of each
EWT = SHARED / "corpora" / "ud-ewt" / "en_ewt-ud-dev.conllu"


def encodings(lengths: list[int], spectrum: Array, seed: int, uneven: float = 0.0) -> Encodings:
    """Encodings [token, width] and their documents: normal, of variances in proportion to `spectrum`, 0.3 of them
    shared by a document; `uneven`: how much documents and tokens differ in length."""
    draw = np.random.default_rng([len(lengths), len(spectrum), seed])
    documents = np.repeat(np.arange(len(lengths)), lengths)
    common = draw.standard_normal((len(lengths), len(spectrum)))[documents]
    own = draw.standard_normal((len(documents), len(spectrum)))
    scale = np.exp(uneven * (draw.standard_normal(len(documents)) + draw.standard_normal(len(lengths))[documents]))
    return (np.sqrt(0.3) * common + np.sqrt(0.7) * own) * np.sqrt(spectrum) * scale[:, None] + 1, documents


def fitted(x: Array) -> Axes:
    return Axes.principal(torch.from_numpy(x.mean(0)), torch.from_numpy(covariance(x, np.ones(len(x)))))


def spread(axes: Axes, x: Array, documents: NDArray[np.int64]) -> Spread:
    squares = axes.along(torch.from_numpy(x))[:, 0].square()
    summed = squares.new_zeros(documents.max() + 1, x.shape[1]).index_add_(0, torch.from_numpy(documents), squares)
    return Spread(torch.bincount(torch.from_numpy(documents)).double(), summed)


def error(figure: Callable[[Array], Array | float], documents: NDArray[np.int64]) -> Array:
    """The standard error of a figure of tokens' weights, from its numerical derivatives by documents' weights."""
    count, step, found = documents.max() + 1, 1e-5, []
    for document in range(count):
        up, down = (figure(np.where(documents == document, 1 + move, 1.0)) for move in (step, -step))
        found.append((np.asarray(up) - np.asarray(down)) / (2 * step))
    return np.sqrt(np.square(found).sum(0) * count / (count - 1))


def covariance(x: Array, weights: Array, about: Array | None = None) -> Array:
    apart = x - (np.average(x, axis=0, weights=weights) if about is None else about)
    return (apart * weights[:, None]).T @ apart / weights.sum()


@pytest.mark.parametrize("seed", range(4))
def test_intervals_are_those_of_derivatives_by_brute_force(seed):
    draw = np.random.default_rng(seed)
    spectrum = np.arange(1, 8.0) ** -(0.5 + seed / 3)
    x, documents = encodings(draw.integers(3, 12, 12).tolist(), spectrum, seed)
    y, others = encodings(draw.integers(3, 12, 14).tolist(), spectrum, seed + 9)
    axes = fitted(x)
    spreads = spread(axes, x, documents), spread(axes, y, others)
    basis, mean = axes.basis[0].numpy(), x.mean(0)
    held = np.diag(basis.T @ covariance(y, np.ones(len(y)), mean) @ basis)
    own = np.diag(basis.T @ covariance(x, np.ones(len(x))) @ basis)

    def ratio(weights: Array) -> float:
        return float(np.log(participation_ratio(torch.from_numpy(covariance(x, weights)))))

    def mixed(weights: Array) -> float:
        along = np.diag(basis.T @ covariance(x, weights) @ basis)
        return float(np.log(along.sum() * held.sum() / (along @ held)))

    def mixed_with_others(weights: Array) -> float:
        along = np.diag(basis.T @ covariance(y, weights, mean) @ basis)
        return float(np.log(own.sum() * along.sum() / (own @ along)))

    def shares(weights: Array) -> Array:
        values = np.linalg.eigvalsh(covariance(x, weights))[::-1]
        return values.cumsum() / values.sum()

    def shares_of_others(weights: Array) -> Array:
        along = np.diag(basis.T @ covariance(y, weights, mean) @ basis)
        return along.cumsum() / along.sum()

    times = stats.t.ppf(0.975, 11)
    reach = times * error(ratio, documents)
    both = times * np.hypot(error(mixed, documents), error(mixed_with_others, others))
    middle, mixed_middle = ratio(np.ones(len(x))), mixed(np.ones(len(x)))
    low, high = min(middle - reach, mixed_middle - both), max(middle + reach, mixed_middle + both)
    assert participation_interval(*spreads) == pytest.approx((max(np.exp(low), 1), min(np.exp(high), 7)), rel=1e-6)

    ends = []
    for figure, by in ((shares, documents), (shares_of_others, others)):
        value, reach = figure(np.ones(len(by))), times * error(figure, by)
        ends += [np.argmax(end >= 0.95 - 1e-9) + 1 for end in (value + reach, value - reach)]
    assert dimension_interval(*spreads) == (min(ends), max(ends))
    assert ends[0] <= dimension_at(axes.variances[0]) <= max(ends)


@pytest.mark.parametrize("seed", range(3))
def test_what_the_fitted_documents_spread_is_what_the_axes_hold(seed):
    x, documents = encodings([5, 9, 14, 2], np.arange(1, 6.0) ** -1, seed)
    axes = fitted(x)
    found = spread(axes, x, documents)
    torch.testing.assert_close(found.variances, axes.variances[0])
    # More of one document is less of the others: weights that are all the same change nothing.
    torch.testing.assert_close(found.influences.sum(0), torch.zeros(5, dtype=torch.float64), atol=1e-12, rtol=0)


def test_intervals_shrink_like_the_root_of_the_number_of_documents():
    spectrum, lengths = 2.0 ** -np.arange(6), []
    for documents in (50, 200, 800):
        x, y = (encodings([20] * documents, spectrum, seed) for seed in (0, 1))
        axes = fitted(x[0])
        low, high = participation_interval(spread(axes, *x), spread(axes, *y))
        lengths.append(np.log(high / low))
    for longer, shorter in pairwise(lengths):
        assert 1.6 < longer / shorter < 2.5


def test_without_ten_documents_or_any_spread_there_is_no_interval():
    x, documents = encodings([9, 8, 7, 6, 5] * 2, np.ones(4), 0)
    axes = fitted(x)
    several, one = spread(axes, x, documents), spread(axes, x, documents.clip(max=8))
    nothing = Spread(several.counts, torch.zeros_like(several.squares))
    for pair in ((one, several), (several, one), (nothing, several), (several, nothing)):
        assert participation_interval(*pair) is None
        assert dimension_interval(*pair) is None
    low, high = participation_interval(several, several)
    assert 1 <= low < high <= 4


@pytest.mark.slow
@pytest.mark.parametrize("lots", [128, 12])
def test_a_run_s_intervals_are_those_of_its_readings(scope_of, tmp_path, monkeypatch, lots):
    monkeypatch.setattr(fitting, "_LOTS", lots)
    path = written(tmp_path / "texts.txt", sentences(60, least=6), every=2)
    scope = scope_of("gpt2")
    run = Run.prepare(scope, [path], CapacityOptions(parts=("dimension",), sites=("z",), keep=(1,)))
    found = run.run()
    half = fitted_groups(run.census, 0)
    lines = [line for line in path.read_text().splitlines() if line]
    sides = []
    for side in (True, False):
        numbers = {group: n % lots for n, group in enumerate(np.flatnonzero(half == side).tolist())}
        some = [
            (scope.read(line), numbers[group])
            for line, group in zip(lines, run.census.groups.tolist(), strict=True)
            if group in numbers
        ]
        sides.append(([one for one, _ in some], np.repeat([n for _, n in some], [len(one.tokens) for one, _ in some])))
    assert len(found.sizes) == 3 * (scope.card.heads + 2)
    for size in found.sizes:
        both = []
        for readings, _ in sides:
            if size.site == "residual":
                x = torch.cat([one.residual[size.layer + 1] for one in readings])
            else:
                x = torch.cat([one.z[size.layer] for one in readings])
                x = x.flatten(1) if size.head is None else x[:, size.head]
            both.append(x.double().numpy())
        axes = fitted(both[0])
        spreads = [spread(axes, x, of) for x, (_, of) in zip(both, sides, strict=True)]
        low, high = participation_interval(*spreads)
        assert size.participation_ratio_low == pytest.approx(low, rel=1e-3)
        assert size.participation_ratio_high == pytest.approx(high, rel=1e-3)
        assert (size.dimension_95_low, size.dimension_95_high) == dimension_interval(*spreads)
        assert low <= size.participation_ratio <= high
        assert size.dimension_95_low <= size.dimension_95 <= size.dimension_95_high


def covered(draws: list[tuple[Encodings, Encodings]], whole: tuple[float, int]) -> tuple[Array, Array, Array, Array]:
    """Of draws of fitted and other encodings, both figures' mean, how often the interval holds the `whole` and that
    mean, and its mean length: [figure]."""
    values, ends = [], []
    for pair in draws:
        axes = fitted(pair[0][0])
        spreads = [spread(axes, *side) for side in pair]
        variances = axes.variances[0]
        values.append((float(variances.sum() ** 2 / variances.square().sum()), dimension_at(variances)))
        ends.append((participation_interval(*spreads), dimension_interval(*spreads)))
    low, high = np.moveaxis(np.array(ends), -1, 0)  # (draw, figure)
    mean = np.mean(values, axis=0)
    mean[1] = round(mean[1])  # a dimension is a whole number
    of_whole, of_mean = (((low <= target) & (target <= high)).mean(0) for target in (whole, mean))
    return mean, of_whole, of_mean, (high - low).mean(0)


def tell(what: str, whole: tuple[float, int], found: tuple[Array, Array, Array, Array]) -> None:
    for name, of_all, mean, of_whole, of_mean, length in zip(("PR", "95 %"), whole, *found, strict=True):
        covers = f"covered {of_whole:.3f} and {of_mean:.3f}, length {length:.1f}"
        print(f"\n{what}, {name}: {of_all:.1f}, mean {mean:.1f}, {covers}", end="")


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("uneven", [0.0, 0.4])
@pytest.mark.parametrize("power", [0.5, 1.0])
@pytest.mark.parametrize("width", [12, 72])
@pytest.mark.parametrize("documents", [25, 60, pytest.param(200, marks=pytest.mark.simulation)])
def test_an_interval_holds_the_figure_of_endless_texts_and_of_as_many(documents, width, power, uneven):
    spectrum = np.arange(1, width + 1.0) ** -power
    whole = spectrum.sum() ** 2 / np.square(spectrum).sum(), dimension_at(torch.from_numpy(spectrum))
    lengths = [20] * documents
    found = covered([tuple(encodings(lengths, spectrum, 2 * n + m, uneven) for m in (0, 1)) for n in range(200)], whole)
    tell(f"{documents} documents, width {width}, power {power}, uneven {uneven}", whole, found)
    assert found[1].min() >= 0.9
    assert found[2].min() >= 0.88


@pytest.mark.long
@pytest.mark.skipif(not EWT.is_file(), reason=f"no corpus at {EWT}")
def test_an_interval_of_few_documents_holds_the_figure_of_all_in_a_trained_model(demo):
    run = Run.prepare(demo, [EWT], CapacityOptions(sample=None))
    layer, groups = demo.card.layers - 1, []
    seen: dict[str, list[torch.Tensor]] = {"z": [], "residual": []}

    def see(stage: str, at: int, x: torch.Tensor) -> None:
        if at == layer:
            seen[stage].append(x.clone())

    for halves in run.halves():
        for batch in batches(demo, [one for half in halves for one in half]):
            groups += [one.group for one in batch for _ in one.ours]
            demo.bench.opened.outputs([watched(one, demo.card.layers, see) for one in batch])
    rows = [np.flatnonzero(np.array(groups) == group) for group in range(run.census.group_count)]
    sites = {stage: torch.cat(x).double().numpy() for stage, x in seen.items()}
    sites |= {f"head {head}": sites["z"][:, 32 * head : 32 * head + 32] for head in range(demo.card.heads)}
    for site, x in sites.items():
        variances = fitted(x).variances[0]
        whole = float(variances.sum() ** 2 / variances.square().sum()), dimension_at(variances)
        draws = []
        for seed in range(40):
            chosen = np.random.default_rng(seed).permutation(len(rows))[:50]
            sides = [[x[rows[document]] for document in half] for half in (chosen[:25], chosen[25:])]
            draws.append(
                tuple((np.concatenate(side), np.repeat(np.arange(25), [len(one) for one in side])) for side in sides)
            )
        found = covered(draws, whole)
        tell(f"{site} of layer {layer}", whole, found)
        assert found[1].min() >= 0.9


@pytest.mark.parametrize("biased", [True, False])
def test_a_head_that_writes_the_same_everywhere_fills_no_dimensions(biased, tmp_path):
    """What rounding fills is no size; and the layer's interval is that of its heads."""
    model, tokenizer = zoo.build("bert")
    values = model.encoder.layer[1].attention.self.value
    with torch.no_grad():
        values.weight[8:16] = 0
        values.bias[8:16] *= biased
    path = written(tmp_path / "t.txt", sentences(24, seed=3))
    options = CapacityOptions(parts=("dimension",), sites=("z",), keep=(1,))
    found = Run.prepare(Scope.from_model(model, tokenizer), [path], options).run()
    heads = [size for size in found.sizes if size.site == "head"]
    dead = [size for size in heads if (size.layer, size.head) == (1, 1)]
    assert [(one.participation_ratio, one.dimension_95) for one in dead] == [(0.0, 0)]
    assert [(one.participation_ratio_low, one.dimension_95_high) for one in dead] == [(0.0, 0)]
    assert all(one.participation_ratio >= 1 for one in heads if one not in dead)
    ratio, _, dimension, _ = of_heads([size for size in heads if size.layer == 1])
    assert "[" in ratio
    assert "[" in dimension
