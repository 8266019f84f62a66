"""The whole vocabulary as a head sees it: encodings of every token, kept within a memory budget."""

from headscope.vocabulary.encoded import Encoded
from headscope.vocabulary.encodings import Vocabulary

__all__ = ["Encoded", "Vocabulary"]
