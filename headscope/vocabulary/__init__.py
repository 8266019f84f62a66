"""The whole vocabulary as a head sees it: encodings of every token, kept within a memory budget."""

from headscope.vocabulary.encodings import Encoded, Vocabulary

__all__ = ["Encoded", "Vocabulary"]
