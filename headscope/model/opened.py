"""A model made ready for reading: dissected, its positions found, the way into its layers laid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from headscope.errors import HeadscopeError, ModelError
from headscope.model.anatomy import Anatomy, dissect, without_cache
from headscope.model.capture import prepared
from headscope.model.feed import Feed
from headscope.model.heads import AllHeads, Captured, OnePattern
from headscope.model.loading import first_line
from headscope.model.passes import Mask, Recorder, recording
from headscope.model.positions import Positions, find_positions
from headscope.model.tokens import TokenNames

_PROBE = (2, 10)  # texts, tokens


@dataclass(frozen=True)
class Opened:
    """A model that has proved its capture on a probe."""

    model: PreTrainedModel
    names: TokenNames
    anatomy: Anatomy
    positions: Positions
    feed: Feed
    probe: Tensor  # token ids [text, position]
    stamp: tuple[Any, ...]
    proved: set[Mask] = field(default_factory=set)  # masks that were seen to work

    def run(self, texts: list[list[int]], mask: Mask) -> list[Captured]:
        """The heads of several texts (token ids), run as one batch padded on the right."""
        recorder = AllHeads([len(ids) for ids in texts])
        self._run(texts, recorder, mask)
        return recorder.captured()

    def pattern(self, text: list[int], mask: Mask, layer: int) -> Tensor:
        """The pattern [head, query, source] of one layer on one text (token ids)."""
        recorder = OnePattern(layer)
        self._run([text], recorder, mask)
        assert recorder.pattern is not None
        return recorder.pattern

    def prove_mask(self, mask: Mask) -> None:
        """Show, by changing a probe's last token, that `mask` decides who sees whom; ModelError where it does not."""
        if mask == "model" or mask in self.proved:
            return
        text = self.probe[0].tolist()
        other = next(int(id) for id in self.probe.flatten() if id != text[-1])
        one, two = self.run([text, [*text[:-1], other]], mask)
        moved = (one.z - two.z)[:, :-1].abs().amax((1, 2, 3)) / one.z.abs().amax()  # (layer,)
        seen = bool(moved[0] > 1e-6) if mask == "full" else bool(moved.amax() > 1e-5)
        if seen != (mask == "full"):
            raise ModelError(
                f"the mask {mask!r} has no hold on {type(self.model).__name__}: on a probe, earlier tokens "
                f"{'see nothing of' if mask == 'full' else 'still see'} a later one."
            )
        self.proved.add(mask)

    def _run(self, texts: list[list[int]], recorder: Recorder, mask: Mask) -> None:
        lengths = [len(ids) for ids in texts]
        padding_id = self.names.tokenizer.pad_token_id
        ids = torch.full((len(texts), max(lengths)), 0 if padding_id is None else padding_id)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor(text)
        attention_mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
        ids, attention_mask = ids.to(self.model.device), attention_mask.to(self.model.device)
        with prepared(self.model), recording(recorder, attention_mask, mask):
            self.model(input_ids=ids, attention_mask=attention_mask, **without_cache(self.model))


def open_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, missing: tuple[str, ...] = ()) -> Opened:
    """Dissect `model` and prove its capture; `missing` are parameters that its checkpoint gave no values for.

    Raises ModelError for a model that cannot be read, with what was not found.
    """
    kind = type(model).__name__
    if getattr(model.config, "is_encoder_decoder", False):
        raise ModelError(f"{kind} is an encoder-decoder model: headscope reads models with one stack of layers.")
    embeddings = model.get_input_embeddings()
    if embeddings is None or not hasattr(embeddings, "num_embeddings"):
        raise ModelError(f"{kind} has no table of token embeddings, so it has no vocabulary to compare with.")
    names = TokenNames(tokenizer, embeddings.num_embeddings)
    probe = _probe(model, names)
    try:
        anatomy = dissect(model, probe)
        positions = find_positions(model, tokenizer, anatomy, int(_ordinary_ids(names, 1, 1)))
    except HeadscopeError:
        raise
    except Exception as error:  # whatever a model raises that cannot be run on token ids
        raise ModelError(f"{kind} cannot be run on token ids alone: {first_line(error)}") from error
    _check_weights(model, anatomy, missing)
    return Opened(model, names, anatomy, positions, Feed(model, anatomy, positions), probe, weights_stamp(model))


def weights_stamp(model: PreTrainedModel) -> tuple[Any, ...]:
    """Changes whenever a parameter is replaced or written to in place, as training does."""
    return tuple((p.data_ptr(), 0 if p.is_inference() else p._version) for p in model.parameters())


def _probe(model: PreTrainedModel, names: TokenNames) -> Tensor:
    texts, length = _PROBE
    longest = getattr(model.config, "max_position_embeddings", None) or length
    return _ordinary_ids(names, texts, min(length, longest)).to(model.device)


def _ordinary_ids(names: TokenNames, texts: int, length: int) -> Tensor:
    """Seeded random ids [text, position] that are no special tokens."""
    ordinary = torch.tensor([id for id in range(names.vocab_size) if id not in names.specials])
    draw = torch.randint(len(ordinary), (texts, length), generator=torch.Generator().manual_seed(0))
    return ordinary[draw]


def _check_weights(model: PreTrainedModel, anatomy: Anatomy, missing: tuple[str, ...]) -> None:
    """Refuse a checkpoint that lacks weights on the way to the last layer: they would be random."""
    lost = [name for name in missing if model.get_submodule(name.rpartition(".")[0]) in anatomy.used]
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise ModelError(
            f"the checkpoint has no values for {', '.join(lost[:3])}{more}, which {type(model).__name__} needs: they "
            "would be random."
        )
