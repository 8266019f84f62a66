"""A PEFT adapter, from its directory onto its base: from safetensors alone, and nothing run that came with it."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from headscope.errors import ModelError, needing
from headscope.model.opening.files import check_whole, read_json, refuse_pickles, sha256, tensors
from headscope.model.opening.rows import fit_rows
from headscope.model.opening.stacks import unwrapped
from headscope.model.opening.unused import Differences, listed
from headscope.model.telling import first_line, reraise_ends

BOTH = "both, --model BASE --adapter DIR (Scope.from_pretrained(BASE, adapter=DIR))"  # how base and adapter are named
_IN = "base_model.model."  # what PEFT puts before the name of each of its weights
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def is_adapter(directory: Path) -> bool:
    """Whether a directory holds an adapter, and no whole model."""
    return (directory / CONFIG).is_file() and not (directory / "config.json").is_file()


def base_of(directory: Path) -> str:
    """The name of the model that an adapter was trained on; ModelError where it does not say."""
    name = read_json(directory / CONFIG).get("base_model_name_or_path")
    if not isinstance(name, str) or not name.strip():
        raise ModelError(
            f"{directory} holds a PEFT adapter, not a whole model, and does not name its base: name {BOTH}."
        )
    return name


def put_on(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, directory: Path) -> str | None:
    """Put the adapter in a directory onto its base, in place; ModelError where the two do not belong together.

    `tokenizer` is the one saved with it, if any. Answers what was done to the base's embeddings, see `fit_rows`.
    """
    told = _checked(directory)
    with needing("an adapter needs", "adapters"):
        import peft
    with tensors([directory / WEIGHTS]) as held:
        rows = {name.removeprefix(_IN): [*part.get_shape(), 0][0] for name, part in held.items()}
    theirs, ours = _prefixes(model, rows)
    names = {ours + name.removeprefix(theirs): name for name in rows}  # as the model spells them
    resized = fit_rows(model, tokenizer, told, {name: rows[own] for name, own in names.items()}, directory)
    renamed = {} if theirs == ours else {"key_mapping": {f"^{re.escape(theirs)}": ours}}
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            config = peft.PeftConfig.from_pretrained(str(directory))
            options: dict[str, Any] = {"config": config, "torch_device": "cpu", **renamed}
            wrapped = peft.PeftModel.from_pretrained(model, str(directory), **options)
    except BaseException as error:  # peft raises many kinds; each is told in one sentence
        reraise_ends(error)
        kind = f"{told.get('peft_type')} adapter"
        raise ModelError(
            f"the {kind} in {directory} does not fit {type(model).__name__}: {first_line(error)}"
        ) from None
    unwrapped(wrapped)  # refuses what acts on the input
    if any("missing adapter keys" in str(one.message) for one in said):
        raise ModelError(f"the adapter in {directory} has no values for some of what its configuration names.")
    # With the embeddings some of an adapter's values are saved twice, under a second name.
    written = [peft.get_peft_model_state_dict(wrapped, save_embedding_layers=whole) for whole in (False, True)]
    placed = {name for part in (*written, wrapped.state_dict()) for name in part}
    left = Differences(model, (), tuple(name for name in names if _IN + name not in placed)).below()
    if left:
        raise ModelError(
            f"the adapter in {directory} has weights that {type(model).__name__} has no place for: "
            f"{listed([_IN + names[name] for name in left])}."
        )
    return resized


def _prefixes(model: PreTrainedModel, names: Collection[str]) -> tuple[str, str]:
    """What the names of an adapter's weights begin with, and what this model's do, where one of them has a head and the
    other has none: the base model's own name. Empty both where they are spelled alike."""
    prefix, parts = model.base_model_prefix, dict(model.named_children())
    first = {name.partition(".")[0] for name in names}
    if prefix in first and prefix not in parts:
        return f"{prefix}.", ""
    bare = dict(model.base_model.named_children())
    return ("", f"{prefix}.") if prefix in parts and prefix not in first and first & bare.keys() else ("", "")


def adapter_sha256(base: str, directory: Path) -> str:
    """The hash of a base's weights (`base`), an adapter's, and what says how these are put on, together."""
    parts = [base, sha256(directory / WEIGHTS), sha256(directory / CONFIG)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _checked(directory: Path) -> dict[str, Any]:
    """The adapter's configuration, its files looked at before peft sees them."""
    names = [path.name for path in directory.iterdir()]
    if CONFIG not in names:
        raise ModelError(f"{directory} holds no PEFT adapter: it has no {CONFIG}.")
    told = read_json(directory / CONFIG)
    if told.get("megatron_config"):  # peft would import the module that megatron_core names
        raise ModelError(f"the adapter in {directory} is for Megatron, whose layers headscope does not read.")
    if WEIGHTS not in names:
        refuse_pickles(str(directory), names)
        raise ModelError(f"{directory} holds a PEFT adapter without weights: it has no {WEIGHTS}.")
    check_whole(directory / WEIGHTS)
    return told
