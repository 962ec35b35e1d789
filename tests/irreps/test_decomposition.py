"""Decompositions, irreps as reps, and Clebsch–Gordan coefficients: the laws that define them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.complex_groups import COMPLEX, Phase, Rotations
from helpers.oblique_groups import REDUCTIVE, conjugate, random_frame
from helpers.program import python
from intertwine.errors import InvalidRep, MethodNotApplicable, NotConcrete
from intertwine.groups import SO, SU, Group, O, S, Z, parse_group
from intertwine.irreps import Irrep, clebsch_gordan, decompose
from intertwine.operators import dense
from intertwine.reps import Rep, Scalar, T, V, parse
from scipy.linalg import block_diag

GROUPS = (*("SO(2)", "O(3)", "SO13p()", "Sp(1)", "SU(3)", "U(2)", "S(4)", "D(5)", "GL(2)"),)
REPS = (V, V.T, V**2, V**2 * V.T, 3 * V + V**2 + 2 * Scalar, V * (V + V.T) + V)


def _elements(group: Group) -> list[np.ndarray]:
    discrete = [np.asarray(dense(h)) for h in group.group_generators]
    return [*group.samples(2, seed=1), *discrete[:2]]


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("rep", REPS, ids=str)
class TestDecompose:
    @pytest.mark.sampled(3)
    def test_the_change_of_basis_is_unitary_and_block_diagonalises_every_element(
        self, name: str, rep: Rep
    ) -> None:
        group = parse_group(name)
        found = decompose(rep(group))
        u, n = found.matrix(), rep(group).size()
        assert sum(m * irrep.size() for irrep, m in found.multiplicities.items()) == n
        np.testing.assert_allclose(u.conj().T @ u, np.eye(n), atol=1e-12)
        for g in _elements(group):
            blocks = [
                irrep.rho_dense(g) for irrep, m in found.multiplicities.items() for _ in range(m)
            ]
            image = np.asarray(rep(group).rho_dense(g))
            scale = max(1.0, float(np.linalg.norm(image, 2)))
            np.testing.assert_allclose(image @ u, u @ block_diag(*blocks), atol=1e-11 * scale)

    def test_the_transform_is_the_matrix(self, name: str, rep: Rep) -> None:
        group = parse_group(name)
        found = decompose(rep(group))
        x = np.random.default_rng(0).standard_normal((rep(group).size(), 2))
        parts = found.to_irreps(x)
        assert {i: p.shape for i, p in parts.items()} == {
            i: (m, i.size(), 2) for i, m in found.multiplicities.items()
        }
        flat = np.concatenate([part.reshape(-1, 2) for part in parts.values()])
        np.testing.assert_allclose(found.matrix() @ flat, x, atol=1e-12)
        np.testing.assert_allclose(found.from_irreps(parts), x, atol=1e-12)


class TestWhatADecompositionSays:
    def test_the_irreps_of_a_vector_times_a_vector(self) -> None:
        found = decompose((V**2)(SO(3)))
        assert [(i.size(), i.type, m) for i, m in found.multiplicities.items()] == [
            (1, "ℝ", 1),
            (3, "ℝ", 1),
            (5, "ℝ", 1),
        ]
        assert "W5_" in repr(found)
        assert "multiplicity" in str(found)
        assert found._repr_html_().count("<tr>") == 4
        assert found.residual <= 1e-13
        assert found.orthonormality <= 1e-13

    @pytest.mark.parametrize(
        ("name", "rep", "kinds"),
        [
            ("SO(2)", V, {(2, "ℂ"): 1}),
            ("SO13p()", T(2, 1), {(4, "ℝ"): 4, (16, "ℂ"): 2, (16, "ℝ"): 1}),
            ("SU(2) on ℝ⁴", V, {(4, "ℍ"): 1}),
            ("SU(3) on ℝ⁶", V, {(6, "ℂ"): 1}),
        ],
    )
    def test_the_types_of_real_irreps(
        self, name: str, rep: Rep, kinds: dict[tuple[int, str], int]
    ) -> None:
        group = REDUCTIVE[name]
        found: dict[tuple[int, str], int] = {}
        for irrep, m in decompose(rep(group)).multiplicities.items():
            found[irrep.size(), irrep.type] = found.get((irrep.size(), irrep.type), 0) + m
        assert found == kinds

    @pytest.mark.slow
    def test_in_an_oblique_frame_it_still_block_diagonalises(self) -> None:
        rng = np.random.default_rng(2)
        group = conjugate(parse_group("SO13()"), random_frame(4, 20, rng))
        rep = (V * V.T + V)(group)
        found = decompose(rep)
        u = found.matrix()
        for g in _elements(group):
            blocks = [i.rho_dense(g) for i, m in found.multiplicities.items() for _ in range(m)]
            image = np.asarray(rep.rho_dense(g))
            scale = float(np.linalg.norm(image, 2) * np.linalg.norm(u, 2))
            np.testing.assert_allclose(image @ u, u @ block_diag(*blocks), atol=1e-9 * scale)
        for irrep in found.multiplicities:  # and its irreps are reps in the given frame
            q = (irrep >> V * V.T)(group) if not irrep.is_concrete else irrep >> rep
            assert q.equivariant_basis(store=False).rank >= 1

    def test_under_jax(self) -> None:
        import jax

        found = decompose((V**3)(SO(3)))
        x = np.random.default_rng(0).standard_normal((27, 2)).astype(np.float32)

        @jax.jit
        def there_and_back(x: Any) -> Any:
            return found.from_irreps(found.to_irreps(x))

        np.testing.assert_allclose(there_and_back(x), x, atol=1e-5)
        assert there_and_back(x).dtype == np.float32

    @pytest.mark.parametrize(
        ("rep", "error"),
        [
            (V, NotConcrete),
            (V(Z(3)) * V(O(3)), MethodNotApplicable),
            (V(Group(lie_algebra=[[[0.0, 1.0], [0.0, 0.0]]])), MethodNotApplicable),
        ],
        ids=["abstract", "mixed", "not reductive"],
    )
    def test_what_cannot_be_decomposed(self, rep: Rep, error: type[Exception]) -> None:
        with pytest.raises(error):
            decompose(rep)


class TestIrrepsAreReps:
    def _irrep(self, group: Group, dimension: int, power: int = 2) -> Irrep:
        rep = T(power)(group)
        return next(i for i in decompose(rep).multiplicities if i.size() == dimension)

    @pytest.mark.parametrize("name", ["SO(3)", "SO13p()", "S(4)", "U(2)", "SO(2)"])
    @pytest.mark.sampled(3)
    def test_schur(self, name: str) -> None:
        irreps = list(decompose((V**2 * V.T)(parse_group(name))).multiplicities)
        for a in irreps:
            for b in irreps:
                rank = (a >> b).equivariant_basis(store=False, method="svd").rank
                assert rank == (len(a.endomorphisms) if a == b else 0)

    def test_they_are_homomorphisms(self) -> None:
        group = parse_group("SO13p()")
        g, h = group.samples(2, seed=3)
        for irrep in decompose((V**3)(group)).multiplicities:
            product = irrep.rho(g) @ irrep.rho(h)
            np.testing.assert_allclose(irrep.rho(g @ h), product, atol=1e-12)

    def test_their_multiplicities_are_ranks(self) -> None:
        group = O(3)
        rep = (V**3 + 2 * V)(group)
        for irrep, m in decompose(rep).multiplicities.items():
            basis = (irrep >> rep).equivariant_basis(store=False, method="svd")
            assert basis.rank == m * len(irrep.endomorphisms)

    def test_in_text(self) -> None:
        irrep = self._irrep(SO(3), 5)
        rep = parse(f"{irrep.name}*V**2 + 2{irrep.name}")(SO(3))
        assert rep == irrep * V(SO(3)) ** 2 + 2 * irrep
        assert parse(repr(rep)) == rep
        assert "W_{5," in rep._repr_latex_()

    def test_a_fresh_process_knows_them_by_name(self) -> None:
        name = self._irrep(SO(3), 7, 3).name
        program = (
            "from intertwine.groups import SO\n"
            "from intertwine.reps import parse\n"
            f"print(parse('{name} >> V**3')(SO(3)).equivariant_basis(store=False).rank)\n"
        )
        assert python(program).split() == ["1"]

    def test_an_unknown_name(self) -> None:
        with pytest.raises(InvalidRep, match="W5_ffffff"):
            Irrep("W5_ffffff")(SO(3)).rho(np.eye(3))
        with pytest.raises(InvalidRep, match="not the name of an irrep"):
            Irrep("5")

    def test_the_dual(self) -> None:
        assert self._irrep(SO(3), 5) == self._irrep(SO(3), 5).T
        lorentz = self._irrep(parse_group("SO13p()"), 9)
        g = lorentz.G.sample()
        np.testing.assert_allclose(lorentz.T.rho(g), np.linalg.inv(lorentz.rho(g)).T, atol=1e-12)

    @pytest.mark.slow
    def test_found_in_a_rep_that_computes_in_jax_they_keep_double_precision(self) -> None:
        """Outside ``enable_x64`` such a rep returns single precision; the irreps do not."""

        class Square(Rep):
            def __init__(self, group: Group) -> None:
                self.G = group

            def size(self) -> int:
                return int(self.G.d) ** 2

            def __eq__(self, other: object) -> bool:
                return isinstance(other, Square) and other.G == self.G

            def __hash__(self) -> int:
                return hash(self.G)

            def rho(self, M: Any) -> Any:
                return jnp.kron(jnp.asarray(M), jnp.asarray(M))

        group = SO(5)  # no other test finds irreps of its V⊗V first
        [irrep] = [i for i in decompose(Square(group)).multiplicities if i.size() == 14]
        g, h = group.samples(2, seed=4)
        assert np.asarray(irrep.rho(g)).dtype == np.float64
        np.testing.assert_allclose(irrep.rho(g) @ irrep.rho(h), irrep.rho(g @ h), atol=1e-12)

    def test_of_reps_of_the_users_own(self) -> None:
        irrep = self._irrep(S(4), 2)
        again = decompose((irrep * irrep)(S(4)) if not irrep.is_concrete else irrep * irrep)
        assert sum(m * i.size() for i, m in again.multiplicities.items()) == 4


class TestRealAndComplexIrreps:
    @pytest.mark.sampled(3)
    @pytest.mark.parametrize("name", COMPLEX)
    def test_an_irrep_found_in_a_complex_rep_is_itself_when_alone(self, name: str) -> None:
        """Though its matrices may be real, as those of the trivial one are."""
        group = COMPLEX[name]
        found = decompose(V(group) * V(group).T + V(group) ** 2 + V(group)).multiplicities
        for irrep in found:
            assert {**decompose(irrep).multiplicities} == {irrep: 1}
            assert {**decompose(2 * irrep).multiplicities} == {irrep: 2}
        trivial = [irrep for irrep in found if irrep.entry.origin is None]
        assert trivial == [*decompose(Scalar, group=group).multiplicities]
        assert trivial == [*decompose(trivial[0] * trivial[0].T).multiplicities]

    def test_a_real_rep_has_irreps_over_either_field(self) -> None:
        for rep in (Rotations()(SU(2)), V(SO(3))):
            [real], [same] = (
                decompose(rep, is_complex=given).multiplicities for given in (None, False)
            )
            [other] = decompose(rep, is_complex=True).multiplicities
            assert real == same
            assert (real.name[:3], other.name[:4]) == ("W3_", "Wc3_")
        [inside] = [i for i in decompose(V(SU(2)) ** 2).multiplicities if i.size() == 3]
        assert inside in decompose(Rotations()(SU(2)), is_complex=True).multiplicities

    def test_scalars_are_over_either_field(self) -> None:
        for group in (SU(2), SO(3)):
            found = [
                next(iter(decompose(Scalar, group=group, is_complex=given).multiplicities))
                for given in (False, True, None)
            ]
            assert [i.is_over_complex_numbers for i in found] == [False, True, group == SU(2)]
            assert all(irrep.entry.origin is None for irrep in found)

    def test_a_complex_rep_has_no_irreps_over_the_real_numbers(self) -> None:
        trivial = next(iter(decompose(Scalar, group=SU(2)).multiplicities))
        for rep in (V(SU(2)), Phase()(SO(2)), trivial, trivial.T):
            with pytest.raises(InvalidRep, match="is complex, and has no irreps over ℝ"):
                decompose(rep, is_complex=False)

    def test_an_irrep_over_the_real_numbers_is_not_looked_for_in_complex_tensors(self) -> None:
        with pytest.raises(InvalidRep, match="has no irrep W3_ffffff"):
            Irrep("W3_ffffff")(SU(2)).rho(np.eye(2))


class TestClebschGordan:
    @pytest.mark.parametrize("name", ["SO(3)", "O(3)", "SO13p()", "S(4)", "SU(3)", "D(5)", "SO(2)"])
    def test_they_intertwine_and_are_complete(self, name: str) -> None:
        group = parse_group(name)
        irreps = list(decompose((V**2)(group)).multiplicities)
        for a in irreps:
            for b in irreps:
                found = clebsch_gordan(a, b)
                n = a.size() * b.size()
                u = np.concatenate([c.reshape(n, -1) for c in found.values()], axis=1)
                np.testing.assert_allclose(u.conj().T @ u, np.eye(n), atol=1e-12)
                for g in _elements(group):
                    image = np.kron(a.rho_dense(g), b.rho_dense(g))
                    for c, maps in found.items():
                        for k in range(maps.shape[2]):
                            one = maps[:, :, k].reshape(n, -1)
                            moved = one @ c.rho_dense(g)
                            np.testing.assert_allclose(image @ one, moved, atol=1e-10)

    def test_of_two_groups_there_are_none(self) -> None:
        a = next(iter(decompose(V(SO(3))).multiplicities))
        b = next(iter(decompose(V(O(3))).multiplicities))
        with pytest.raises(MethodNotApplicable):
            clebsch_gordan(a, b)
