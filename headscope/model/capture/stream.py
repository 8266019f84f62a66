"""The residual stream between the blocks: recorded, and replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from headscope.model.capture.anatomy import Anatomy, hidden_input, hidden_output
from headscope.model.capture.edits import Edits, edited_stream, layers_of_stream
from headscope.model.capture.passes import Attend, Attended, Recorder, is_recorded_by


class StreamRecorder:
    """Keeps what each block of a pass over texts of these `lengths` gets, and what the last one returns.

    `beside`: who sees the attention calls of that pass.
    """

    def __init__(self, anatomy: Anatomy, lengths: list[int], beside: Recorder) -> None:
        self._lengths, self._beside = lengths, beside
        self._modules = {block.module for block in anatomy.blocks}
        self._blocks = len(anatomy.blocks)
        self._seen = 0
        self._streams: list[Tensor] = []

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Attended:
        return self._beside.attend(layer, q, k, v, attend)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on the blocks, for the pass inside."""
        with ExitStack() as hooks:
            for module in self._modules:
                hooks.callback(module.register_forward_pre_hook(self._enter, with_kwargs=True).remove)
                hooks.callback(module.register_forward_hook(self._leave).remove)
            yield

    def streams(self) -> list[Tensor]:
        """float32 [layer + 1, position, d_model] of each text, without its padding, on the CPU.

        The last row is what the last block returned.
        """
        assert self._seen == self._blocks + 1, "the pass has run"
        return self._streams

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if is_recorded_by(self):
            given = tuple(x for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
            self._keep(hidden_input(given))

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if is_recorded_by(self) and self._seen == self._blocks:  # of the others, the next one gets it
            self._keep(hidden_output(output))

    def _keep(self, stream: Tensor) -> None:
        if not self._streams:
            self._streams = [torch.empty(self._blocks + 1, length, stream.shape[-1]) for length in self._lengths]
        together = stream.detach().to("cpu", torch.float32)
        for row, (kept, length) in enumerate(zip(self._streams, self._lengths, strict=True)):
            kept[self._seen] = together[row, :length]
        self._seen += 1


@contextmanager
def stream_replaced(
    anatomy: Anatomy, recorder: Recorder, edits: Sequence[Edits], lengths: Sequence[int]
) -> Iterator[None]:
    """In the recorder's pass inside, blocks return what `edits` put in the place of the residual stream.

    Whoever watches a block sees what it passes on.
    """
    with ExitStack() as hooks:
        for module in {anatomy.blocks[layer].module for layer in layers_of_stream(edits)}:
            layers = {block.nth: layer for layer, block in enumerate(anatomy.blocks) if block.module is module}
            hook = _replacing(layers, recorder, edits, lengths)
            hooks.callback(module.register_forward_hook(hook, prepend=True).remove)
        yield


def _replacing(
    layers: dict[int, int], recorder: Recorder, edits: Sequence[Edits], lengths: Sequence[int]
) -> Callable[..., Any]:
    """A forward hook of a module that is called once for each of `layers` (by its count of calls)."""
    calls = 0

    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        nonlocal calls
        if not is_recorded_by(recorder):
            return None
        layer = layers[calls]
        calls += 1
        hidden = edited_stream(hidden_output(output), layer, edits, lengths)
        return type(output)((hidden, *output[1:])) if isinstance(output, (tuple, list)) else hidden

    return hook
