"""Equivariant layers and networks, as modules of PyTorch. Needs the extra ``torch``, and no JAX."""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ModuleNotFoundError(
        "these layers need PyTorch: pip install 'intertwine[torch]', or install the build for your "
        "machine as pytorch.org says"
    )

from intertwine.architecture.allocation import uniform_rep
from intertwine.architecture.gates import gate_indices, gated
from intertwine.torch.bilinear import BiLinear
from intertwine.torch.emlp import EMLP
from intertwine.torch.exporting import export
from intertwine.torch.linear import Linear
from intertwine.torch.mlp import MLP
from intertwine.torch.nonlinearities import GatedNonlinearity, Pointwise
from intertwine.torch.paper_layers import EMLPBlock
from intertwine.torch.saving import load, save
from intertwine.torch.sequential import Sequential
from intertwine.torch.standardize import Standardize

__all__ = [
    "EMLP",
    "MLP",
    "BiLinear",
    "EMLPBlock",
    "GatedNonlinearity",
    "Linear",
    "Pointwise",
    "Sequential",
    "Standardize",
    "export",
    "gate_indices",
    "gated",
    "load",
    "save",
    "uniform_rep",
]
