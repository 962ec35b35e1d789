"""Layers one after another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtyping import Inexact

from intertwine.architecture.chains import require_chain
from intertwine.arrays import Array
from intertwine.errors import InvalidRep
from intertwine.groups import Group
from intertwine.nn.layer import Layer
from intertwine.reps import Rep
from intertwine.reps.regrouping import require_known
from intertwine.reps.syntax import groups_of


class Sequential(Layer):
    """x ↦ f_k(… f₁(x)), equivariant if each layer is: the output rep of a layer is the input rep of
    the next.

    Raises `NotEquivariant` for a layer without reps (a plain function of coordinates commutes with
    no rotation: take `GatedNonlinearity`, or `Pointwise` if coordinates are only permuted), and
    `InvalidRep` for reps that do not match.
    """

    layers: tuple[Any, ...]

    def __init__(self, *layers: Any) -> None:
        require_chain(layers)
        self.layers = layers

    @property
    def rep_in(self) -> Rep:
        """The rep of x."""
        rep: Rep = self.layers[0].rep_in
        return rep

    @property
    def rep_out(self) -> Rep:
        """The rep of the image of x."""
        rep: Rep = self.layers[-1].rep_out
        return rep

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups of all layers."""
        return tuple(dict.fromkeys(group for layer in self.layers for group in _groups(layer)))

    @property
    def hidden(self) -> str:
        """The reps between the layers, as text."""
        return ", ".join(repr(layer.rep_out) for layer in self.layers[:-1])

    def __call__(
        self, x: Any, training: bool = False, *, rounded: bool = True
    ) -> Inexact[Array, "..."]:
        """Return the image of each vector of x under all layers; each layer gets `training`. Each
        layer with weights in half precision rounds its result. With ``rounded=False``, as inside a
        network, results stay in float32.
        """
        options = {"training": training} if rounded else {"training": training, "rounded": False}
        for layer in self.layers:
            x = layer(x, **options)
        found: Inexact[Array, "..."] = x
        return found

    def over(self, groups: Group | Mapping[Group, Group]) -> Sequential:
        """Return the model with each layer's weights over another group (`Linear.over`).

        Raises `InvalidRep` if a layer has no `over`, and for a group that no layer has.
        """
        fixed = [layer for layer in self.layers if not hasattr(layer, "over")]
        if fixed:
            raise InvalidRep(f"{fixed[0]!r} cannot change its group: make a new one for that group")
        if isinstance(groups, Group):
            return Sequential(*(layer.over(groups) for layer in self.layers))
        require_known(groups, self.groups, self)
        taken = []
        for layer in self.layers:
            own = _groups(layer)
            here = {old: new for old, new in groups.items() if old in own}
            taken.append(layer.over(here) if here else layer)
        return Sequential(*taken)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Any:
        return self.layers[index]

    def __repr__(self) -> str:
        inner = ",\n  ".join(map(repr, self.layers))
        return f"Sequential(\n  {inner}\n)"


def _groups(layer: Any) -> tuple[Group, ...]:
    if isinstance(layer, Sequential):
        return layer.groups
    return (*groups_of(layer.rep_in), *groups_of(layer.rep_out))
