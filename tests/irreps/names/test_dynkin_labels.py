"""Names by Dynkin labels and charges, of connected groups given by generators of their own."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.errors import InvalidRep
from intertwine.groups import G2, SU, Group, parse_group
from intertwine.irreps import Irrep, clebsch_gordan, decompose, irrep_named, root_system, weights
from intertwine.operators import dense
from intertwine.reps import Conj, V

TURN = np.array([[0.0, -1.0], [1.0, 0.0]])


def adjoint_group(name: str) -> Group:
    """A group acting on its Lie algebra."""
    lie = np.array([np.asarray(dense(a)) for a in parse_group(name).lie_generators])
    flat = np.concatenate([lie.real, lie.imag], axis=1).reshape(len(lie), -1)
    brackets = [a @ lie - lie @ a for a in lie]
    rows = [np.concatenate([b.real, b.imag], axis=1).reshape(len(lie), -1) for b in brackets]
    return Group(lie_algebra=[np.linalg.lstsq(flat.T, b.T, rcond=None)[0] for b in rows], refine=0)


class TestG2:
    def test_has_published_dimensions_and_products(self) -> None:
        for name, size in {"(0, 0)": 1, "(1, 0)": 7, "(0, 1)": 14, "(2, 0)": 27}.items():
            assert Irrep(name, G2()).size() == size
        found = clebsch_gordan(Irrep("(1, 0)", G2()), Irrep("(1, 0)", G2()))
        assert [i.label for i in found] == ["(0, 0)", "(1, 0)", "(0, 1)", "(2, 0)"]

    @pytest.mark.slow
    def test_larger_irreps_are_found(self) -> None:
        for name in ("(1, 1)", "(3, 0)"):
            irrep = Irrep(name, G2())
            assert irrep.label == name
            labels = tuple(map(int, name[1:-1].split(",")))
            assert irrep.size() == root_system(G2()).dimension_of(labels)

    def test_names_are_highest_weights(self) -> None:
        for irrep in decompose((V**2)(G2())).multiplicities:
            assert str(weights(irrep).highest) == irrep.label


class TestNamesOverTheReals:
    def test_may_be_sums(self) -> None:
        group = adjoint_group("SU(3)")
        labels = [i.label for i in decompose((V**2)(group)).multiplicities]
        assert labels == ["(0, 0)", "(1, 1)", "(3, 0)+(0, 3)", "(2, 2)"]
        assert Irrep("(0, 3)+(3, 0)", group).size() == 20

    @pytest.mark.slow
    def test_that_v_does_not_distinguish_over_the_complex_numbers_are_not_given(self) -> None:
        group = adjoint_group("SU(3)")  # (3, 0) and (0, 3): which is which?
        found = decompose((V**2)(group), is_complex=True).multiplicities
        digests = [i for i in found if i.label == i.name]
        assert [i.size() for i in digests] == [10, 10]
        with pytest.raises(InvalidRep, match="is not the name of an irrep"):
            irrep_named("(3, 0)", group, is_complex=True)

    def test_of_a_torus(self) -> None:
        zero = np.zeros((2, 2))
        group = Group(lie_algebra=[np.block([[TURN, zero], [zero, 2 * TURN]]),
                                   np.block([[zero, zero], [zero, TURN]])])  # fmt: skip
        labels = {i.label for i in decompose((V + V**2)(group)).multiplicities}
        assert {"m=(0, 0)", "m=±(1, 0)", "m=±(2, 1)", "m=±(3, 1)"} < labels
        assert Irrep("m=(-1, 0)+(1, 0)".replace("+(1, 0)", "+m=(1, 0)"), group) == Irrep(
            "m=±(1, 0)", group
        )

    def test_may_be_twice_an_irrep(self) -> None:
        def real(x: np.ndarray) -> np.ndarray:
            return np.block([[x.real, -x.imag], [x.imag, x.real]])

        group = Group(lie_algebra=[real(np.asarray(a)) for a in SU(2).lie_algebra])
        irreps = decompose((V**2 + V)(group)).multiplicities
        assert {i.label: i.type for i in irreps} == {"(0)": "ℝ", "(2)": "ℝ", "2(1)": "ℍ"}
        assert Irrep("2(1)", group) == Irrep("(1)", group) != Irrep("(2)", group)

    @pytest.mark.slow
    def test_of_a_compact_group_are_found_by_one_term(self) -> None:
        assert Irrep("(0, 3)", adjoint_group("SU(3)")).label == "(3, 0)+(0, 3)"
        zero = np.zeros((2, 2))
        torus = Group(lie_algebra=[np.block([[TURN, zero], [zero, zero]]),
                                   np.block([[zero, zero], [zero, TURN]])])  # fmt: skip
        assert Irrep("m=(-1, 0)", torus).label == "m=±(1, 0)"
        assert Irrep("m=(0, 0)", torus).size() == 1

    def test_of_boosts_are_single_charges(self) -> None:
        labels = {i.label for i in decompose(V(parse_group("SO11p"))).multiplicities}
        assert labels == {"m=1", "m=-1"}


class TestChargesAndLabels:
    @pytest.mark.slow
    def test_of_a_group_with_a_centre(self) -> None:
        # SU(2) and phases on two doublets of charges 1 and 2
        lie = [np.kron(np.eye(2), a) for a in SU(2).lie_algebra]
        lie.append(np.kron(np.diag([1j, 2j]), np.eye(2)))
        group = Group(lie_algebra=lie)
        assert [i.label for i in decompose(V(group)).multiplicities] == ["(1) m=1", "(1) m=2"]
        irrep = Irrep("(2) m=3", group)
        assert (irrep.size(), irrep.label) == (3, "(2) m=3")

    def test_of_conjugates(self) -> None:
        pauli = [np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])]
        group = Group(lie_algebra=[c * s for s in pauli for c in (0.5, 0.5j)])  # SL(2, ℂ)
        labels = [i.label for i in decompose((V * Conj(V) + V + Conj(V))(group)).multiplicities]
        assert sorted(labels) == ["(0, 1)", "(1, 0)", "(1, 1)"]

    @pytest.mark.parametrize(
        "name", ["(1)", "(1, 0, 0)", "(1, -1)", "(1, 0) m=1", "m=1", "2(1, 0)+(0, 1)"]
    )
    def test_that_do_not_fit_are_refused(self, name: str) -> None:
        with pytest.raises(InvalidRep, match=r"names such as \(1, 0\)"):
            Irrep(name, G2())
