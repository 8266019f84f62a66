"""A tokenizer that is used and left as it was: transformers sets how it cuts and pads anew at every call, for good."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from transformers import PreTrainedTokenizerBase

_ONE = threading.Lock()  # or another thread's settings would be taken for the owner's, and kept


@contextmanager
def untouched(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """A context behind which the tokenizer cuts and pads as before; one written in Python holds no such settings."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        yield
        return
    with _ONE:
        truncation, padding = backend.truncation, backend.padding
        try:
            yield
        finally:
            if backend.truncation != truncation:
                backend.no_truncation() if truncation is None else backend.enable_truncation(**truncation)
            if backend.padding != padding:
                backend.no_padding() if padding is None else backend.enable_padding(**padding)
