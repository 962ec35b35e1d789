"""Every layer is equivariant, for groups and reps of every kind, and for all weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.example_networks import CASES, IN_IRREPS, Case, double_precision, error, moved, trained
from intertwine.groups import S
from intertwine.nn import (
    EMLP,
    BiLinear,
    EMLPBlock,
    GatedNonlinearity,
    Linear,
    Pointwise,
    Sequential,
    Standardize,
    bake,
    gated,
    uniform_rep,
)
from intertwine.reps import Rep, T, V

SINGLE, DOUBLE = 1e-5, 1e-11
#: What is tried by default; the slow test tries everything.
NETWORKS = (
    *("SO(3)", "SO(2), of complex type", "quaternionic type", "SU(2)", "SO13p", "S(4)"),
    *("an oblique frame", "a rep of the user's own"),
)
#: For the paper's, the input leads to no tensor of the kind of a linear map between others.
WITHOUT_PRODUCTS = {
    "channelwise": ("scalars alone",),
    "paper": (
        *("scalars alone", "a set of vectors", "a rep of the user's own"),
        "irreps of the catalogue",
    ),
}


def hidden(case: Case) -> Rep:
    if isinstance(case.hidden, int):
        return uniform_rep(case.hidden, case.group)
    return case.hidden if case.hidden.is_concrete else case.hidden(case.group)


def layers(case: Case, bilinear: Any, dtype: Any) -> Sequential:
    """Return all layers of the paper in a sequence."""
    return Sequential(
        Linear(case.rep_in, gated(hidden(case)), dtype=dtype),
        GatedNonlinearity(hidden(case)),
        EMLPBlock(
            hidden(case), hidden(case), case.group, bilinear=bilinear, channels=3, dtype=dtype
        ),
        Linear(hidden(case), case.rep_out, dtype=dtype),
    )


def network(case: Case, bilinear: Any, dtype: Any) -> EMLP:
    return EMLP(
        case.rep_in, case.rep_out, case.group, case.hidden, 2,
        bilinear=bilinear, channels=3, dtype=dtype,
    )  # fmt: skip


def baked(case: Case, bilinear: Any, dtype: Any) -> Any:
    return bake(network(case, bilinear, dtype))


def standardized(case: Case, bilinear: Any, dtype: Any) -> Standardize:
    return Standardize(network(case, bilinear, dtype), (0.0, 2.0, 0.0, 3.0))


def linear(case: Case, bilinear: Any, dtype: Any) -> Linear:
    return Linear(case.rep_in, case.rep_out, dtype=dtype)


def products(case: Case, bilinear: Any, dtype: Any) -> Sequential:
    """Return products without a shortcut, which might hide their effect."""
    rep = hidden(case) + case.rep_out
    return Sequential(
        Linear(case.rep_in, rep, dtype=dtype),
        BiLinear(rep, rep, case.group, bilinear=bilinear, dtype=dtype),
        Linear(rep, case.rep_out, dtype=dtype),
    )


Maker = Callable[[Case, Any, Any], Any]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.sampled(8)
def test_networks_in_irreps_in_double_precision(name: str) -> None:
    check(network, name, "channelwise", double=True)


@pytest.mark.slow
@pytest.mark.parametrize("make", [layers, baked, standardized], ids=lambda make: make.__name__)
def test_layers_with_channelwise_products_and_what_is_made_of_networks(make: Maker) -> None:
    check(make, "SO(2), of complex type", "channelwise")


@pytest.mark.slow
@pytest.mark.parametrize("bilinear", ["channelwise", "paper"])
@pytest.mark.parametrize("name", ["SO(3)", "SU(2)", "S(4)"])
def test_networks_in_single_precision(name: str, bilinear: str) -> None:
    check(network, name, bilinear)


@pytest.mark.slow
def test_after_steps_of_adam() -> None:
    case = CASES["SU(2)"]
    model = trained(network(case, None, None))
    assert error(model, case.rep_in, case.rep_out) < SINGLE


@pytest.mark.slow
def test_a_function_of_every_coordinate_under_permutations() -> None:
    case = Case(T(2)(S(4)), V(S(4)), S(4))
    model = Sequential(Pointwise(case.rep_in, "gelu"), Linear(case.rep_in, case.rep_out))
    assert error(model, case.rep_in, case.rep_out) < SINGLE


@pytest.mark.slow
@pytest.mark.parametrize("bilinear", ["channelwise", "paper"])
@pytest.mark.parametrize(
    ("make", "double"),
    [(linear, True), (products, True), (layers, False), (layers, True), (network, True)],
    ids=lambda value: {True: "double", False: "single"}.get(value) or value.__name__,
)
@pytest.mark.parametrize("name", CASES)
def test_every_layer_before_and_after_training(
    name: str, make: Maker, bilinear: str, double: bool
) -> None:
    if bilinear == "channelwise" and name not in IN_IRREPS:
        pytest.skip("no irreps")
    if make is linear and bilinear == "paper":
        pytest.skip("there is one form")
    if make is linear and name in ("Sp(2)", "SO13p", "signed permutations"):
        pytest.skip("there are no linear maps")
    if make is products and name in WITHOUT_PRODUCTS[bilinear]:
        pytest.skip("products of what the input leads to are zero")
    check(make, name, bilinear, double=double, training=True)


def check(
    make: Maker, name: str, bilinear: str, *, double: bool = False, training: bool = False
) -> None:
    """Check the error initially, and after every weight was moved, by itself or by training."""
    case = CASES[name]
    if double:
        with double_precision() as dtype:
            _check(make(case, bilinear, dtype), case, DOUBLE, training=training)
    else:
        _check(make(case, bilinear, np.float32), case, SINGLE, training=training)


def _check(model: Any, case: Case, tolerance: float, *, training: bool) -> None:
    assert (model.rep_in, model.rep_out) == (case.rep_in, case.rep_out)
    assert error(model, case.rep_in, case.rep_out) < tolerance
    later = trained(model) if training and not _is_fixed(model) else moved_unless_baked(model)
    assert error(later, case.rep_in, case.rep_out) < tolerance


def _is_fixed(model: Any) -> bool:
    return "Baked" in repr(model) or "Dense" in repr(model)


def moved_unless_baked(model: Any) -> Any:
    return model if _is_fixed(model) else moved(model)
