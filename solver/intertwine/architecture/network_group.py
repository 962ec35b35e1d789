"""The group of a network, and its reps over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from intertwine.architecture.linear_maps import as_rep, bound
from intertwine.errors import InvalidRep
from intertwine.groups import DirectProduct, Group
from intertwine.reps import Rep, Restrict
from intertwine.reps.syntax import expanded, groups_of


@dataclass(frozen=True)
class NetworkGroup:
    """How a network over `group` takes its reps, and the groups of its hidden layers.

    Reps without a group get `group`. Reps over one larger group are restricted to `group`. If
    `group` is a direct product and reps are over its factors, hidden layers are over the factors,
    and V over the product is the product of their V's.
    """

    group: Group
    factors: Mapping[Group, tuple[Group, ...]] = field(default_factory=dict)
    """The product with its factors, if reps are over these."""
    is_smaller: bool = False
    """Whether the reps are over other groups than `group`."""

    @classmethod
    def of(cls, reps: Sequence[Any], group: Group) -> NetworkGroup:
        """Return the group of a network between these reps, which may be texts or numbers."""
        own = {one for rep in reps for one in groups_of(as_rep(rep))}
        factors = _factors_among(own, group)
        if factors:
            return cls(group, {group: factors})
        return cls(group, is_smaller=bool(own) and group not in own)

    @property
    def hidden(self) -> tuple[Group, ...]:
        """The groups of hidden layers that are given by their width."""
        return self.factors.get(self.group, (self.group,))

    def rep(self, given: Any) -> Rep:
        """Return a rep, a text or a number of scalars as a rep of the network's group.

        Raises `InvalidRep` for a rep over a group that does not contain `group`.
        """
        rep = bound(given, self.group)
        if self.factors:
            return expanded(rep, self.factors)
        return self._restricted(rep) if self.is_smaller else rep

    def _restricted(self, rep: Rep) -> Rep:
        own = groups_of(rep)
        if own in ((), (self.group,)):
            return rep
        try:
            return Restrict(rep, self.group)
        except InvalidRep as error:
            raise InvalidRep(
                f"{rep!r} is over {' and '.join(map(repr, own))}, and the network over "
                f"{self.group!r}: give the group of the reps, a subgroup of it, or reps without a "
                f"group ({error})"
            ) from error


def _factors_among(own: set[Group], group: Group) -> tuple[Group, ...]:
    """Return the factors of a product of groups if there are reps over these, and only these."""
    if not isinstance(group, DirectProduct):
        return ()
    for factors in (group.leaves, group.factors):  # without, and with the numbers of copies
        is_unique = len({*factors}) == len(factors)
        if is_unique and own & {*factors} and own <= {group, *factors}:
            return factors
    return ()
