"""The rows of embeddings that an adapter was trained with: its base gets as many, and none that would be random."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from headscope.errors import ModelError
from headscope.model.feed.embeddings import rows_of
from headscope.model.telling import first_line

# Where PEFT keeps the rows of a module: in itself, or below what it wraps the module in.
_KEPT = r"{}\.((modules_to_save|base_layer|token_adapter)\.)*weight"


def fit_rows(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    told: dict[str, Any],
    saved: Mapping[str, int],
    directory: Path,
) -> str | None:
    """Give a base, in place, as many rows of embeddings as its adapter was trained with.

    `tokenizer` is the one saved with the adapter, if any; `told` its configuration, `saved` the rows of each of its
    tensors by name. Answers how many rows there are and were, in words; None where nothing had to be done. Raises
    ModelError where tokens would have no rows but random ones, such as PEFT draws for them. Logits of added tokens are
    left out where theirs would be.
    """
    table, head, brought = model.get_input_embeddings(), model.get_output_embeddings(), _Brought(model, told, saved)
    had, tokens = rows_of(table), 0 if tokenizer is None else 1 + max(tokenizer.get_vocab().values())
    rows = brought.rows(table, tokens)
    if tokens > rows:
        raise ModelError(
            f"the tokenizer saved with the adapter in {directory} has {tokens:,} tokens, and it and its base have "
            f"embeddings for {rows:,}: those of the others would be random. Save the adapter with "
            "save_embedding_layers=True; or take the tokenizer's files out, and texts are read with the base's."
        )
    if rows == had:
        return None
    whole = head is None or getattr(head, "weight", None) is table.weight or brought.rows(head, rows) >= rows
    try:
        with torch.random.fork_rng(devices=[]):  # what is drawn here, the adapter writes over
            model.resize_token_embeddings(rows, mean_resizing=False)
    except Exception as error:  # a model may have rows elsewhere, too, or a table of its own kind
        raise ModelError(
            f"the adapter in {directory} needs {rows:,} embeddings, and {type(model).__name__} with its {had:,} "
            f"cannot be given as many: {first_line(error)}"
        ) from None
    if whole:
        return f"{rows:,} embeddings in place of {had:,}"
    model.set_output_embeddings(head)
    return f"{rows:,} embeddings in place of {had:,}, which alone have logits"


@dataclass(frozen=True)
class _Brought:
    """What an adapter has for its base's tables of tokens."""

    model: PreTrainedModel
    told: dict[str, Any]
    saved: Mapping[str, int]

    def rows(self, table: nn.Module, tokens: int) -> int:
        """How many rows a table gets: those that it saves, or the table's own with some trained alone."""
        name = self._name(table)
        kept = re.compile(_KEPT.format(re.escape(name)))
        saved = [rows for key, rows in self.saved.items() if kept.fullmatch(key)]
        had = rows_of(table)
        alone = set(range(had, tokens)) <= self._trained_alone(name)
        return saved[0] if saved else max(had, tokens) if alone else had

    def _trained_alone(self, name: str) -> set[int]:
        """The rows of a table that were trained by themselves, and have their values in the adapter."""
        ids = self.told.get("trainable_token_indices") or self.told.get("token_indices")
        tables = self.told.get("target_modules") if self.told.get("token_indices") else None
        if not isinstance(ids, dict):
            ids = dict.fromkeys(tables or [self._name(self.model.get_input_embeddings())], ids)
        own = next((of for target, of in ids.items() if f".{name}".endswith(f".{target}")), None)
        return {one for one in own if isinstance(one, int)} if isinstance(own, list) else set()

    def _name(self, table: nn.Module) -> str:
        return next(str(name) for name, module in self.model.named_modules() if module is table)
