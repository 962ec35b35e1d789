"""Save and load models of JAX."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from intertwine.nn.baked import BakedBlock, BakedNetwork, Dense, Wiring
from intertwine.nn.bilinear import BiLinear
from intertwine.nn.block import Block
from intertwine.nn.conjugates import Conjugated
from intertwine.nn.emlp import EMLP
from intertwine.nn.emlp_block import EMLPBlock
from intertwine.nn.energy import EMLPH, MLPH
from intertwine.nn.gated_nonlinearity import GatedNonlinearity
from intertwine.nn.group_augmentation import GroupAugmentation
from intertwine.nn.irrep_network import IrrepNetwork
from intertwine.nn.layer import Layer
from intertwine.nn.linear import Linear
from intertwine.nn.mlp import MLP
from intertwine.nn.parallel import Parallel
from intertwine.nn.pointwise import Pointwise
from intertwine.nn.polynomial import EquivariantPolynomial
from intertwine.nn.polynomial_features import PolynomialFeatures, Step
from intertwine.nn.sequential import Sequential
from intertwine.nn.settings import require_enabled
from intertwine.nn.square import Square
from intertwine.nn.standardize import Standardize
from intertwine.nn.vector_field import EMLPode, MLPode
from intertwine.saving import model_files
from intertwine.saving.framework import IsPart, SavedFramework, plain_classes
from intertwine.saving.named_reps import Given


def save(
    model: Any, folder: str | os.PathLike[str], *, names: Mapping[str, Given] | None = None
) -> None:
    """Write a model to a folder: ``config.json``, and ``weights-….safetensors`` beside it.

    The config is written last and replaces an older one atomically, so that a crash leaves a
    complete model, old or new. `names` gives custom reps by name: the reps, over their group or
    without one, or their classes. `intertwine.torch.load` reads the same files.

    A module of your own (Equinox) that contains layers of Intertwine is saved as these layers and
    its other arrays, each with its path in the module. Raises `InvalidRep` for anything else, and
    leaves the folder as it was.
    """
    model_files.save(JAX, model, folder, names)


def load(
    folder: str | os.PathLike[str],
    *,
    names: Mapping[str, Given] | None = None,
    like: Any = None,
) -> Any:
    """Return the model that `save` wrote, here or in `intertwine.torch`, with the same outputs.

    A module of your own needs `like`, a module that was made in the same way: the result is a copy
    of it with the saved layers and arrays. Raises `FormatError` for an incomplete model, if
    classes, reps, shapes or dtypes of `like` differ from the saved ones, and if `names` stand for
    other reps than when it was saved; `FileNotFoundError` without a model.
    """
    return model_files.load(JAX, folder, names, like)


def to_config(
    model: Any, *, names: Mapping[str, Given] | None = None
) -> tuple[dict[str, Any], bytes]:
    """Return the JSON config of a model, and the bytes of the safetensors file that it names.

    Raises `InvalidRep` for a module of your own, which cannot be made from these alone.
    """
    return model_files.to_config(JAX, model, names)


def from_config(
    config: Mapping[str, Any],
    blob: bytes,
    *,
    names: Mapping[str, Given] | None = None,
    like: Any = None,
) -> Any:
    """Return the model of `to_config`; for `like` see `load`.

    Raises `FormatError` if config and weights do not belong together, and `InvalidSetting` for
    arrays in float64 while JAX has it disabled.
    """
    return model_files.from_config(JAX, config, blob, names, like)


def _from_numpy(array: Shaped[np.ndarray, "..."]) -> Shaped[jax.Array, "..."]:
    require_enabled(array.dtype)
    return jnp.asarray(array)


def _parts(module: Any, is_part: IsPart) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(module, is_leaf=is_part)
    return [(_text(path), one) for path, one in leaves if is_part(one) or eqx.is_array(one)]


def _with_parts(module: Any, is_part: IsPart, parts: Mapping[str, Any]) -> Any:
    return jax.tree_util.tree_map_with_path(
        lambda path, one: parts.get(_text(path), one), module, is_leaf=is_part
    )


def _text(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


JAX = SavedFramework(
    name="jax",
    package="intertwine.nn",
    distributions=("jax", "equinox", "numpy"),
    remedy="load the model with the version of Intertwine that saved it",
    layer=Layer,
    module=eqx.Module,
    array=jax.Array,
    classes=plain_classes(
        *(EMLP, MLP, Sequential, Standardize, EMLPBlock, Linear, BiLinear, GatedNonlinearity),
        *(Pointwise, IrrepNetwork, Block, Conjugated, Square, Parallel),
        *(EMLPH, MLPH, EMLPode, MLPode, GroupAugmentation),
        *(EquivariantPolynomial, PolynomialFeatures, Step),
        *(BakedNetwork, BakedBlock, Dense, Wiring),
    ),
    parts=_parts,
    with_parts=_with_parts,
    placed=lambda found, like: found,
    to_numpy=np.asarray,
    from_numpy=_from_numpy,
    summary=repr,
)
