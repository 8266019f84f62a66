"""From vectors to points in a plane: PCA and t-SNE, seeded, kept, and ready to place further vectors.

Knows no model. scikit-learn and openTSNE (Poličar et al. 2024, J. Stat. Softw. 109(3)) do the work.
"""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.keep.memory import Memory, Recent
from headscope.keep.tensors import Tensors
from headscope.question.choices import METHODS, Method, one_of
from headscope.question.given import as_seed
from headscope.question.stopping import stop_point
from headscope.show.progress import Tell

if TYPE_CHECKING:
    from openTSNE.affinity import PerplexityBasedNN

log = logging.getLogger(__name__)
PERPLEXITY = 30  # about how many neighbours count
NEIGHBORS = 15  # that trustworthiness looks at
ITERATIONS = (250, 500)  # openTSNE's own: with early exaggeration, and without
_EVERY = 10  # iterations between two words about progress
_FORMAT = 1  # of the files; another number makes other names
_BYTES = 2**28  # of layouts that are kept in a memory of their own
_ON_DISK = 2**26  # bytes of files: about 4,000 maps of 2,000 tokens


@dataclass(frozen=True)
class Way:
    """How vectors are laid out; perplexity and seed are t-SNE's."""

    method: Method
    perplexity: float
    seed: int

    @classmethod
    def of(cls, method: Method, perplexity: float | None, seed: int) -> Way:
        """From a caller's choices, None where one leaves it open; InputError for a perplexity without t-SNE."""
        one_of("method", method, METHODS)
        if perplexity is not None and method != "tsne":
            raise InputError(f"perplexity is for the method tsne, not {method}: leave it out.")
        return cls(method, PERPLEXITY if perplexity is None else perplexity, as_seed(seed))


@dataclass(frozen=True)
class Layout(ABC):
    """Vectors float32 [point, width] and their places in a plane, float32 [point, 2]."""

    vectors: Tensor
    points: Tensor

    @abstractmethod
    def place(self, vectors: Tensor) -> Tensor:
        """Where further vectors [new, width] lie in this very plane: float32 [new, 2]; nothing in it moves."""

    @property
    def explained(self) -> tuple[float, float] | None:
        """The share of the vectors' variance along either axis; None where axes have no meaning."""
        return None

    @cached_property
    def trust(self) -> float:
        """The trustworthiness of the plane; see `trustworthiness`."""
        return trustworthiness(self.vectors, self.points)

    @property
    def nbytes(self) -> int:
        """Memory the layout holds, in bytes."""
        return self.vectors.nbytes + self.points.nbytes


@dataclass(frozen=True)
class Pca(Layout):
    """The two directions of the largest variance."""

    fitted: Any  # sklearn.decomposition.PCA

    def place(self, vectors: Tensor) -> Tensor:
        return _projected(self.fitted, vectors)

    @property
    def explained(self) -> tuple[float, float]:
        first, second = self.fitted.explained_variance_ratio_.tolist()
        return first, second


@dataclass(frozen=True)
class Tsne(Layout):
    """A t-SNE embedding; a further vector starts at the point of its nearest vector, and settles there."""

    way: Way

    def place(self, vectors: Tensor) -> Tensor:
        from openTSNE import TSNEEmbedding

        affinities, points = self._affinities, self.points.double()
        middle = (points.amax(0) + points.amin(0)) / 2  # where openTSNE's transform moves the map from
        nearest, _ = affinities.knn_index.query(vectors.numpy(), k=1)
        # From its "median" or "weighted" starts, what is in the map already may end far from its own point.
        start = points[nearest[:, 0].tolist()] - middle
        embedding = TSNEEmbedding(
            points.numpy().copy(),
            affinities,
            negative_gradient_method="bh",
            n_jobs=torch.get_num_threads(),
            random_state=self.way.seed,
        ).transform(vectors.numpy(), initialization=start.numpy())
        return (torch.from_numpy(embedding.__array__()) + middle).float()

    @cached_property
    def _affinities(self) -> PerplexityBasedNN:
        return _affinities(self.vectors, self.way)


