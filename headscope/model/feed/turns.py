"""How a model turns keys and queries by their position (RoPE): a rotation of each head, measured by calling it.

The attention module gets the same hidden states at position 0 and at position p; what arrives at the attention
function differs by the turn and by nothing else, whatever the model does before it (projections, q/k norms).
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.model.feed.feed import Feed
from headscope.model.feed.positions import Spot
from headscope.model.feed.runs import Part

_HELD_OUT = 8
_TOLERANCE = 1e-4  # of the largest |q| or |k|; the angles themselves are float32 numbers


def measure_turn(feed: Feed, layer: int, part: Part, spot: Spot) -> Tensor | None:
    """T float64 [head, d_head, d_head], orthogonal, with k = k_0 T at `spot`; None where nothing is turned there.

    k_0 is the key of a text of one token. The orthogonal Procrustes problem on random hidden states, checked on
    others. Raises InputError where what the position does is no rotation.
    """
    generator = torch.Generator().manual_seed(layer)
    held = torch.randn(_HELD_OUT, feed.anatomy.d_model, generator=generator).to(feed.device)
    # The whole text that the spot is in: what the model itself does there.
    before, after = feed.projected(held, layer, part).double(), feed.projected(held, layer, part, spot).double()
    limit = (_TOLERANCE + feed.anatomy.arithmetic.allowance) * float(after.abs().amax())
    if not float((after - before).abs().amax()) > limit:
        return None
    fitted = torch.randn(2 * after.shape[-1], feed.anatomy.d_model, generator=generator).to(feed.device)
    still = feed.projected(fitted, layer, part)
    # Places come after numbers: one that is not in a text of one token is an error there, and on a GPU the last of all.
    for moved_by in (partial(feed.told, counted=False), partial(feed.told, counted=True), feed.projected):
        moved = moved_by(fitted, layer, part, spot)
        products = torch.einsum("nhd,nhe->hde", still.double(), moved.double())
        u, _, v = torch.linalg.svd(products)
        turn: Tensor = u @ v  # (head, d_head, d_head)
        if float((torch.einsum("nhd,hde->nhe", before, turn) - after).abs().amax()) <= limit:
            return turn
    raise InputError(
        f"{type(feed.model).__name__} changes its {'keys' if part == 'k' else 'queries'} at layer {layer} by their "
        f"position ({spot.index} of {len(spot.text)}), but not by a rotation: the vocabulary cannot be encoded there. "
        "Open: value, output, embedding."
    )
