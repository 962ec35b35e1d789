"""The methods agree on groups that invite mistakes: spirals, near-equal weights, determinants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.oblique_groups import unit
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import IntertwineError, TooLarge
from intertwine.groups import SO, Group, S, Trivial
from intertwine.invariants import solve
from intertwine.irreps import decompose
from intertwine.reps import Rep, T, V

_TURN = unit(2, 0, 1) - unit(2, 1, 0)
_FIRST, _SECOND = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
_I = np.kron(np.eye(2), -_TURN)
_J = np.kron(-_TURN, np.diag([1.0, -1.0]))
_FRAME = np.random.default_rng(0).standard_normal((4, 4))


def _lie(*generators: np.ndarray) -> Group:
    return Group(lie_algebra=list(generators))


def _discrete(*generators: np.ndarray) -> Group:
    return Group(discrete_generators=list(generators))


def _turned(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _two_turns(first: float, second: float) -> np.ndarray:
    return np.kron(first * _FIRST, _TURN) + np.kron(second * _SECOND, _TURN)


def _oblique(*matrices: np.ndarray) -> list[np.ndarray]:
    return [np.linalg.solve(_FRAME, matrix @ _FRAME) for matrix in matrices]


def _so3_twice(mixture: np.ndarray) -> Group:
    change = np.kron(mixture, np.eye(3))
    copies = [np.kron(np.eye(2), a) for a in SO(3).lie_algebra]
    return Group(lie_algebra=[np.linalg.solve(change, a @ change) for a in copies])


_GROUPS = {
    "a spiral": _lie(np.eye(2) + 3 * _TURN),
    "scaling one plane, turning another": _lie(
        np.kron(_FIRST, np.eye(2)) + np.kron(_SECOND, _TURN)
    ),
    "a line dense in a torus": _lie(_two_turns(1, np.sqrt(2))),
    "weights 1 and 1 + 1e-5": _lie(_two_turns(1, 1 + 1e-5)),
    "weights 1 and 2": _lie(_two_turns(1, 2)),
    "scalings that cancel": _lie(np.diag([1.0, -1.0])),
    "scalings 1, 2, 3": _lie(np.diag([1.0, 2.0, 3.0])),
    "scalings in an oblique frame": _lie(np.array([[1.0, 5, 0], [0, -1, 2], [0, 0, 0]])),
    "a discrete scaling": _discrete(2 * np.eye(2)),
    "a discrete spiral": _discrete(2 * _turned(1.0)),
    "determinant -1 without reflection": _discrete(np.diag([2.0, -0.5])),
    "a hyperbolic integer matrix": _discrete(np.array([[2.0, 1], [1, 1]])),
    "the modular group by other generators": _discrete(
        np.array([[2.0, 1], [1, 1]]), np.array([[1.0, 1], [0, 1]])
    ),
    "a shear beside a reflection": Group(
        lie_algebra=[unit(3, 0, 1)], discrete_generators=[np.diag([1.0, 1, -1])]
    ),
    "an irrational turn": _discrete(_turned(1.0)),
    "a small turn": _discrete(_turned(1e-3)),
    "one dimension, trivial": Group(d=1),
    "one dimension, a sign": _discrete(-np.eye(1)),
    "one dimension, scaling": _lie(np.eye(1)),
    "a generator that is zero": _lie(np.zeros((2, 2))),
    "a generator that is one": _discrete(np.eye(3)),
    "a scaling of one axis, redundantly twice": Group(
        lie_algebra=[_FIRST], discrete_generators=[np.diag([4.0, 1.0])]
    ),
    "a scaling of one axis beside another of determinant 4": Group(
        lie_algebra=[np.diag([1.0, 0, 0])], discrete_generators=[np.diag([4.0, -1, -1])]
    ),
    "every matrix with its determinant, and a scaling": Group(
        lie_algebra=[unit(3, 0, 1), unit(3, 1, 0), np.diag([1.0, 0, 1])],
        discrete_generators=[np.diag([2.0, 2, 4])],
    ),
    "scalars beside a scaling": Group(
        lie_algebra=[np.eye(2)], discrete_generators=[np.diag([4.0, 1.0])]
    ),
    "a complex scaling of one axis, redundantly twice": Group(
        lie_algebra=[1j * _FIRST], discrete_generators=[np.diag([4.0, 1.0])]
    ),
    "five signs": _discrete(*(np.diag(1 - 2 * row) for row in np.eye(5))),
    "five swaps": _discrete(
        *(
            np.kron(np.diag(row), 1 - np.eye(2)) + np.kron(np.diag(1 - row), np.eye(2))
            for row in np.eye(5)
        )
    ),
    "a complex torus": _lie(np.diag([1j, 2j, -3j])),
    "a complex root of one": _discrete(np.diag([np.exp(2j * np.pi / 3), 1])),
    "a complex spiral": _lie(np.diag([1 + 1j, 1 - 1j])),
    "a complex torus in an oblique frame": _lie(np.array([[1j, 3], [0, -1j]])),
    "quaternions": _discrete(_I, _J),
    "quaternions in an oblique frame": _discrete(*_oblique(_I, _J)),
    "two copies in an oblique mixture": _so3_twice(np.array([[1.0, 2.0], [0.0, 1.0]])),
}


def slow(rep: Rep) -> Any:
    return pytest.param(rep, marks=pytest.mark.slow, id=str(rep))


def _outcome(rep: Rep, method: str) -> int | None:
    """The rank, or None for a refusal, which is always allowed but to `auto`."""
    try:
        return solve(rep, method=method, store=False).rank
    except IntertwineError:
        assert method != "auto"
        return None


@pytest.mark.parametrize("rep", [V, T(2), T(1, 1), *map(slow, (T(3), T(2, 1)))], ids=str)
@pytest.mark.parametrize("name", _GROUPS)
@pytest.mark.sampled(6)
def test_methods_agree(name: str, rep: Rep) -> None:
    concrete = rep(_GROUPS[name])
    ranks = {_outcome(concrete, method) for method in ("irreps", "svd", "krylov")} - {None}
    assert ranks == {_outcome(concrete, "auto")}


_WEIGHTS = st.lists(st.integers(-2, 2), min_size=3, max_size=3).filter(any)


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(
    _WEIGHTS, _WEIGHTS, st.lists(st.sampled_from([-1, 1]), min_size=3, max_size=3), st.booleans()
)
def test_a_torus_with_components_by_counting(
    lie: list[int], discrete: list[int], signs: list[int], oblique: bool
) -> None:
    """Diagonal groups: invariant are the products of coordinates with weight 0 and sign 1."""
    change = _FRAME[:3, :3] if oblique else np.eye(3)
    algebra, element = np.diag(lie), np.diag(signs * 2.0 ** np.array(discrete))
    group = Group(
        lie_algebra=[np.linalg.solve(change, algebra @ change)],
        discrete_generators=[np.linalg.solve(change, element @ change)],
    )
    for p, q in ((1, 0), (2, 0), (1, 1), (2, 1)):
        weights, total, sign = np.array([lie, discrete]), np.zeros((2, 1)), np.ones(1)
        for k in range(p + q):
            slot = weights if k < p else -weights
            total = (total[:, :, None] + slot[:, None, :]).reshape(2, -1)
            sign = np.outer(sign, signs).ravel()
        expected = int((~total.any(axis=0) & (sign > 0)).sum())
        assert _outcome(T(p, q)(group), "irreps") in (expected, None)
        assert _outcome(T(p, q)(group), "auto") == expected


def test_of_many_signs_the_irreps_are_found() -> None:
    rep = T(2)(_GROUPS["five signs"])
    assert sorted(decompose(rep, store=False).multiplicities.values()) == [2] * 10 + [5]


class TestExtremeSizes:
    @pytest.mark.slow
    def test_of_a_huge_power_irreps_are_counted_without_its_coordinates(self) -> None:
        found = decompose(T(24)(SO(3)), store=False)
        counts = {irrep.size(): m for irrep, m in found.multiplicities.items()}
        assert sum(d * m for d, m in counts.items()) == 3**24
        # Motzkin sums: maps 1 -> V^p number 1, 0, 1, 1, 3, 6, 15, ... (OEIS A005043)
        assert counts[1] == _motzkin_sum(24)

    def test_what_cannot_be_indexed_is_refused(self) -> None:
        with pytest.raises(TooLarge, match=r"2\^62"):
            decompose(T(200)(SO(3)), store=False)

    def test_a_split_that_does_not_fit_into_memory_is_refused(self) -> None:
        with pytest.raises(TooLarge, match="needs about"):
            decompose(V(Group(d=300_000)), store=False)

    @pytest.mark.parametrize("rep", [V(Group(d=2)), T(2)(Trivial(3)), V(S(1))], ids=repr)
    def test_of_the_trivial_group_all_is_trivial(self, rep: Rep) -> None:
        found = decompose(rep, store=False)
        assert {i.size(): m for i, m in found.multiplicities.items()} == {1: rep.size()}
        np.testing.assert_array_equal(found.matrix(), np.eye(rep.size()))


def _motzkin_sum(n: int) -> int:
    """(n + 1) a(n) = (n - 1)(2 a(n - 1) + 3 a(n - 2)) (Bernhart 1999)."""
    previous, current = 1, 0
    for k in range(2, n + 1):
        previous, current = current, (k - 1) * (2 * current + 3 * previous) // (k + 1)
    return current
