"""What the solver sees of a rep: the images of its group's generators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.support import run_python
from intertwine.errors import InvalidRep, NotConcrete
from intertwine.groups import GL, SO, SU, C, Group, O, S, SO13p, Sp, U, Z
from intertwine.irreps import decompose
from intertwine.operators import LinearOperator, Permutation
from intertwine.reps import Rep, V
from intertwine.reps.generator_images import act_unitarily, acts_orthogonally, images, images_once


class Adjoint(Rep):
    def rho(self, M: Any) -> Any:
        return np.kron(M, np.linalg.inv(M).T)


class DenseOnly(Rep):
    """ρ(g) = g, for those g that are arrays."""

    def rho(self, M: Any) -> Any:
        assert type(M) is np.ndarray
        assert M.dtype == np.float64
        return M


def test_the_images_of_v_are_the_generators_as_given() -> None:
    for G in (O(3), S(4), SO13p()):
        found = images(V(G))
        assert found.lie == G.lie_generators
        assert found.discrete == G.group_generators


def test_the_images_of_the_dual_are_contragredient() -> None:
    G = O(3) * C(3)
    found = images(V(SO13p()).T)
    for image, A in zip(found.lie, SO13p().lie_generators, strict=True):
        np.testing.assert_array_equal(image, -A.T)
    dual = DenseOnly()(G).T
    for image, h in zip(images(dual).discrete, G.group_generators, strict=True):
        np.testing.assert_allclose(image, np.linalg.inv(h).T, atol=1e-14)


def test_the_dual_of_a_permutation_stays_one() -> None:
    dual = Sp(1) * Z(3)
    (shift,) = images(V(dual).T).discrete
    h = np.asarray(dual.group_generators[0])
    np.testing.assert_array_equal(np.asarray(shift), np.linalg.inv(h).T)
    (permutation,) = images(DenseOnly()(Z(3)).T).discrete
    np.testing.assert_array_equal(np.asarray(permutation), np.asarray(Z(3).group_generators[0]))


def test_the_images_under_a_rep_of_the_users_own_are_its_rho_and_drho() -> None:
    G = O(3)
    rep = Adjoint()(G)
    found = images(rep)
    for image, A in zip(found.lie, G.lie_generators, strict=True):
        np.testing.assert_allclose(image, rep.drho(A), atol=1e-13)
    for image, h in zip(found.discrete, G.group_generators, strict=True):
        np.testing.assert_array_equal(image, rep.rho(np.asarray(h)))


class Nearly(Rep):
    """exp(c·tr A) on exp A, with the rounding of a long computation on what has no trace."""

    def __init__(self, c: complex) -> None:
        self.c = c

    def rho(self, M: Any) -> Any:
        return np.linalg.det(M).reshape(1, 1) ** self.c

    def drho(self, A: Any) -> Any:
        return self.c * np.trace(A).reshape(1, 1) + 1e-16


@pytest.mark.parametrize("group", [U(2), U(3), SU(2), U(1) * SU(2)], ids=repr)
def test_irreps_are_unitary_though_generators_have_images_that_are_rounding(group: Group) -> None:
    irreps = [*decompose(V(group) ** 2 + V(group)).multiplicities]
    assert act_unitarily(irreps)
    assert act_unitarily([irrep.T for irrep in irreps])


def test_images_that_are_zero_but_for_rounding_leave_a_rep_unitary() -> None:
    trace = Group(lie_algebra=[np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [-1.0, 0.0]])])
    assert act_unitarily([Nearly(1.0)(U(2))])
    own = Nearly(1.0)(trace)
    assert acts_orthogonally(own)
    assert own == own.T
    for rep in (Nearly(1e-6)(GL(2)), V(GL(2)), V(trace)):
        assert not act_unitarily([rep])
        assert not acts_orthogonally(rep)


def test_a_drho_of_the_users_own_is_used_as_it_is() -> None:
    class Given(DenseOnly):
        def drho(self, A: Any) -> Any:
            assert type(A) is np.ndarray
            return A + 0.0

    found = images(Given()(SO(3)))
    for image, A in zip(found.lie, SO(3).lie_generators, strict=True):
        np.testing.assert_array_equal(image, A)


def test_rho_gets_dense_arrays_where_the_generators_are_operators() -> None:
    class Lazy(LinearOperator):
        def __init__(self, indices: Any) -> None:
            self.indices, self.shape = np.asarray(indices), (len(indices),) * 2

        def _matmat(self, X: Any) -> Any:
            return X[self.indices]

        def _adjoint(self) -> Lazy:
            return Lazy(np.argsort(self.indices))

    from intertwine.groups import Group

    G = Group(discrete_generators=[Lazy([1, 2, 0]), Permutation([1, 0, 2])])
    found = images(DenseOnly()(G))
    for image, h in zip(found.discrete, G.group_generators, strict=True):
        np.testing.assert_array_equal(image, np.asarray(h))


def test_images_are_in_double_precision_for_rho_in_single() -> None:
    import jax.numpy as jnp

    class InJax(Rep):
        def rho(self, M: Any) -> Any:
            return jnp.linalg.matrix_power(jnp.asarray(M), 2)

    rep = InJax()(C(5))
    (image,) = images(rep).discrete
    expected = np.linalg.matrix_power(C(5).discrete_generators[0], 2)
    np.testing.assert_allclose(image, expected, atol=1e-15)
    assert image.dtype == np.float64


def test_a_valid_rep_with_huge_entries_is_not_refused() -> None:
    class Volume(Rep):
        def rho(self, M: Any) -> Any:
            return np.abs(np.linalg.det(M))[None, None] ** 8

    assert len(images(Volume()(GL(3))).lie) == 9


@pytest.mark.parametrize("rep", [V, V.T, Adjoint()], ids=str)
def test_without_a_group_there_are_none(rep: Rep) -> None:
    with pytest.raises(NotConcrete) as error:
        images(rep)
    assert str(error.value) == (f"{rep} has no group yet: call the rep with one, as in rep(SO(3))")


# -- what is no representation


class Transposed(Rep):
    def rho(self, M: Any) -> Any:
        return M.T


class Shifted(Rep):
    def rho(self, M: Any) -> Any:
        return M + 1


class Twice(Rep):
    def rho(self, M: Any) -> Any:
        return 2 * M


class WrongSign(Rep):
    """A slip in the sign of the reflections: (−1)^(number of fixed points)."""

    def rho(self, M: Any) -> Any:
        return np.array([[(-1.0) ** round(np.trace(M))]])


class NotANumber(Rep):
    def rho(self, M: Any) -> Any:
        return np.full((1, 1), np.nan)


class SizeOfAnother(Rep):
    def size(self) -> int:
        return 7

    def rho(self, M: Any) -> Any:
        return M


class Nothing(Rep):
    """ρ(g) = 0 is multiplicative, and yet no rep: ρ(1) ≠ 1."""

    def rho(self, M: Any) -> Any:
        return np.zeros((2, 2))


class Projected(Rep):
    """ρ(g) = gP for an invariant projection P: multiplicative, and ρ(1) = P."""

    def rho(self, M: Any) -> Any:
        return np.full((len(M), len(M)), 1 / len(M))


@pytest.mark.parametrize("G", [S(4), SO(3)], ids=repr)
@pytest.mark.parametrize("kind", [Transposed, Shifted, Twice])
def test_maps_that_are_not_homomorphisms_are_refused(kind: type[Rep], G: Any) -> None:
    rep = kind()(G)
    with pytest.raises(InvalidRep) as error:
        images(rep)
    message = str(error.value)
    assert message.startswith(f"{rep!r} is not a representation of {G!r}: ρ(")
    with pytest.raises(InvalidRep):
        (rep * V(G)).equivariant_basis()


@pytest.mark.parametrize("kind", [Nothing, Projected])
@pytest.mark.parametrize("G", [S(4), SO(3), O(3)], ids=repr)
def test_what_does_not_send_the_identity_to_the_identity_is_refused(
    kind: type[Rep], G: Any
) -> None:
    with pytest.raises(InvalidRep, match=r"ρ\(1\)|identity"):
        images(kind()(G))


@pytest.mark.parametrize("G", [S(4), SO(3)], ids=repr)
def test_entries_that_are_no_finite_numbers_are_refused(G: Any) -> None:
    rep = NotANumber()(G)
    with pytest.raises(InvalidRep) as error:
        images(rep)
    assert str(error.value) == (
        f"rho of {rep!r} returns entries that are not finite numbers:\n[[nan]]"
    )


def test_a_slip_on_some_elements_is_found() -> None:
    with pytest.raises(InvalidRep):
        images(WrongSign()(S(4)))


@pytest.mark.parametrize("G", [S(3), SO(3)], ids=repr)
def test_a_size_that_rho_does_not_have_is_refused(G: Any) -> None:
    rep = SizeOfAnother()(G)
    with pytest.raises(InvalidRep) as error:
        images(rep)
    assert str(error.value) == f"{rep!r} has size 7, and matrices of shape (3, 3)"


class WrongDerivative(Rep):
    """A slip in a drho of the user's own: half of what it should be."""

    def rho(self, M: Any) -> Any:
        return M

    def drho(self, A: Any) -> Any:
        return A / 2


