"""The card: what is known of an opened model."""

from __future__ import annotations

from dataclasses import dataclass

from headscope.model.capture.stored import device_of
from headscope.model.opened import Opened
from headscope.question.heads import sharing
from headscope.question.model_choice import spelled
from headscope.question.shown import Summarised


@dataclass(frozen=True, repr=False)
class Card(Summarised):
    """What is known of an opened model; `positions` None: the model sets no limit.

    `capture_error`: the largest error of z = Σ α v and Σ_h z W_O + b_O on a probe, relative to the largest value.
    `weights_sha256`: of the safetensors file (of the list of the shards' hashes); for a model that was handed over,
    of its tensors; of weights that were quantised on loading, of the file's and of how. `why`: how the model was
    chosen. `weights`: what the heads' projections keep their weights as. `activations`: what they multiply with them;
    `activation_error`: how far from exact that is, relative to the largest answer (0.0: no more than its dtype).
    `quantize`: how the weights were packed on loading, where they were. `numbers`: which of the model's own layers are
    read, where it has others that do not run on a text (Mllama's cross-attention to images); empty where it has none.
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
    weights: str = ""
    activations: str = ""
    activation_error: float = 0.0
    quantize: str | None = None
    numbers: tuple[int, ...] = ()

    @property
    def asked_for(self) -> str:
        """The name with how its weights were packed on loading: what it is asked for by where several are open."""
        return spelled(self.name, self.quantize)

    @property
    def arithmetic(self) -> str:
        """What the projections compute with, in a few words."""
        return f"weights {self.weights}, activations {self.activations}"

    @property
    def shape(self) -> str:
        """How large the model is, which heads share, and how well its capture proved itself, in a few words."""
        shared = f" ({self.shared})" if self.shared else ""
        numbers = ", ".join(map(str, self.numbers))
        numbered = f" (the model's own {numbers}: its others do not run on a text alone)" if numbers else ""
        return (
            f"{self.layers} layers{numbered} × {self.heads} heads of {self.d_head}{shared}, "
            f"vocabulary {self.vocab_size:,}, capture error {self.capture_error:.1e}"
            + ("" if self.weights == self.dtype else f"; {self.arithmetic}")
        )

    @property
    def shared(self) -> str:
        """Which heads of a layer share keys and values, in words; empty where each has its own."""
        return sharing(self.heads, self.kv_heads)


def card_of(
    opened: Opened,
    name: str,
    revision: str | None,
    weights_sha256: str,
    why: str,
    *,
    unpacked: str | None = None,
    quantize: str | None = None,
) -> Card:
    """The card of a model, whose name, revision, weights and choice only its opener knows.

    `unpacked`: what its weights were in the file, should they be plain numbers now; `quantize`: how they were packed on
    loading.
    """
    block, arithmetic = opened.anatomy.blocks[0], opened.anatomy.arithmetic
    dtype = str(opened.model.dtype).removeprefix("torch.")
    plain = dtype if unpacked is None else f"{dtype}, unpacked from {unpacked}"
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
        dtype=dtype,
        device=str(device_of(opened.model)),
        why=why,
        weights=arithmetic.weights or plain,
        activations=f"{dtype}, rounded by {arithmetic.rounding:.1%} of the largest" if arithmetic.rounding else dtype,
        activation_error=arithmetic.rounding,
        quantize=quantize,
        numbers=opened.anatomy.numbers,
    )
