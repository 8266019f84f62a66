"""A model's table of token embeddings: how many there are, and which of them are numbers."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from headscope.errors import ModelError
from headscope.model.capture.capture import held
from headscope.model.capture.stored import device_of

ROWS = 1024  # embeddings at a time: what a core's cache holds


def rows_of(embeddings: torch.nn.Module) -> int:
    """How many embeddings a table has; 0 for what is none. An adapter's wrapper shows the weight of what it wraps."""
    weight = getattr(embeddings, "weight", None)
    return int(getattr(embeddings, "num_embeddings", 0)) or (len(weight) if isinstance(weight, Tensor) else 0)


def finite_ids(model: PreTrainedModel) -> Tensor:
    """The vocabulary ids whose embeddings are finite; ModelError for a table that returns something else."""
    embeddings = model.get_input_embeddings()
    ids = torch.arange(rows_of(embeddings), device=device_of(model))
    with held(embeddings):
        if not isinstance(made := embeddings(ids[:1]), Tensor):
            raise ModelError(
                f"{type(model).__name__} cannot be read: its token embeddings are no vectors alone, but a "
                f"{type(made).__name__} (I-BERT hands a scale on beside them)."
            )
        return ids[torch.cat([_finite(embeddings(chunk)) for chunk in ids.split(ROWS)])]


def _finite(rows: Tensor) -> Tensor:
    """Which rows [row, d] have finite numbers alone: bool [row]."""
    finite = rows.sum(-1, dtype=torch.float32).isfinite()  # one that is not makes none of the sum
    if not finite.all():
        finite[~finite] = rows[~finite].isfinite().all(-1)  # or finite ones were too large to be summed up
    return finite
