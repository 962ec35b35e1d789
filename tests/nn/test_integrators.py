"""Training through an integrator is a program with few instructions, and so compiles quickly."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from helpers.documents import ROOT, blocks
from intertwine.groups import O2eR3
from intertwine.nn import EMLP
from intertwine.reps import Scalar, V


def recipe() -> dict[str, Any]:
    """The integrator of docs/recipes.md."""
    [code] = [
        block.text
        for block in blocks(ROOT / "docs/recipes.md")
        if block.language == "python" and "def trajectory(" in block.text
    ]
    found: dict[str, Any] = {}
    exec(code, found)
    return found


def instructions(function: Any, *arguments: Any) -> int:
    """How many instructions the gradient of a function has, before XLA joins any."""
    return str(jax.jit(jax.grad(function)).lower(*arguments).as_text()).count(" = ")


@pytest.mark.slow
def test_a_hamiltonian_network_is_in_the_program_once() -> None:
    given = recipe()
    weights, rest = eqx.partition(EMLP(4 * V, Scalar, O2eR3(), 384), eqx.is_inexact_array)
    z = np.random.default_rng(0).standard_normal((20, 12)).astype(np.float32)

    def of_one_gradient(weights: Any) -> Any:
        return (given["velocity"](eqx.combine(weights, rest), z) ** 2).sum()

    def of_steps(number: int) -> Any:
        def loss(weights: Any) -> Any:
            return (given["trajectory"](eqx.combine(weights, rest), z, 0.2, number) ** 2).sum()

        return loss

    one = instructions(of_one_gradient, weights)
    four, many = (instructions(of_steps(number), weights) for number in (4, 100))
    assert abs(many - four) < one / 100
    assert four < 2 * one  # the loop forwards, and the one backwards
    assert four < 5000  # 8 s of CPU


def test_the_integrator_of_the_recipe_is_of_fourth_order() -> None:
    """On the harmonic oscillator, whose motion is known."""
    z = np.zeros((1, 12), np.float32)
    z[0, 0] = 1
    with jax.enable_x64(True):
        given = recipe()

        def error(steps: int) -> float:
            found = given["trajectory"](
                lambda z: (z**2).sum(axis=1, keepdims=True) / 2, z.astype(float), 1 / steps, steps
            )
            return float(abs(found[-1, 0, 0] - np.cos(1)) + abs(found[-1, 0, 6] + np.sin(1)))

        assert error(4) < 2e-4
        assert 14 < error(4) / error(8) < 18
