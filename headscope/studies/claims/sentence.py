"""What was said of one sentence, asked of that sentence: S1 to S4, and B1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from headscope.errors import InputError
from headscope.question.choices import Mask
from headscope.reading.nearest import Neighbors
from headscope.reading.reading import Reading
from headscope.scope import Scope
from headscope.studies.claims.catalogue import OTHER, TEXT, TOKEN
from headscope.studies.claims.verdict import Arithmetic, Finding

HEADS = 12  # that the claim counts
HEAD = 7  # that is said to preserve the own token
FAR = 100  # an own rank beyond it is "comparatively far"
RANKS = {0: 1, 1: 1, 2: 1, 3: 2, 4: 1656, 5: 14, 6: 95, 7: 7014}  # B1, by layer
LAST, ABOUT = 17_000, 0.1  # B1: the last layer's, and how near "about" is
DEPTH = 12  # layers of the model that B1 was said of
ALONE = f'"{TOKEN}" can see only itself here, so its own token is the nearest whatever the heads do'


@dataclass(frozen=True)
class SentenceRead:
    """The sentence as a model reads it under one arithmetic; `token` None, with a reason, where there is no "Time"."""

    reading: Reading
    arithmetic: Arithmetic
    token: int | None
    reason: str

    @classmethod
    def read(cls, scope: Scope, arithmetic: Arithmetic, mask: Mask) -> SentenceRead:
        """Read it."""
        reading = scope.read(TEXT, mask)
        try:
            return cls(reading, arithmetic, reading.position_of(TOKEN), "")
        except InputError:
            return cls(reading, arithmetic, None, f'the tokenizer does not keep "{TOKEN}" as one token')

    @cached_property
    def sees(self) -> torch.Tensor:
        """What "Time" may see, in each layer: bool [layer, source]."""
        layers = range(len(self.reading.z))
        return torch.stack([self.reading.attended(layer).visible[self.token] for layer in layers])

    def alone(self, layers: Iterable[int]) -> bool:
        """Whether "Time" sees only itself in all of these layers."""
        return all(self.sees[layer].nonzero()[:, 0].tolist() == [self.token] for layer in layers)

    def findings(self) -> list[Finding]:
        """S1 to S4 under this arithmetic; of S3 the sentence's half, under the id `S3 sentence`."""
        if self.token is None:
            unasked = self._no("S3", self.reason)
            if self.reading.z.shape[2] > HEAD:  # texts can still be asked
                unasked = replace(unasked, ruling="undetermined")
            return [self._no("S1", self.reason), self._no("S2", self.reason), unasked, self._no("S4", self.reason)]
        first = self.reading.nearest(self.token, 0, reference="input", k=1)
        found = [*self._of_others(first), self._preserved(first)]
        if len(self.reading.z) < 2:
            return [*found, self._no("S4", "the model has one layer")]
        if self.alone(range(1, len(self.reading.z))):
            return [*found, self._no("S4", ALONE)]
        return found + [self._lost(reference) for reference in self._references]

    @property
    def _references(self) -> tuple[str, ...]:
        return ("input", "layer") if self.arithmetic == "right" else ("input",)

    def _no(self, id: str, reason: str) -> Finding:
        return Finding(id, self.arithmetic, None, "not applicable", f"{reason}.")

    def _of_others(self, near: Neighbors) -> list[Finding]:
        """S1 and S2."""
        tokens = self.reading.tokens
        # A place of the text, and not the label: labels carry signs of spaces and bytes.
        slices = [TEXT[slice(*token.span)] if token.span else None for token in tokens]
        places = [n for n, piece in enumerate(slices) if piece == OTHER]
        if not places:
            reason = f'the tokenizer does not keep "{OTHER}" as one token'
            return [self._no("S1", reason), self._no("S2", reason)]
        assert self.token is not None
        if not self.sees[0, places].any():
            reason = f'under this mask "{TOKEN}" sees nothing of "{OTHER}"'
            return [self._no("S1", reason), self._no("S2", reason)]
        # Any form of the word: in another case, with a leading space, as the continuation of a word.
        surfaces = self.reading.vocabulary.names.surfaces
        # Where all tokens tie none is the nearest.
        forms = (surfaces[near.ids[:, 0]] == surfaces[tokens[places[0]].id]) & (near.ranks[:, 0] > 0)  # (head,)
        heads, ranks = forms.nonzero()[:, 0].tolist(), near.own_rank[forms].tolist()
        figures = tuple(
            {"head": head, "nearest": near.names[int(id)].label, "own_rank": int(rank)}
            for head, (id, rank) in enumerate(zip(near.ids[:, 0], near.own_rank, strict=True))
        )
        count = f"{len(heads)} of {len(near.ids)} heads" + (f" (head {_listed(heads)})" if heads else "")
        if len(near.ids) == HEADS:
            ruled = "holds" if len(heads) == 4 else "contradicted"
            one = Finding("S1", self.arithmetic, None, ruled, f"{count}.", len(heads), figures=figures)  # type: ignore[arg-type]
        else:
            said = f"it was said of {HEADS} heads; here it is {count}."
            one = Finding("S1", self.arithmetic, None, "not applicable", said, len(heads), figures=figures)
        if not heads:
            return [one, self._no("S2", f'no head has "{OTHER}" nearest')]
        median = float(torch.tensor(ranks, dtype=torch.float64).quantile(0.5))
        told = f"median own rank {median:,.0f} in head {_listed(heads)} (ranks {_listed([f'{r:,}' for r in ranks])})."
        ruled = "holds" if median > FAR else "contradicted"
        return [one, Finding("S2", self.arithmetic, None, ruled, told, median, figures=figures)]  # type: ignore[arg-type]

    def _preserved(self, near: Neighbors) -> Finding:
        """The sentence's half of S3."""
        if len(near.ids) <= HEAD:
            return self._no("S3", f"the model has no head {HEAD}")
        if self.alone([0]):
            return self._no("S3", ALONE)
        rank = int(near.own_rank[HEAD])
        if not rank:
            return self._no("S3", f"head {HEAD} tells no token from another")
        others = [head for head in range(len(near.ids)) if int(near.own_rank[head]) == 1]
        told = f"own rank {rank:,} in head {HEAD}; rank 1 in {'head ' + _listed(others) if others else 'no head'}."
        return Finding("S3", self.arithmetic, None, "holds" if rank == 1 else "contradicted", told, rank)

    def _lost(self, reference: str) -> Finding:
        """S4."""
        layers = len(self.reading.z)
        assert self.token is not None
        ranks = torch.stack(
            [self.reading.nearest(self.token, layer, reference=reference, k=1).own_rank for layer in range(1, layers)]  # type: ignore[arg-type]
        )  # (layer − 1, head)
        kept = [f"L{layer + 1}H{head}" for layer, head in (ranks == 1).nonzero().tolist()]
        ranked = [some[some > 0] for some in ranks]  # a head that tells no token from another has none
        count = sum(map(len, ranked))
        if not count:
            return replace(self._no("S4", "no head tells a token from another"), reference=reference)
        told = f"own rank 1 in {len(kept)} of {count} heads" + (f": {_listed(kept)}." if kept else ".")
        figures = tuple(
            {"layer": layer, "least_own_rank": int(some.min()), "median_own_rank": float(some.double().quantile(0.5))}
            for layer, some in enumerate(ranked, start=1)
            if len(some)
        )
        ruled = "contradicted" if kept else "holds"
        return Finding("S4", self.arithmetic, reference, ruled, told, len(kept), figures=figures)  # type: ignore[arg-type]


