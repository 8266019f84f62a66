"""Closed forms on disk: what took a process long to measure, another one looks at once, and holds against the model.

Their names say which weights they are of, and under which versions they were measured. Whatever else changes what a
layer computes is seen by who reads them (`forms`): on a few tokens that the model runs anew.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from importlib.metadata import version

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.keep.tensors import Tensors
from headscope.model.capture.norms import Norm
from headscope.model.feed.feed import Feed
from headscope.model.feed.runs import Part
from headscope.vocabulary.closed_form import ClosedForm
from headscope.vocabulary.stem import Stem

_BUDGET = 2 * 2**30  # bytes on disk, of all models
_FORMAT = 1
_HEAD = 5  # numbers before those of the matrices: error, and the norm's place, call, kind and eps


@dataclass(frozen=True)
class MeasuredForm:
    """A closed form of layer 0's stem as it was measured, and proved with an error; the norm that it begins with."""

    matrix: Tensor
    bias: Tensor
    weight: Tensor
    zero: Tensor
    norm: Norm | None
    error: float

    @classmethod
    def of(cls, form: ClosedForm, error: float) -> MeasuredForm:
        """What there is of a closed form."""
        norm = form.feed.norm(form.layer, form.part)
        return cls(form.matrix, form.bias, form.weight, form.zero, norm, error)

    def form(self, feed: Feed, layer: int, part: Part, stem: Stem) -> ClosedForm:
        """The closed form."""
        return ClosedForm(feed, layer, part, stem, self.matrix, self.bias, self.weight, self.zero)


class KeptForms:
    """The closed forms of one model that share the stem of layer 0."""

    def __init__(self, feed: Feed, weights_sha256: str) -> None:
        embeddings = type(feed.model.get_input_embeddings())
        model = (type(feed.model), embeddings, feed.model.dtype, version("transformers"), torch.__version__)
        # One file of weights may hold several stacks (T5).
        names, self._modules = zip(*feed.model.named_modules(), strict=True)
        self._key = f"{_FORMAT} {weights_sha256} {model} {names}"
        self._feed, self._files = feed, Tensors("forms", _BUDGET)

    def get(self, layer: int, part: Part) -> MeasuredForm | None:
        """What was measured of a layer; None: not there, or damaged."""
        width, heads, d_head = self._shape(layer, part)
        sizes = [_HEAD, heads * width * d_head, heads * d_head, width * heads * d_head, width]
        found = self._files.get(self._name(layer, part), (sum(sizes),))
        if found is None:
            return None
        head, matrix, bias, weight, zero = found.to(self._feed.device).split(sizes)
        error, at, nth, centres, eps = head.tolist()
        norm = None if at < 0 else Norm(self._modules[int(at)], int(nth), bool(centres), float(f"{eps:.2g}"))
        return MeasuredForm(
            matrix.view(heads, width, d_head), bias.view(heads, d_head), weight.view(width, heads * d_head), zero,
            norm, error,
        )  # fmt: skip

    def put(self, layer: int, part: Part, found: MeasuredForm) -> None:
        """Keep what was measured, where there is room."""
        at = [-1.0, 0.0, 0.0, 0.0]
        if found.norm is not None:
            place = next(n for n, module in enumerate(self._modules) if module is found.norm.module)
            at = [float(place), float(found.norm.nth), float(found.norm.centres), found.norm.eps]
        parts = [torch.tensor([found.error, *at]), found.matrix, found.bias, found.weight, found.zero]
        with contextlib.suppress(OSError, InputError):  # no room, or no cache: it is measured again another time
            self._files.put(self._name(layer, part), torch.cat([part.flatten().cpu() for part in parts]))

    def _shape(self, layer: int, part: Part) -> tuple[int, int, int]:
        block = self._feed.anatomy.blocks[layer]
        heads = block.heads if part == "q" else block.kv_heads
        return self._feed.anatomy.d_model, heads, block.d_head

    def fits(self, layer: int, part: Part, form: ClosedForm) -> bool:
        """Whether a form can be kept: where nothing stands between the embeddings and d_model numbers."""
        width, heads, d_head = self._shape(layer, part)
        return tuple(form.matrix.shape) == (heads, width, d_head)

    def _name(self, layer: int, part: Part) -> str:
        return hashlib.sha256(f"{self._key} {part} {layer}".encode()).hexdigest()[:32]
