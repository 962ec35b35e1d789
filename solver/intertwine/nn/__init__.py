"""Equivariant layers and networks, on Equinox. Needs the extra ``nn``."""

from intertwine.nn.allocation import uniform_rep
from intertwine.nn.bilinear import BiLinear
from intertwine.nn.emlp import EMLP
from intertwine.nn.emlp_block import EMLPBlock
from intertwine.nn.gates import GatedNonlinearity, gate_indices, gated
from intertwine.nn.linear import Linear
from intertwine.nn.sequential import Sequential

__all__ = [
    "EMLP",
    "BiLinear",
    "EMLPBlock",
    "GatedNonlinearity",
    "Linear",
    "Sequential",
    "gate_indices",
    "gated",
    "uniform_rep",
]
