"""The shape of a plain network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from intertwine.architecture.hidden_reps import hidden_layers
from intertwine.architecture.initialization import WeightSpec
from intertwine.architecture.network_group import NetworkGroup
from intertwine.groups import Group
from intertwine.reps import Rep
from intertwine.reps.generator_images import act_by_complex_numbers
from intertwine.reps.syntax import atoms

_GAIN = 1 / 0.3557
"""1 / E[swish(x)²] for x of the standard normal distribution."""


@dataclass(frozen=True)
class PlainNetwork:
    """Dense layers of these sizes. The parts of a complex rep are separate inputs and outputs."""

    rep_in: Rep
    rep_out: Rep
    sizes: tuple[int, ...]
    takes_complex: bool
    gives_complex: bool

    @property
    def weight_spec(self) -> WeightSpec:
        """Shapes of the weights, and variances with which features keep their size."""
        return {
            str(i): ((n, m), (_GAIN if i else 1) / max(n, 1))
            for i, (n, m) in enumerate(pairwise(self.sizes))
        }


def plain_network(
    rep_in: Rep | str | int,
    rep_out: Rep | str | int,
    group: Group,
    ch: int | Rep | Sequence[int | Rep],
    layers: int | None,
) -> PlainNetwork:
    """Return the plain network of the sizes of an equivariant one with the same arguments."""
    over = NetworkGroup.of((rep_in, rep_out), group)
    source, target = over.rep(rep_in), over.rep(rep_out)
    takes, gives = (act_by_complex_numbers(atoms(rep)) for rep in (source, target))
    hidden = [layer.rep.size() for layer in hidden_layers(ch, layers, over)]
    first, last = source.size() * (1 + takes), target.size() * (1 + gives)
    return PlainNetwork(source, target, (first, *hidden, last), takes, gives)
