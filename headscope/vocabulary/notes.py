"""Sentences that a reader must see where a choice cannot mean what it seems to."""

from __future__ import annotations

from collections.abc import Sequence

from headscope.model.tokens import TokenName
from headscope.neighbors import Metric
from headscope.vocabulary.choices import Space, Vector


def foreign_basis(layer: int | None) -> str:
    """For the `input` reference above layer 0."""
    where = "Layers above 0 have value spaces" if layer is None else f"Layer {layer} has a value space"
    return (
        f"{where} of {'their' if layer is None else 'its'} own, but the vocabulary is encoded in layer 0's (reference "
        "input): the two bases are unrelated, so nearness here need not mean anything. Reference layer "
        "compares within one basis."
    )


def space(space: Space, vector: Vector) -> tuple[str, ...]:
    """What a space shows, where its name does not say it all."""
    if space == "output":
        return (
            "Vectors and vocabulary are seen through W_O, from the vocabulary's mean: neither the basis of the head's "
            "value space nor the split of its bias enters.",
        )
    if space == "embedding":
        return (
            "What the head adds to the residual stream (W_O z; b_O belongs to no head), against what block 0 gets for "
            "each token, without its position.",
        )
    if space == "unembedding":
        return (
            "What the head adds to the logits (direct logit attribution): under dot, the distance is minus the logit "
            "that this head gives the token; biases belong to no head.",
        )
    if space in ("key", "query") and vector == "z":
        kind = "keys" if space == "key" else "queries"
        return (
            f"z is a mix of values, and {kind} have a basis of their own, even at layer 0: nearness between the two "
            "need not mean anything.",
        )
    return ()


def turned(at_position: bool) -> str:
    """For keys and queries of a model with RoPE."""
    if at_position:
        return "Keys and queries are compared after the rotation (RoPE) for their position."
    return (
        "The text's keys and queries are those after the rotation (RoPE) for their position; with the position switch "
        "off, the vocabulary's stand at position 0, where nothing is turned."
    )


def squashed() -> str:
    """For a model that bends its logits."""
    return "The model bends its logits (a soft cap) after this sum."


def no_positions(wanted: bool) -> tuple[str, ...]:
    """For the position switch where a model's input carries no positions."""
    if not wanted:
        return ()
    return (
        "This model adds no position embedding to its input (positions act inside its attention), so the "
        "vocabulary's value encodings are the same at every position, and the position switch is off.",
    )


def alone(position: bool, mask: str, cross: bool) -> tuple[str, ...]:
    """For the `isolated` reference: which choices do not reach the texts of one token that it is made of."""
    found = []
    if position:
        found.append(
            "With the reference isolated every vocabulary token stands at its own place in a text of its own, so the "
            "position switch does not apply."
        )
    if mask != "model":
        found.append(f"The mask {mask} is for this text only: the vocabulary was read alone under the model's own.")
    if cross:
        found.append("While a vocabulary token was read alone, the encoder read that token too, and not this text.")
    return tuple(found)


def not_finite(names: Sequence[TokenName]) -> tuple[str, ...]:
    """For vocabulary tokens whose encoding is not a number."""
    if not names:
        return ()
    listed = ", ".join(name.label for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return (f"Left out, because their encodings are not finite: {listed}.",)


def cross_attention() -> str:
    """For a decoder that reads along with an encoder."""
    return "The decoder also attends to what the encoder wrote; that cross-attention is not captured."


def sinks(lost: float) -> tuple[str, ...]:
    """For weights that do not sum to 1; `lost` is the most that a head keeps from the text's tokens."""
    if lost < 1e-3:
        return ()
    return (
        f"Each head of this model can also attend to a sink, which is no token and writes nothing: up to {lost:.0%} of "
        "a head's weight goes there, so its weights sum to less than 1.",
    )


def truncated(kept: int, of: int) -> str:
    """For a text that was cut to the model's length."""
    return f"The text was cut: the model reads {kept} of its {of} tokens."


def unknown_words(share: float) -> str:
    """For a bank of texts in a language that the tokenizer does not know."""
    return (
        f"Of the bank's tokens {share:.0%} are unknown words to this model's tokenizer: make a bank of texts in the "
        "model's own language, scope.bank(FILE) or --bank FILE, one text a line."
    )


def background(position: int, special: bool, first: int, last: int, space: Space, metric: Metric) -> tuple[str, ...]:
    """For chance and hub-aware scores where the bank is not quite like what is held against it."""
    found = []
    if not first <= position <= last:
        found.append(
            f"The bank's texts are too short for position {position}: chance is that of positions {first} to {last}."
        )
    if special:
        found.append("The selected token is special; the bank's outputs, and so chance, are those at ordinary tokens.")
    if space == "unembedding" and metric == "dot":
        found.append(
            "Hub-aware scores are those of W_O z before the final norm's scale, which is another for each output and "
            "changes no order under dot."
        )
    return tuple(found)
