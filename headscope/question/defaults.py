"""The question that is asked where nothing else is: the experiment's, whose reference is the layer's own at layer 0."""

from typing import Final

TEXT = "Time flies like an arrow. Fruit flies like a banana."
TOKEN = 1
K = 15
REFERENCE: Final = "layer"  # above layer 0 the only one that compares within one basis
