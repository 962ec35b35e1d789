"""A model of inputs that random group elements move, for training without equivariant layers."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Inexact

from intertwine.architecture.linear_maps import bound
from intertwine.arrays import Array
from intertwine.errors import InvalidRep, InvalidSetting
from intertwine.groups import Group, noise2samples
from intertwine.nn.layer import Layer, as_array
from intertwine.reps import Rep
from intertwine.reps.syntax import groups_of

_ROUNDS = 3  # of powers of the discrete generators, from −5 to 4, as in `Group.samples`
_POWERS = (-5, 5)


class GroupAugmentation(Layer):
    """x ↦ ρ_out(g)⁻¹ f(ρ_in(g)x) with another random element g for every vector x in training, and
    x ↦ f(x) otherwise.

    ``model(x, training=True, key=key)`` takes a JAX key, a new one for every step: functions of JAX
    have no state that could draw the elements. An equivariant f is unchanged. (EMLP's class.)
    """

    model: Any
    rep_in: Rep = eqx.field(static=True)
    rep_out: Rep = eqx.field(static=True)

    def __init__(self, model: Any, rep_in: Rep, rep_out: Rep, group: Group | None = None) -> None:
        self.model = model
        self.rep_in, self.rep_out = bound(rep_in, group), bound(rep_out, group)

    def __call__(
        self, x: Any, training: bool = False, key: Any = None
    ) -> Inexact[Array, "*batch m"]:
        """Return the image of each vector of x. Raises `InvalidSetting` in training without a
        key.
        """
        if not training:
            found: Inexact[Array, "*batch m"] = self.model(x, training=False)
            return found
        if key is None:
            raise InvalidSetting(
                "augmentation draws its elements from a key: call "
                "model(x, training=True, key=jax.random.key(step))"
            )
        x = as_array(x)
        if x.shape[-1:] != (self.rep_in.size(),):
            raise InvalidRep(f"{self.rep_in!r} has size {self.rep_in.size()}, x shape {x.shape}")
        flat = x.reshape(-1, x.shape[-1])
        elements = self._elements(key, len(flat), flat.dtype)
        moved = jnp.einsum("bij,bj->bi", jax.vmap(self.rep_in.rho_dense)(elements), flat)
        y = self.model(moved, training=True)
        images = jax.vmap(self.rep_out.rho_dense)(elements)
        back = jnp.linalg.solve(images, y[..., None])[..., 0]
        return back.reshape(*x.shape[:-1], back.shape[-1])

    def _elements(self, key: Any, n: int, dtype: Any) -> dict[Group, Array]:
        """Return n elements of each group of the reps."""
        groups = dict.fromkeys((*groups_of(self.rep_in), *groups_of(self.rep_out)))
        keys = jax.random.split(key, max(len(groups), 1))
        return {g: _samples(g, own, n, dtype) for g, own in zip(groups, keys, strict=False)}

    def __repr__(self) -> str:
        return f"GroupAugmentation({self.model!r})"


def _samples(group: Group, key: Any, n: int, dtype: Any) -> Inexact[Array, "n d d"]:
    """Return n elements as `Group.samples` draws them, inside a compiled program."""
    real = jnp.zeros(0, dtype).real.dtype
    normal, powers = jax.random.split(key)
    z = jax.random.normal(normal, (n, len(group.lie_generators)), real)
    if group.z_scale is not None:
        z = z * jnp.asarray(group.z_scale, real)
    shape = (n, len(group.group_generators), _ROUNDS)
    k = jax.random.randint(powers, shape, *_POWERS)
    if not group.num_constraints():
        return jnp.broadcast_to(jnp.eye(group.d, dtype=real), (n, group.d, group.d))
    return noise2samples(z, k, group.lie_algebra, group.discrete_generators)
