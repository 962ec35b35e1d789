"""Small models and data for the tests of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from intertwine.groups import SO, Group
from intertwine.reps import Rep, Scalar, V


class Small(eqx.Module):
    """A network with one hidden layer, on any leading batch axes."""

    first: Any
    shift: Any
    second: Any

    def __init__(self, n: int, m: int, width: int = 16, seed: int = 0, dtype: Any = None) -> None:
        a, b, c = jax.random.split(jax.random.key(seed), 3)
        self.first = jax.random.normal(a, (n, width), dtype) / n**0.5
        self.shift = jax.random.normal(c, width, dtype)
        self.second = jax.random.normal(b, (width, m), dtype) / width**0.5

    def __call__(self, x: Any) -> Any:
        return jnp.tanh(x @ self.first + self.shift) @ self.second


class Affine(eqx.Module):
    """x ↦ xA + b."""

    matrix: Any
    bias: Any

    def __call__(self, x: Any) -> Any:
        return x @ self.matrix + self.bias


def affine(n: int, m: int, dtype: Any = np.float32) -> Affine:
    return Affine(jnp.zeros((n, m), dtype), jnp.zeros(m, dtype))


@dataclass(frozen=True)
class Points:
    """Data in the form of `intertwine.datasets`."""

    X: Any
    Y: Any
    rep_in: Rep
    rep_out: Rep
    symmetry: Group


def lengths(n: int = 64, seed: int = 0) -> Points:
    """x ∈ ℝ³ ↦ |x|², invariant under rotations; all x near the first axis."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3)) * [1.0, 0.1, 0.1]
    return Points(X, np.sum(X**2, axis=1, keepdims=True), V, Scalar, SO(3))


def pairs(n: int = 64, seed: int = 0) -> tuple[Any, Any]:
    """A map from ℝ³ to ℝ²."""
    X = np.random.default_rng(seed).standard_normal((n, 3))
    return X, np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1)
