"""Equivariant layers and networks, on Equinox. Needs the extra ``nn``."""

from importlib.util import find_spec

if any(find_spec(package) is None for package in ("jax", "equinox", "optax")):
    raise ModuleNotFoundError(
        "intertwine.nn needs JAX, Equinox and optax: pip install 'intertwine[nn]', or take the "
        "networks of intertwine.torch, which need PyTorch alone"
    )

from intertwine.architecture.allocation import uniform_rep
from intertwine.architecture.gates import gate_indices, gated
from intertwine.nn.baked import BakedNetwork, Dense
from intertwine.nn.baking import bake
from intertwine.nn.bilinear import BiLinear
from intertwine.nn.e3nn_linear import E3nnLinear, linear_from_e3nn, linear_to_e3nn
from intertwine.nn.emlp import EMLP
from intertwine.nn.emlp_block import EMLPBlock
from intertwine.nn.energy import EMLPH, MLPH, hamiltonian_dynamics
from intertwine.nn.exporting import export
from intertwine.nn.gated_nonlinearity import GatedNonlinearity
from intertwine.nn.group_augmentation import GroupAugmentation
from intertwine.nn.layer import in_pieces
from intertwine.nn.linear import Linear
from intertwine.nn.mlp import MLP
from intertwine.nn.parallel import Parallel
from intertwine.nn.pointwise import Pointwise
from intertwine.nn.polynomial import EquivariantPolynomial
from intertwine.nn.program_cache import use_program_cache
from intertwine.nn.saving import load, save
from intertwine.nn.sequential import Sequential
from intertwine.nn.standardize import Standardize
from intertwine.nn.vector_field import EMLPode, MLPode
from intertwine.nn.weight_projection import bilinear_weights

__all__ = [
    "EMLP",
    "EMLPH",
    "MLP",
    "MLPH",
    "BakedNetwork",
    "BiLinear",
    "Dense",
    "E3nnLinear",
    "EMLPBlock",
    "EMLPode",
    "EquivariantPolynomial",
    "GatedNonlinearity",
    "GroupAugmentation",
    "Linear",
    "MLPode",
    "Parallel",
    "Pointwise",
    "Sequential",
    "Standardize",
    "bake",
    "bilinear_weights",
    "export",
    "gate_indices",
    "gated",
    "hamiltonian_dynamics",
    "in_pieces",
    "linear_from_e3nn",
    "linear_to_e3nn",
    "load",
    "save",
    "uniform_rep",
]

use_program_cache()
