"""What a choice can and cannot mean, a sentence each: for the command line's help, the page and the documentation."""

REFERENCES = {
    "input": (
        "Layer 0's projection encodes the vocabulary, as in the experiment; above layer 0 its basis has nothing to do "
        "with the head's own, so nearness there need not mean anything."
    ),
    "layer": (
        "The layer's own projection encodes the vocabulary: one basis on both sides, but above layer 0 the model never "
        "gets bare embeddings there, so these are encodings of no text."
    ),
    "isolated": (
        "The model reads every vocabulary token alone, and its value in the layer encodes it: one basis and the "
        "model's own runs on both sides, but without context, and at its place in a text of its own."
    ),
}

MIXING = {
    "weights": "The attention weights on other positions, the mean of the heads: what is read off a bare pattern.",
    "norms": (
        "How long what comes from other positions is beside what comes from the own one, head by head, the mean of the "
        "heads: a large weight on a short value mixes little."
    ),
    "norms_all": "The same for what all heads of the layer write together, where heads add up or cancel.",
    "residual": "With the stream that the layer adds to, which is the token's own: the largest part of what is kept.",
    "layernorm": "With the norm of the sum behind it: what the rest of the model gets of other positions.",
}
