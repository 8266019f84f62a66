"""Sentences that a reader must see where a choice cannot mean what it seems to."""

from __future__ import annotations

from collections.abc import Sequence

from headscope.model.tokens import TokenName


def foreign_basis(layer: int | None) -> str:
    """For the `input` reference above layer 0."""
    where = "Layers above 0 have value spaces" if layer is None else f"Layer {layer} has a value space"
    return (
        f"{where} of {'their' if layer is None else 'its'} own, but the vocabulary is encoded in layer 0's (reference "
        "input): the two bases are unrelated, so nearness here need not mean anything. Reference layer "
        "compares within one basis."
    )


def no_positions(wanted: bool) -> tuple[str, ...]:
    """For the position switch where a model's input carries no positions."""
    if not wanted:
        return ()
    return (
        "This model adds no position embedding to its input (positions act inside its attention), so the "
        "vocabulary's value encodings are the same at every position, and the position switch is off.",
    )


def not_finite(names: Sequence[TokenName]) -> tuple[str, ...]:
    """For vocabulary tokens whose encoding is not a number."""
    if not names:
        return ()
    listed = ", ".join(name.label for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return (f"Left out, because their encodings are not finite: {listed}.",)


def cross_attention() -> str:
    """For a decoder that reads along with an encoder."""
    return "The decoder also attends to what the encoder wrote; that cross-attention is not captured."


def truncated(kept: int, of: int) -> str:
    """For a text that was cut to the model's length."""
    return f"The text was cut: the model reads {kept} of its {of} tokens."
