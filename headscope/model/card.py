"""The card: what is known of an opened model."""

from __future__ import annotations

from dataclasses import dataclass

from headscope.model.opened import Opened


@dataclass(frozen=True)
class Card:
    """What is known of an opened model; `positions` None: the model sets no limit.

    `capture_error`: the largest error of z = Σ α v and Σ_h z W_O + b_O on a probe, relative to the largest value.
    `weights_sha256`: of the safetensors file (of the list of the shards' hashes); for a model that was handed over,
    of its tensors. `why`: how the model was chosen.
    """

    name: str
    revision: str | None
    weights_sha256: str
    layers: int
    heads: int
    kv_heads: int
    d_head: int
    d_model: int
    vocab_size: int
    positions: int | None
    position_embeddings: bool
    causal: bool
    capture_error: float
    dtype: str
    device: str
    why: str

    @property
    def shape(self) -> str:
        """How large the model is, and how well its capture proved itself, in a few words."""
        return (
            f"{self.layers} layers × {self.heads} heads of {self.d_head}, vocabulary {self.vocab_size:,}, "
            f"capture error {self.capture_error:.1e}"
        )


def card_of(opened: Opened, name: str, revision: str | None, weights_sha256: str, why: str) -> Card:
    """The card of a model, whose name, revision, weights and choice only its opener knows."""
    block = opened.anatomy.blocks[0]
    return Card(
        name=name,
        revision=revision,
        weights_sha256=weights_sha256,
        layers=len(opened.anatomy.blocks),
        heads=block.heads,
        kv_heads=block.kv_heads,
        d_head=block.d_head,
        d_model=opened.anatomy.d_model,
        vocab_size=opened.names.vocab_size,
        positions=opened.positions.limit,
        position_embeddings=bool(opened.positions.modules),
        causal=opened.anatomy.causal,
        capture_error=opened.anatomy.capture_error,
        dtype=str(opened.model.dtype).removeprefix("torch."),
        device=str(opened.model.device),
        why=why,
    )
