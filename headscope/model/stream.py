"""The residual stream of a text, between the blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from headscope.model.anatomy import Anatomy, hidden_input, hidden_output
from headscope.model.passes import Attend, is_recorded_by


class StreamRecorder:
    """Keeps what each block of a pass over one text gets, and what the last one returns."""

    def __init__(self, anatomy: Anatomy) -> None:
        self._modules = {block.module for block in anatomy.blocks}
        self._given: list[Tensor] = []
        self._returned: Tensor | None = None

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> tuple[Tensor, Tensor]:
        return attend()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on the blocks, for the pass inside."""
        with ExitStack() as hooks:
            for module in self._modules:
                hooks.callback(module.register_forward_pre_hook(self._enter, with_kwargs=True).remove)
                hooks.callback(module.register_forward_hook(self._leave).remove)
            yield

    def stream(self) -> Tensor:
        """float32 [layer + 1, position, d_model], on the CPU; the last row is what the last block returned."""
        assert self._returned is not None, "the pass has run"
        return torch.stack([*self._given, self._returned])

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if is_recorded_by(self):
            given = tuple(x for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
            self._given.append(hidden_input(given)[0].detach().to("cpu", torch.float32, copy=True))

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if is_recorded_by(self):
            self._returned = hidden_output(output)[0].detach().to("cpu", torch.float32, copy=True)
