"""Compact groups in oblique frames become unitary, and keep their ranks."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.oblique_groups import (
    REDUCTIVE,
    conjugate,
    discrete,
    lie,
    random_frame,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.groups import Group, parse_group
from intertwine.irreps import judge
from intertwine.irreps.compact_frame import unitary_frame
from intertwine.reps import T, V


def _copies(group: Group, count: int) -> Group:
    """The group on several copies of its base representation."""
    one = np.eye(count)
    return Group(
        lie_algebra=[np.kron(one, a) for a in lie(group)],
        discrete_generators=[np.kron(one, h) for h in discrete(group)],
        d=count * group.d,
    )


SIGNS = [np.diag([-1.0 if i == k else 1.0 for i in range(9)]) for k in range(9)]
LARGE = {
    "SO(9)": parse_group("SO(9)"),
    "O(10)": parse_group("O(10)"),
    "S(9)": parse_group("S(9)"),
    "Z(10)": parse_group("Z(10)"),
    "U(9)": parse_group("U(9)"),
    "signs": Group(discrete_generators=SIGNS),
    "3 copies of O(3)": _copies(parse_group("O(3)"), 3),
    "2 copies of SU(3) on ℝ⁶": _copies(REDUCTIVE["SU(3) on ℝ⁶"], 2),
}


def _oblique(name: str, condition: float, seed: int) -> Group:
    group = LARGE[name]
    rng = np.random.default_rng([seed, *name.encode()])
    return conjugate(group, random_frame(group.d, condition, rng, group.is_complex))


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("condition", [3, 300])
def test_the_group_is_unitary_in_its_frame(name: str, condition: float) -> None:
    group = _oblique(name, condition, 0)
    s = unitary_frame(lie(group), discrete(group), 3e3)
    assert s is not None
    np.testing.assert_allclose(s, s.conj().T, atol=1e-12 * condition)
    assert np.linalg.eigvalsh(s).min() > 0
    np.testing.assert_allclose(np.linalg.det(s), 1, rtol=1e-9)
    inverse, tolerance = np.linalg.inv(s), 1e-13 * condition**2
    for a in inverse @ lie(group) @ s:
        np.testing.assert_allclose(a + a.conj().T, 0, atol=tolerance)
    for h in inverse @ discrete(group) @ s:
        np.testing.assert_allclose(h @ h.conj().T, np.eye(group.d), atol=tolerance)


@pytest.mark.parametrize("name", ["Sp(5)", "SO13p on 3 copies", "a shear"])
def test_other_groups_are_not_found_compact(name: str) -> None:
    groups = {
        "SO13p on 3 copies": _copies(parse_group("SO13p"), 3),
        "a shear": _copies(Group(discrete_generators=[[[1.0, 1], [0, 1]]]), 5),
    }
    group = groups[name] if name in groups else parse_group(name)
    oblique = conjugate(group, random_frame(group.d, 5, np.random.default_rng(1)))
    verdict = judge(oblique)
    if name == "a shear":
        assert verdict.kind == "not reductive"
    else:
        assert verdict.straight is not None
        assert any(np.abs(a + a.T).max() > 1e-3 for a in lie(verdict.straight))


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.sampled_from(sorted(LARGE)), st.sampled_from([2.0, 30.0, 300.0]), st.integers(0, 99))
def test_ranks_are_those_of_the_group_in_its_own_frame(
    name: str, condition: float, seed: int
) -> None:
    group = _oblique(name, condition, seed)
    verdict = judge(group)
    assert verdict.kind == "reductive"
    for rep in (V, T(1, 1), T(2)):
        found = rep(group).equivariant_basis(store=False, method="irreps")
        expected = rep(LARGE[name]).equivariant_basis(store=False)
        assert found.shape == expected.shape
        assert found.certificate.residual < 1e-11


@pytest.mark.slow
def test_64_dimensions() -> None:
    group = conjugate(
        _copies(parse_group("O(8)"), 8), random_frame(64, 10, np.random.default_rng(2))
    )
    basis = T(1, 1)(group).equivariant_basis(store=False)
    assert basis.certificate.method == "irreps"
    assert basis.rank == 64
