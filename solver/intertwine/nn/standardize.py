"""A network with standardized data: its inputs and outputs have mean zero and size one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import canonicalize_dtype
from jaxtyping import Float, Inexact

from intertwine.arrays import Array
from intertwine.errors import InvalidRep, NotEquivariant
from intertwine.nn.layer import Layer, in_own_precision, is_double
from intertwine.reps import Rep, Scalar
from intertwine.reps.generator_images import act_by_complex_numbers
from intertwine.reps.syntax import atoms, groups_of
from intertwine.verify import equivariance_error

_TOLERANCE = 1e-5  # of statistics in float32

#: Numbers by coordinate, as a value: it may be part of what is compiled.
_Constants = tuple[float | complex, ...]


class Standardize(Layer):
    """x ↦ σ_y f((x − μ_x)/σ_x) + μ_y, or without μ_y and σ_y if `stats` has two entries.

    Equivariant like f if the means are invariant and each irrep has one scale (a vector has one
    scale, not three); raises `NotEquivariant` otherwise. The statistics are constants: training
    does not change them. Means may be complex if the vectors that they shift are. Raises
    `InvalidRep` for invalid statistics.
    """

    model: Any
    shift_in: _Constants = eqx.field(static=True)
    scale_in: _Constants = eqx.field(static=True)
    shift_out: _Constants = eqx.field(static=True)
    scale_out: _Constants = eqx.field(static=True)

    def __init__(self, model: Any, stats: Iterable[Any]) -> None:
        if not (hasattr(model, "rep_in") and hasattr(model, "rep_out")):
            raise NotEquivariant(f"{model!r} has no rep_in and rep_out: give a layer with reps")
        parts = list(stats)
        if len(parts) not in (2, 4):
            raise InvalidRep(f"stats are two arrays or four (means, scales), not {len(parts)}")
        self.model = model
        wide = any(map(jnp.iscomplexobj, filter(eqx.is_array, jax.tree.leaves(model))))
        self.shift_in, self.scale_in = _statistics(parts[0], parts[1], model.rep_in, wide)
        mean, scale = parts[2:] or (0.0, 1.0)
        self.shift_out, self.scale_out = _statistics(mean, scale, model.rep_out, wide)

    @property
    def rep_in(self) -> Rep:
        """The rep of x."""
        rep: Rep = self.model.rep_in
        return rep

    @property
    def rep_out(self) -> Rep:
        """The rep of the image of x."""
        rep: Rep = self.model.rep_out
        return rep

    def __call__(self, x: Any, training: bool = False) -> Inexact[Array, "..."]:
        """Return the image of each vector of x; the model also gets `training`.

        A model with float64 weights computes in float64, also if JAX has it disabled, unless the
        call is traced.
        """
        with in_own_precision(self.model, x):
            return self._apply(x, training)

    def _apply(self, x: Any, training: bool) -> Inexact[Array, "..."]:
        x = jnp.asarray(x)
        if canonicalize_dtype(np.float64) == np.float64 and is_double(self.model):
            x = x.astype(jnp.result_type(x.dtype, np.float64))
        if x.shape[-1:] != (len(self.shift_in),):
            raise InvalidRep(f"{self.rep_in!r} has size {len(self.shift_in)}, x shape {x.shape}")
        standard = (x - _like(self.shift_in, x)) / _like(self.scale_in, x)
        y = self.model(standard, training=training)
        return _like(self.scale_out, y) * y + _like(self.shift_out, y)

    def __repr__(self) -> str:
        return f"Standardize({self.model!r})"


def _statistics(mean: Any, scale: Any, rep: Rep, is_complex: bool) -> tuple[_Constants, _Constants]:
    is_complex = is_complex or act_by_complex_numbers(atoms(rep))
    shift, factor = _numbers(mean, rep, is_complex), _numbers(scale, rep, is_complex=False)
    if not (np.all(np.isfinite(shift)) and np.all(np.isfinite(factor)) and np.all(factor > 0)):
        raise InvalidRep(f"means are finite, and scales finite and positive: {mean}, {scale}")
    if groups_of(rep):
        _require_equivariant(shift, factor, rep)
    return tuple(shift.tolist()), tuple(factor.tolist())


def _numbers(given: Any, rep: Rep, is_complex: bool) -> Inexact[np.ndarray, " n"]:
    try:
        numbers = np.array(np.broadcast_to(np.asarray(given, complex), (rep.size(),)))
        if np.all(numbers.imag == 0):
            return numbers.real
        if is_complex:
            return numbers
        raise ValueError("they have an imaginary part")
    except (TypeError, ValueError) as error:
        kind = "numbers" if is_complex else "real numbers"
        raise InvalidRep(
            f"statistics of {rep!r} are {rep.size()} {kind}, or one for all, not {given!r}"
        ) from error


def _require_equivariant(
    shift: Inexact[np.ndarray, " n"], factor: Float[np.ndarray, " n"], rep: Rep
) -> None:
    error = equivariance_error(shift[:, None], Scalar, rep)
    if not error <= _TOLERANCE:
        raise NotEquivariant(
            f"a mean of {rep!r} that the group moves breaks equivariance (error {error:.1e}): take "
            f"its invariant part, which is 0 for vectors"
        )
    error = equivariance_error(np.diag(factor), rep, rep)
    if not error <= _TOLERANCE:
        raise NotEquivariant(
            f"scales of {rep!r} that differ within an irrep break equivariance (error {error:.1e}):"
            f" give each tensor one scale"
        )


def _like(constants: _Constants, x: Array) -> Inexact[Array, " n"]:
    """Return the constants as an array in the precision of x, at least single."""
    double = x.dtype in (jnp.float64, jnp.complex128)
    if any(isinstance(one, complex) for one in constants):
        return jnp.asarray(constants, jnp.complex128 if double else jnp.complex64)
    return jnp.asarray(constants, jnp.float64 if double else jnp.float32)
