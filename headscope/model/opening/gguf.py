"""Opening a GGUF file: its weights unpacked into a plain model, its tokenizer made from the tables in it.

transformers does both; what it passes over in silence is looked after here: tensors that have no place in the model,
the factors of a stretched rotation, files in several parts.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from headscope.errors import HeadscopeError, ModelError, needing
from headscope.model.opening.sizes import Within, check_counts
from headscope.model.opening.tokenizer import refuse_unusable
from headscope.model.opening.unused import Differences
from headscope.model.telling import first_line, reraise_ends

_TURNS = "rope_freqs.weight"  # what each frequency of a stretched rotation is divided by (Llama 3.1 and later)
_FLOATS = {"F16": torch.float16, "BF16": torch.bfloat16}
_MADE = ("rope_freqs.", "rope_factors_")  # no weights of a model, but what its rotation is made from


@dataclass(frozen=True)
class Contents:
    """What a GGUF file says that it holds: its tensors' kinds, and the factors of its rotation."""

    kinds: tuple[str, ...]  # the largest first
    values: int
    tensors: int
    turns: Tensor | None

    @property
    def dtype(self) -> torch.dtype:
        """What most of its values are, where torch computes with that; else float32."""
        return _FLOATS.get(self.kinds[0], torch.float32) if self.kinds else torch.float32

    @property
    def packed(self) -> str | None:
        """What its tensors are kept as; None: as plain float32 numbers."""
        return None if self.kinds == ("F32",) else ", ".join(self.kinds)


def contents(path: Path) -> Contents:
    """Read a file's header; InputError where the package gguf is missing, ModelError for a file that cannot be read."""
    with needing(f"{path} needs", "gguf"):
        from gguf import GGUFReader
    try:
        reader = GGUFReader(path)
        parts = reader.fields.get("split.count")
        several = 1 if parts is None else int(parts.parts[-1][0])
        sizes: Counter[str] = Counter()
        turns = None
        for tensor in reader.tensors:
            if tensor.name == _TURNS:
                turns = torch.from_numpy(tensor.data.copy()).float()
            if not tensor.name.startswith(_MADE):
                sizes[tensor.tensor_type.name] += math.prod(int(size) for size in tensor.shape)
    except BaseException as error:  # whatever numpy makes of bytes that are no GGUF
        reraise_ends(error)
        raise ModelError(
            f"{path} is no GGUF file that can be read: it is damaged, or still being written ({first_line(error)})."
        ) from None
    if several > 1:
        raise ModelError(f"{path} is one of {several} parts of a model: merge them (llama-gguf-split --merge).")
    kinds = tuple(kind for kind, _ in sizes.most_common())
    return Contents(kinds, sum(sizes.values()), len(reader.tensors), turns)


def open_gguf(
    path: Path, held: Contents, precision: str | torch.dtype, device: torch.device
) -> tuple[Differences, PreTrainedTokenizerBase]:
    """The model in a GGUF file, its weights unpacked, and its tokenizer; ModelError for one that cannot be had."""
    # Bars of its own on standard error, while headscope says what is being done.
    with _by_itself(path) as alone, redirect_stderr(io.StringIO()):
        where = {"gguf_file": alone.name, "local_files_only": True, "trust_remote_code": False}
        try:
            config = AutoConfig.from_pretrained(alone.parent, **where)
            check_counts(config.to_dict(), str(path))
            tokenizer = AutoTokenizer.from_pretrained(alone.parent, **where)
            with Within(held.tensors, held.values, str(path)):
                model, report = _class_for(config, path).from_pretrained(
                    alone.parent,
                    config=config,
                    dtype=held.dtype if precision == "auto" else precision,
                    device_map={"": device},
                    attn_implementation="eager",
                    output_loading_info=True,
                    **where,
                    **_unpacked(),
                )
        except HeadscopeError:
            raise
        except BaseException as error:  # transformers says in many ways that it does not know an architecture
            reraise_ends(error)
            said = first_line(error).replace(str(alone), str(path))
            raise ModelError(f"transformers cannot open {path}: {said}") from None
    refuse_unusable(tokenizer, f"in {path}")
    _refuse_lost(path, model, held)
    _stretch(path, model, held)
    model.config.name_or_path = str(path)
    missing, unexpected = (tuple(sorted(report[f"{which}_keys"])) for which in ("missing", "unexpected"))
    return Differences(model, missing, unexpected), tokenizer


@contextmanager
def _by_itself(path: Path) -> Iterator[Path]:
    """The file under its name in a directory that has nothing else: no tokenizer or adapter beside it is taken in."""
    with TemporaryDirectory() as directory:
        link = Path(directory) / path.name
        link.symlink_to(path.resolve())
        yield link


def _unpacked() -> dict[str, Any]:
    """Where transformers could leave weights packed and fetch a kernel for them, it is not to."""
    kind = getattr(transformers, "GgufConfig", None)
    return {} if kind is None else {"quantization_config": kind(dequantize=True)}


def _class_for(config: Any, path: Path) -> type[PreTrainedModel]:
    """The class that the file's configuration names, else the language model of its kind, else the bare model."""
    for name in config.architectures or ():
        if hasattr(transformers, name):
            return getattr(transformers, name)  # type: ignore[no-any-return]
    for mapping in (transformers.MODEL_FOR_CAUSAL_LM_MAPPING, transformers.MODEL_MAPPING):
        if type(config) in mapping:
            found = mapping[type(config)]
            return found[0] if isinstance(found, (tuple, list)) else found  # type: ignore[no-any-return]
    raise ModelError(f"{path} holds a model of the kind {config.model_type!r}, which headscope does not open.")


def _refuse_lost(path: Path, model: PreTrainedModel, held: Contents) -> None:
    """Refuse a file with more weights than found a place."""
    tensors = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    taken = sum(tensor.numel() for tensor in tensors.values())
    if held.values > taken:
        raise ModelError(
            f"{path} has {held.values - taken:,} values that {type(model).__name__} has no place for: what would be "
            "read is not the model that they are of."
        )


def _stretch(path: Path, model: PreTrainedModel, held: Contents) -> None:
    """Divide the frequencies of a rotation by the file's factors."""
    if held.turns is None or bool((held.turns == 1).all()):
        return
    found = [buffer for name, buffer in model.named_buffers() if name.endswith("inv_freq")]
    if not found or any(buffer.shape != held.turns.shape for buffer in found):
        raise ModelError(f"{path} stretches its rotation by {_TURNS}, which {type(model).__name__} has no place for.")
    for buffer in found:
        buffer.div_(held.turns.to(buffer))
