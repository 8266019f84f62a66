"""A gate in a model: its runs are counted by the layer, and held at a step until somebody lets them on."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from headscope import Scope


class Gate:
    """Counts the attention calls of a model, and holds the one that it is set to; open when the block ends."""

    def __init__(self, scope: Scope) -> None:
        self.scope, self.steps = scope, 0
        self.reached, self._open = threading.Event(), threading.Event()
        self._at: int | None = None
        modules = {block.attention for block in scope.bench.opened.anatomy.blocks}
        self._hooks = [module.register_forward_pre_hook(self._step) for module in modules]
        assert scope.card  # looked at: the hooks are known, and no question has to try them
        self.steps = 0

    def close(self, after: int) -> None:
        """Hold the step after so many more."""
        self.reached.clear()
        self._open.clear()
        self._at = self.steps + after + 1

    def open(self) -> None:
        """Let the step on."""
        self._at = None
        self._open.set()

    def _step(self, *_: Any) -> None:
        self.steps += 1
        if self.steps == self._at:
            self.reached.set()
            self._open.wait(60)

    def __enter__(self) -> Gate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open()
        for hook in self._hooks:
            hook.remove()