def test_a_drho_that_is_not_the_derivative_of_rho_is_refused() -> None:
    rep = WrongDerivative()(SO(3))
    with pytest.raises(InvalidRep) as error:
        images(rep)
    assert str(error.value) == (
        f"{rep!r} is not a representation of SO(3): ρ(exp A) differs from exp dρ(A)"
    )


PROGRAM = """
import numpy as np
from intertwine.errors import IntertwineError
from intertwine.groups import S, SO
from intertwine.reps import Rep, V

class Number(Rep):
    def rho(self, M):
        return float(np.linalg.det(M))

class Scalar0(Rep):
    def rho(self, M):
        return np.linalg.det(M)

class Row(Rep):
    def rho(self, M):
        return M[:1]

class Vector(Rep):
    def rho(self, M):
        return np.diag(M)

class Nested(Rep):
    def rho(self, M):
        return M.tolist()

class Absent(Rep):
    def rho(self, M):
        pass

outcomes = {}
for kind in (Number, Scalar0, Row, Vector, Nested, Absent):
    for G in (S(3), SO(3)):
        for what in ("size", "equivariant_basis"):
            try:
                getattr(kind()(G), what)()
                outcome = "accepted"
            except IntertwineError as error:
                outcome = error.code
            except Exception as error:
                outcome = f"{type(error).__name__}: {error}"
            outcomes[f"{kind.__name__} over {G!r}, {what}"] = outcome
answer(outcomes)
"""