class Layouts:
    """Layouts by what they are of, in memory and t-SNE's on disk: the same vectors are never laid out twice."""

    def __init__(self, memory: Memory | int = _BYTES) -> None:
        self._cache: Recent[Layout] = Recent(memory)
        self._disk = Tensors("maps", _ON_DISK)

    def known(self, vectors: Tensor, way: Way) -> Layout | None:
        """The layout, where it takes no time: it is kept, or PCA."""
        key = _key(vectors, way)
        kept = self._cache.get(key)
        if kept is not None:
            return kept
        if way.method == "pca":
            return self._keep(key, _pca(vectors))
        points = self._disk.get(key, (len(vectors), 2))
        return None if points is None else self._keep(key, Tsne(vectors, points, way))

    def get(self, vectors: Tensor, way: Way, tell: Tell) -> Layout:
        """The layout; `tell` hears how many iterations are done."""
        found = self.known(vectors, way)
        if found is not None:
            return found
        key, layout = _key(vectors, way), _tsne(vectors, way, tell)
        try:
            self._disk.put(key, layout.points)
        except (OSError, InputError) as error:
            # The layout is whole; only the next process will have to make it again.
            log.warning("this map is not kept: %s", getattr(error, "strerror", None) or error)
        return self._keep(key, layout)

    def _keep(self, key: str, layout: Layout) -> Layout:
        return self._cache.made(key, lambda: layout)  # another thread's, if it came first


def trustworthiness(vectors: Tensor, points: Tensor) -> float:
    """How far neighbours in the plane are neighbours in the space: 1 all of them, about 0.5 in a random picture.

    Venna and Kaski 2001, with scikit-learn, over `NEIGHBORS` neighbours (fewer for few points).
    """
    from sklearn.manifold import trustworthiness as measured

    neighbors = min(NEIGHBORS, (len(vectors) - 1) // 2)  # it asks for fewer than half of the points
    return float(measured(vectors.numpy(), points.numpy(), n_neighbors=neighbors))


def check(way: Way, points: int, width: int) -> None:
    """Raise InputError where so many points of such a width cannot be laid out in this way.

    >>> check(Way("tsne", 30, 0), points=50, width=32)
    Traceback (most recent call last):
    headscope.errors.InputError: the perplexity is 30; for 50 points it is a number from 2 to 16 (a third of them).
    """
    try:
        import openTSNE  # noqa: F401
        import sklearn  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(f'a map needs {error.name}: pip install "headscope[maps]"') from None
    if width < 2 or points < 5:
        raise InputError(f"{points} vectors of {width} numbers make no map: it takes 5 vectors of 2 at least.")
    as_seed(way.seed)
    most = (points - 1) // 3
    number = isinstance(way.perplexity, (int, float)) and not isinstance(way.perplexity, bool)
    if way.method == "tsne" and not (number and 2 <= way.perplexity <= most):
        raise InputError(
            f"the perplexity is {way.perplexity!r}; for {points} points it is a number from 2 to {most} (a third of "
            "them)."
        )


def _pca(vectors: Tensor) -> Pca:
    from sklearn.decomposition import PCA

    fitted = PCA(2, svd_solver="full").fit(vectors.double().numpy())
    return Pca(vectors, _projected(fitted, vectors), fitted)


def _projected(fitted: Any, vectors: Tensor) -> Tensor:
    return torch.from_numpy(fitted.transform(vectors.double().numpy())).float()


def _tsne(vectors: Tensor, way: Way, tell: Tell) -> Tsne:
    from openTSNE import TSNE
    from threadpoolctl import threadpool_limits

    done, total = 0, sum(ITERATIONS)

    def heard(iteration: int, error: float, embedding: object) -> None:
        nonlocal done
        stop_point()
        done += _EVERY
        tell(min(done, total), total)

    stop_point()
    tell(0, total)
    # The Barnes-Hut gradient is the same for any number of threads; the linear algebra at the start is not.
    with threadpool_limits(1, user_api="blas"):
        affinities = _affinities(vectors, way)
        embedding = TSNE(
            early_exaggeration_iter=ITERATIONS[0],
            n_iter=ITERATIONS[1],
            negative_gradient_method="bh",
            n_jobs=torch.get_num_threads(),
            callbacks=heard,
            callbacks_every_iters=_EVERY,
            random_state=way.seed,
        ).fit(vectors.numpy(), affinities=affinities)
    return Tsne(vectors, torch.from_numpy(embedding.__array__()).float(), way)


def _affinities(vectors: Tensor, way: Way) -> PerplexityBasedNN:
    from openTSNE.affinity import PerplexityBasedNN

    return PerplexityBasedNN(
        vectors.numpy(), way.perplexity, method="exact", n_jobs=torch.get_num_threads(), random_state=way.seed
    )


def _key(vectors: Tensor, way: Way) -> str:
    """A name for all that a layout depends on: the vectors themselves, so weights, texts and edits too."""
    parts: list[object] = [_FORMAT, way.method, tuple(vectors.shape)]
    if way.method == "tsne":
        parts += [way.perplexity, way.seed, ITERATIONS, version("openTSNE")]
    digest = hashlib.sha256(repr(parts).encode())
    digest.update(vectors.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
