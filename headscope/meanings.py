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
