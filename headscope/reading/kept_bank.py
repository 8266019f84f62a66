"""A bank's outputs on disk: what the model read in one process, another one looks at once, and holds against the model.

Their names say which weights they are of, which tokens they stand at, and under which versions they were read. What is
not known (a hook, an adapter's scale) is seen by who reads them (`bank`): on the texts that the model reads anew.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from importlib.metadata import version

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.keep.tensors import Tensors
from headscope.question.choices import Mask
from headscope.reading.bench import Bench

_BUDGET = 2 * 2**30  # bytes on disk, of all models
_FORMAT = 1
_SAME = 1e-3  # of a head's largest number: what float32 on another machine stays below, another model does not


class KeptOutputs:
    """Outputs [output, layer, head, d_head] of one bank, a file a layer."""

    def __init__(self, bench: Bench, mask: Mask, tokens: list[list[tuple[int, int]]]) -> None:
        """`tokens`: position and id of every output, of each text."""
        made_by = type(bench), type(bench.opened.model), bench.opened.model.dtype
        versions = version("transformers"), torch.__version__
        key = f"{_FORMAT} {bench.card.weights_sha256} {made_by} {versions} {mask} {tokens}"
        self._name = hashlib.sha256(key.encode()).hexdigest()[:32]
        self._files, self._outputs = Tensors("banks", _BUDGET), sum(map(len, tokens))

    def get(self, shape: Sequence[int]) -> Tensor | None:
        """The outputs, `shape` [layer, head, d_head] each; None: not there, or damaged."""
        layers = []
        for layer in range(shape[0]):
            found = self._files.get(f"{self._name}-{layer}", (self._outputs, *shape[1:]))
            if found is None:
                return None
            layers.append(found)
        return torch.stack(layers, 1)  # (output, L, H, d_head)

    def put(self, z: Tensor) -> None:
        """Keep the outputs, where there is room."""
        with contextlib.suppress(OSError, InputError):  # no room, or no cache: the texts are read again another time
            for layer, outputs in enumerate(z.unbind(1)):
                self._files.put(f"{self._name}-{layer}", outputs)


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two readings of the same outputs [output, layer, head, d_head] are alike in every head."""
    return bool(((one - other).abs().amax((0, 3)) <= _SAME * other.abs().amax((0, 3))).all())
