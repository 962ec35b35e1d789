"""Layers of either framework by precision: which dtypes go in and come out, and the bound of the
equivariance error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from intertwine.errors import InvalidSetting
from intertwine.groups import SE, SO, S
from intertwine.reps import Scalar, V

REP = 2 * V(SO(3)) + 2 * Scalar
#: Layers with weights, made by `intertwine.nn` or `intertwine.torch`.
LAYERS: dict[str, Callable[..., Any]] = {
    "Linear in irreps": lambda kit, **o: kit.Linear(REP, V(SO(3)), **o),
    "Linear by patterns": lambda kit, **o: kit.Linear(2 * V, V, S(4), **o),
    "Linear by a basis": lambda kit, **o: kit.Linear(2 * V, V, SE(2), **o),
    "BiLinear": lambda kit, **o: kit.BiLinear(REP, V(SO(3)), **o),
    "BiLinear, paper": lambda kit, **o: kit.BiLinear(REP, V(SO(3)), bilinear="paper", **o),
    "EMLPBlock": lambda kit, **o: kit.EMLPBlock(REP, V(SO(3)), bilinear="paper", **o),
    "EMLP": lambda kit, **o: kit.EMLP(REP, V, SO(3), ch=16, num_layers=1, **o),
    "EMLP, paper": lambda kit, **o: kit.EMLP(
        REP, V, SO(3), ch=16, num_layers=1, bilinear="paper", **o
    ),
    "MLP": lambda kit, **o: kit.MLP(REP, V, SO(3), ch=16, **o),
    "Sequential": lambda kit, **o: kit.Sequential(
        kit.Linear(REP, kit.gated(V(SO(3))), **o), kit.GatedNonlinearity(V(SO(3)))
    ),
    "Standardize": lambda kit, **o: kit.Standardize(
        kit.Linear(REP, V(SO(3)), **o), (0.0, 2.0, 0.0, 3.0)
    ),
}
WITHOUT_WEIGHTS: dict[str, Callable[..., Any]] = {
    "GatedNonlinearity": lambda kit: kit.GatedNonlinearity(REP),
    "Pointwise": lambda kit: kit.Pointwise(V, "swish", S(4)),
    "BiLinear without products": lambda kit: kit.BiLinear(Scalar(SO(3)), V(SO(3))),
}
INPUTS = ("bool", "int32", "float16", "bfloat16", "float32", "complex64")
HALF = ("bfloat16", "float16")

UNIT = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24}
"""The unit roundoff of each precision."""
ROUNDINGS = 8
"""The equivariance error in units of roundoff. The smallest networks of the tests round features
three times, with a relative error of at most one unit each, on either side of f(ρx) = ρf(x).
"""


def wanted(weights: str | None, given: str) -> str | None:
    """Return the dtype of the results, and None where x is refused."""
    if given == "complex64":
        return None if weights in HALF else given
    if weights is not None:
        return weights
    return "float32" if given in ("bool", "int32") else given


def check_layer_with_weights(made: Callable[[str], Any], result: Callable[[Any, str], str]) -> None:
    """Check the dtype of the results of a layer for weights and x of all dtypes.

    `made` returns the layer with weights of a dtype, and `result` the dtype of its results for x of
    a dtype.
    """
    for weights in ("float32", *HALF):
        model = made(weights)
        for given in INPUTS:
            expected = wanted(weights, given)
            if expected is None:
                with pytest.raises(InvalidSetting, match="has no complex numbers: give real x"):
                    result(model, given)
            else:
                assert result(model, given) == expected, (weights, given)


def check_layer_without_weights(model: Any, result: Callable[[Any, str], str]) -> None:
    """Check the dtype of the results of a layer without weights for x of all dtypes."""
    for given in INPUTS:
        assert result(model, given) == wanted(None, given), given


def check_eight_bits_are_refused(model: Any, result: Callable[[Any, str], str]) -> None:
    """Check that a layer refuses x of eight bits."""
    with pytest.raises(InvalidSetting, match="x is of dtype float8_e4m3fn, and layers take bool"):
        result(model, "float8_e4m3fn")


def equivariance_error(model: Any, call: Callable[[Any], Any]) -> float:
    """Return ‖f(ρx) − ρf(x)‖ / ‖f(x)‖ for a few x; `call` maps arrays of NumPy."""
    group = SO(3)
    x = np.random.default_rng(0).standard_normal((64, model.rep_in.size()))
    g = group.sample(1)
    before, behind = (np.asarray(rep.rho_dense(g)) for rep in (model.rep_in, model.rep_out))
    y = call(x)
    return float(np.linalg.norm(call(x @ before.T) - y @ behind.T) / np.linalg.norm(y))
