"""Vectors in a plane: planted structure shows, seeded runs repeat, and what is placed lands where it belongs."""

from __future__ import annotations

import os

import pytest
import torch
from sklearn.manifold import trustworthiness as of_sklearn

from headscope.errors import InputError
from headscope.reading.map import layouts
from headscope.reading.map.layouts import Layouts, Way, check, trustworthiness

PCA, TSNE = Way("pca", 30, 0), Way("tsne", 15, 3)


def quiet(done: int, total: int) -> None:
    pass


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rotated(vectors: torch.Tensor) -> torch.Tensor:
    """The same in another orthonormal basis."""
    basis, _ = torch.linalg.qr(normal(vectors.shape[1], vectors.shape[1], seed=9))
    return vectors @ basis


@pytest.fixture
def clusters() -> tuple[torch.Tensor, torch.Tensor]:
    """Three clouds in 12 dimensions, [150, 12], and which cloud each is of."""
    which = torch.arange(150) % 3
    return rotated(normal(150, 12) + 8 * torch.eye(12)[which]), which


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    return tmp_path / "maps"


@pytest.mark.parametrize("way", [PCA, TSNE], ids=["pca", "tsne"])
def test_planted_clusters_stand_apart(clusters, way):
    vectors, which = clusters
    apart = torch.cdist(*2 * [Layouts().get(vectors, way, quiet).points])
    same = which[:, None] == which
    assert apart[same].max() < apart[~same].min()


def test_a_planted_plane_is_found_up_to_rotation():
    plane = normal(80, 2) * torch.tensor([3.0, 1.0])
    layout = Layouts().get(rotated(torch.nn.functional.pad(plane, (0, 10))) + 5, PCA, quiet)
    assert torch.pdist(layout.points.double()).allclose(torch.pdist(plane.double()), atol=1e-5)
    assert sum(layout.explained) == pytest.approx(1)
    assert layout.trust == pytest.approx(1)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_points_and_another_seed_others(clusters, monkeypatch):
    vectors, _ = clusters
    first = Layouts().get(vectors, TSNE, quiet).points
    monkeypatch.setattr(layouts.Tensors, "get", lambda *_: None)  # nothing from the disk
    assert torch.equal(Layouts().get(vectors, TSNE, quiet).points, first)
    assert not torch.equal(Layouts().get(vectors, Way("tsne", 15, 4), quiet).points, first)


def test_the_number_of_threads_changes_nothing(clusters, monkeypatch):
    vectors, _ = clusters
    monkeypatch.setattr(layouts, "ITERATIONS", (20, 30))
    monkeypatch.setattr(layouts.Tensors, "get", lambda *_: None)
    first = Layouts().get(vectors, TSNE, quiet).points
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert torch.equal(Layouts().get(vectors, TSNE, quiet).points, first)


def test_another_process_finds_it_on_the_disk(clusters, directory):
    vectors, _ = clusters
    assert Layouts().known(vectors, TSNE) is None
    made = Layouts().get(vectors, TSNE, quiet)
    (file,) = directory.iterdir()
    found = Layouts().known(vectors, TSNE)
    assert torch.equal(found.points, made.points)
    assert torch.equal(found.place(vectors[:5]), made.place(vectors[:5]))
    assert Layouts().known(vectors + 1e-3, TSNE) is None
    file.write_bytes(file.read_bytes()[:-8])
    assert Layouts().known(vectors, TSNE) is None, "a damaged file is none"


def test_a_disk_that_refuses_costs_nothing_but_the_next_run(clusters, directory, caplog):
    directory.parent.joinpath("maps").write_text("a file where the directory should be")
    kept = Layouts()
    made = kept.get(clusters[0], TSNE, quiet)
    assert "not kept" in caplog.text
    assert kept.known(clusters[0], TSNE) is made


