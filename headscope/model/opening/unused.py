"""What a checkpoint and its model lack of each other: weights without a place, places without weights."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from headscope.errors import ModelError

# What stands on top of a model, and changes nothing below it.
_ON_TOP = re.compile(
    r"pool|cls|classif|head|score|predictions|qa_outputs|seq_relationship|logits|vocab_|^linear$|^dense$|^mtp"
)
# Buffers that hold nothing learnt, and that older versions of transformers wrote.
_BUFFERS = ("inv_freq", "position_ids", "masked_bias", "causal_mask")


@dataclass(frozen=True)
class Differences:
    """Names of parameters that the checkpoint has no values for, and of weights that the model has no place for."""

    model: PreTrainedModel
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    def beside(self, used: Collection[nn.Module]) -> tuple[str, ...]:
        """The unused weights that a reader should know of: neither in the way of a reading nor on top of the model.

        `used`: the modules that run up to the last layer's end. Raises ModelError where one of them lacks weights, or
        where the checkpoint has weights for it that it does not use.
        """
        kind = type(self.model).__name__
        adapters = [name for name in self.unused if "lora_" in name]
        if adapters:
            raise ModelError(
                f"the checkpoint holds an adapter that is not merged ({listed(adapters)}), and {kind} has no place for "
                "it: merge it (merge_and_unload) and save that."
            )
        lost = [name for name in self.missing if self.model.get_submodule(name.rpartition(".")[0]) in used]
        if lost:
            raise ModelError(
                f"the checkpoint has no values for {listed(lost)}, which {kind} needs: they would be random."
            )
        left = [name for name in self.unused if self._in_the_way(name, used)]
        if left:
            raise ModelError(
                f"the checkpoint has weights that {kind} has no place for, {listed(left)}: what would be read is not "
                "the model that they are of. Does its config.json belong to it?"
            )
        return self.below()

    def below(self) -> tuple[str, ...]:
        """The unused weights that are not of what stands on top of the model, such as a classifier's."""
        return tuple(name for name in self.unused if self._part(name)[1] or not _ON_TOP.search(self._below(name)))

    def _in_the_way(self, name: str, used: Collection[nn.Module]) -> bool:
        """Whether a weight is of a part of the model, below the model itself, in which something ran."""
        part, _ = self._part(name)
        return part is not None and any(module in used for module in part.modules())

    def _part(self, name: str) -> tuple[nn.Module | None, bool]:
        """The innermost module of the model that a weight is in, and whether the weight would be its own.

        None: it is in the model itself, or in no part of it.
        """
        for spelled in self._spellings(name):
            module: nn.Module = self.model
            steps = spelled.split(".")[:-1]
            while steps and steps[0] in dict(module.named_children()):
                module = module.get_submodule(steps.pop(0))
            if module not in (self.model, self.model.base_model):
                return module, not steps
        return None, False

    def _spellings(self, name: str) -> Iterator[str]:
        """A weight's name as this model may spell it: with or without the base model's prefix, and PEFT's."""
        prefix = f"{self.model.base_model_prefix}."
        for spelled in (name, name.removeprefix("base_model.model.")):
            yield from (spelled, spelled.removeprefix(prefix), prefix + spelled)

    def _below(self, name: str) -> str:
        """The part of the model, or of its base model, that a weight is in, by name."""
        return name.removeprefix(f"{self.model.base_model_prefix}.").partition(".")[0]


def listed(names: Collection[str]) -> str:
    """A few names, and how many more there are."""
    first = sorted(names)[:3]
    return ", ".join(first) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def is_learnt(name: str, stored: Any | None) -> bool:
    """Whether a stored tensor that a model has no place for holds learnt weights, not what it makes by itself.

    `stored` None: it has been renamed, so that its values are not known.
    """
    if name.rpartition(".")[2] in _BUFFERS:
        return False
    shape = [] if stored is None else stored.get_shape()
    if len(shape) < 2 or shape[-1] != shape[-2] or not name.endswith((".bias", ".mask")):
        return True
    values: Tensor = stored[:].float()  # type: ignore[index]
    return not bool((values == values.new_ones(values.shape).tril()).all())  # who sees whom
