"""Networks for tests: groups and reps of every kind, and the equivariance error of a layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from intertwine.groups import SO, SU, Group, O, S, SO13p, Sp, U, Z
from intertwine.irreps import decompose
from intertwine.reps import Alt, Rep, Scalar, Schur, Sign, Sym, T, V
from intertwine.verify import sampled_elements

from helpers.compiled import IN_HASTE
from helpers.oblique_groups import NOT_REDUCTIVE, conjugate

#: Quaternions act on ℝ⁴, and leave to maps that commute with them the quaternions again.
QUATERNIONS = Group(
    discrete_generators=[
        np.kron(np.eye(2), [[0, -1], [1, 0]]),
        np.kron([[0, -1], [1, 0]], np.diag([1.0, -1.0])),
    ]
)
#: Reflections of the coordinates, and their permutations.
SIGNED = Group(discrete_generators=[np.diag([-1.0, 1, 1]), np.eye(3)[[1, 2, 0]]])
OBLIQUE = conjugate(SO(3), np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 0.5], [0.3, 0.0, 1.0]]))


@dataclass(frozen=True)
class Turned(Rep):
    """A user-defined rep: rotations of the plane, by a multiple of the angle."""

    order: int
    G: Any = None

    def __call__(self, G: Group) -> Rep:
        return Turned(self.order, G)

    def size(self) -> int:
        return 2

    def rho(self, M: Any) -> Any:
        return np.linalg.matrix_power(np.asarray(M), self.order)

    def __str__(self) -> str:
        return f"R{self.order}"


@dataclass(frozen=True)
class Determinant(Rep):
    """A user-defined rep: pseudo-scalars, g ↦ det g."""

    G: Any = None

    def __call__(self, G: Group) -> Rep:
        return Determinant(G)

    def size(self) -> int:
        return 1

    def rho(self, M: Any) -> Any:
        return np.linalg.det(np.asarray(M)).reshape(1, 1)

    def __str__(self) -> str:
        return "P"


def irreps(rep: Rep) -> list[Rep]:
    """The irreps of the catalogue in a rep, the smallest first."""
    return sorted(decompose(rep).multiplicities, key=lambda irrep: irrep.size())


@dataclass(frozen=True)
class Case:
    """Two concrete reps, and the hidden rep of a small network between them."""

    rep_in: Rep
    rep_out: Rep
    group: Group
    hidden: Rep | int = 32


def _case(group: Group, rep_in: Rep, rep_out: Rep, hidden: Rep | int = 32) -> Case:
    bound = (rep if rep.is_concrete else rep(group) for rep in (rep_in, rep_out))
    return Case(*bound, group, hidden)


_SCALAR, _, _TENSOR = irreps(T(2)(SO(3)))
_SETS = V(Z(3)) * V(S(3))

CASES: dict[str, Case] = {
    "SO(3)": _case(SO(3), Scalar + 2 * V, T(2) + Scalar),
    "O(3)": _case(O(3), V + T(2), T(2)),
    "SO(2), of complex type": _case(SO(2), 2 * V + Scalar, T(2) + V, 20),
    "quaternionic type": _case(QUATERNIONS, 2 * V, T(2) + V, 5 * V + 4 * Scalar),
    "SU(2)": _case(SU(2), 2 * V + Scalar, V + T(1, 1), 20),
    "U(2)": _case(U(2), V + V.T + Scalar, T(1, 1) + V, 20),
    "Sp(2)": _case(Sp(2), 2 * V, T(1, 1), T(1, 1) + 2 * V + 2 * V.T + 2 * Scalar),
    "SO13p": _case(SO13p(), 2 * V + V.T, T(1, 1), 24),
    "S(4)": _case(S(4), 2 * V, T(2), 24),
    "Z(5)": _case(Z(5), V, V, 20),
    "signed permutations": _case(SIGNED, 2 * V, T(2)),
    "an oblique frame": _case(OBLIQUE, 2 * V + Scalar, T(2), 24),
    "several groups": _case(
        Z(3), _SETS + V(Z(3)) + V(S(3)), V(S(3)) + Scalar, _SETS + 2 * V(Z(3)) + V(S(3))
    ),
    "a set of vectors": _case(
        SO(3), V(S(3)) * V(SO(3)), V(SO(3)), V(S(3)) * V(SO(3)) + V(S(3)) + 2 * Scalar
    ),
    "not reductive": _case(NOT_REDUCTIVE["Heisenberg"], V + V.T, T(1, 1), 20),
    "a rep of the user's own": _case(
        SO(2), 2 * Turned(1) + Turned(2), Turned(3) + V, 4 * Turned(2) + 4 * V + 3 * Scalar
    ),
    "functors of reps": _case(OBLIQUE, Sym(2, V) + Schur([2, 1], V), Alt(2, V) + Sign, 24),
    "irreps of the catalogue": _case(SO(3), V + _TENSOR, _TENSOR + _SCALAR, 5 * V + 4 * _TENSOR),
    "scalars alone": _case(SO(3), 3 * Scalar, 2 * Scalar, 8),
    "no scalars come out": _case(SO(3), 4 * V, V),
}  # fmt: skip
#: These are of one group, and sums of irreps: they can be multiplied channel by channel.
IN_IRREPS = [n for n in CASES if n not in ("several groups", "a set of vectors", "not reductive")]


@contextmanager
def double_precision() -> Iterator[Any]:
    """JAX with float64, and that as the dtype of weights."""
    with jax.enable_x64(True):
        yield np.float64


def points(rep: Rep, count: int = 8, *, is_complex: bool = False, seed: int = 1) -> np.ndarray:
    """Random vectors."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, rep.size()))
    return x + 1j * rng.standard_normal(x.shape) if is_complex else x


