"""Exact nearest neighbours and ranks among a vocabulary's encodings: tensors in, frozen results out.

>>> import torch
>>> table = Table.pack(torch.eye(3)[None], torch.zeros(1, 3))
>>> near = search(table, [Place.none], torch.tensor([[[1.0, 0.5, 0.0]]]), torch.tensor([2]), k=2)["cosine"]
>>> near.ids[0, 0], near.own_rank[0, 0]
(tensor([0, 1]), tensor(3))
"""

from headscope.neighbors.hubs import HubAware, Hubness, Moments, hub_aware, hubness
from headscope.neighbors.metrics import distances
from headscope.neighbors.scan.backends import Backend, backend_in_use, warm_up
from headscope.neighbors.search import Nearest, search
from headscope.neighbors.shared import Shared
from headscope.neighbors.table import Place, Source, Table
from headscope.neighbors.tied import without_ties

__all__ = [
    "Backend",
    "HubAware",
    "Hubness",
    "Moments",
    "Nearest",
    "Place",
    "Shared",
    "Source",
    "Table",
    "backend_in_use",
    "distances",
    "hub_aware",
    "hubness",
    "search",
    "warm_up",
    "without_ties",
]
