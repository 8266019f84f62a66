"""Which stack of a model is read: the only one, or an encoder-decoder's encoder or decoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from transformers import PreTrainedModel

from headscope.errors import InputError, ModelError
from headscope.model.opening.files import read_json
from headscope.question.choices import STACKS

_STARTS = ("decoder_start_token_id", "bos_token_id")
_BESIDE = ("ADAPTION_PROMPT",)  # for PEFT a part of the attention, and no prompt


@dataclass(frozen=True)
class Stack:
    """The stack that is read; `encoder` runs the text that a decoder attends to, `start` begins a decoder's text."""

    model: PreTrainedModel
    encoder: PreTrainedModel | None = None
    start: int | None = None


def unwrapped(model: object) -> object:
    """The one transformers model inside another module, with its adapters in place; what holds none, as it is.

    That is how compiled and PEFT models, value heads and sentence-transformers come. Raises InputError where there are
    several, and for adapters that bring learned vectors to the text (prompt and prefix tuning), which would be lost.
    """
    if isinstance(model, PreTrainedModel) or not isinstance(model, nn.Module):
        return model
    for part in model.modules():
        config = getattr(part, "active_peft_config", None)
        if config is None:
            continue
        kind = config.peft_type.value
        does = "lets heads attend to learned vectors beside" if kind in _BESIDE else "puts learned vectors before"
        if config.is_prompt_learning or kind in _BESIDE:
            raise InputError(
                f"a PEFT adapter of the kind {kind} {does} the text, which headscope does not read; adapters that "
                "change weights (LoRA and its kin) are read."
            )
    inside = list({id(one): one for one in _outermost(model)}.values())
    if len(inside) > 1:
        kinds = ", ".join(type(one).__name__ for one in inside)
        raise InputError(f"{type(model).__name__} holds several transformers models ({kinds}): hand over one of them.")
    return inside[0] if inside else model


def _outermost(module: nn.Module) -> Iterator[PreTrainedModel]:
    """The transformers models in a module that stand in no other."""
    for child in module.children():
        if isinstance(child, PreTrainedModel):
            yield child
        else:
            yield from _outermost(child)


def choose(model: PreTrainedModel, stack: str | None) -> Stack:
    """The stack that `stack` names; None: the only one.

    Raises ModelError for an encoder-decoder where none is named, InputError for a name that the model has no stack of.
    """
    kind = type(model).__name__
    encoder, decoder = model.get_encoder(), model.get_decoder()
    # A model with one stack answers with itself, or with the part that both names find.
    parts = {id(part) for part in (encoder, decoder) if isinstance(part, nn.Module) and part is not model}
    two = getattr(model.config, "is_encoder_decoder", False) and len(parts) == 2
    if not two:
        if stack is not None:
            raise InputError(f"{kind} has one stack of layers: leave stack={stack!r} out.")
        return Stack(model)
    if not (isinstance(encoder, PreTrainedModel) and isinstance(decoder, PreTrainedModel)):
        raise ModelError(
            f"{kind} cannot be read: its encoder and its decoder ({type(encoder).__name__}, {type(decoder).__name__}) "
            "are no transformers models of their own, so neither can be run by itself."
        )
    if stack is None:
        raise ModelError(
            f"{kind} is an encoder-decoder model with two stacks of layers: say which one to read, stack='encoder' or "
            "stack='decoder' (--stack)."
        )
    if stack not in STACKS:
        raise InputError(f"there is no stack {stack!r}; open: {', '.join(STACKS)}.")
    if stack == "encoder":
        return Stack(encoder)
    start = _start(model, decoder)
    if start is None:
        raise ModelError(f"{kind} does not say which token its decoder starts with (decoder_start_token_id).")
    return Stack(decoder, encoder, start)


def _start(model: PreTrainedModel, decoder: PreTrainedModel) -> int | None:
    """The token that begins a decoder's text, where `generate` of transformers looks for it."""
    generation = getattr(model, "generation_config", None)
    start, begin = _STARTS
    told = [(one, start) for one in (generation, model.config)]
    told += [(one, begin) for one in (generation, decoder.config)]
    found = (getattr(one, name, None) for one, name in told)
    return next((int(id) for id in found if isinstance(id, int)), None)


def read_starts(model: PreTrainedModel, directory: Path) -> None:
    """Have an encoder-decoder's generation config name the tokens that the file of that name in its directory does."""
    path, generation = directory / "generation_config.json", getattr(model, "generation_config", None)
    if generation is not None and model.config.is_encoder_decoder and path.is_file():
        told = read_json(path)
        for name in _STARTS:
            setattr(generation, name, told.get(name, getattr(generation, name, None)))
