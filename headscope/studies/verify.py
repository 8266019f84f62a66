"""Every identity that a model must obey, run on that model: a verdict that a reader can trust."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from headscope.errors import HeadscopeError
from headscope.model.capture.capture import is_by_name
from headscope.model.capture.dissect import dissect
from headscope.model.capture.runner import Text
from headscope.model.feed.projections import measure_projections, normalised_error
from headscope.model.surroundings import settled
from headscope.question.choices import Mask
from headscope.question.given import hearing
from headscope.reading.bench import Bench
from headscope.scope import Scope, a_scope

# Float32 arithmetic in another order; half-precision models are held to what their own arithmetic gives.
_EXACT, _HALF = 1e-4, 0.1
_PLACE = 1  # the position at which encodings are checked


@dataclass(frozen=True)
class Check:
    """One identity: what was found, and whether it holds (None: it does not apply, and `found` says why)."""

    name: str
    holds: bool | None
    found: str


@dataclass(frozen=True, repr=False)
class Verdict:
    """The checks of one model, in the order in which they were run."""

    model: str
    capture: str  # "by name" or "watched"
    checks: tuple[Check, ...]

    def __repr__(self) -> str:
        said = {True: "holds", False: "does not hold", None: "does not apply"}
        lines = (f"  {check.name}: {said[check.holds]} ({check.found})" for check in self.checks)
        return "\n".join(
            [f"Verdict on {self.model}: {'every identity' if self.holds else 'not every identity'} holds", *lines]
        )

    @property
    def holds(self) -> bool:
        """Whether no check failed."""
        return all(check.holds is not False for check in self.checks)


@settled
def verify(scope: Scope, progress: Callable[[str], None] | None = None) -> Verdict:
    """Run every check on an opened model; a check that raises has failed."""
    say = hearing(progress) or (lambda name: None)
    bench, checks = a_scope(scope).bench, []
    for name, run in _CHECKS:
        say(name)
        try:
            checks.append(run(bench, name))
        except HeadscopeError as error:
            checks.append(Check(name, False, str(error)))
    by_name = is_by_name(bench.opened.model)
    return Verdict(bench.card.name, "by name" if by_name else "watched", tuple(checks))


def _capture(bench: Bench, name: str) -> Check:
    error = dissect(bench.opened.model, bench.opened.probe).capture_error
    return Check(name, error <= _limit(bench), f"error {error:.1e}")


def _alone(bench: Bench, name: str) -> Check:
    opened = bench.opened
    if opened.anatomy.sinks:
        return Check(name, None, "attention sinks take a share, so z is shorter than the encoding")
    worst = 0.0
    for id in opened.probe[0, :4].tolist():
        z = opened.run([Text([id])])[0].z[0, 0]  # (head, d_head)
        v = opened.feed.vectors(torch.tensor([id]), 0, _place(bench, 0))[0].cpu()
        own = v.repeat_interleave(z.shape[0] // v.shape[0], dim=0)
        worst = max(worst, float((z - own).abs().amax() / own.abs().amax()))
    return Check(name, worst <= _limit(bench), f"error {worst:.1e}")


def _place(bench: Bench, position: int) -> tuple[torch.Tensor, ...] | None:
    opened = bench.opened
    return opened.feed.place(position) if opened.positions.modules else None


def _encodings(bench: Bench, name: str) -> Check:
    """What is searched, table and place together, beside the model's own values of a few tokens, layer by layer."""
    feed, layers = bench.opened.feed, range(bench.card.layers)
    ids, spot = bench.opened.probe[0], feed.spot(_PLACE)
    slow, worst = [], 0.0
    for layer in layers:
        encoded = bench.encodings.encoded("value", "layer", layer, spot)
        model = feed.vectors(ids, layer, spot.rows)
        got = encoded.rows(ids.to(encoded.table.device)).cpu()
        error = float((got - model.cpu().double()).abs().amax() / model.abs().amax())
        worst = max(worst, error if error == error else float("inf"))
        slow += [layer] if encoded.way == "model" else []
    found = f"by the model itself at layers {', '.join(map(str, slow))}, which is slower" if slow else ""
    found = found or f"closed form at all {len(layers)} layers"
    return Check(name, worst <= _EXACT + bench.opened.anatomy.arithmetic.allowance, f"{found}, error {worst:.1e}")


def _projections(bench: Bench, name: str) -> Check:
    """W_V of the first and the last layer, each found or proved to be no one matrix."""
    feed, notes = bench.opened.feed, []
    normalised: list[float] = []
    for layer in sorted({0, bench.card.layers - 1}):
        weights = measure_projections(feed, layer)
        if weights.v is None:
            error = normalised_error(feed, layer, "v")
            if not error <= _EXACT + bench.opened.anatomy.arithmetic.allowance:  # as exact as a matrix has to be
                return Check(name, False, f"W_V was not found at layer {layer}: {' '.join(weights.notes)}")
            normalised.append(error)
        notes += [note for note in weights.notes if note not in notes]
    if normalised:
        found = f"v is normalised on its way, as proved (error {max(normalised):.1e}): W_V is no one matrix"
        return Check(name, None, found)
    return Check(name, True, " ".join(notes) or "W_Q, W_K, W_V and W_O found")


def _mask(mask: Mask) -> Callable[[Bench, str], Check]:
    def check(bench: Bench, name: str) -> Check:
        bench.opened.proved.discard(mask)  # a reading may have proved it before; here it is proved anew
        bench.opened.prove_mask(mask)
        seen = "moved" if mask == "full" else "left alone"
        return Check(name, True, f"earlier tokens are {seen} when a later one changes")

    return check


def _padding(bench: Bench, name: str) -> Check:
    opened = bench.opened
    most = opened.positions.together  # longer texts are not padded to one length: the model would read them otherwise
    text, other = opened.probe[:, :most].tolist()  # another text beside it: of the same, what leaked would be no other
    short = Text(text[: max(1, len(text) // 2)])
    if most is not None and len(other) < 2:
        return Check(
            name, None, "texts of different lengths are not padded to one: the model would read them otherwise"
        )
    alone, together = opened.run([short])[0].z, opened.run([Text(other), short])[1].z
    error = float((alone - together).abs().amax() / alone.abs().amax())
    return Check(name, error <= _limit(bench), f"error {error:.1e}")


def _limit(bench: Bench) -> float:
    return (_EXACT if bench.card.dtype == "float32" else _HALF) + bench.opened.anatomy.arithmetic.allowance


_CHECKS: tuple[tuple[str, Callable[[Bench, str], Check]], ...] = (
    ("z = Σ α v, and Σ z W_O + b_O is what the projection returns", _capture),
    ("a text of one token writes its own encoding at layer 0", _alone),
    ("vocabulary encodings agree with the model", _encodings),
    ("projections per head", _projections),
    ("mask full", _mask("full")),
    ("mask causal", _mask("causal")),
    ("padded batches equal single texts", _padding),
)
