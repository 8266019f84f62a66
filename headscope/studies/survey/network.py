"""Which network a survey measures: the model, or an untrained twin, which may be given the model's own attention."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.model.capture.edits import Edits
from headscope.question.choices import Mask
from headscope.reading.reading import Reading
from headscope.studies.survey.nulls import attends_as_model, seed_of

if TYPE_CHECKING:
    from headscope.scope import Scope

_SPOOLED = 2**27  # bytes of one text's attention, beyond which it is kept on disk


@dataclass(frozen=True)
class Network:
    """What is measured: a network, and under which `null` (None: it is the model, as it is).

    `attends_as`: every layer mixes its values by the attention of that network's, on the same text; None: by its own.
    """

    scope: Scope
    null: str | None = None
    attends_as: Scope | None = None

    @classmethod
    def of(cls, model: Scope, null: str | None) -> Network:
        """The model itself, or the twin that a null measures."""
        seed = None if null is None else seed_of(null)
        scope = model if seed is None else model.randomised(seed)
        return cls(scope, null, model if attends_as_model(null) else None)

    def read_many(self, texts: Sequence[str], mask: Mask, truncate: bool) -> list[Reading]:
        """Readings of several texts; what a decoder attends to in its encoder's text is never given."""
        if self.attends_as is None:
            return self.scope.read_many(texts, mask, truncate=truncate)
        edits = [_attention(one) for one in self.attends_as.read_many(texts, mask, truncate=truncate)]
        return self.scope.read_many(texts, mask, truncate=truncate, edits=edits)


def room(shape: tuple[int, ...]) -> Tensor:
    """Where a text's attention is kept until it was used: on disk, where it would take much memory.

    Raises InputError where the disk has no room for it.
    """
    size = 4 * math.prod(shape)
    if size < _SPOOLED:
        return torch.empty(shape)
    with tempfile.TemporaryFile() as file:  # the mapping keeps what has no name any more
        try:
            if hasattr(os, "posix_fallocate"):
                # All of it now: a disk that is full when the mapping is written to kills the process (SIGBUS).
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        except OSError as error:
            raise InputError(
                f"{tempfile.gettempdir()} does not take the attention of one text, {size / 2**20:,.0f} MiB "
                f"({error.strerror or error}): make room there, or set TMPDIR to a directory that has it. What is "
                "finished is kept."
            ) from None
        return torch.from_numpy(np.memmap(file, np.float32, "r+", shape=shape))


def _attention(reading: Reading) -> Edits:
    """The edit that puts a reading's attention into every layer."""
    layers, positions, heads, _ = reading.z.shape
    weights = room((layers, heads, positions, positions))
    for layer in range(layers):
        weights[layer] = reading.attended(layer).pattern
    return {(layer, "pattern"): weights[layer] for layer in range(layers)}
