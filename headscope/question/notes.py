"""Sentences that a reader must see where a choice cannot mean what it seems to."""

from __future__ import annotations

from collections.abc import Sequence

from headscope.question.choices import Metric, Space, Vector

HIDDEN = "hidden by the mask"


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


def ranked_alone(mask: str, cross: bool) -> tuple[str, ...]:
    """For a journey's rank among the tokens read alone: what those runs do not share with the text's."""
    found = alone(False, mask, cross)
    if cross:
        found += ("The cosine to the same token read alone is to a run whose encoder reads this text.",)
    return found


def no_rank_alone(tokens: int, nbytes: int) -> tuple[str, ...]:
    """For a journey that was not asked for the rank among the tokens read alone."""
    return (
        f"The rank among the vocabulary read alone was not asked for: it needs the model to read {tokens:,} tokens "
        f"alone, once, and {nbytes / 2**20:,.0f} MiB on disk. The switch “Ranks read alone” gives it. In a program: "
        "journey(isolated=True), --isolated.",
    )


def no_lens() -> str:
    """For the space `fitted` where there is no lens."""
    return "the space fitted needs a lens, and none is open here."


def fitted_by(target: str, texts: int, positions: int, source: str, fitted: str, mask: str) -> str:
    """For the space `fitted`: what its lens was fitted on; `fitted` and `mask`: the masks then and now."""
    what = {
        "own": "the own token's input embedding",
        "sources": "its sources' input embeddings, mixed as the head mixes them",
    }[target]
    other = "" if fitted == mask else f" under the mask {fitted}, while this text was read under {mask}"
    return (
        f"A ridge map for each head takes z to {what}; it was fitted on {texts:,} texts ({positions:,} tokens, "
        f"{source}){other}. Both sides are compared from their means over those texts."
    )


def fitted_scores(
    target: str,
    layer: int | None,
    top1: tuple[float, float, float, float],
    top10: tuple[float, float, float, float],
    r2: tuple[float, float, float, float],
    weak: Sequence[str],
    heads: int,
) -> str:
    """For the space `fitted`: how its lens does on what was held out; each figure as least, most, mean, control's."""
    wanted = "the own token" if target == "own" else "the strongest source"
    where = "over all heads" if layer is None else f"over the heads of layer {layer}"
    found = (
        f"On held-out texts and token types, {where}, {wanted} is the nearest of the vocabulary at {top1[2]:.1%} of "
        f"the positions ({top1[0]:.1%} to {top1[1]:.1%}; with shuffled targets {top1[3]:.1%}) and among the 10 nearest "
        f"at {top10[2]:.1%} (shuffled {top10[3]:.1%}); R² {r2[2]:.3f} ({r2[0]:.3f} to {r2[1]:.3f}; shuffled "
        f"{round(r2[3], 3) + 0.0:.3f})."
    )
    if not weak:
        return found
    listed = "no head" if len(weak) == heads else f"{heads - len(weak)} of {heads} heads"
    named = "" if len(weak) == heads else f", and not {', '.join(weak[:6])}{' …' if len(weak) > 6 else ''}"
    return f"{found} Surely above the shuffled targets: {listed}{named}."


def not_finite(labels: Sequence[str]) -> tuple[str, ...]:
    """For vocabulary tokens whose encoding is not a number."""
    if not labels:
        return ()
    listed = ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
    return (f"Left out, because their encodings are not finite: {listed}.",)


def nothing_near(layer: int, heads: Sequence[int], reference: str = "") -> tuple[str, ...]:
    """For heads of a layer under which all tokens tie; `reference`: where it is said.

    >>> nothing_near(1, [0, 2])
    ('Heads 0 and 2 of layer 1 tell no token from another: all are as near to the output, and none has a rank.',)
    """
    if not heads:
        return ()
    *rest, last = map(str, heads)
    named = f"Heads {', '.join(rest)} and {last}" if rest else f"Head {last}"
    tells = f"of layer {layer} tell{'' if rest else 's'} no token from another"
    under = f" (reference {reference})" if reference else ""
    return (f"{named} {tells}{under}: all are as near to the output, and none has a rank.",)


def cross_attention() -> str:
    """For a decoder that reads along with an encoder."""
    return "The decoder also attends to what the encoder wrote; that cross-attention is not captured."


def unused(names: Sequence[str]) -> tuple[str, ...]:
    """For weights of the checkpoint that the model has no place for, and that no layer passes through."""
    if not names:
        return ()
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"The checkpoint has weights that the model has no place for, and that are not used: {', '.join(names[:3])}"
        f"{more}.",
    )


def sinks(lost: float) -> tuple[str, ...]:
    """For weights that do not sum to 1; `lost` is the most that a head keeps from the text's tokens."""
    if lost < 1e-3:
        return ()
    return (
        f"Each head of this model can also attend to a sink, which is no token and writes nothing: up to {lost:.0%} of "
        "a head's weight goes there, so its weights sum to less than 1.",
    )


def hidden() -> str:
    """For figures of own tokens within a text, where a mask hides positions from others."""
    return (
        "A mask hides positions from others here. An output before a token's place cannot hold that token, so the "
        "level of Own within the text means nothing by itself: hold it against the same under even attention, as a "
        "survey does."
    )


def truncated(kept: int, of: int) -> str:
    """For a text that was cut to the model's length."""
    return f"The text was cut: the model reads {kept} of its {of} tokens."


