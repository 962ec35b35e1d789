"""The reps of hidden layers, as users give them."""

from __future__ import annotations

from collections.abc import Sequence

from intertwine.architecture.allocation import uniform_rep
from intertwine.architecture.network_group import NetworkGroup
from intertwine.architecture.network_shape import HiddenLayer
from intertwine.errors import InvalidRep
from intertwine.integers import checked_integer
from intertwine.reps import Rep
from intertwine.reps.syntax import groups_of


def hidden_layers(
    ch: int | Rep | str | Sequence[int | Rep | str], layers: int | None, over: NetworkGroup
) -> list[HiddenLayer]:
    """Return the hidden layers: `layers` of them, by default as many as a list has, else three."""
    if layers is None:
        layers = len(ch) if isinstance(ch, Sequence) and not isinstance(ch, str) else 3
    layers = checked_integer(layers, "the number of layers")
    each = [ch] * layers if isinstance(ch, str) or not isinstance(ch, Sequence) else list(ch)
    if len(each) != layers:
        raise InvalidRep(f"num_layers is {layers}, and ch has {len(each)} entries: give one each")
    found = [
        HiddenLayer(over.rep(c), False)
        if isinstance(c, Rep | str)
        else HiddenLayer(uniform_rep(c, over.hidden), True)
        for c in each
    ]
    if not all(layer.rep.size() for layer in found):
        raise InvalidRep(f"a hidden layer needs at least one channel: ch is {ch!r}")
    return found


def require_shared_group(rep_in: Rep, hidden: Sequence[Rep]) -> None:
    """Raise `InvalidRep` if input and hidden layers have groups but share none: only scalars could
    pass.
    """
    own, theirs = groups_of(rep_in), {g for rep in hidden for g in groups_of(rep)}
    if own and theirs and theirs.isdisjoint(own):
        raise InvalidRep(
            f"rep_in is over {' and '.join(map(repr, own))}, and the hidden layers are over "
            f"{' and '.join(map(repr, theirs))}: give the group of the reps, or reps without one"
        )
