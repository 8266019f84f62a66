"""What one click cost in the original experiment, written afresh from its description.

For each head it encoded the whole vocabulary anew, by a plain product with that head's columns of the value
projection, took the distance of one output to every encoding, and sorted them all.
"""

import torch
from torch import Tensor

from headscope import Scope
from headscope.reading.reading import Reading


class Experiment:
    """The experiment's arithmetic on an opened model's own embeddings and projections."""

    def __init__(self, scope: Scope, reading: Reading) -> None:
        opened = scope.bench.opened
        self.embeddings = opened.model.get_input_embeddings().weight.detach()  # [token, d_model]
        self.positions = torch.stack([opened.feed.place(token.position)[0] for token in reading.tokens])
        self.norm = opened.feed.norm(0)
        self.projections = [scope.weights(layer).v for layer in range(len(reading.z))]
        self.z = reading.z

    def click(self, position: int, layer: int, *, euclidean: bool = False) -> list[Tensor]:
        """For each head, all vocabulary ids by their distance from its output."""
        found, value = [], self.projections[layer]
        assert self.norm is not None
        assert value is not None
        with torch.no_grad():
            embedded = self.norm.module(self.embeddings + self.positions[position])  # [token, d_model]
            for head, z in enumerate(self.z[layer, position]):
                encoded = embedded @ value.weight[head] + value.bias[head]  # [token, d_head]
                if euclidean:
                    apart = torch.cdist(z[None], encoded)[0]
                else:
                    apart = 1 - torch.nn.functional.cosine_similarity(z[None], encoded)
                found.append(apart.sort().indices)
        return found
