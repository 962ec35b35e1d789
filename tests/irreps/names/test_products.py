"""Irreps of products of groups, by the names of the factors."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.errors import InvalidRep
from intertwine.groups import SO, SU, Group, S, parse_group
from intertwine.irreps import Irrep, clebsch_gordan, decompose, irrep_named
from intertwine.reps import T, V, parse

PRODUCTS = (
    "SO(2)*SO(2)", "SO(3)*SO(3)", "SO(3)*S(3)", "SO(2)*Z(3)", "SO(3)*PointGroup(T)", "SO(3)*Q8",
    "SU(2)*U(1)", "SU(2)*SU(2)", "SO13p*SO(2)", "O(2)*Z(2)*SO(2)",
)  # fmt: skip


@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.sampled(20)
def test_names_are_distinct_and_find_their_irreps(name: str, is_complex: bool) -> None:
    group = parse_group(name)
    if group.is_complex and not is_complex:
        pytest.skip("its tensors have no irreps over ℝ")
    irreps = list(decompose((V + V**2)(group), is_complex=is_complex).multiplicities)
    labels = [irrep.label for irrep in irreps]
    assert len(set(labels)) == len(labels)
    for irrep, label in zip(irreps, labels, strict=True):
        assert irrep_named(label, group, is_complex=is_complex) == irrep
        assert label.count("⊗") in (len(group.leaves) - 1, 2 * (len(group.leaves) - 1))


class TestAnIrrepOfAProduct:
    def test_is_the_product_of_its_factors(self) -> None:
        group = parse_group("SO(3)*S(3)")
        for degree, rows in ((1, "[2, 1]"), (0, "[1, 1, 1]")):
            irrep = Irrep(f"l={degree} ⊗ {rows}", group)
            parts = Irrep(f"l={degree}", SO(3)), Irrep(rows, S(3))
            assert irrep.size() == parts[0].size() * parts[1].size()
            left, right = SO(3).sample(degree), np.eye(3)[[1, 2, 0]]
            expected = np.trace(parts[0].rho(left)) * np.trace(parts[1].rho(right))
            found = np.trace(irrep.rho(np.kron(left, right)))
            np.testing.assert_allclose(found, expected, atol=1e-12)

    def test_couples_factor_by_factor(self) -> None:
        group = parse_group("SO(3)*SO(3)")
        found = clebsch_gordan(Irrep("l=1 ⊗ l=0", group), Irrep("l=1 ⊗ l=1", group))
        assert {irrep.label for irrep in found} == {f"l={k} ⊗ l=1" for k in range(3)}

    def test_of_two_spins_has_one_copy_of_each(self) -> None:
        group = parse_group("SU(2)*Dic(2)")
        found = {i.label: i.size() for i in decompose(V(group)).multiplicities}
        assert found == {"j=1/2 ⊗ 2a": 4}
        assert Irrep("j=1/2 ⊗ 2a", group).size() == 4

    def test_over_the_reals_may_be_two(self) -> None:
        group = parse_group("SO(2)*SO(2)")
        labels = [irrep.label for irrep in decompose(V(group)).multiplicities]
        assert sorted(labels) == ["m=-1 ⊗ m=-1 ⊕ m=1 ⊗ m=1", "m=-1 ⊗ m=1 ⊕ m=1 ⊗ m=-1"]
        first, second = (Irrep(label, group) for label in sorted(labels))
        assert first.type == second.type == "ℂ"
        assert Irrep("m=1⊗m=1 ⊕ m=-1⊗m=-1", group) == first
        assert Irrep("m=2 ⊗ m=0", group).label == "m=±2 ⊗ m=0"
        assert Irrep("m=2 ⊗ m=0 ⊕ m=-2 ⊗ m=0", group).label == "m=±2 ⊗ m=0"

    @pytest.mark.slow
    def test_over_the_reals_may_be_a_part_of_the_real_product(self) -> None:
        def real(x: np.ndarray) -> np.ndarray:
            return np.block([[x.real, -x.imag], [x.imag, x.real]])

        lie = [real(np.asarray(a)) for a in SU(2).lie_algebra]
        own = Group(lie_algebra=lie)
        q8 = [real(h) for h in parse_group("Q8").discrete_generators]
        group = own * Group(discrete_generators=q8)  # both V have type ℍ
        found = decompose((V + V**2)(group)).multiplicities
        assert {i.label: (i.size(), i.type) for i in found if "(1)" in i.label} == {
            "(1) ⊗ 2a": (4, "ℝ")
        }  # fmt: skip
        assert Irrep("(1) ⊗ 2a", group) == Irrep("2(1) ⊗ 2(2a)", group)
        assert all(Irrep(i.label, group) == i for i in found)

    @pytest.mark.slow
    def test_with_a_sum_for_a_factor(self) -> None:
        group = parse_group("SO13p*SO(3)")
        irrep = Irrep("((1, 0)+(0, 1)) ⊗ l=1", group)
        assert irrep.size() == 18
        assert Irrep("(1, 0)*1", group) == irrep


class TestTexts:
    def test_of_reps(self) -> None:
        group = parse_group("SO(3)*S(3)")
        rep = parse('Irrep("l=1 ⊗ [2, 1]")*V + 2Irrep("l=0 * [3]")')
        assert parse(str(rep)) == rep
        bound = rep(group)
        assert parse(str(bound))(group) == bound
        assert bound.size() == 6 * 9 + 2

    @pytest.mark.parametrize(
        "name", ["l=1", "l=1 ⊗ [2]", "l=1 ⊗ l=1", "⊗", "l=1 ⊗ [3] ⊕ l=1 ⊗ [3]"]
    )
    def test_of_other_groups(self, name: str) -> None:
        with pytest.raises(InvalidRep, match=r"such as l=2 ⊗ \[2, 1\]"):
            Irrep(name, parse_group("SO(3)*S(3)"))

    def test_products_of_finite_groups_keep_their_letters(self) -> None:
        group = parse_group("Z(3)*S(3)")
        assert {i.label for i in decompose(V(group)).multiplicities} == {
            "1a", "1b+1c", "2a", "2b+2c"
        }  # fmt: skip


@pytest.mark.slow
def test_names_in_another_frame() -> None:
    group = parse_group("SL(2)*SO(3)")
    assert [i.label for i in decompose(T(1, 1)(group)).multiplicities][:2] == [
        "[0] ⊗ l=0", "[2] ⊗ l=0"
    ]  # fmt: skip
