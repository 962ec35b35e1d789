"""A network with standardized data: its inputs and outputs have mean zero and size one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import canonicalize_dtype
from jaxtyping import Inexact

from intertwine.architecture.precision import is_half, kinds_of
from intertwine.architecture.statistics import Constants, read_statistics
from intertwine.arrays import Array
from intertwine.errors import InvalidRep
from intertwine.nn.layer import Layer, as_array, in_own_precision, is_double
from intertwine.reps import Rep


class Standardize(Layer):
    """x ↦ σ_y f((x − μ_x)/σ_x) + μ_y, or without μ_y and σ_y if `stats` has two entries.

    Equivariant like f if the means are invariant and each irrep has one scale (a vector has one
    scale, not three); raises `NotEquivariant` otherwise. The statistics are constants: training
    does not change them. Means may be complex if the vectors that they shift are. Data are
    standardized in float32 or float64, before a model in half precision rounds them. Raises
    `InvalidRep` for invalid statistics.
    """

    model: Any
    shift_in: Constants = eqx.field(static=True)
    scale_in: Constants = eqx.field(static=True)
    shift_out: Constants = eqx.field(static=True)
    scale_out: Constants = eqx.field(static=True)

    def __init__(self, model: Any, stats: Iterable[Any]) -> None:
        arrays = filter(eqx.is_array, jax.tree.leaves(model))
        found = read_statistics(model, stats, is_complex=any(map(jnp.iscomplexobj, arrays)))
        self.model = model
        self.shift_in, self.scale_in, self.shift_out, self.scale_out = found

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
        x = as_array(x)
        kinds_of(x.dtype.name, None)  # raises for a refused dtype
        if canonicalize_dtype(np.float64) == np.float64 and is_double(self.model):
            x = x.astype(jnp.result_type(x.dtype, np.float64))
        if x.shape[-1:] != (len(self.shift_in),):
            raise InvalidRep(f"{self.rep_in!r} has size {len(self.shift_in)}, x shape {x.shape}")
        standard = (x - _like(self.shift_in, x)) / _like(self.scale_in, x)
        y = self.model(standard, training=training)
        found = _like(self.scale_out, y) * y + _like(self.shift_out, y)
        return found.astype(y.dtype) if is_half(y.dtype) else found

    def __repr__(self) -> str:
        return f"Standardize({self.model!r})"


def _like(constants: Constants, x: Array) -> Inexact[Array, " n"]:
    """Return the constants as an array in the precision of x, at least single."""
    double = x.dtype in (jnp.float64, jnp.complex128)
    if any(isinstance(one, complex) for one in constants):
        return jnp.asarray(constants, jnp.complex128 if double else jnp.complex64)
    return jnp.asarray(constants, jnp.float64 if double else jnp.float32)
