"""Forgetting and recreating: what the residual stream tells of tokens, level by level (Voita et al. 2019).

After arXiv 1909.01380, section 4: representations are clustered, and the mutual information of clusters and tokens is
taken. docs/capacity.md says what is done otherwise here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headscope.errors import ModelError
from headscope.inference.estimates import Estimate
from headscope.inference.left_out import mean_by
from headscope.question.shown import Summarised
from headscope.reading.stream import walk
from headscope.studies.capacity.fitting import TextInput
from headscope.studies.capacity.information import clustered, information
from headscope.studies.capacity.recovery import told
from headscope.studies.capacity.sweep import seed_of

if TYPE_CHECKING:
    from headscope.scope import Scope

TYPES = 100  # at most
LEAST_TYPES = 8
OCCURRENCES = 20  # of each
CLUSTERS = 2  # for each type
REPEATS = 3
_MASKED = 0.15  # of a text's tokens, at most, in one pass
Of = Literal["input token", "next token", "masked token"]
Places = list[tuple[int, int]]  # (index of a sample, position)


@dataclass(frozen=True, repr=False)
class ForgettingCurve(Summarised):
    """Mutual information of the stream's clusters with a token, in nats, by level; level 0 is block 0's input.

    `types` tokens, each drawn `occurrences` times, so that their entropy is log(types), the most there can be;
    `clusters` clusters. A level has the mean of `REPEATS` draws, and the least and the most of them.
    """

    of: Of
    types: int
    occurrences: int
    clusters: int
    levels: tuple[Estimate[float], ...]

    @property
    def entropy(self) -> float:
        """The most there can be, in nats."""
        return float(np.log(self.types))


@dataclass(frozen=True, repr=False)
class Forgetting(Summarised):
    """Curves for the token that is read and the one that is predicted, and the own token's rank, level by level.

    `own_rank`: the median rank of the own input embedding; `own_auc`: 1 − (rank − 1)/(V − 1), with interval. Both of
    the occurrences that the first draw of the input token's curve is of.
    """

    curves: tuple[ForgettingCurve, ...]
    own_rank: tuple[float, ...]
    own_auc: tuple[Estimate[float], ...]


def forgetting(
    scope: Scope, samples: Sequence[TextInput], seed: int, tell: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Forgetting | None, tuple[str, ...]]:
    """The curves, and what a reader must know; None where too few tokens come often enough."""
    curves, notes = [], []
    ranks: tuple[tuple[float, ...], tuple[Estimate[float], ...]] = ((), ())
    asked = _asked(scope)
    for n, of in enumerate(asked):
        labelled = _labelled(samples, of)
        types = [id for id, count in Counter(labelled.values()).most_common(TYPES) if count >= OCCURRENCES]
        if len(types) < LEAST_TYPES:
            notes.append(
                f"Of the {of} nothing can be said: {len(types)} tokens come {OCCURRENCES} times or more in these "
                f"texts, and it takes {LEAST_TYPES}. Give more texts (--sample)."
            )
            continue
        repeats = []
        for repeat in range(REPEATS):
            places = _drawn(labelled, types, seed_of(seed, of, repeat))
            stream = _streams(scope, samples, places, masked=of == "masked token")  # (level, sample, d_model)
            labels = np.array([labelled[place] for place in places], dtype=np.int64)
            clusters = CLUSTERS * len(types)
            repeats.append(
                [information(labels, clustered(level, clusters, repeat)).corrected for level in stream.numpy()]
            )
            if of == "input token" and not repeat:
                ranks = _own(scope, samples, places, stream)
            tell(n * REPEATS + repeat + 1, len(asked) * REPEATS)
        levels = tuple(Estimate(float(np.mean(some)), min(some), max(some)) for some in zip(*repeats, strict=True))
        curves.append(ForgettingCurve(of, len(types), OCCURRENCES, CLUSTERS * len(types), levels))
    if not curves:
        return None, tuple(notes)
    return Forgetting(tuple(curves), *ranks), tuple(notes)


def _asked(scope: Scope) -> list[Of]:
    """The tokens that this model's stream can be asked for: what it reads, and what it was trained to predict."""
    opened = scope.bench.opened
    if opened.model.get_output_embeddings() is None:
        return ["input token"]
    if opened.anatomy.causal:
        return ["input token", "next token"]
    if opened.names.tokenizer.mask_token_id is not None:
        return ["input token", "masked token"]
    return ["input token"]


