"""Which adapters of a model act, as PEFT keeps them in its layers."""

from __future__ import annotations

from typing import Any

from torch import nn

from headscope.model.capture.parts import modules_of


def state(module: nn.Module) -> str:
    """Which adapters of a PEFT layer act, and how strongly; empty for any other module."""
    if "_disable_adapters" not in module.__dict__:
        return ""
    if module.disable_adapters:
        return f"off, merged {module.merged_adapters}"
    return f"{module.active_adapters} {getattr(module, 'scaling', None)}, merged {module.merged_adapters}"


def named(name: str, model: nn.Module) -> str:
    """A model's name with its adapters: those that act, or that none does; the name alone where there are none."""
    layers: list[Any] = [module for module in modules_of(model) if "_disable_adapters" in module.__dict__]
    if not layers:
        return name
    acting = sorted({str(one) for layer in layers if not layer.disable_adapters for one in layer.active_adapters})
    if not acting:
        return f"{name}, its adapters off"
    return f"{name} + adapter{'s' if len(acting) > 1 else ''} {', '.join(acting)}"
