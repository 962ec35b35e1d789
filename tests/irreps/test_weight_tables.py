"""Weights: dimensions, symmetry, products and duals, and Freudenthal's formula."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from helpers.program import called
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import MethodNotApplicable, NotConcrete, TooLarge
from intertwine.groups import SO, SU, Group, O, U, parse_group
from intertwine.irreps import Irrep, RootSystem, WeightTable, decompose, root_system, weights
from intertwine.operators import dense
from intertwine.reps import Rep, Scalar, T, V, parse

GROUPS = ("SU(2)", "SU(3)", "SO(5)", "Sp(2)", "G2", "SO(4)", "SO(8)", "U(2)", "GL(2)", "SO13p")


def counts(table: WeightTable) -> Counter[tuple[int, ...]]:
    rows = map(tuple, table.weights.tolist())
    return Counter(dict(zip(rows, table.multiplicities, strict=True)))


def freudenthal(roots: RootSystem, highest: tuple[int, ...]) -> Counter[tuple[int, ...]]:
    """The weights of the irrep with a highest weight (Humphreys 1972, §22.3), level by level:
    ((λ+ρ, λ+ρ) − (μ+ρ, μ+ρ)) m(μ) = 2 Σ_α>0 Σ_k>0 (μ + kα, α) m(μ + kα).
    """
    inverse = np.linalg.inv(roots.cartan_matrix.astype(float)) * roots.squared_lengths
    gram = np.array([[Fraction(x).limit_denominator(1000) for x in row] for row in inverse])

    def inner(a: np.ndarray, b: np.ndarray) -> Fraction:
        return a @ gram @ b  # (ωᵢ, ωⱼ), as ω = A⁻¹α

    rho, top = np.ones(roots.rank, int), np.array(highest)
    found: Counter[tuple[int, ...]] = Counter({highest: 1})
    level = [top]
    while level:
        below = {tuple(mu - root) for mu in level for root in roots.simple_roots}
        level = []
        for weight in below:
            mu = np.array(weight)
            total = Fraction(0)
            for root in roots.positive_roots:
                up = mu + root
                while found[tuple(up)]:
                    total += 2 * inner(up, root) * found[tuple(up)]
                    up = up + root
            over = inner(top + rho, top + rho) - inner(mu + rho, mu + rho)
            if total and over:
                found[weight] = int(total / over)
                level.append(mu)
    return Counter({weight: m for weight, m in found.items() if m})


class TestAnIrrep:
    @pytest.mark.parametrize(
        ("name", "rep"),
        [("SU(3)", T(2, 1)), ("SU(2)", V**3), ("SO(5)", V**2), ("Sp(2)", V**3), ("G2", V**2),
         ("SO(4)", V**2), ("SO(3)*SU(2)", V**2), ("SO(8)", V)],
    )  # fmt: skip
    @pytest.mark.sampled(7)
    def test_has_the_weights_of_freudenthals_formula(self, name: str, rep: Rep) -> None:
        group = parse_group(name)
        total: Counter[tuple[int, ...]] = Counter()
        for irrep, copies in decompose(rep(group), is_complex=True).multiplicities.items():
            table = weights(irrep)
            assert table.dimension == irrep.size() == table.roots.dimension_of(table.highest)
            assert counts(table) == freudenthal(table.roots, table.highest)
            for weight, m in counts(table).items():
                total[weight] += copies * m
        assert total == counts(weights(rep(group)))

    def test_has_the_highest_weight_first(self) -> None:
        assert weights(Irrep("l=2", SO(3))).weights[:, 0].tolist() == [4, 2, 0, -2, -4]
        assert weights(Irrep("[1, -1]", U(2))).highest == (2, 0)

    def test_over_the_reals_may_be_two(self) -> None:
        table = weights(Irrep("(1, 0)+(0, 1)", parse_group("SO13p")))
        assert counts(table)[2, 0] == counts(table)[0, 2] == 1
        assert counts(table)[0, 0] == 2


class TestLaws:
    @pytest.mark.parametrize("name", GROUPS)
    @given(data=st.data())
    @settings(max_examples=4, deadline=None)
    def test_products_add_and_duals_negate(self, name: str, data: st.DataObject) -> None:
        group = parse_group(name)
        texts = st.sampled_from(["V", "V.T", "V+1", "V*V.T", "Sym(2, V)", "Alt(2, V)", "2V+3"])
        a, b = (parse(data.draw(texts))(group) for _ in range(2))
        first, second = counts(weights(a, group=group)), counts(weights(b, group=group))
        expected: Counter[tuple[int, ...]] = Counter()
        for (x, m), (y, n) in product(first.items(), second.items()):
            expected[tuple(i + j for i, j in zip(x, y, strict=True))] += m * n
        both = weights(a * b, group=group)
        assert counts(both) == expected
        assert both.dimension == a.size() * b.size()
        assert counts(weights(a.T)) == {tuple(-i for i in x): m for x, m in first.items()}
        for i in range(both.roots.rank):
            moved = both.roots.reflected(both.weights, i)
            assert Counter(dict(zip(map(tuple, moved.tolist()), both.multiplicities, strict=True))
                           ) == expected  # fmt: skip

    @pytest.mark.parametrize("text", ["Sym(3, V)", "Alt(2, V)", "Schur([2, 1], V)", "Det(V)",
                                      'Indexed(V, "ijk=-jik")'])  # fmt: skip
    @pytest.mark.parametrize("name", ["U(2)", "SO(3)"])
    def test_functors_by_power_sums_are_those_of_their_matrices(self, name: str, text: str) -> None:
        group = parse_group(name)
        rep = parse(text)(group)
        roots = root_system(group)
        images = np.array([np.asarray(dense(rep.drho(a))) for a in roots.basis], complex)
        found = roots.joint_eigenvalues(np.tensordot(roots.elements, images, 1))
        assert counts(weights(rep)) == Counter(map(tuple, found.tolist()))

    def test_conjugates_of_a_unitary_group_are_duals(self) -> None:
        assert counts(weights(parse("Conj(V)")(SU(3)))) == counts(weights(V(SU(3)).T))

    def test_of_a_group_with_components_are_those_of_the_first(self) -> None:
        assert counts(weights((V**2)(O(3)))) == counts(weights((V**2)(SO(3))))

    def test_in_another_frame(self) -> None:
        frame = np.array([[1, 0.3, 0], [0, 1, 0.1], [0.2, 0, 1]])
        lie = np.linalg.solve(frame, np.asarray(SO(3).lie_algebra) @ frame)
        group = Group(lie_algebra=lie, refine=0)
        assert counts(weights(T(1, 1)(group))) == counts(weights((V**2)(SO(3))))

    def test_large_tensors(self) -> None:
        table = weights((V**40)(SU(2)))
        assert (table.dimension, table.multiplicities[20]) == (2**40, 137846528820)


class TestForms:
    def test_text(self) -> None:
        assert str(weights((V**2)(SU(2)))) == (
            "A1, 4 dimensions\nweight  multiplicity\n(2)                1\n"
            "(0)                2\n(-2)               1"
        )
        assert str(weights(V(U(2)))).splitlines() == [
            "A1 × U(1), 2 dimensions", "weight  charge  multiplicity",
            "(1)     1                  1", "(-1)    1                  1",
        ]  # fmt: skip
        assert str(weights(V(SO(2)))).splitlines()[1:] == [
            "charge  multiplicity", "1                  1", "-1                 1",
        ]  # fmt: skip

    def test_notebook(self) -> None:
        table = weights(V(SU(3)))
        assert repr(table) == "<weights of V(SU(3)): A2, 3 weights, 3 dimensions>"
        assert table._repr_html_().count("<tr>") == 4

    def test_json(self) -> None:
        found = weights(V(U(2))).to_json()
        assert (found["type"], found["rank"], found["charges"]) == ("A1 × U(1)", 1, 1)
        assert found["weights"][0] == {"labels": [1], "charges": [1], "multiplicity": 1}

    def test_the_command_line(self) -> None:
        ended = called("weights", "V**2", "--group", "SU(3)")
        assert ended.out.splitlines()[2].split() == ["(2,", "0)", "1"]
        assert '"type": "A2"' in called("weights", "V", "--group", "SU(3)", "--json").out

    def test_positions_have_orthogonal_reflections(self) -> None:
        for name in ("SU(3)", "G2", "SO(5)", "U(2)"):
            table = weights((V**2)(parse_group(name)))
            lengths = np.linalg.norm(table.positions, axis=1)
            by_weight = dict(zip(map(tuple, table.weights.tolist()), lengths, strict=True))
            for i in range(table.roots.rank):
                moved = map(tuple, table.roots.reflected(table.weights, i).tolist())
                np.testing.assert_allclose([by_weight[w] for w in moved], lengths, atol=1e-12)

    def test_multiplicity(self) -> None:
        table = weights((V**2)(SU(2)))
        assert [table.multiplicity((k,)) for k in (2, 0, 1)] == [1, 2, 0]


class TestLimits:
    def test_reps_without_one_group(self) -> None:
        with pytest.raises(NotConcrete):
            weights(V)
        with pytest.raises(MethodNotApplicable, match=r"2 groups: write the group as a product"):
            weights(V(SO(3)) * V(SU(2)))
        with pytest.raises(MethodNotApplicable, match="no groups"):
            weights(2 * Scalar)
        assert weights(2 * Scalar, group=SU(3)).multiplicities == (2,)

    def test_large_reps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(TooLarge, match="1,326 weights: tables of at most 1,000 are written"):
            str(weights((V**50)(SU(3))))
        monkeypatch.setattr("intertwine.irreps.weight_tables._MOST_SUMS", 1_000)
        with pytest.raises(TooLarge, match="1,000 sums of weights: take fewer or smaller factors"):
            weights((V**50)(SU(3)))
        monkeypatch.setattr("intertwine.irreps.weight_tables._LARGEST", 2)
        with pytest.raises(TooLarge, match="the matrices of at most 2 are diagonalised"):
            weights(Irrep("l=1", SO(3)))
