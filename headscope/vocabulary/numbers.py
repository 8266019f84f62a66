"""The numbers of layers whose rows are not held, kept on disk: from the second start on, none is computed.

Their names say what they are of, to the last bit: the weights, the layer's matrix and its bias. A matrix is measured
anew by every process, so that whatever changes it (an adapter, a hook) is seen, and finds other numbers.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.keep.tensors import Tensors
from headscope.neighbors.shared import Numbers
from headscope.vocabulary.closed_form import ClosedForm

log = logging.getLogger(__name__)
_BUDGET = 4 * 2**30  # bytes on disk, of all models
_FORMAT = b"1"


class KeptNumbers:
    """The numbers of one model's closed forms."""

    def __init__(self, weights_sha256: str) -> None:
        self._weights = weights_sha256
        self._files = Tensors("numbers", _BUDGET)

    def get(self, form: ClosedForm) -> Numbers | None:
        """The numbers of a closed form; None: not there, or damaged."""
        found = self._files.get(self._name(form), self._shape(form))
        return None if found is None else Numbers.unpacked(found.to(form.matrix.device))

    def of(self, form: ClosedForm) -> Numbers:
        """The numbers of a closed form, made where they are not there."""
        found = self.get(form)
        if found is None:
            found = form.numbers()
            with contextlib.suppress(OSError, InputError):  # no room, or no cache: they are made again another time
                self._files.put(self._name(form), found.packed().cpu())
        return found

    def _shape(self, form: ClosedForm) -> tuple[int, ...]:
        assert form.stem is not None, "without one no vectors are shared"
        return 2 if form.bias.any() else 1, len(form.bias), len(form.stem.squares)

    def _name(self, form: ClosedForm) -> str:
        key = hashlib.sha256(_FORMAT + self._weights.encode())
        for part in (form.matrix, form.bias):
            key.update(_bytes_of(part))
        return key.hexdigest()[:32]


def _bytes_of(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().view(torch.uint8).numpy().reshape(-1).data
