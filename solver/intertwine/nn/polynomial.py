"""Equivariant polynomials, with coefficients by least squares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Inexact, Int

from intertwine.architecture.conjugates import with_dual
from intertwine.architecture.features import mixed
from intertwine.architecture.irrep_space import IrrepSpace, are_complex, irrep_space_of
from intertwine.architecture.linear_maps import bound
from intertwine.architecture.precision import is_half
from intertwine.arrays import Array
from intertwine.errors import InvalidRep, InvalidSetting, MethodNotApplicable
from intertwine.groups import Group, Trivial
from intertwine.integers import checked_integer
from intertwine.nn.layer import Layer, compiled, in_own_precision, rows
from intertwine.nn.least_squares import LeastSquares, Path
from intertwine.nn.polynomial_features import (
    PolynomialFeatures,
    design_matrix,
    polynomial_features_of,
)
from intertwine.nn.settings import working
from intertwine.reps import Rep
from intertwine.reps.syntax import groups_of

_NUMBERS = 1 << 22
"""The approximate number of entries of a block of a design matrix."""


class EquivariantPolynomial(Layer):
    """x ↦ Σⱼ wⱼpⱼ(x) + b: every equivariant polynomial of total degree up to `degree`.

    The pⱼ are a basis: Clebsch–Gordan products of the input, without those that depend linearly on
    others. Beyond the degree `generators`, by default 4, only products of polynomials of lower
    degree with invariants are taken. These are all polynomials wherever invariants and equivariants
    up to that degree generate the others, as for vectors of O(n), of SO(3) and of the Lorentz
    groups. With ``norms=True``, polynomials are in v, |v| and v/|v| for each irreducible part v of
    the input on which the group is unitary; |v|³ and angles are then among them.

    All weights are 0 in a new polynomial; `fit` returns one with those of least squares. `dtype` is
    that of the weights, float32 by default (complex64 for complex groups). Raises
    `MethodNotApplicable` for reps that are not recognised as sums of irreps of one group, and
    `TooLarge` for more than `most` products of an irrep, including those that depend on others.
    """

    weights: dict[str, Inexact[Array, "_ _"]]
    bias: Inexact[Array, " s"]
    features: PolynomialFeatures = eqx.field(static=True)
    space_out: IrrepSpace = eqx.field(static=True)
    rep_in: Rep = eqx.field(static=True)

    def __init__(
        self,
        rep_in: Rep | str | int,
        rep_out: Rep | str | int,
        group: Group | None = None,
        degree: int = 3,
        *,
        norms: bool = False,
        generators: int = 4,
        most: int = 4096,
        dtype: Any = None,
    ) -> None:
        self.rep_in, out = bound(rep_in, group), bound(rep_out, group)
        group = _one_group(self.rep_in, out, group)
        degree = checked_integer(degree, "the degree")
        generators = checked_integer(generators, "the degree of generators")
        if not degree or not generators:
            raise InvalidSetting("degree or generators is 0: give degrees from 1 on")
        if not self.rep_in.size():
            raise InvalidRep("a polynomial needs an input, and rep_in has size 0")
        is_complex = are_complex((self.rep_in, out), group)
        space = irrep_space_of(with_dual(self.rep_in), group, is_complex)
        self.space_out = irrep_space_of(out, group, is_complex)
        self.features = polynomial_features_of(
            space,
            self.rep_in.size(),
            tuple(self.space_out.kinds),
            group,
            degree,
            generators,
            bool(norms),
            checked_integer(most, "most, the number of products,"),
        )
        chosen, sizes = working(dtype, is_complex), self.features.counts
        if is_half(chosen):
            raise InvalidSetting(
                f"coefficients of polynomials are not rounded to {chosen}, in which their terms do "
                f"not cancel: give dtype float32 or float64"
            )
        self.weights = {
            name: jnp.zeros((m, sizes[name] * self.space_out.kinds[name].freedom), chosen)
            for name, m in self.space_out.multiplicities.items()
            if sizes[name]
        }
        trivial = self.space_out.trivial
        self.bias = jnp.zeros(self.space_out.multiplicities[trivial] if trivial else 0, chosen)

    @property
    def rep_out(self) -> Rep:
        """The rep of the image of x."""
        return self.space_out.rep

    @property
    def degree(self) -> int:
        """The largest total degree."""
        return self.features.degree

    def __call__(self, x: Any, training: bool = False) -> Inexact[Array, "..."]:
        """Return the image of each vector of x; `training` has no effect.

        A model with float64 weights computes in float64, also if JAX has it disabled, unless the
        call is traced.
        """
        with in_own_precision(self, x):
            flat, batch = rows(x, self.rep_in.size(), self.rep_in, self.bias.dtype)
            return batch.images(compiled(_apply, self, flat))

    def fit(self, x: Any, y: Any, ridge: float | int = 0) -> EquivariantPolynomial:
        """Return the polynomial f with the least mean of |f(x) − y|² + ridge · Σⱼ |sⱼwⱼ|², computed
        in double precision; sⱼ is the root mean square of pⱼ over the data. x and y have one row
        per sample.

        |·| is the norm in irrep coordinates, which is the usual one for groups of orthogonal and
        unitary matrices. With a ridge of 0, the smallest of several solutions is returned.
        """
        if not 0 <= ridge < np.inf:
            raise InvalidSetting(f"the ridge is {ridge!r}: give a finite number of at least 0")
        problems = self.problems(x, y)
        return self.with_weights(
            {name: p.path(p.width).weights(ridge) for name, p in problems.items()}
        )

    def problems(self, x: Any, y: Any) -> dict[str, LeastSquares]:
        """Return the least-squares problem of each irrep of the output.

        Its columns are the constant, for scalars, and the polynomials, low degrees first.
        """
        x, y = self._double(x, self.rep_in), self._double(y, self.rep_out)
        if len(x) != len(y) or not len(x):
            raise InvalidSetting(
                f"there are {len(x):,} inputs and {len(y):,} targets: give as many of both, and at "
                f"least one"
            )
        return {
            name: LeastSquares.of(self._blocks(name, x, y), kind.is_trivial)
            for name, kind in self.space_out.kinds.items()
        }

    def left_out(
        self, name: str, path: Path, ridges: Sequence[float | int], x: Any, y: Any
    ) -> Inexact[np.ndarray, "ridges r m"]:
        """Return the leave-one-out residuals of an irrep's problem for each ridge.

        x and y are the data that the problem was made of (see `Path.left_out`).
        """
        x, y = self._double(x, self.rep_in), self._double(y, self.rep_out)
        blocks = self._blocks(name, x, y)
        return path.left_out(blocks, ridges, self.space_out.kinds[name].dimension)

    def columns(self, name: str, x: Inexact[np.ndarray, "n d_in"]) -> Inexact[np.ndarray, "r p"]:
        """Return the matrix of an irrep's problem, with a row for each component of each sample."""
        kind = self.space_out.kinds[name]
        found = self.features(x).get(name)
        height = len(x) * kind.dimension
        values = np.zeros((height, 0)) if found is None else design_matrix(kind, found)
        return np.concatenate([np.ones((height, 1)), values], 1) if kind.is_trivial else values

    def degrees(self, name: str) -> Int[np.ndarray, " p"]:
        """Return the degree of each column of an irrep's problem."""
        kind = self.space_out.kinds[name]
        found = np.repeat(self.features.degrees(name), kind.freedom)
        return np.concatenate([[0], found]) if kind.is_trivial else found

    def with_weights(
        self, solutions: Mapping[str, Inexact[np.ndarray, "p m"]]
    ) -> EquivariantPolynomial:
        """Return the polynomial with the given solutions of its problems, without the products that
        they do not use. A solution may have fewer entries than there are columns: the others are 0.
        """
        used, bias = {}, np.zeros(self.bias.shape)
        by_channel: dict[str, Inexact[np.ndarray, "c e m"]] = {}
        for name, found in solutions.items():
            kind, m = self.space_out.kinds[name], self.space_out.multiplicities[name]
            if kind.is_trivial:
                bias, found = found[0], found[1:]
            whole = np.zeros((self.features.counts[name], kind.freedom, m), found.dtype)
            whole.reshape(-1, m)[: len(found)] = found
            used[name], by_channel[name] = (whole != 0).any(axis=(1, 2)), whole
        features, remaining = self.features.only(used)
        weights = {}
        for name, whole in by_channel.items():
            if remaining[name].any():
                by_map = whole[remaining[name]].transpose(2, 1, 0).reshape(whole.shape[2], -1)
                weights[name] = jnp.asarray(by_map, self.bias.dtype)
        made: EquivariantPolynomial = object.__new__(type(self))
        values = {
            "weights": weights,
            "bias": jnp.asarray(bias, self.bias.dtype),
            "features": features,
            "space_out": self.space_out,
            "rep_in": self.rep_in,
        }
        for field, value in values.items():
            object.__setattr__(made, field, value)
        return made

    def _blocks(
        self, name: str, x: Inexact[np.ndarray, "n d_in"], y: Inexact[np.ndarray, "n d_out"]
    ) -> Iterator[tuple[Inexact[np.ndarray, "r p"], Inexact[np.ndarray, "r m"]]]:
        kind = self.space_out.kinds[name]
        width = (self.features.counts[name] * kind.freedom + 1) * kind.dimension
        step = max(1, _NUMBERS // width)
        for start in range(0, len(x), step):
            own = slice(start, start + step)
            yield self.columns(name, x[own]), self.targets(name, y[own])

    def targets(self, name: str, y: Inexact[np.ndarray, "n d_out"]) -> Inexact[np.ndarray, "r m"]:
        """Return the right-hand sides of an irrep's problem."""
        parts = np.stack(self.space_out.enter(y)[name])
        found: Inexact[np.ndarray, "r m"] = parts.transpose(2, 0, 1).reshape(-1, parts.shape[1])
        return found

    def untargeted(
        self, rows_of: Mapping[str, Inexact[np.ndarray, "_ _"]]
    ) -> Inexact[np.ndarray, "n d_out"]:
        """Return the vectors from the right-hand sides of each irrep: the inverse of `targets`."""
        parts = {}
        for name, values in rows_of.items():
            by_sample = values.reshape(-1, self.space_out.kinds[name].dimension, values.shape[1])
            parts[name] = list(by_sample.transpose(1, 2, 0))
        some = next(iter(parts.values()))[0]
        found: Inexact[np.ndarray, "n d_out"] = self.space_out.leave(parts, some.T)
        return found

    def _double(self, values: Any, rep: Rep) -> Inexact[np.ndarray, "n d"]:
        array = np.asarray(values)
        if array.ndim != 2 or array.shape[1] != rep.size():
            raise InvalidRep(
                f"{rep!r} has size {rep.size()}, and an array has the shape {array.shape}: give "
                f"one of shape (samples, {rep.size()})"
            )
        return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)

    def __repr__(self) -> str:
        return f"EquivariantPolynomial({self.rep_in!r} → {self.rep_out!r}, degree {self.degree})"


def _one_group(rep_in: Rep, rep_out: Rep, group: Group | None) -> Group:
    """Return the group of two reps; scalars are reps of any group."""
    first, *others = dict.fromkeys((*groups_of(rep_in), *groups_of(rep_out))) or (
        group or Trivial(1),
    )
    if others:
        raise MethodNotApplicable(
            f"polynomials need reps of one group, and these are over {first!r} and {others[0]!r}: "
            f"give reps of one of them, or train an EMLP"
        )
    return first


def _apply(model: EquivariantPolynomial, x: Inexact[Array, "b n"]) -> Inexact[Array, "b m"]:
    space = model.space_out
    features = model.features(x)
    out = {n: mixed(w, space.kinds[n], features[n]) for n, w in model.weights.items()}
    if space.trivial:
        name = space.trivial
        bias = model.bias[:, None] @ jnp.ones((1, x.shape[0]), model.bias.dtype)
        out[name] = [out[name][0] + bias] if name in out else [bias]
    return space.leave(out, x)
