"""Exchange the weights of linear layers with e3nn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Inexact

from intertwine.architecture.linear_maps import SchurMaps
from intertwine.errors import InvalidRep, MethodNotApplicable
from intertwine.irreps import E3nnFrame, e3nn_frame
from intertwine.nn.linear import Linear

_REST = 1e-3  # the largest part of a matrix outside its blocks, relative to it: float32 weights

#: A path from the block i of the inputs to the block o of the outputs, and its matrix.
Paths = Mapping[tuple[int, int], Inexact[np.ndarray, "mul_in mul_out"]]


@dataclass(frozen=True, eq=False)
class E3nnLinear:
    """The weights of a linear layer for e3nn: yₒ = Σᵢ Wᵢₒᵀ xᵢ + bₒ, for blocks of equal irreps.

    `irreps_in` and `irreps_out` are texts such as ``3x1o+2x0e``, and `paths` has the matrix Wᵢₒ of
    shape (mulᵢ, mulₒ) for each pair (i, o) of blocks with the same irrep. `biases` has bₒ for each
    block o of 0e. e3nn's `Linear` multiplies Wᵢₒ by a factor, which is left out here: with the
    path normalization "element", its weights are those of `normalized`.
    """

    irreps_in: str
    irreps_out: str
    paths: Paths
    biases: Mapping[int, Inexact[np.ndarray, " mul"]]

    @property
    def normalized(self) -> Paths:
        """The weights Wᵢₒ √fan_in, with fan_in the inputs of block o, as e3nn's layers have them.

        In e3nn-jax, they are weights for ``gradient_normalization="path"``, and for
        ``path_normalization="element"``.
        """
        fans: dict[int, int] = {}
        for (_, o), weight in self.paths.items():
            fans[o] = fans.get(o, 0) + len(weight)
        return {(i, o): weight * fans[o] ** 0.5 for (i, o), weight in self.paths.items()}


def linear_to_e3nn(layer: Linear) -> E3nnLinear:
    """Return the weights of a layer between reps of SO(3) or O(3), for e3nn.

    Inputs and outputs in e3nn's coordinates are those of `e3nn_frame(layer.rep_in).to_e3nn(x)`,
    and likewise for `rep_out`. Raises `MethodNotApplicable` for other groups.
    """
    frames = _frames(layer)
    matrix, bias = layer.matrix()
    whole = frames[1].matrix @ matrix.astype(float) @ frames[0].matrix.T
    shift = frames[1].matrix @ bias.astype(float)
    paths, rebuilt = {}, np.zeros_like(whole)
    for i, rows_in in enumerate(_places(frames[0])):
        for o, rows_out in enumerate(_places(frames[1])):
            if frames[0].blocks[i][1:] != frames[1].blocks[o][1:]:
                continue
            block = whole[np.ix_(rows_out.ravel(), rows_in.ravel())]
            d = rows_in.shape[1]
            weight = block.reshape(len(rows_out), d, len(rows_in), d).trace(axis1=1, axis2=3) / d
            paths[i, o] = weight.T.copy()
            rebuilt[np.ix_(rows_out.ravel(), rows_in.ravel())] = np.kron(weight, np.eye(d))
    rest = float(np.linalg.norm(whole - rebuilt))
    if not rest <= _REST * float(np.linalg.norm(whole)):
        raise InvalidRep(
            f"the matrix of {layer!r} differs by {rest:.1g} from one of e3nn's form: its weights "
            f"may have entries that are not finite"
        )
    scalars = {
        o: shift[rows.ravel()]
        for o, rows in enumerate(_places(frames[1]))
        if frames[1].blocks[o][1:] == (0, "e")
    }
    return E3nnLinear(frames[0].irreps, frames[1].irreps, paths, scalars)


def linear_from_e3nn(
    layer: Linear,
    paths: Paths,
    biases: Mapping[int, Inexact[np.ndarray, " mul"]] | None = None,
) -> Linear:
    """Return a layer with the weights of e3nn: the inverse of `linear_to_e3nn`.

    `paths` and `biases` are as in `E3nnLinear`, without e3nn's normalization; omitted paths and
    biases are 0. The layer is between the reps of the given one, and has its dtype.
    Raises `InvalidRep` for paths between blocks of different irreps, and for wrong shapes.
    """
    frames, maps = _frames(layer), layer.maps
    assert isinstance(maps, SchurMaps)
    places = [_places(frame) for frame in frames]
    whole = np.zeros((layer.rep_out.size(), layer.rep_in.size()))
    for (i, o), given in paths.items():
        _require_path(frames, i, o)
        rows_in, rows_out = places[0][i], places[1][o]
        weight = _of_shape(given, (len(rows_in), len(rows_out)), f"the weights of the path {i, o}")
        whole[np.ix_(rows_out.ravel(), rows_in.ravel())] = np.kron(
            weight.T, np.eye(rows_in.shape[1])
        )
    shift = np.zeros(layer.rep_out.size())
    for o, given in (biases or {}).items():
        if not 0 <= o < len(frames[1].blocks) or frames[1].blocks[o][1:] != (0, "e"):
            raise InvalidRep(f"block {o} of {frames[1].irreps} has no bias: it is not of 0e")
        shift[places[1][o].ravel()] = _of_shape(given, (len(places[1][o]),), f"the bias {o}")
    return _with_matrix(
        layer,
        maps,
        frames[1].matrix.T @ whole @ frames[0].matrix,
        frames[1].matrix.T @ shift,
    )


def _frames(layer: Linear) -> tuple[E3nnFrame, E3nnFrame]:
    frames = e3nn_frame(layer.rep_in), e3nn_frame(layer.rep_out)
    if not isinstance(layer.maps, SchurMaps) or any(np.iscomplexobj(f.matrix) for f in frames):
        raise MethodNotApplicable(
            f"e3nn has layers between real irreps of rotations, and {layer!r} is not one: take "
            f"reps of SO(3) or O(3)"
        )
    return frames


def _places(frame: E3nnFrame) -> list[np.ndarray]:
    """Return the coordinates of each block, of shape (mul, 2l + 1)."""
    found, at = [], 0
    for count, degree, _ in frame.blocks:
        size = 2 * degree + 1
        found.append(np.arange(at, at + count * size).reshape(count, size))
        at += count * size
    return found


def _require_path(frames: tuple[E3nnFrame, E3nnFrame], i: int, o: int) -> None:
    own = [frame.blocks for frame in frames]
    if not (0 <= i < len(own[0]) and 0 <= o < len(own[1])) or own[0][i][1:] != own[1][o][1:]:
        raise InvalidRep(
            f"there is no path from block {i} of {frames[0].irreps} to block {o} of "
            f"{frames[1].irreps}: give paths between blocks of the same irrep, counted from 0"
        )


def _of_shape(given: Any, shape: tuple[int, ...], what: str) -> Inexact[np.ndarray, "..."]:
    found = np.asarray(given, dtype=float)
    if found.shape != shape:
        raise InvalidRep(f"{what} have the shape {found.shape}, not {shape}")
    return found


def _with_matrix(
    layer: Linear,
    maps: SchurMaps,
    matrix: Inexact[np.ndarray, "m n"],
    bias: Inexact[np.ndarray, " m"],
) -> Linear:
    """Return the layer with an equivariant matrix and an invariant bias in the reps' coordinates.

    The weight of an irrep is read off at its first component: copy j of the inputs, as a vector of
    rep_in, is mapped to the copies of the outputs.
    """
    weights, dtype = {}, layer.bias.dtype
    some = np.zeros((1, layer.rep_in.size()))
    for name, (_, columns) in ((n, shape) for n, (shape, _) in maps.weight_spec.items()):
        unit = np.eye(columns)
        zero = np.zeros((columns, columns))
        components = [unit, *[zero] * (maps.space_in.kinds[name].dimension - 1)]
        vectors = maps.space_in.leave({name: components}, np.zeros((columns, some.shape[1])))
        images = maps.space_out.enter(np.asarray(vectors) @ matrix.T)
        weights[name] = jnp.asarray(np.asarray(images[name][0]), dtype)
    constants = layer.bias
    if maps.constants:
        features = maps.space_out.enter(bias[None])
        constants = jnp.asarray(np.asarray(features[maps.space_out.trivial or ""][0])[:, 0], dtype)
    changed: Linear = object.__new__(type(layer))
    for name, value in {"weights": weights, "bias": constants, "maps": maps}.items():
        object.__setattr__(changed, name, value)
    return changed