@pytest.mark.slow
def test_progress_is_told_and_can_end_it(clusters, directory):
    told: list[tuple[int, int]] = []
    Layouts().get(clusters[0], TSNE, lambda *how: told.append(how))
    assert told[0] == (0, 750)
    assert told[-1] == (750, 750)
    assert told == sorted(told)

    class Enough(Exception):
        pass

    def end(done: int, total: int) -> None:
        if done >= 100:
            raise Enough

    kept = Layouts()
    with pytest.raises(Enough):
        kept.get(clusters[0] + 1, TSNE, end)
    assert kept.known(clusters[0] + 1, TSNE) is None
    assert len(list(directory.iterdir())) == 1


def test_what_pca_is_made_of_is_placed_exactly_where_it_is(clusters):
    layout = Layouts().get(clusters[0], PCA, quiet)
    assert torch.equal(layout.place(clusters[0]), layout.points)


@pytest.mark.slow
def test_what_tsne_is_made_of_is_placed_near_where_it_is(clusters):
    layout = Layouts().get(clusters[0], TSNE, quiet)
    moved = (layout.place(clusters[0]) - layout.points).norm(dim=-1)
    assert moved.max() < 0.01 * torch.pdist(layout.points).median()


@pytest.mark.slow
@pytest.mark.parametrize("way", [PCA, TSNE], ids=["pca", "tsne"])
def test_new_vectors_land_in_their_own_cluster(clusters, way):
    vectors, which = clusters
    layout = Layouts().get(vectors[30:], way, quiet)
    nearest = torch.cdist(layout.place(vectors[:30]), layout.points).argmin(-1)
    assert torch.equal(which[30:][nearest], which[:30])
    # A second text changes nothing for the first.
    assert torch.allclose(layout.place(vectors[:30])[:10], layout.place(vectors[:10]), atol=1e-3)


@pytest.mark.parametrize("count", [150, 24])
def test_trustworthiness_is_scikit_learns(clusters, count):
    vectors, points = clusters[0][:count], normal(count, 2)
    k = min(15, (count - 1) // 2)
    assert trustworthiness(vectors, points) == of_sklearn(vectors.numpy(), points.numpy(), n_neighbors=k)
    assert trustworthiness(vectors, vectors) == 1
    assert trustworthiness(vectors, points) < 0.8


@pytest.mark.parametrize(
    ("way", "points", "width", "said"),
    [
        (Way("tsne", 30, 0), 60, 8, "number from 2 to 19"),
        (Way("tsne", 1, 0), 60, 8, "perplexity is 1;"),
        (Way("tsne", True, 0), 60, 8, "perplexity is True"),
        (Way("tsne", float("nan"), 0), 60, 8, "perplexity is nan"),
        (Way("tsne", 5, -1), 60, 8, "seed is -1"),
        (Way("pca", 30, 0), 60, 1, "2 at least"),
    ],
)
def test_what_cannot_be_laid_out_is_said(way, points, width, said):
    with pytest.raises(InputError, match=said):
        check(way, points, width)


@pytest.mark.slow
def test_what_is_kept_on_disk_is_bounded_and_the_oldest_goes_first(directory, monkeypatch):
    some = [normal(30, 4, seed=seed) for seed in range(5)]
    Layouts().get(some[0], Way("tsne", 5, 0), quiet)
    each = sum(file.stat().st_size for file in directory.iterdir())
    monkeypatch.setattr(layouts, "_ON_DISK", 3 * each)
    made = []
    for n, vectors in enumerate(some):
        Layouts().get(vectors, Way("tsne", 5, 0), quiet)
        made += [file for file in directory.iterdir() if file not in made]
        os.utime(made[-1], (1000 + n,) * 2)  # as if they had been made one after another
    assert {file for file in made if file.exists()} == set(made[2:])
    # What is asked for again is young again.
    assert Layouts().known(some[2], Way("tsne", 5, 0)) is not None
    Layouts().get(normal(30, 4, seed=9), Way("tsne", 5, 0), quiet)
    assert made[2].exists()
    assert not made[3].exists()


def test_a_cache_that_cannot_be_written_costs_only_the_next_process_its_time(directory, caplog):
    directory.write_text("no directory")
    vectors = normal(30, 4)
    layout = Layouts().get(vectors, Way("tsne", 5, 0), quiet)
    assert layout.points.shape == (30, 2)
    assert "not kept" in caplog.text
