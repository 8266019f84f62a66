"""A reading's own pass, held against the closed forms that are kept.

What a norm gets at the first position of the text, and the q, k and v that the attention then used, are one more sample
of the map that each closed form is. So every reading tries the forms out at no further run of the model, and sees what
cannot be seen from outside: a hook or a function of the user's that does something else than before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from headscope.model.anatomy import hidden_input
from headscope.model.heads import Captured
from headscope.model.passes import is_recorded
from headscope.model.precision import HALF
from headscope.vocabulary.closed_form import ClosedForm

_MISSES = 1e-3  # of the largest |v|: a pass in float32 stays far below, also where the stream is large
_MISSES_HALF = 0.1


class Witness:
    """Closed forms, and what one recorded pass shows of them at the first position of its first text."""

    def __init__(self, forms: Sequence[ClosedForm]) -> None:
        self._forms = forms
        self._seen: dict[tuple[nn.Module, int], Tensor] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks where the forms begin, for the pass inside."""
        wanted = {_station(form) for form in self._forms}
        with ExitStack() as hooks:
            for module in {module for module, _ in wanted}:
                hook = self._keep({nth for other, nth in wanted if other is module})
                hooks.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
            yield

    def _keep(self, calls: set[int]) -> Any:
        count = -1

        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            nonlocal count
            if not is_recorded():
                return
            count += 1
            if count in calls:
                given = hidden_input(tuple(x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)))
                self._seen[module, count] = given[0, :1].detach().clone()

        return hook

    def denied(self, heads: Captured) -> list[ClosedForm]:
        """The forms that do not give what the pass did, and that the model itself no longer gives either."""
        return [form for form in self._forms if self._misses(form, heads) and is_stale(form)]

    def _misses(self, form: ClosedForm, heads: Captured) -> bool:
        given = self._seen.get(_station(form))
        if given is None:
            return False
        expected: Tensor = getattr(heads, form.part)[form.layer][0]  # (head, d_head)
        got = form.of_stream(given.float().to(form.matrix.device))[0].cpu()
        tolerance = _MISSES_HALF if form.feed.model.dtype in HALF else _MISSES
        return not bool((got - expected).abs().amax() <= tolerance * expected.abs().amax())


def is_stale(form: ClosedForm) -> bool:
    """Whether the model encodes some plain tokens otherwise than a form does, at no position."""
    feed, ids = form.feed, form.feed.plain_tokens
    expected = feed.vectors(ids, form.layer, None, form.part).double()
    got = form.encode(ids, None if form.stem is None else torch.zeros_like(form.stem.rows[0]))
    return not bool((got - expected).abs().amax() <= 1e-4 * expected.abs().amax())


def _station(form: ClosedForm) -> tuple[nn.Module, int]:
    """Where a form begins: the norm before the attention, or where there is none the block."""
    norm, block = form.feed.norm(form.layer, form.part), form.feed.anatomy.blocks[form.layer]
    return (block.module, block.nth) if norm is None else (norm.module, norm.nth)
