"""Large user-defined reps are checked on random vectors, and those of permutations by words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from intertwine.errors import AmbiguousRank, InvalidRep
from intertwine.groups import SL, SO, D, Group, O, S, Z
from intertwine.operators import Permutation, as_signed_permutation
from intertwine.operators.product_comparison import PRODUCTS_UP_TO
from intertwine.reps import Rep, V
from intertwine.reps.generator_images import acts_orthogonally, images, images_once

COPIES = PRODUCTS_UP_TO // 4 + 3


class Large(Rep):
    """Copies of V ⊗ V in a random orthogonal frame."""

    def __init__(self, *, is_oblique: bool = False) -> None:
        self.is_oblique = is_oblique

    def frame(self, n: int) -> Any:
        frame = np.linalg.qr(np.random.default_rng(3).standard_normal((n, n)))[0]
        return frame @ np.diag(np.linspace(1, 2, n)) if self.is_oblique else frame

    def in_frame(self, block: Any) -> Any:
        frame = self.frame(COPIES * len(block))
        return frame @ np.kron(np.eye(COPIES), block) @ np.linalg.inv(frame)

    def rho(self, M: Any) -> Any:
        return self.in_frame(np.kron(M, M))

    def analytic(self, A: Any) -> Any:
        return self.in_frame(np.kron(A, np.eye(len(A))) + np.kron(np.eye(len(A)), A))


@pytest.mark.slow
@pytest.mark.parametrize("G", [SO(2), O(2), SL(2)], ids=repr)
@pytest.mark.parametrize("is_oblique", [False, True])
def test_the_images_of_a_large_rep_are_exact(G: Group, is_oblique: bool) -> None:
    rep = Large(is_oblique=is_oblique)(G)
    found = images(rep)
    for image, A in zip(found.lie, G.lie_generators, strict=True):
        np.testing.assert_allclose(image, rep.analytic(np.asarray(A)), atol=1e-12)
    for image, h in zip(found.discrete, G.group_generators, strict=True):
        np.testing.assert_array_equal(image, rep.rho(np.asarray(h)))
    assert acts_orthogonally(rep) == (G.is_orthogonal and not is_oblique)


@pytest.mark.slow
def test_a_large_rep_has_the_rank_of_its_copies() -> None:
    G = O(2)
    expected = COPIES * (V(G) ** 2).equivariant_basis().rank
    basis = Large()(G).equivariant_basis(store=False)
    assert basis.rank == expected
    assert basis.certificate.residual < 1e-11


class Counted(Large):
    def __init__(self) -> None:
        super().__init__()
        self.calls = [0]

    def rho(self, M: Any) -> Any:
        self.calls[0] += 1
        return super().rho(M)


def test_the_images_of_a_large_orthogonal_rep_take_few_calls_of_rho() -> None:
    """ρ(1), ρ(h), a random and a fixed element, six words, and three calls for each dρ(A)."""
    G = O(2)
    rep = Counted()(G)
    with images_once():
        found = images(rep)
    assert rep.calls[0] <= 1 + len(G.group_generators) + 2 + 6 + 3 * len(G.lie_generators)
    expected = rep.analytic(np.asarray(G.lie_generators[0]))
    np.testing.assert_allclose(np.asarray(found.lie[0]), expected, atol=1e-14)


@pytest.mark.parametrize("charges", [(1.0, 3.0), (1.0, np.sqrt(2.0))], ids=["whole", "irrational"])
def test_the_derivative_of_a_large_rep_is_exact_whatever_the_frequencies(charges: Any) -> None:
    """Those of V ⊗ V are sums of charges: 2, 4, 6 for whole ones, which takes differences."""

    class Seventeen(Rep):
        def rho(self, M: Any) -> Any:
            return np.kron(np.eye(17), np.kron(M, M))

    A = np.kron(np.diag(charges), np.array([[0.0, -1.0], [1.0, 0.0]]))
    rep = Seventeen()(Group(lie_algebra=[A]))
    one = np.eye(4)
    expected = np.kron(np.eye(17), np.kron(A, one) + np.kron(one, A))
    np.testing.assert_allclose(rep.drho(A), expected, atol=1e-12)


class Turns(Rep):
    """Turns of a plane by a multiple of the angle, for each of two planes, in many copies."""

    def __init__(self, first: int, second: int) -> None:
        self.powers = first, second
        self.calls = [0]

    def rho(self, M: Any) -> Any:
        self.calls[0] += 1
        parts = [np.linalg.matrix_power(M[i : i + 2, i : i + 2], k) for i, k in self.planes]
        found = np.zeros((4 * COPIES, 4 * COPIES))
        for at in range(0, 4 * COPIES, 4):
            found[at : at + 2, at : at + 2], found[at + 2 : at + 4, at + 2 : at + 4] = parts
        return found

    @property
    def planes(self) -> Any:
        return zip((0, 2), self.powers, strict=True)


@pytest.mark.parametrize("powers", [(2, 2), (1, 3), (3, 1), (1, 4)])
def test_the_generators_of_a_large_rep_may_have_frequencies_in_any_ratio(
    powers: tuple[int, int],
) -> None:
    """With equal ratios, dρ of each generator takes two calls of rho."""
    turn, nothing = np.array([[0.0, -1.0], [1.0, 0.0]]), np.zeros((2, 2))
    G = Group(lie_algebra=[np.kron(np.diag(unit), turn) for unit in np.eye(2)])
    rep = Turns(*powers)(G)
    with images_once():
        found = images(rep)
    for k, image in enumerate(found.lie):
        blocks = [nothing, nothing]
        blocks[k] = powers[k] * turn
        expected = np.kron(np.eye(COPIES), np.block([[blocks[0], nothing], [nothing, blocks[1]]]))
        np.testing.assert_allclose(np.asarray(image), expected, atol=1e-13)
    if powers == (2, 2):
        assert rep.calls[0] == 1 + 2 + 6 + 2 + 2


class Turned(Rep):
    """V ⊗ V in a random orthogonal frame."""

    def rho(self, M: Any) -> Any:
        d = len(M)
        frame = np.linalg.qr(np.random.default_rng(3).standard_normal((d * d, d * d)))[0]
        return frame @ np.kron(M, M) @ frame.T


@pytest.mark.parametrize("factor", [4.0, 16.0, 64.0])
def test_elements_that_grow_and_their_inverses_leave_their_rounding(factor: float) -> None:
    group = Group(discrete_generators=[np.diag([1.0, factor, 1 / factor])])
    assert Turned()(group).equivariant_basis().rank == 3


class Single(Large):
    def rho(self, M: Any) -> Any:
        return super().rho(M).astype(np.float32)


class Rounded(Large):
    def __init__(self, digits: int) -> None:
        super().__init__()
        self.digits = digits

    def rho(self, M: Any) -> Any:
        return np.round(super().rho(M), self.digits)


@pytest.mark.parametrize("rep", [Single(), Rounded(7), Rounded(9)], ids=["single", "7", "9"])
def test_a_large_rep_with_too_few_digits_is_ambiguous(rep: Rep) -> None:
    with pytest.raises(AmbiguousRank, match="is a homomorphism only to "):
        images(rep(SO(2)))


class WrongSign(Rep):
    """V ⊗ V, where elements of determinant −1 also turn the copies: their squares are wrong."""

    def rho(self, M: Any) -> Any:
        copies = np.eye(COPIES)
        turned = np.roll(copies, 1, axis=0) if np.linalg.det(M) < 0 else copies
        return np.kron(turned, np.kron(M, M))


def test_a_wrong_component_of_a_large_rep_is_found() -> None:
    with pytest.raises(InvalidRep, match=r"ρ\(gh\) differs from ρ\(g\)ρ\(h\)"):
        images(WrongSign()(O(2)))


class OneEntry(Large):
    """A slip in one entry, of elements other than 1."""

    def __init__(self, error: float) -> None:
        super().__init__()
        self.error = error

    def rho(self, M: Any) -> Any:
        found = super().rho(M)
        found[5, 7] += self.error * (1 - M[0, 0])
        return found


@pytest.mark.parametrize("G", [SO(2), D(5)], ids=repr)
@pytest.mark.parametrize(("error", "kind"), [(0.1, InvalidRep), (1e-5, AmbiguousRank)])
def test_a_slip_in_one_of_many_entries_is_found(G: Group, error: float, kind: Any) -> None:
    with pytest.raises(kind):
        images(OneEntry(error)(G))


class WrongDerivative(Large):
    def drho(self, A: Any) -> Any:
        found = self.analytic(A)
        found[:4, :4] *= 2
        return found


def test_a_wrong_derivative_of_a_large_rep_is_found() -> None:
    with pytest.raises(InvalidRep, match="ρ\\(exp A\\) differs from exp dρ\\(A\\)"):
        images(WrongDerivative()(SO(2)))


class NotContinuous(Large):
    def rho(self, M: Any) -> Any:
        return 2 * super().rho(M)

    def drho(self, A: Any) -> Any:
        return Rep.drho(self, A)


def test_a_large_matrix_that_is_not_one_at_one_has_no_derivative() -> None:
    with pytest.raises(InvalidRep, match="does not tend to the identity"):
        NotContinuous()(SO(2)).drho(np.array([[0.0, -1.0], [1.0, 0.0]]))


class NotMultiplicative(Large):
    def rho(self, M: Any) -> Any:
        return (super().rho(M) + super().rho(M).T) / 2


def test_a_large_rho_that_is_not_multiplicative_has_no_derivative() -> None:
    with pytest.raises(InvalidRep, match="is not multiplicative"):
        NotMultiplicative()(SO(2)).drho(np.array([[0.0, -1.0], [1.0, 0.0]]))


# -- permutations


class OnPairs(Rep):
    """The permutations of pairs of points, in one of the forms that rho may return."""

    def __init__(self, form: Any = np.asarray) -> None:
        self.form = form
        self.calls = [0]

    def rho(self, M: Any) -> Any:
        self.calls[0] += 1
        return self.form(np.kron(M, M))


FORMS = {
    "array": np.asarray,
    "integers": lambda matrix: np.rint(matrix).astype(int),
    "sparse": scipy.sparse.csr_array,
    "operator": as_signed_permutation,
    "list": lambda matrix: matrix.tolist(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("G", [S(4), Z(6), D(4)], ids=repr)
def test_images_that_permute_are_kept_as_permutations(G: Group, form: str) -> None:
    rep = OnPairs(FORMS[form])(G)
    permutes = all(isinstance(h, Permutation) for h in G.group_generators)
    for image, h in zip(images(rep).discrete, G.group_generators, strict=True):
        assert isinstance(image, Permutation) or not permutes
        np.testing.assert_allclose(np.asarray(image), np.kron(h, h), atol=1e-15)
    if permutes:
        assert rep.equivariant_basis(store=False).rank == (V(G) ** 2).equivariant_basis().rank


def test_the_key_does_not_depend_on_the_form() -> None:
    from intertwine.reps import basis_key

    keys = {basis_key(OnPairs(form)(S(4))) for form in FORMS.values()}
    assert len(keys) == 1


def test_rho_is_called_once_for_a_generator_and_a_word() -> None:
    rep = OnPairs()(S(12))
    images(rep)
    assert rep.calls[0] <= len(S(12).group_generators) + 20


class Signed(Rep):
    """V, with a sign on the elements for which a test holds."""

    def __init__(self, test: Any) -> None:
        self.test = test

    def rho(self, M: Any) -> Any:
        return -M if self.test(M) else M


SLIPS: dict[str, Any] = {
    "a generator": lambda M: np.array_equal(M, np.asarray(S(7).group_generators[2])),
    "elements with fixed points": lambda M: 0 < np.trace(M) < 5,
    "elements without fixed points": lambda M: np.trace(M) == 0,
    "even and fixed": lambda M: M[0, 0] == 1 and np.linalg.det(M) > 0 and np.trace(M) < 7,
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_wrong_sign_on_some_permutations_is_found(slip: str) -> None:
    with pytest.raises(InvalidRep, match="is not a representation of"):
        images(Signed(SLIPS[slip])(S(7)))


def test_a_right_sign_is_a_rep() -> None:
    assert len(images(Signed(lambda M: np.linalg.det(M) < 0)(S(7))).discrete) == 6


@pytest.mark.parametrize(("error", "is_refused"), [(1e-6, True), (1e-15, False)])
def test_permutations_with_too_few_digits_on_other_elements_are_ambiguous(
    error: float, is_refused: bool
) -> None:
    class Noisy(Rep):
        """V; elements other than generators have an error."""

        def rho(self, M: Any) -> Any:
            known = [np.eye(5), *map(np.asarray, self.G.group_generators)]
            is_known = any(np.array_equal(M, matrix) for matrix in known)
            return M if is_known else M + error * np.ones((5, 5))

    if is_refused:
        with pytest.raises(AmbiguousRank, match="is a homomorphism only to"):
            images(Noisy()(S(5)))
    else:
        assert all(isinstance(h, Permutation) for h in images(Noisy()(S(5))).discrete)


class Transposed(Rep):
    def rho(self, M: Any) -> Any:
        return M.T


def test_inverses_of_permutations_are_not_a_rep() -> None:
    with pytest.raises(InvalidRep, match="is not a representation of"):
        images(Transposed()(S(5)))


class Shifts(Rep):
    """The shifts of m points by as many places as M moves n: a rep only if m divides n."""

    def __init__(self, m: int) -> None:
        self.m = m

    def rho(self, M: Any) -> Any:
        k = int(np.argmax(np.abs(M[:, 0])))
        k -= len(M) if 2 * k > len(M) else 0
        return np.roll(np.eye(self.m), k, axis=0)


@pytest.mark.parametrize(("n", "m"), [(7, 8), (17, 18), (40, 39), (60, 64), (100, 101)])
def test_shifts_of_another_number_of_points_are_no_rep(n: int, m: int) -> None:
    with pytest.raises(InvalidRep, match="not the identity for some generator"):
        images(Shifts(m)(Z(n)))


def test_shifts_by_a_divisor_are_a_rep() -> None:
    assert images(Shifts(20)(Z(100))).discrete[0].shape == (20, 20)


def test_wrong_images_of_high_powers_are_found() -> None:
    class Wrong(Shifts):
        def rho(self, M: Any) -> Any:
            k = int(np.argmax(np.abs(M[:, 0])))
            return super().rho(M) if k < 20 or k > len(M) - 20 else np.eye(self.m)

    with pytest.raises(InvalidRep, match="differs from"):
        images(Wrong(100)(Z(100)))


@pytest.mark.slow
def test_permutations_of_a_large_group_are_dense_only_for_rho() -> None:
    """Its elements have more entries than random elements may have together."""
    n = 4_500

    class Trivial(Rep):
        def rho(self, M: Any) -> Any:
            return np.eye(1)

    G = Group(discrete_generators=[np.roll(np.arange(n), 1)])
    assert len(images(Trivial()(G)).discrete) == 1


class Spin(Rep):
    """Copies of spin 1/2 of SO(3), by a principal logarithm: a rep of SU(2) alone."""

    def __init__(self, copies: int) -> None:
        self.copies = copies

    def __call__(self, G: Group) -> Rep:
        bound = Spin(self.copies)
        bound.G = G
        return bound

    def size(self) -> int:
        return 2 * self.copies

    def rho(self, M: Any) -> Any:
        w = np.sqrt(max(1e-18, 1 + np.trace(M))) / 2
        x, y, z = np.array([M[2, 1] - M[1, 2], M[0, 2] - M[2, 0], M[1, 0] - M[0, 1]]) / (4 * w)
        spin = np.array([[w - 1j * z, -1j * x - y], [-1j * x + y, w + 1j * z]])
        return np.kron(np.eye(self.copies), spin)


class HalfTurn(Rep):
    """Rotations of the plane by half the angle."""

    def rho(self, M: Any) -> Any:
        angle = np.arctan2(M[1, 0], M[0, 0]) / 2
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def test_reps_of_covering_groups_are_refused_whatever_their_size() -> None:
    for rep in (Spin(1)(SO(3)), Spin(140)(SO(3)), HalfTurn()(SO(2))):
        with pytest.raises(InvalidRep, match="not a representation"):
            rep.equivariant_basis(store=False)


class CoarselyDifferentiated(Rep):
    """Copies of V; the derivative of one copy has an error."""

    def __init__(self, copies: int, error: float) -> None:
        self.copies, self.error = copies, error

    def __call__(self, G: Group) -> Rep:
        bound = CoarselyDifferentiated(self.copies, self.error)
        bound.G = G
        return bound

    def rho(self, M: Any) -> Any:
        return np.kron(np.eye(self.copies), M)

    def drho(self, A: Any) -> Any:
        return np.kron(np.diag([1.0] * (self.copies - 1) + [1.0 + self.error]), A)


@pytest.mark.parametrize("copies", [1, 90])
def test_a_derivative_with_few_digits_gives_no_rank(copies: int) -> None:
    def rank(error: float) -> int:
        product = CoarselyDifferentiated(copies, error)(SO(3)) * V(SO(3))
        return product.equivariant_basis(store=False).rank

    assert rank(0.0) == copies
    for error in (1e-4, 1e-6, 1e-8):
        with pytest.raises(AmbiguousRank):
            rank(error)
