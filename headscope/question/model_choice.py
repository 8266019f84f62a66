"""Which model is to be opened, and how: what a command's options and a request for a model say alike."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PACKED = re.compile(r"(.*\S) \((4bit|8bit)\)", re.DOTALL)


@dataclass(frozen=True)
class ModelChoice:
    """A model to open. Every field is what `Scope.from_pretrained` takes under this name, which also checks it."""

    name: str | None = None
    revision: str | None = None
    adapter: str | None = None
    stack: str | None = None
    device: str = "auto"
    dtype: str | None = None
    quantize: str | None = None

    @property
    def spelled(self) -> str | None:
        """Name, adapter and packing in one line, which a link can hold and `of_spelling` takes apart again.

        >>> ModelChoice("demo", adapter="tuned", quantize="4bit").spelled
        'demo + tuned (4bit)'
        """
        return spelled(" + ".join(part for part in (self.name, self.adapter) if part), self.quantize) or None

    @classmethod
    def of_spelling(cls, name: str) -> ModelChoice:
        """The choice that a line spells. A directory whose own name ends so is told from it by a slash behind it.

        >>> ModelChoice.of_spelling("demo (8bit)")
        ModelChoice(name='demo', revision=None, adapter=None, stack=None, device='auto', dtype=None, quantize='8bit')
        """
        found = _PACKED.fullmatch(name)
        return cls(name) if found is None else cls(found[1], quantize=found[2])


def spelled(name: str, quantize: str | None) -> str:
    """A model's name with how its weights are packed on loading.

    >>> spelled("demo", None), spelled("demo", "8bit")
    ('demo', 'demo (8bit)')
    """
    return f"{name} ({quantize})" if quantize else name