def on_the_way(scope: Scope, mask: Mask) -> Finding:
    """B1: the rank of "Time" after every layer's attention, against its input embedding."""
    found = SentenceRead.read(scope, "right", mask)
    if found.token is None:
        return Finding("B1", "right", None, "not applicable", f"{found.reason}.")
    if found.alone(range(len(found.reading.z))):
        return Finding("B1", "right", None, "not applicable", f"{ALONE}.")
    ranks = found.reading.journey(k=1).own_rank[1::2, found.token].tolist()  # after each layer's attention
    figures: tuple[dict[str, Any], ...] = tuple(
        {"layer": layer, "own_rank": rank, "said": RANKS.get(layer, LAST if layer == DEPTH - 1 else None)}
        for layer, rank in enumerate(ranks)
    )
    told = f"ranks {_listed([f'{rank:,}' for rank in ranks])}"
    if len(ranks) != DEPTH:  # "the last" of another model is another layer
        told = f"it was said of a model with {DEPTH} layers; here {told}."
        return Finding("B1", "right", None, "not applicable", told, ranks[-1], figures=figures)
    same = all(ranks[layer] == rank for layer, rank in RANKS.items())
    last = abs(ranks[-1] - LAST) <= ABOUT * LAST
    return Finding(
        "B1", "right", None, "holds" if same and last else "contradicted", f"{told}.", ranks[-1], figures=figures
    )


def _listed(values: list[Any]) -> str:
    return ", ".join(map(str, values))
