"""Identities of losses, optimisers and models: equal in every process, and different for different
values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.example_training import Small
from helpers.support import run_python
from intertwine.groups import SO, Group
from intertwine.nn import Linear, Sequential, Standardize
from intertwine.reps import V
from intertwine.training import mean_squared_error
from intertwine.training.identity import identity_of, name_of


def weighted(weight: Any) -> Callable[..., Any]:
    return lambda model, x, y: weight * jnp.mean(jnp.abs(model(x) - y))


def times(factor: float) -> Callable[..., Any]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def scaled(*args: Any) -> Any:
            return factor * function(*args)

        return scaled

    return decorate


class Constant:
    """A schedule, loss or optimiser as an object."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, *args: Any) -> Any:
        return self.value


class Shifted(eqx.Module):
    shift: Any
    function: Any = jnp.tanh

    def __call__(self, x: Any) -> Any:
        return self.function(x + self.shift)


def standardized(scale: float) -> Any:
    return Standardize(Linear(V, V, SO(3)), (0, scale))


PAIRS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "closures": (lambda: weighted(1.0), lambda: weighted(2.0)),
    "kinds of number": (lambda: weighted(1), lambda: weighted(1.0)),
    "arrays": (lambda: weighted(np.array([1.0, 2])), lambda: weighted(np.array([2.0, 1]))),
    "constants": (lambda: lambda m, x, y: 2 * x, lambda: lambda m, x, y: 3 * x),
    "what is called": (lambda: lambda m, x, y: jnp.abs(x), lambda: lambda m, x, y: jnp.exp(x)),
    "defaults": (lambda: lambda m, x, y, p=2: x**p, lambda: lambda m, x, y, p=3: x**p),
    "decorators": (lambda: times(2.0)(weighted(1.0)), lambda: times(3.0)(weighted(1.0))),
    "what is compiled": (lambda: jax.jit(weighted(1.0)), lambda: jax.jit(weighted(2.0))),
    "objects": (lambda: Constant(1.0), lambda: Constant(2.0)),
    "methods": (lambda: Constant(1.0).__call__, lambda: Constant(2.0).__call__),
    "learning rates": (lambda: optax.adam(1e-3), lambda: optax.adam(1e-1)),
    "hyperparameters": (lambda: optax.adam(1e-3), lambda: optax.adam(1e-3, b1=0.8)),
    "schedules inside": (
        lambda: optax.chain(optax.clip(1.0), optax.sgd(optax.linear_schedule(1, 0, 10))),
        lambda: optax.chain(optax.clip(1.0), optax.sgd(optax.linear_schedule(1, 0, 20))),
    ),
    "partials": (
        lambda: functools.partial(optax.sgd, momentum=0.9),
        lambda: functools.partial(optax.sgd, momentum=0.8),
    ),
    "statistics": (lambda: standardized(2), lambda: standardized(3)),
    "groups of one name": (
        lambda: Linear(V, V, SO(3)),
        lambda: Linear(V, V, named_so3()),
    ),
    "constants of a module": (lambda: Shifted(np.ones(3)), lambda: Shifted(np.zeros(3))),
    "constants inside of ours": (
        lambda: sequential(Shifted(np.ones(3))),
        lambda: sequential(Shifted(np.zeros(3))),
    ),
    "a teacher's weights": (
        lambda: weighted(Linear(V, V, SO(3), key=0)),
        lambda: weighted(Linear(V, V, SO(3), key=1)),
    ),
    "functions of a module": (lambda: Shifted(0.0), lambda: Shifted(0.0, jnp.sin)),
    "keys": (lambda: weighted(jax.random.key(0)), lambda: weighted(jax.random.key(1))),
    "sets": (lambda: weighted({"a", "b", "c"}), lambda: weighted({"a", "b", "d"})),
    "dicts": (lambda: weighted({"a": 1}), lambda: weighted({"a": 2})),
}


def named_so3() -> Group:
    group = Group(discrete_generators=[np.eye(3)[[1, 2, 0]]])
    group._name = "SO(3)"
    return group


def sequential(inner: Any) -> Any:
    """Return a Sequential of our layer around a custom one."""
    object.__setattr__(inner, "rep_in", V(SO(3)))
    object.__setattr__(inner, "rep_out", V(SO(3)))
    return Sequential(inner)


@pytest.mark.parametrize("name", PAIRS)
def test_different_values_differ_and_equal_ones_agree(name: str) -> None:
    one, other = PAIRS[name]
    assert identity_of(one()) == identity_of(one())
    assert identity_of(other()) == identity_of(other())
    assert identity_of(one()) != identity_of(other())


@pytest.mark.slow
def test_identities_are_the_same_in_every_process() -> None:
    program = "\n".join(
        (
            "import sys",
            f"sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}",
            "from test_identity import PAIRS, identity_of",
            "answer({n: [identity_of(make()) for make in makes] for n, makes in PAIRS.items()})",
        )
    )
    found = [run_python(program, env={"PYTHONHASHSEED": seed}) for seed in ("1", "2")]
    assert [ended.status for ended in found] == [0, 0], found[0].stderr
    assert found[0].value == found[1].value


def test_library_functions_are_identified_by_name() -> None:
    assert identity_of(optax.adam) == "optax._src.alias.adam"
    assert identity_of(mean_squared_error).endswith("training.losses.mean_squared_error")
    assert identity_of(np.tanh) == "numpy.tanh"


def test_unnamed_values_are_named_by_their_class() -> None:
    assert name_of(Constant(1.0)) == f"{__name__}.Constant"
    assert name_of(Small(3, 2)) == "helpers.example_training.Small"
    assert name_of(functools.partial(optax.sgd, 0.1, momentum=0.9)) == (
        "optax._src.alias.sgd(0.1, momentum=0.9)"
    )
    assert name_of(functools.partial(optax.sgd, Constant(1.0))) == (
        f"optax._src.alias.sgd({__name__}.Constant)"
    )


def test_values_that_contain_themselves_have_an_identity() -> None:
    def loss(model: Any, x: Any, y: Any) -> Any:
        return loss

    assert identity_of(loss).startswith(f"{__name__}.test_values_that_contain_themselves")
