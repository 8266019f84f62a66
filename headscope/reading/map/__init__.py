"""Maps: a head's space in two dimensions, the vocabulary, the values and the outputs of texts in one picture."""

from headscope.reading.map.result import Map, MappedText

__all__ = ["Map", "MappedText"]
