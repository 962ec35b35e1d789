"""The methods agree on groups that invite mistakes: spirals, near-equal weights, determinants."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.errors import IntertwineError, TooLarge
from intertwine.groups import SO, Group, S, Trivial
from intertwine.invariants import solve
from intertwine.irreps import decompose
from intertwine.reps import Rep, T, V
from oblique_groups import unit

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
    "a complex torus": _lie(np.diag([1j, 2j, -3j])),
    "a complex root of one": _discrete(np.diag([np.exp(2j * np.pi / 3), 1])),
    "a complex spiral": _lie(np.diag([1 + 1j, 1 - 1j])),
    "a complex torus in an oblique frame": _lie(np.array([[1j, 3], [0, -1j]])),
    "quaternions": _discrete(_I, _J),
    "quaternions in an oblique frame": _discrete(*_oblique(_I, _J)),
    "two copies in an oblique mixture": _so3_twice(np.array([[1.0, 2.0], [0.0, 1.0]])),
}


def _outcome(rep: Rep, method: str) -> int | None:
    """The rank, or None for a refusal, which is always allowed but to `auto`."""
    try:
        return solve(rep, method=method, store=False).rank
    except IntertwineError:
        assert method != "auto"
        return None


@pytest.mark.parametrize("rep", [V, T(2), T(1, 1), T(3), T(2, 1)], ids=str)
@pytest.mark.parametrize("name", _GROUPS)
def test_methods_agree(name: str, rep: Rep) -> None:
    concrete = rep(_GROUPS[name])
    ranks = {_outcome(concrete, method) for method in ("irreps", "svd", "krylov")} - {None}
    assert ranks == {_outcome(concrete, "auto")}


class TestExtremeSizes:
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
