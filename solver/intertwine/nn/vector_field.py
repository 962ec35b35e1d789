"""Networks as the right-hand side of an ordinary differential equation dz/dt = f(z)."""

from __future__ import annotations

from typing import Any

from jaxtyping import Inexact

from intertwine.arrays import Array
from intertwine.errors import InvalidRep
from intertwine.nn.emlp import EMLP
from intertwine.nn.mlp import MLP
from intertwine.reps import Rep


class EMLPode(EMLP):
    """An `EMLP` as a vector field: ``model(z, t)`` is dz/dt, which does not depend on the time.

    The arguments are those of `EMLP`. The flow is equivariant: solutions are moved to solutions.
    Raises `InvalidRep` if `rep_out` is not `rep_in`, the rep of dz/dt.
    """

    def __check_init__(self) -> None:
        _require_same(self.rep_in, self.rep_out)

    def __call__(  # type: ignore[override] # as integrators call it
        self, z: Any, t: Any = None, training: bool = False
    ) -> Inexact[Array, "*n d"]:
        """Return dz/dt for each state of z; neither `t` nor `training` has an effect."""
        return super().__call__(z)


class MLPode(MLP):
    """An `MLP` as a vector field, for comparison with an `EMLPode`; it is not equivariant."""

    def __check_init__(self) -> None:
        _require_same(self.rep_in, self.rep_out)

    def __call__(  # type: ignore[override] # as integrators call it
        self, z: Any, t: Any = None, training: bool = False
    ) -> Inexact[Array, "*n d"]:
        """Return dz/dt for each state of z; neither `t` nor `training` has an effect."""
        return super().__call__(z)


def _require_same(rep_in: Rep, rep_out: Rep) -> None:
    if rep_in != rep_out:
        raise InvalidRep(
            f"dz/dt has the rep of z: rep_in is {rep_in!r}, and rep_out {rep_out!r}; give one rep"
        )
