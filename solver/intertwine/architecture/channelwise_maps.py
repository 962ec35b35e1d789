"""Equivariant quadratic maps of limited rank: products of a few channels of each irrep."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from jaxtyping import Inexact

from intertwine.architecture.by_content import ByContent
from intertwine.architecture.features import Features, Weights, cut, mixed
from intertwine.architecture.initialization import WeightSpec
from intertwine.architecture.irrep_space import IrrepSpace, are_complex, irrep_space_of
from intertwine.architecture.products import Products, couplings
from intertwine.arrays import Array
from intertwine.groups import Group
from intertwine.reps import Rep

_ENTER, _LEAVE = "into ", "out of "


@dataclass(frozen=True, eq=False)
class ChannelwiseMaps(ByContent):
    """y_ν = C_ν · concat over λ, μ of CG(A_λx_λ, B_μx_μ), channel by channel (docs/networks.md).

    Sums of such maps are all equivariant quadratic maps except products of two scalars. An irrep of
    m copies enters on at most 2m channels.
    """

    space_in: IrrepSpace
    space_out: IrrepSpace
    products: Products

    @property
    def rep_in(self) -> Rep:
        """The rep of x."""
        return self.space_in.rep

    @property
    def rep_out(self) -> Rep:
        """The rep of the image of x."""
        return self.space_out.rep

    @property
    def is_complex(self) -> bool:
        """Whether the coordinates are complex numbers."""
        return self.space_in.is_complex or self.space_out.is_complex

    @property
    def weight_spec(self) -> WeightSpec:
        """Shapes of the weights, and variances with which outputs have that of the inputs."""
        found = {}
        for name, channels in self.products.channels.items():
            fan_in = self.space_in.multiplicities[name] * self.products.kinds[name].freedom
            found[_ENTER + name] = (2 * channels, fan_in), 1 / fan_in
        for name, fan_in in self.products.fan_in.items():
            found[_LEAVE + name] = (self.space_out.multiplicities[name], fan_in), 1 / fan_in
        return found

    def apply(self, weights: Weights, x: Inexact[Array, "b n"]) -> Inexact[Array, "b m"]:
        """Return the image of a batch, a pure function."""
        features = self.space_in.enter(x)
        a: Features = {}
        b: Features = {}
        for name, c in self.products.channels.items():
            kind = self.products.kinds[name]
            a[name], b[name] = cut(mixed(weights[_ENTER + name], kind, features[name]), [c, c])
        leaving = {name: weights[_LEAVE + name] for name in self.products.fan_in}
        found = self.products(leaving, a, b)
        return self.space_out.leave(found, x)


def selected_maps(
    rep_in: Rep, rep_out: Rep, group: Group, is_complex: bool, products: Products
) -> ChannelwiseMaps:
    """Return the narrow ones of these products as maps between concrete reps of one group.

    The products are those of a network in irreps (`BlockShape`), over ℂ if `is_complex`, or else ℝ.
    """
    space_in, space_out = (irrep_space_of(rep, group, is_complex) for rep in (rep_in, rep_out))
    narrow = tuple(c for c in products.narrow if c.target in space_out.kinds)
    used = {name for coupling in narrow for name in (coupling.left, coupling.right)}
    channels = {name: c for name, c in products.channels.items() if name in used}
    kinds = {name: products.kinds[name] for name in products.kinds}
    return ChannelwiseMaps(space_in, space_out, Products(kinds, channels, (), narrow))


@lru_cache(maxsize=256)
def channelwise_maps_of(rep_in: Rep, rep_out: Rep, group: Group, channels: int) -> ChannelwiseMaps:
    """Return the products of at most `channels` channels per irrep, between concrete reps of one
    group.

    Raises `MethodNotApplicable` for reps that are not recognised as sums of irreps.
    """
    is_complex = are_complex((rep_in, rep_out), group)
    space_in, space_out = (irrep_space_of(rep, group, is_complex) for rep in (rep_in, rep_out))
    kinds = {**space_in.kinds, **space_out.kinds}
    found = couplings([*space_in.kinds], kinds, space_out.kinds, group) if channels else []
    used = {name for coupling in found for name in (coupling.left, coupling.right)}
    entering = {n: min(channels, 2 * m) for n, m in space_in.multiplicities.items() if n in used}
    return ChannelwiseMaps(space_in, space_out, Products(kinds, entering, tuple(found)))
