"""Networks whose output is an energy, and the motion that it determines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Inexact

from intertwine.arrays import Array
from intertwine.errors import InvalidRep
from intertwine.groups import Group
from intertwine.nn.emlp import EMLP
from intertwine.nn.layer import Layer
from intertwine.nn.mlp import MLP
from intertwine.reps import Rep
from intertwine.reps.syntax import groups_of


def hamiltonian_dynamics(
    hamiltonian: Callable[[Any], Any], z: Any, t: Any = None
) -> Inexact[Array, "*n d"]:
    """Return dz/dt = J∇H(z) for states z = (q, p) of shape (…, d): (∂H/∂p, −∂H/∂q).

    `hamiltonian` returns an energy for each state of a batch, or their sum: their gradients are
    equal. The energy does not depend on the time `t`, which is there for integrators. If H is
    invariant and the group keeps J, as an orthogonal group does that acts on q and p alike, the
    motion is equivariant. Raises `InvalidRep` for an odd d.
    """
    z = jnp.asarray(z)
    if z.ndim == 0 or z.shape[-1] % 2:
        raise InvalidRep(
            f"states are positions and as many momenta, (q, p), and their shape here is {z.shape}"
        )
    slope = jax.grad(lambda state: jnp.sum(hamiltonian(state)))(z)
    q, p = jnp.split(slope, 2, axis=-1)
    return jnp.concatenate([p, -q], axis=-1)


class Energy(Layer):
    """What networks have in common whose output is an energy, one number per state."""

    rep_in: eqx.AbstractVar[Rep]
    rep_out: eqx.AbstractVar[Rep]

    def __check_init__(self) -> None:
        if groups_of(self.rep_out) or not self.rep_out.size():
            raise InvalidRep(
                f"an energy is an invariant number, not a vector of {self.rep_out!r}: give "
                f"rep_out=Scalar"
            )

    @abstractmethod
    def outputs(self, z: Any) -> Inexact[Array, "*n k"]:
        """Return the outputs of the network, whose sum is the energy of a state."""

    def energies(self, z: Any) -> Inexact[Array, "*n"]:
        """Return the energy of each state of z, of shape (…, d)."""
        return jnp.sum(self.outputs(z), axis=-1)

    def H(self, z: Any) -> Inexact[Array, ""]:
        """Return the sum of the energies of all states of z; EMLP's name of ``model(z)``."""
        return jnp.sum(self.outputs(z))

    def __call__(self, z: Any, training: bool = False) -> Inexact[Array, ""]:
        """Return the sum of the energies of all states of z; `training` has no effect."""
        return self.H(z)

    def dynamics(self, z: Any, t: Any = None) -> Inexact[Array, "*n d"]:
        """Return dz/dt for each state (q, p) of z (see `hamiltonian_dynamics`)."""
        return hamiltonian_dynamics(self.H, z, t)


class EMLPH(Energy, EMLP):
    """An `EMLP` as an energy, an invariant function of the state (Finzi et al. 2021, §7).

    Arguments are those of `EMLP`, also others by name, and `rep_out` is `Scalar`. ``model(z)`` is
    the sum of the energies of a batch of states, so that ``jax.grad(model)(z)`` has the gradient of
    each. `energies` returns one energy per state, and `dynamics` the motion. Raises `InvalidRep` if
    the group acts on `rep_out`.
    """

    def __init__(
        self,
        rep_in: Rep,
        rep_out: Rep,
        group: Group,
        ch: Any = 384,
        num_layers: int | None = None,
        **options: Any,
    ) -> None:
        EMLP.__init__(self, rep_in, rep_out, group, ch, num_layers, **options)

    def outputs(self, z: Any) -> Inexact[Array, "*n k"]:
        """Return the outputs of the network, whose sum is the energy of a state."""
        return EMLP.__call__(self, z)


class MLPH(Energy, MLP):
    """An `MLP` as an energy, for comparison with an `EMLPH`; it is not invariant."""

    def __init__(
        self,
        rep_in: Rep,
        rep_out: Rep,
        group: Group,
        ch: Any = 384,
        num_layers: int | None = None,
        **options: Any,
    ) -> None:
        MLP.__init__(self, rep_in, rep_out, group, ch, num_layers, **options)

    def outputs(self, z: Any) -> Inexact[Array, "*n k"]:
        """Return the outputs of the network, whose sum is the energy of a state."""
        return MLP.__call__(self, z)
