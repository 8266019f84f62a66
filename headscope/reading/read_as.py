"""What tells a reading from every other, in a few words that a file can hold: a reading itself holds its model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from torch import Tensor, uint8

from headscope.model.capture.edits import Edits
from headscope.reading.captured import Captured


@dataclass(frozen=True)
class ReadAs:
    """What a model was given, and which model: two readings that have it in common have read the same alike.

    Of tokens, tensors and what an encoder read there is a SHA-256; of a function that edits, that it is one.
    """

    tokens: str
    mask: str
    edits: tuple[tuple[str, str], ...]
    context: str
    model: tuple[str, ...]


def read_as(captured: Captured) -> ReadAs:
    """What a reading was given, and by whom it was read."""
    given, card = captured.input, captured.bench.card
    return ReadAs(
        _sum_of(repr((list(given.ids), list(given.types))).encode()),
        given.mask,
        tuple((repr(place), _replacement(what)) for place, what in given.edit.items()),  # in their order
        _sum_of(repr(given.context).encode()),
        (type(captured.bench).__qualname__, card.weights_sha256, card.dtype, card.arithmetic),
    )


def functions_of(edits: Edits) -> list[object]:
    """Those of the edits that are functions, which are told apart only while they are there."""
    return [what for what in edits.values() if not isinstance(what, (str, Tensor))]


def _replacement(what: object) -> str:
    if not isinstance(what, Tensor):
        return what if isinstance(what, str) else "function"
    plain = (what.detach() + 0).cpu().contiguous()  # there is one zero
    return f"{plain.dtype} {list(plain.shape)} {_sum_of(plain.view(uint8).numpy().tobytes())}"


def _sum_of(what: bytes) -> str:
    return hashlib.sha256(what).hexdigest()
