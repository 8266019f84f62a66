"""Weights that are packed when a model is loaded: by bitsandbytes because a user asked, or as its checkpoint says."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from headscope.errors import InputError, cut, needing

Quantize = Literal["4bit", "8bit"]
COMPRESSED = "compressed-tensors"


@dataclass(frozen=True)
class Packing:
    """How the weights of projections are packed; what a 4-bit product computes in."""

    quantize: Quantize
    precision: torch.dtype | None

    @classmethod
    def of(cls, quantize: str | None, precision: str | torch.dtype) -> Packing | None:
        """The packing of a name; None where none is asked for. InputError for another name, or without the package."""
        if quantize is None:
            return None
        if quantize not in get_args(Quantize):
            raise InputError(f"quantize is {cut(quantize)!r}; open: {', '.join(get_args(Quantize))}, or None.")
        with needing(f"to pack weights in {quantize} needs", "quantised"):
            import bitsandbytes  # noqa: F401 - transformers imports it deep inside, and says more
        chosen: Any = quantize
        return cls(chosen, precision if isinstance(precision, torch.dtype) else None)

    def config(self) -> Any:
        """What transformers is told."""
        from transformers import BitsAndBytesConfig

        if self.quantize == "8bit":
            # It says at every product that it rounds; the card says so once.
            logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
            return BitsAndBytesConfig(load_in_8bit=True)
        return BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=self.precision or torch.float32
        )

    def hash(self, of_files: str) -> str:
        """A SHA-256 for weights that are no longer those of the files."""
        return hashlib.sha256(f"{of_files} {self.quantize}".encode()).hexdigest()


def method_of(config: Any) -> str | None:
    """How a checkpoint's weights are packed, by its configuration; None: they are plain numbers."""
    told = getattr(config, "quantization_config", None)
    if told is None:
        return None
    method = told.get("quant_method") if isinstance(told, dict) else getattr(told, "quant_method", None)
    return str(getattr(method, "value", method))


def unpacked_from(config: Any) -> str | None:
    """What the weights of a checkpoint were, should they be plain numbers now; and what else its own run rounds."""
    method = method_of(config)
    if method != COMPRESSED:
        return method
    told = config.quantization_config
    groups = (told if isinstance(told, dict) else told.to_dict()).get("config_groups") or {}
    rounds = any(group.get("input_activations") for group in groups.values())
    return f"{method}, whose activations are rounded, too; here they are not" if rounds else method


def packed(config: Any, packing: Packing | None, where: torch.device) -> dict[str, Any]:
    """What from_pretrained is told of packed weights: how, and where to put them, since they cannot be moved later.

    InputError where weights that are packed already are to be packed.
    """
    method = method_of(config)
    if packing is None and method == COMPRESSED:
        return {"quantization_config": _unpacking(), "device_map": {"": where}}
    if packing is None:
        return {} if method is None else {"device_map": {"": where}}
    if method is not None:
        raise InputError(
            f"the checkpoint is quantised already ({method}), and is not packed again: open it without "
            f"{packing.quantize}."
        )
    return {"quantization_config": packing.config(), "device_map": {"": where}}


def _unpacking() -> Any:
    """What transformers is told of compressed-tensors, whose own layers unpack themselves while they run.

    With them a model has other weights after its first pass, and none before; so it is unpacked as it is loaded.
    """
    with needing("a checkpoint of compressed-tensors needs", "quantised"):
        import compressed_tensors  # noqa: F401 - transformers imports it deep inside
    from transformers import CompressedTensorsConfig

    return CompressedTensorsConfig(dequantize=True)
