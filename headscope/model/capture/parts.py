"""What a model consists of, gone through once for all that a pass or a look asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from headscope.model.capture.versions import has_own_table, hides_by_itself


@dataclass(frozen=True)
class Parts:
    """The modules of a model, each once and the model first, and their configurations, as they were found."""

    modules: list[nn.Module]
    configs: list[PreTrainedConfig]

    @classmethod
    def of(cls, model: nn.Module) -> Parts:
        """What there is in `model` now."""
        modules = modules_of(model)
        return cls(modules, _configs_of(modules))

    @property
    def model(self) -> nn.Module:
        """The model itself."""
        return self.modules[0]

    @property
    def take_attention_by_name(self) -> bool:
        """Whether all look their attention function up in transformers' AttentionInterface."""
        return self._can_be_named and not self.are_open_in_eager

    @property
    def are_open_in_eager(self) -> bool:
        """Whether attention is computed in the open under the name "eager" alone, as in older versions."""
        own = any(has_own_table(one) for one in self.modules if isinstance(one, PreTrainedModel))
        return own or (self._can_be_named and any(map(hides_by_itself, self.modules)))

    @property
    def _can_be_named(self) -> bool:
        return all(one._can_set_attn_implementation() for one in self.modules if isinstance(one, PreTrainedModel))

    def held(self) -> list[dict[str, Any]]:
        """All dictionaries in which modules and configurations hold something that a pass may change."""
        own = [one.__dict__ for one in (*self.modules, *self.configs)]
        return own + [inside for one in self.modules for inside in (one._modules, one._buffers) if inside]


def modules_of(model: nn.Module) -> list[nn.Module]:
    """What `model.modules()` has, in another order and several times as fast: every reading goes through it."""
    found: dict[int, nn.Module] = {id(model): model}
    waiting = [model]
    while waiting:
        for child in waiting.pop()._modules.values():
            if child is not None and id(child) not in found:
                found[id(child)] = child
                waiting.append(child)
    return list(found.values())


def _configs_of(modules: list[nn.Module]) -> list[PreTrainedConfig]:
    """The configurations of a model's modules, each once, with those that stand inside another.

    Of every module: not all hold the configuration that the model around them has (EncoderDecoderModel).
    """
    found: dict[int, PreTrainedConfig] = {}
    held = [module.__dict__.get("config") for module in modules]
    waiting = [config for config in held if isinstance(config, PreTrainedConfig)]
    while waiting:
        config = waiting.pop()
        if id(config) not in found:
            found[id(config)] = config
            waiting += [part for part in vars(config).values() if isinstance(part, PreTrainedConfig)]
    return list(found.values())
