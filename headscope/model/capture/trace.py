"""One forward pass watched module by module: the tree of its calls, with what each got and returned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from headscope.model.capture.passes import Attend, Attended, AttentionCall, is_recorded_by


@dataclass(eq=False)
class Call:
    """One call of one module in one forward pass."""

    module: nn.Module
    nth: int  # which call of this module in the pass, from 0
    inputs: tuple[Tensor, ...]  # its tensor arguments, positional ones first
    output: Any = None
    attentions: list[int] = field(default_factory=list)  # the attention calls inside it
    children: list[Call] = field(default_factory=list)


class Trace:
    """A recorder that also keeps the tree of module calls of one forward pass.

    Some models write over what a module returned (`+=`): copies of everything stay as they were. They take memory, so a
    pass over long texts goes without them in a model that was seen to write over nothing.
    """

    def __init__(self, copies: bool = True) -> None:
        self._copies = copies
        self._originals: list[tuple[Tensor, int]] = []  # and how often torch had seen each written to
        self.attentions: list[AttentionCall] = []
        self.paths: list[list[Call]] = []  # for each attention call, the module calls around it, outermost first
        self.calls: list[Call] = []  # in the order in which they began
        self._stack: list[Call] = []
        self._counts: dict[nn.Module, int] = {}

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Attended:
        for call in self._stack:
            call.attentions.append(layer)
        self.paths.append(list(self._stack))
        found = attend()
        self.attentions.append(AttentionCall(*(self._kept(x) for x in (q, k, v, found.pattern, found.z))))
        return found

    @property
    def written_over(self) -> bool:
        """Whether the model wrote over anything that was seen."""
        return any(tensor._version != version for tensor, version in self._originals)

    def _kept(self, tensor: Tensor) -> Tensor:
        if not self._copies:
            return tensor
        self._originals.append((tensor, tensor._version))
        return tensor.clone()

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        with ExitStack() as hooks:
            for module in model.modules():
                hooks.callback(module.register_forward_pre_hook(self._enter, with_kwargs=True).remove)
                hooks.callback(module.register_forward_hook(self._leave).remove)
            yield

    @property
    def inside(self) -> tuple[Call, ...]:
        """The calls that the pass is in just now, outermost first."""
        return tuple(self._stack)

    def calls_of(self, module: nn.Module) -> int:
        """How many calls of a module have begun."""
        return self._counts.get(module, 0)

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not is_recorded_by(self):
            return
        tensors = tuple(self._kept(x) for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
        nth = self._counts.get(module, 0)
        self._counts[module] = nth + 1
        call = Call(module, nth, tensors)
        if self._stack:
            self._stack[-1].children.append(call)
        self._stack.append(call)
        self.calls.append(call)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if not is_recorded_by(self):
            return
        if isinstance(output, (tuple, list)):
            output = tuple(self._kept(x) if isinstance(x, Tensor) else x for x in output)
        self._stack.pop().output = self._kept(output) if isinstance(output, Tensor) else output


def descendants(call: Call) -> Iterator[Call]:
    """The calls inside a call, in the order in which they began."""
    for child in call.children:
        yield child
        yield from descendants(child)