def test_what_returns_no_square_matrix_gets_a_clear_error() -> None:
    """In a fresh process: here every annotated shape is checked, and would complain first."""
    finished = run_python(PROGRAM)
    assert finished.status == 0, finished.stderr
    lists_are_matrices = {k: v for k, v in finished.value.items() if k.startswith("Nested")}
    others = {k: v for k, v in finished.value.items() if k not in lists_are_matrices}
    assert set(others.values()) == {"invalid-rep"}, others
    assert set(lists_are_matrices.values()) <= {"invalid-rep", "accepted"}, lists_are_matrices


class Counted(Rep):
    """V, which counts how often its matrices are asked for."""

    def __init__(self, G: Group | None = None) -> None:
        self.G, self.count = G, [0]

    def __call__(self, G: Group) -> Counted:
        return Counted(G)

    def size(self) -> int:
        return self.G.d

    def rho(self, M: Any) -> Any:
        self.count[0] += 1
        return np.asarray(M)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counted) and self.G == other.G

    def __hash__(self) -> int:
        return hash((Counted, self.G))


def test_a_solve_computes_the_images_of_a_rep_of_the_users_own_once() -> None:
    rep = Counted(SO(3))
    with images_once():
        first = images(rep)
        once = rep.count[0]
        assert images(rep) is first
        with images_once():
            assert images(rep) is first
        assert rep.count[0] == once
    assert images(rep) is not first  # afterwards nothing is remembered
    assert rep.count[0] == 2 * once
    rep.count[0] = 0
    rep.equivariant_basis(store=False)
    assert once <= rep.count[0] < 1.5 * once  # the size is asked for as well
