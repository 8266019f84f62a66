"""The scans of the vocabulary, tile by tile: compiled, and in torch."""
