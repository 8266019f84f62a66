"""A reading's own pass, held against the closed forms that are kept.

What the norm before an attention made at the first position of the text, and the q, k and v that were used there, are
one more sample of the map that each closed form is. So every reading tries the forms out at no further run of the
model, and sees what cannot be seen from outside: a hook or a function of the user's that does something else than
before.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from headscope.model.capture.anatomy import hidden_input
from headscope.model.capture.heads import HeadTensors
from headscope.model.capture.passes import is_recorded
from headscope.model.capture.precision import HALF
from headscope.vocabulary.closed_form import ClosedForm, Station

_MISSES = 1e-3  # of the largest |v|: a pass in float32 stays far below, also where the stream is large
_MISSES_HALF = 0.1
_STALE = 1e-4


class Witness:
    """Closed forms, and what one recorded pass shows of them at the first position of its first text."""

    def __init__(self, forms: Sequence[ClosedForm], embeddings: nn.Module) -> None:
        self._forms, self._embeddings = forms, embeddings
        self.embedded: Tensor | None = None  # what the pass took for its tokens: [text, position, d]
        self._seen: dict[Station, Tensor] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks where the forms begin, for the pass inside."""
        with ExitStack() as hooks:
            hooks.callback(self._embeddings.register_forward_hook(self._embed).remove)
            for station in {form.station for form in self._forms}:
                if station.returns:
                    hooks.callback(station.module.register_forward_hook(self._returned(station)).remove)
                else:
                    hook = station.module.register_forward_pre_hook(self._given(station), with_kwargs=True)
                    hooks.callback(hook.remove)
            yield

    def _embed(self, module: nn.Module, args: Any, output: Tensor) -> None:
        if is_recorded() and self.embedded is None:
            self.embedded = output.detach().clone()

    def _returned(self, station: Station) -> Callable[..., None]:
        counter = itertools.count()

        def hook(module: nn.Module, args: Any, output: Tensor) -> None:
            if is_recorded() and next(counter) == station.nth:
                self._seen[station] = output[0, :1].detach().clone()

        return hook

    def _given(self, station: Station) -> Callable[..., None]:
        counter = itertools.count()

        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if is_recorded() and next(counter) == station.nth:
                given = hidden_input(tuple(x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)))
                self._seen[station] = given[0, :1].detach().clone()

        return hook

    def denied(self, heads: HeadTensors) -> list[ClosedForm]:
        """The forms that do not give what the pass did, and that the model itself no longer gives either."""
        return [form for form in self._forms if self._misses(form, heads) and is_stale(form)]

    def _misses(self, form: ClosedForm, heads: HeadTensors) -> bool:
        given = self._seen.get(form.station)
        if given is None or given.shape[-1] != len(form.zero):  # a projection stands between (ALBERT, ELECTRA)
            return False
        expected: Tensor = getattr(heads, form.part)[form.layer][0]  # (head, d_head)
        got = form.of_norm(given.float().to(form.matrix.device))[0].cpu()
        tolerance = _MISSES_HALF if form.feed.model.dtype in HALF else _MISSES
        tolerance += form.feed.anatomy.arithmetic.allowance
        return not bool(torch.dist(got, expected, torch.inf) <= tolerance * expected.abs().amax())


def is_stale(form: ClosedForm) -> bool:
    """Whether the model encodes some plain tokens otherwise than a form does, at no position."""
    feed, ids = form.feed, form.feed.plain_tokens
    expected = feed.vectors(ids, form.layer, None, form.part).double()
    got = form.encode(ids)
    tolerance = _STALE + feed.anatomy.arithmetic.allowance
    return not bool((got - expected).abs().amax() <= tolerance * expected.abs().amax())
