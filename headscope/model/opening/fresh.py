"""The architecture of a model with the weights that its training would have begun with."""

from __future__ import annotations

import copy

import torch
from transformers import PreTrainedModel

from headscope.errors import ModelError
from headscope.model.capture.stored import device_of
from headscope.model.opening.stacks import Stack
from headscope.model.telling import first_line


def reinitialised(stack: Stack, seed: int) -> PreTrainedModel:
    """A model of the same class and configuration, initialised at random by its own rules; the stream is untouched.

    Raises ModelError for a stack that cannot be made by itself (a decoder that reads along with an encoder).
    """
    kind = type(stack.model)
    if stack.encoder is not None:
        raise ModelError(f"{kind.__name__} reads along with an encoder, so it is not initialised anew by itself.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = kind(copy.deepcopy(stack.model.config))
        except Exception as error:  # whatever a class raises that is not made from its configuration alone
            raise ModelError(f"{kind.__name__} cannot be initialised anew: {first_line(error)}") from error
    return model.to(device=device_of(stack.model), dtype=stack.model.dtype).eval()