@eqx.filter_jit(compiler_options=IN_HASTE)
def _images(model: Any, x: Any) -> Any:
    return model(x)


def images(model: Any, x: Any) -> np.ndarray:
    """f(x), compiled once for layers of the same structure."""
    return np.asarray(_images(model, jnp.asarray(x)))


def error(model: Any, rep_in: Rep, rep_out: Rep, *, elements: int = 3, seed: int = 7) -> float:
    """The largest ‖f(gx) − ρ(g)f(x)‖ over the sum of both norms, in the precision of the model."""
    x = points(rep_in, is_complex=_is_complex(model))
    acting = [
        (_dense(rep_in, g), _dense(rep_out, g))
        for g in sampled_elements((rep_in, rep_out), elements, seed)
    ]
    whole = images(model, np.concatenate([x, *(x @ a.T for a, _ in acting)]))
    y, *moved = np.split(whole, elements + 1)
    assert np.linalg.norm(y - y.mean(axis=0)) > 1e-6 * np.linalg.norm(x), "f is constant"
    pairs = [(there, y @ b.T) for there, (_, b) in zip(moved, acting, strict=True)]
    return max(
        float(np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b))) for a, b in pairs
    )


def _is_complex(model: Any) -> bool:
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    return any(np.iscomplexobj(leaf) for leaf in leaves)


def _dense(rep: Rep, element: Any) -> np.ndarray:
    """ρ(g) in double precision."""
    from intertwine.reps.syntax import rho_of

    return np.asarray(rho_of(rep, element) @ np.eye(rep.size()))


def moved(model: Any, *, size: float = 0.1, seed: int = 3) -> Any:
    """The model with a random change of every weight, like a training's."""
    rng = np.random.default_rng(seed)
    weights, rest = eqx.partition(model, eqx.is_inexact_array)

    def other(weight: Any) -> Any:
        change = rng.standard_normal(weight.shape)
        if np.iscomplexobj(weight):
            change = change + 1j * rng.standard_normal(weight.shape)
        return jnp.asarray(np.asarray(weight) + size * change, weight.dtype)

    return eqx.combine(jax.tree.map(other, weights), rest)


@lru_cache(maxsize=1)
def _optimiser() -> Any:
    return optax.adam(1e-2)


@eqx.filter_jit(compiler_options=IN_HASTE)
def _step(model: Any, state: Any, x: Any, y: Any) -> tuple[Any, Any]:
    gradient = eqx.filter_grad(lambda m: jnp.mean(jnp.abs(m(x) - y) ** 2))(model)
    gradient = jax.tree.map(jnp.conj, gradient)  # of complex weights, JAX's is that of descent
    updates, state = _optimiser().update(gradient, state)
    return eqx.apply_updates(model, updates), state


def trained(model: Any, steps: int = 2) -> Any:
    """A few steps of Adam towards ones: every weight moves."""
    x = jnp.asarray(points(model.rep_in, is_complex=_is_complex(model)))
    y = jnp.ones((len(x), model.rep_out.size()))
    state = _optimiser().init(eqx.filter(model, eqx.is_inexact_array))
    for _ in range(steps):
        model, state = _step(model, state, x, y)
    return model