def doubled(labels: Sequence[str]) -> tuple[str, ...]:
    """For a text that brings special tokens along which the tokenizer puts there again (a rendered chat, say)."""
    if not labels:
        return ()
    return (
        f"Special tokens stand here twice ({', '.join(labels)}): the text has them, and the tokenizer added its own. "
        "Read it without the tokenizer's, or a chat as its messages. In a program: special=False, --no-special.",
    )


def token_types() -> str:
    """For a pair of texts in a model that tells them apart by token types."""
    return (
        "The tokens of the second text have another token type, and so has the vocabulary that they are compared with; "
        "read alone (reference isolated) it has the first."
    )


def unknown_words(share: float) -> str:
    """For a bank of texts in a language that the tokenizer does not know."""
    return (
        f"Of the bank's tokens {share:.0%} are unknown words to this model's tokenizer: what other texts give means "
        "little here. In a program: scope.bank(FILE) or --bank FILE, texts in the model's own language, one a line."
    )


def at_positions(first: int, last: int) -> str:
    """At which positions.

    >>> at_positions(3, 3), at_positions(1, 4)
    ('position 3', 'positions 1 to 4')
    """
    return f"position {first}" if first == last else f"positions {first} to {last}"


def background(position: int, special: bool, first: int, last: int, space: Space, metric: Metric) -> tuple[str, ...]:
    """For chance and hub-aware scores where the bank is not quite like what is held against it."""
    found = []
    if not first <= position <= last:
        found.append(
            f"The bank's texts are too short for position {position}: chance is that of {at_positions(first, last)}."
        )
    if special:
        found.append("The selected token is special; the bank's outputs, and so chance, are those at ordinary tokens.")
    if space == "unembedding" and metric == "dot":
        found.append(
            "Hub-aware scores are those of W_O z before the final norm's scale, which is another for each output and "
            "changes no order under dot."
        )
    return tuple(found)


def beyond(at: int | None, length: int) -> tuple[str, ...]:
    """For a vocabulary that is asked to stand at a position that the text does not have."""
    if at is None or at < length:
        return ()
    return (
        f"Position {at} is beyond this text: the vocabulary stands where the last token of a text of {at + 1} tokens "
        "does.",
    )


def unmoved(at: int | None) -> tuple[str, ...]:
    """For a vocabulary that is asked to stand at a position where it is the same at every one.

    >>> unmoved(3)
    ('The vocabulary is the same at every position here, so that it is asked for at position 3 changes nothing.',)
    """
    if at is None:
        return ()
    return (
        f"The vocabulary is the same at every position here, so that it is asked for at position {at} changes nothing.",
    )


def no_place(moves: bool, at: int | None) -> tuple[str, ...]:
    """For a map, where every vocabulary token has one point, of a vocabulary that depends on the position."""
    if not moves or at is not None:
        return ()
    return ("The vocabulary stands at no position here, the text's values and outputs at their own.",)


def low_trust(trust: float, method: str) -> str:
    """For a picture in which many neighbours are none in the space."""
    other = " t-SNE keeps neighbours better." if method == "pca" else ""
    return (
        f"Do not read nearness off this picture: its trustworthiness is {trust:.2f} (1: whoever is near here is near "
        f"in the space; about 0.5: a random picture).{other} The tables of the nearest tokens are exact."
    )


def edited(edits: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """For a text that was read with edits: (place, what took the place of what the model computes there)."""
    if not edits:
        return ()
    listed = ", ".join(f"{place} ({by})" for place, by in edits[:8])
    more = f" and {len(edits) - 8} more" if len(edits) > 8 else ""
    parts = {place.partition(" ")[2] for place, _ in edits}
    what = ["the residual stream"] * ("residual" in parts) + ["attention"] * ("pattern" in parts)
    what += ["z"] * bool(parts - {"residual", "pattern"})
    return (f"While the model read this text, {' or '.join(what)} was replaced in {listed}{more}.",)


def input_embedding(normed: bool, wanted: bool, added: bool) -> str:
    """For a journey: what the own input embedding is; whether a position was wanted, and is added."""
    where = (
        "with its position" if added else "without a position" + (", which this model does not add" if wanted else "")
    )
    return f"The own input embedding is what block 0 gets for the token {where}: " + (
        "through the model's norm." if normed else "raw, before any norm."
    )


def no_residual_ratio() -> str:
    """For mixing in a layer that norms what the heads wrote before it is added."""
    return (
        "This model norms what the heads wrote before it is added to the residual stream, so the ratio with the "
        "residual cannot be told."
    )


def no_layernorm_ratio() -> str:
    """For mixing in a model without a norm after the sum."""
    return "This model has no norm right after the sum with the residual stream, so there is no ratio behind it."


def other_rows(rows: int, tokens: int) -> tuple[str, ...]:
    """For a language-model head that does not have one row for each token of the vocabulary."""
    if rows == tokens:
        return ()
    left = "tokens without a logit are" if rows < tokens else "logits that belong to no token are"
    return (f"The language-model head gives {rows:,} logits for a vocabulary of {tokens:,} tokens: {left} left out.",)


def no_own_logit() -> str:
    """For effects on a token that the language-model head has no row for."""
    return "The language-model head has no logit for this token, so what it gains cannot be told."


def no_logits() -> str:
    """For effects in a model without a language-model head."""
    return "This model has no language-model head here, so the effect is told on the last layer's output alone."