def _labelled(samples: Sequence[TextInput], of: Of) -> dict[tuple[int, int], int]:
    """Every place that has a label, and the label: the token there, or the next one."""
    found: dict[tuple[int, int], int] = {}
    for n, one in enumerate(samples):
        ids, ours = one.input.ids, set(one.ours.tolist())
        if of == "next token":
            # A special token (the end) is not what a stream is asked to tell.
            found |= {(n, at): ids[at + 1] for at in sorted(ours) if at + 1 in ours}
        else:
            found |= {(n, at): ids[at] for at in sorted(ours)}
    return found


def _drawn(labelled: dict[tuple[int, int], int], types: Sequence[int], seed: int) -> Places:
    """OCCURRENCES places of every type, in the order of the texts."""
    draw = np.random.default_rng(seed)
    by_type: dict[int, Places] = {id: [] for id in types}
    for place, id in labelled.items():
        if id in by_type:
            by_type[id].append(place)
    chosen = [some[i] for some in by_type.values() for i in draw.permutation(len(some))[:OCCURRENCES].tolist()]
    return sorted(chosen)


def _streams(scope: Scope, samples: Sequence[TextInput], places: Places, masked: bool) -> Tensor:
    """The residual stream [level, sample, d_model] at places; `masked`: with the token there replaced by the mask."""
    by_text: dict[int, list[int]] = {}
    for n, at in places:
        by_text.setdefault(n, []).append(at)
    found = [part for n, ats in by_text.items() for part in _of_text(scope, samples[n], ats, masked)]
    return torch.cat(found, 1)


def _of_text(scope: Scope, one: TextInput, ats: Sequence[int], masked: bool) -> Iterator[Tensor]:
    opened = scope.bench.opened
    # As in training: a text with most of its tokens under the mask is none that the model has learnt to read.
    size = max(1, int(_MASKED * len(one.ours))) if masked else len(ats)
    for start in range(0, len(ats), size):
        some, ids = ats[start : start + size], list(one.input.ids)
        if masked:
            for at in some:
                ids[at] = opened.names.tokenizer.mask_token_id
        stream = opened.streams([replace(one.input, ids=ids)])[0][:, some]
        if not bool(stream.isfinite().all()):
            raise ModelError(
                f"{type(opened.model).__name__} computes a residual stream that is not finite: try another dtype."
            )
        yield stream


def _own(
    scope: Scope, samples: Sequence[TextInput], places: Places, stream: Tensor
) -> tuple[tuple[float, ...], tuple[Estimate[float], ...]]:
    """The median rank of the own input embedding by level, and the area above the ranks with its interval."""
    vocabulary = scope.bench.vocabulary
    ids = torch.tensor([samples[n].input.ids[at] for n, at in places])
    stood = {n: vocabulary.feed.spots([samples[n].input.ids])[0] for n in {n for n, _ in places}}
    spots = [stood[n][at] for n, at in places] if vocabulary.has_positions else None
    ranks = walk(vocabulary, stream, ids, spots, k=1).rank  # (level, sample)
    _, area = told(ranks[..., None], vocabulary.size)
    documents, groups = np.unique([samples[n].group for n, _ in places], return_inverse=True)
    figures = tuple(mean_by(groups, len(documents), level.numpy()).estimate for level in area)
    known: list[NDArray[np.int64]] = [level[level > 0].numpy() for level in ranks]
    return tuple(float(np.median(level)) for level in known), figures
