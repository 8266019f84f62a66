"""The kinds of a nearest token, seen from the text that the model read."""

from __future__ import annotations

from typing import Literal, get_args

# In the order in which they are asked: a token is of the first kind that fits.
# own: the token at the selected position. text: another token of the text. variant: the same word as a token of the
# text, but for its case, its leading space or its ## form. special: no word (special, unused, byte, unnamed), in the
# text or not. elsewhere: any other word.
Kind = Literal["own", "text", "variant", "special", "elsewhere"]
KINDS: tuple[Kind, ...] = get_args(Kind)
