"""User-defined reps: subclasses of `Rep`, as on EMLP's pages and otherwise."""

from __future__ import annotations

import copy
import itertools
import pickle
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from intertwine.errors import AmbiguousRank, InvalidRep, TooLarge
from intertwine.groups import GL, SL, SO, C, D, O, S, SO13p, Z
from intertwine.nn import Linear
from intertwine.reps import (
    Base,
    Dual,
    Rep,
    Scalar,
    ScalarRep,
    Sum,
    T,
    Tensor,
    V,
    basis_key,
    canonical,
    parse,
)

# -- as on EMLP's page


class SO2Irreps(Rep):
    """The real irreps of SO(2) but the trivial one, as EMLP's page on new reps writes them."""

    is_regular = False

    def __init__(self, order: int) -> None:
        assert order > 0
        self.G = SO(2)
        self.order = order

    def size(self) -> int:
        return 2

    def rho(self, M: Any) -> Any:
        return jnp.linalg.matrix_power(M, self.order)

    def __str__(self) -> str:
        return f"𝜓{self.order}".translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))

    def __eq__(self, other: object) -> bool:
        return type(self) == type(other) and self.G == other.G and self.order == other.order  # noqa: E721

    def __hash__(self) -> int:
        return hash((type(self), self.G, self.order))

    @property
    def T(self) -> Rep:
        return self


class PseudoScalar(Rep):
    """One dimension that reflections turn around, as on the same page."""

    is_regular = False

    def __init__(self, G: Any = None) -> None:
        self.G = G

    def __call__(self, G: Any) -> Rep:
        return PseudoScalar(G)

    def size(self) -> int:
        return 1

    def __str__(self) -> str:
        return "P"

    def rho(self, M: Any) -> Any:
        sign = jnp.linalg.slogdet(M @ jnp.eye(M.shape[0]))[0]
        return sign * jnp.eye(1)

    def __eq__(self, other: object) -> bool:
        return type(self) == type(other) and self.G == other.G  # noqa: E721

    def __hash__(self) -> int:
        return hash((type(self), self.G))

    @property
    def T(self) -> Rep:
        return self


def test_schurs_lemma_for_the_irreps_of_the_circle() -> None:
    """Maps between irreps of orders m and n: none for m ≠ n, and a rotation and its turn else."""
    for m, n in itertools.product((1, 2, 3), repeat=2):
        Q = (SO2Irreps(m) >> SO2Irreps(n)).equivariant_basis()
        assert Q.shape == (4, 2 if m == n else 0)


def test_maps_from_tensors_to_an_irrep() -> None:
    Q = (V(SO(2)) ** 4 >> SO2Irreps(2)).equivariant_basis()
    assert Q.shape == (32, 8)


def test_printing_irreps() -> None:
    psi1, psi2, psi3 = map(SO2Irreps, (1, 2, 3))
    assert str(psi1 * psi2 + psi3) == "𝜓₁⊗𝜓₂+𝜓₃"
    names = {str(psi): psi for psi in (psi1, psi2, psi3)}
    assert parse("𝜓₁⊗𝜓₂+𝜓₃", names=names) == psi1 * psi2 + psi3


def _average(rep: Rep, n: int) -> int:
    """The rank over S(n), as the mean of the character over all n! permutations."""
    elements = [np.eye(n)[list(p)] for p in itertools.permutations(range(n))]
    with jax.enable_x64(True):
        return round(float(np.mean([np.trace(np.asarray(rep.rho_dense(g))) for g in elements])))


@pytest.mark.parametrize(
    "text", ["P", "P*P", "W>>P*W", "W**2>>P*W", "W**2>>W", "P*(W**2+P)+W", "P*W**3", "W**3*P**3"]
)
@pytest.mark.sampled(3)
def test_pseudotensors_of_permutations_have_the_rank_of_their_character(text: str) -> None:
    G = S(4)
    rep = parse(text, names={"P": PseudoScalar(G), "W": V(G)})
    assert rep.equivariant_basis().shape == (rep.size(), _average(rep, 4))


def test_a_pseudovector_turns_around_under_an_odd_permutation() -> None:
    G = S(4)
    odd = np.eye(4)[[0, 3, 2, 1]]
    np.testing.assert_array_equal((PseudoScalar(G) * V(G)).rho_dense(odd), -odd)


def test_pseudotensors_of_reflections() -> None:
    """The cross product is a pseudovector: V² → P⊗V has a map over O(3), V² → V has none."""
    P, W = PseudoScalar(O(3)), V(O(3))
    assert (W**2 >> P * W).equivariant_basis().shape == (27, 1)
    assert (W**2 >> W).equivariant_basis().shape == (27, 0)
    assert (P * W >> W).equivariant_basis().shape == (9, 0)


# -- what a subclass may leave out


class OnlyRho(Rep):
    def rho(self, M: Any) -> Any:
        return np.kron(M, M)


class WithoutSuper(Rep):
    def __init__(self, order: int, label: str = "") -> None:
        self.order, self.label = order, label

    def rho(self, M: Any) -> Any:
        return np.linalg.matrix_power(M, self.order)


class WithSuper(Rep):
    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def rho(self, M: Any) -> Any:
        return np.linalg.matrix_power(M, self.order)


class OnTheClass(Rep):
    G = SO(2)

    def rho(self, M: Any) -> Any:
        return M


@dataclass
class AsDataclass(Rep):
    order: int

    def rho(self, M: Any) -> Any:
        return np.linalg.matrix_power(M, self.order)


@dataclass(frozen=True)
class AsFrozenDataclass(Rep):
    order: int

    def rho(self, M: Any) -> Any:
        return np.linalg.matrix_power(M, self.order)


class EqualByOrder(Rep):
    """With an __eq__ that forgets the group, and, by Python's rule, no __hash__."""

    def __init__(self, order: int) -> None:
        self.order = order

    def rho(self, M: Any) -> Any:
        return np.linalg.matrix_power(M, self.order)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EqualByOrder) and self.order == other.order


class WithArrays(Rep):
    """Conjugated by a matrix among its attributes, which are a dict and a list besides."""

    def __init__(self, basis: Any) -> None:
        self.settings = {"basis": basis, "list": [1, (2, 3)]}

    def rho(self, M: Any) -> Any:
        S = np.asarray(self.settings["basis"])
        return S @ M @ np.linalg.inv(S)


KINDS: list[Rep] = [
    OnlyRho(),
    WithoutSuper(2),
    WithSuper(2),
    AsDataclass(2),
    AsFrozenDataclass(2),
    EqualByOrder(2),
    WithArrays(np.array([[1.0, 1.0], [0.0, 1.0]])),
    PseudoScalar(),
]


@pytest.mark.parametrize("rep", KINDS, ids=lambda rep: type(rep).__name__)
def test_the_size_is_derived_where_it_is_not_given(rep: Rep) -> None:
    assert rep(SO(2)).size() == rep(SO(2)).rho_dense(np.eye(2)).shape[0]


@pytest.mark.slow
@pytest.mark.parametrize("rep", KINDS, ids=lambda rep: type(rep).__name__)
def test_every_kind_can_be_solved_alone_and_in_company(rep: Rep) -> None:
    G = O(2) if isinstance(rep, PseudoScalar) else SO(2)
    bound = rep(G)
    whole = bound * V(G) + 2 * bound + bound.T * bound + 3
    Q = whole.equivariant_basis()
    assert Q.shape[0] == whole.size()
    assert Q.shape[1] >= 4  # the three scalars, and the identity of ρ* ⊗ ρ
    g = G.sample(3)
    moved = whole.rho(g) @ Q.dense()
    np.testing.assert_allclose(moved, Q.dense(), atol=1e-6 * np.abs(whole.rho_dense(g)).max())


@pytest.mark.parametrize("rep", KINDS, ids=lambda rep: type(rep).__name__)
def test_every_kind_can_be_compared_hashed_copied_and_pickled(rep: Rep) -> None:
    for other in (copy.copy(rep), copy.deepcopy(rep), pickle.loads(pickle.dumps(rep))):
        assert other == rep
        assert hash(other) == hash(rep)
    assert len({rep, copy.copy(rep)}) == 1
    assert rep != V
    assert rep != 3
    assert rep * V == copy.copy(rep) * V
    assert rep + rep == 2 * rep


@pytest.mark.parametrize("rep", KINDS, ids=lambda rep: type(rep).__name__)
def test_binding_to_a_group_leaves_the_original_alone(rep: Rep) -> None:
    before = copy.copy(rep)
    bound = rep(SO(2))
    assert SO(2) == bound.G
    assert bound.is_concrete
    assert type(bound) is type(rep)
    assert rep.G is None
    assert rep == before


@pytest.mark.parametrize("rep", KINDS, ids=lambda rep: type(rep).__name__)
@pytest.mark.sampled(3)
def test_over_different_groups_a_rep_is_different(rep: Rep) -> None:
    """Also where a user-defined __eq__ (or a dataclass's) does not look at the group."""
    left, right = rep(SO(2)), rep(C(3))
    assert [term.G for _, term in (left + right).terms] == [SO(2), C(3)]
    form = canonical(left + right + left).rep
    assert {term.G: m for m, term in form.terms} == {SO(2): 2, C(3): 1}
    assert {factor.G for factor in canonical(left * right).rep.factors} == {SO(2), C(3)}
    assert not (left + rep).is_concrete


def test_the_class_and_its_attributes_are_the_identity() -> None:
    assert WithoutSuper(2) == WithoutSuper(2)
    assert WithoutSuper(2) != WithoutSuper(3)
    assert WithoutSuper(2, "a") != WithoutSuper(2, "b")
    assert WithoutSuper(2) != WithSuper(2)
    assert WithoutSuper(2)(SO(2)) != WithoutSuper(2)
    assert WithoutSuper(2)(SO(2)) == WithoutSuper(2)(SO(2))
    assert hash(WithoutSuper(2)) == hash(WithoutSuper(2))


def test_attributes_that_are_arrays_compare_by_content() -> None:
    one = WithArrays(np.eye(2))
    assert one == WithArrays(np.eye(2))
    assert one != WithArrays(2 * np.eye(2))
    assert one != WithArrays(np.eye(3))
    assert WithArrays(jnp.eye(2)) == WithArrays(jnp.eye(2))
    assert one * V + V * one == WithArrays(np.eye(2)) * V + V * one


def test_a_group_on_the_class_is_the_group() -> None:
    rep = OnTheClass()
    assert rep.is_concrete
    assert rep.size() == 2
    assert (rep >> rep).equivariant_basis().shape == (4, 2)
    with pytest.raises(InvalidRep, match="is over SO\\(2\\) already"):
        rep(O(2))


def test_the_dual_is_the_inverse_transpose_where_none_is_given() -> None:
    rep = WithArrays(np.array([[1.0, 1.0], [0.0, 1.0]]))(SO(2))
    dual, g = rep.T, SO(2).sample()
    assert isinstance(dual, Dual)
    assert rep == dual.T
    assert SO(2) == dual.G
    assert dual.size() == 2
    np.testing.assert_allclose(dual.rho_dense(g), np.linalg.inv(rep.rho_dense(g)).T)
    A = SO(2).lie_algebra[0]
    np.testing.assert_allclose(dual.drho_dense(A), -np.asarray(rep.drho_dense(A)).T)


def test_a_dual_of_the_users_own_is_used() -> None:
    assert SO2Irreps(1) == SO2Irreps(1).T
    assert SO2Irreps(1) >> V(SO(2)) == V(SO(2)) * SO2Irreps(1)
    assert PseudoScalar(O(2)) == PseudoScalar()(O(2)).T


def test_a_call_of_the_users_own_is_used() -> None:
    class Counting(PseudoScalar):
        calls = 0

        def __call__(self, G: Any) -> Rep:
            type(self).calls += 1
            return Counting(G)

    rep = (Counting() * V + Counting())(O(2))
    assert Counting.calls == 2
    assert rep == Counting(O(2)) * V(O(2)) + Counting(O(2))


def test_a_rep_without_rho_is_an_error() -> None:
    class Empty(Rep):
        pass

    with pytest.raises(NotImplementedError) as error:
        Empty()(SO(2)).size()
    assert str(error.value) == "Empty defines no rho"


# -- what rho is given


class Watchful(Rep):
    """ρ(g) = g, for those g that are arrays and nothing else."""

    def rho(self, M: Any) -> Any:
        assert isinstance(M, np.ndarray | jax.Array)
        assert M.ndim == 2
        return M


@pytest.mark.parametrize("G", [S(3), Z(4), O(2), S(3) * Z(2)], ids=repr)
@pytest.mark.parametrize(
    "text", ["W", "W.T", "W*V", "V*W", "W+V", "2W*(V+W)+1", "W*V(S(4))", "W(S(4))*V+V*W.T"]
)
@pytest.mark.sampled(9)
def test_rho_always_gets_a_dense_array(G: Any, text: str) -> None:
    rep = parse(text, names={"W": Watchful()})(G)
    groups = {G: G.group_generators[0], S(4): S(4).group_generators[0]}
    expected = {group: np.asarray(h) for group, h in groups.items()}
    plain = parse(text.replace("W", "V"))(G)
    np.testing.assert_allclose(rep.rho_dense(groups), plain.rho_dense(expected))
    if not isinstance(rep, Watchful):  # whose own rho is called with what it is called with
        np.testing.assert_allclose(np.asarray(rep.rho(groups)), plain.rho_dense(expected))
    if "S(4)" not in text:
        operator = G.group_generators[0]
        np.testing.assert_allclose(rep.rho_dense(operator), plain.rho_dense(np.asarray(operator)))
    Q = rep.equivariant_basis()
    assert Q.shape == plain.equivariant_basis().shape


class WithoutSize(Rep):
    """A rep in JAX that says nothing but ρ: its size and dρ are computed."""

    def rho(self, M: Any) -> Any:
        return jnp.kron(M, M)


@pytest.mark.slow
def test_one_in_jax_may_be_used_while_a_caller_is_traced() -> None:
    rep = WithoutSize()(SO(2))
    found = []

    @jax.jit
    def traced(x: Any) -> Any:
        found.append((rep.size(), rep.equivariant_basis(store=False).rank))
        return x

    traced(jnp.ones(2))
    assert found == [(4, 2)]
    layer = Linear(rep, V(SO(2)) ** 2 + rep)
    x = np.arange(8.0).reshape(2, 4)
    np.testing.assert_allclose(eqx.filter_jit(layer)(x), layer(x), rtol=1e-6)


@pytest.mark.slow
def test_rho_dense_of_a_rep_of_the_users_own_can_be_vmapped_and_differentiated() -> None:
    G = SO(2)
    psi = SO2Irreps(3)
    for rep in (psi, psi * V(G), psi + 2 * V(G) + 1, psi.T * psi):
        samples = G.samples(4)
        found = jax.vmap(rep.rho_dense)(samples)
        expected = np.stack([np.asarray(rep.rho_dense(g)) for g in samples])
        np.testing.assert_allclose(found, expected, atol=1e-5)
        jacobian = jax.jacobian(rep.rho_dense)(jnp.eye(2))
        A = G.lie_algebra[0]
        with jax.enable_x64(True):
            exact = np.asarray(rep.drho_dense(A))
        np.testing.assert_allclose(np.tensordot(jacobian, A, axes=2), exact, atol=1e-5)


def test_a_rep_of_the_users_own_can_be_solved_with_others_of_its_group_and_of_another() -> None:
    P, W = PseudoScalar(S(3)), V(S(3))
    mixed = P * W * V(Z(2)) + P * P + T(2)(SO(2))
    Q = mixed.equivariant_basis()
    assert Q.shape == (mixed.size(), 0 + 1 + 2)
    assert Scalar * P == P


# -- subclasses of the algebra's own classes


class Pseudovector(Base):
    """A subclass of V's class with an action of its own."""

    def rho(self, M: Any) -> Any:
        return np.linalg.det(M) * M


class OfAnAttribute(Base):
    """Attributes may be set before and after super().__init__()."""

    def __init__(self, order: int) -> None:
        self.order = order
        super().__init__()
        self.label = "R"
        self.G = None

    def rho(self, M: Any) -> Any:
        return np.linalg.det(M) ** self.order * M


class OfAScalar(ScalarRep):
    def rho(self, M: Any) -> Any:
        return np.linalg.det(M)[None, None]


class OfADual(Dual):
    def __init__(self) -> None:
        super().__init__(V)

    def rho(self, M: Any) -> Any:
        return np.linalg.det(M) * np.asarray(super().rho(M))


class OfATensor(Tensor):
    def __init__(self) -> None:
        super().__init__((V, V))

    def rho(self, M: Any) -> Any:
        return np.linalg.det(M) * np.kron(M, M)


class OfASum(Sum):
    def __init__(self) -> None:
        pass

    def rho(self, M: Any) -> Any:
        return np.linalg.det(M) * np.eye(2)


@dataclass(eq=False, repr=False)
class AsDataclassOfV(Base):
    order: int = 3

    def rho(self, M: Any) -> Any:
        return np.linalg.det(M) ** self.order * M


@dataclass(frozen=True, eq=False, repr=False)
class AsFrozenDataclassOfV(Base):
    order: int = 3

    def rho(self, M: Any) -> Any:
        return np.linalg.det(M) ** self.order * M


class OnTheInstance(Base):
    def __init__(self) -> None:
        super().__init__()
        self.rho = _reversed_by_reflections  # type: ignore[method-assign]


def _reversed_by_reflections(M: Any) -> Any:
    return np.linalg.det(M) * M


OF_THE_ALGEBRA: list[Rep] = [
    Pseudovector(),
    OfAnAttribute(3),
    OfAScalar(),
    OfADual(),
    OfATensor(),
    OfASum(),
    AsDataclassOfV(1),
    AsFrozenDataclassOfV(),
    OnTheInstance(),
]


def _mean_character(rep: Rep) -> int:
    """The rank over D(4), from its eight elements."""
    turn, flip = (np.asarray(h) for h in D(4).group_generators)
    elements = [np.linalg.matrix_power(turn, k) @ f for k in range(4) for f in (np.eye(2), flip)]
    return round(float(np.mean([np.trace(rep.rho_dense(g)) for g in elements])))


def test_a_pseudovector_made_of_v_is_no_v() -> None:
    G = O(3)
    assert (V(G) ** 2 >> Pseudovector()(G)).equivariant_basis().rank == 1
    assert (V(G) >> Pseudovector(G)).equivariant_basis().rank == 0
    assert (Pseudovector(G) >> Pseudovector(G)).equivariant_basis().rank == 1


@pytest.mark.parametrize("rep", OF_THE_ALGEBRA, ids=lambda rep: type(rep).__name__)
class TestSubclassesOfTheAlgebra:
    @pytest.mark.sampled(4)
    def test_they_are_solved_by_their_own_rho(self, rep: Rep) -> None:
        G = D(4)
        for whole in (rep(G), rep(G) >> V(G), V(G) ** 2 >> rep(G), rep(G) >> rep(G), rep(G) + 1):
            assert whole.equivariant_basis().rank == _mean_character(whole)

    def test_size_dual_and_derivative_follow_rho(self, rep: Rep) -> None:
        G = GL(2)
        bound, A = rep(G), np.array([[0.1, 0.2], [-0.3, 0.1]])
        assert bound.size() == len(bound.rho_dense(np.eye(2)))
        step = 1e-5
        ahead, behind = (np.asarray(bound.rho_dense(np.eye(2) + t * A)) for t in (step, -step))
        np.testing.assert_allclose(bound.drho_dense(A), (ahead - behind) / 2 / step, atol=1e-8)
        assert type(bound.T) is Dual
        g = G.sample(1)
        np.testing.assert_allclose(bound.T.rho_dense(g), np.linalg.inv(bound.rho_dense(g)).T)

    def test_they_keep_their_class_and_attributes(self, rep: Rep) -> None:
        bound = rep(O(2))
        assert type(bound) is type(rep)
        assert O(2) == bound.G
        assert rep.G is None
        assert rep(O(2)) == bound != rep
        assert rep not in (V, Scalar)
        for other in (copy.copy(bound), copy.deepcopy(bound), pickle.loads(pickle.dumps(bound))):
            assert other == bound
            assert hash(other) == hash(bound)
        assert bound * V(O(2)) + V(O(2)) * bound == rep(O(2)) * V(O(2)) + V(O(2)) * rep(O(2))
        assert canonical(bound * V(O(2))).rep == canonical(V(O(2)) * bound).rep

    def test_they_print_as_their_class(self, rep: Rep) -> None:
        name = type(rep).__name__
        assert str(rep) == name
        assert repr(rep(O(2))) == f"{name}(O(2))"
        assert str(2 * rep * V + rep.T) == f"2{name}⊗V+{name}*"
        assert parse(str(rep * V), names={name: rep}) == rep * V


class Named(Base):
    """V by another name."""

    def __str__(self) -> str:
        return "W"


def test_a_subclass_that_adds_a_name_alone_is_v() -> None:
    G = O(3)
    assert type(Named()(G)) is Named
    assert str(Named() * V) == "W⊗V"
    assert repr(Named(G)) == "W(O(3))"
    assert basis_key(Named(G) * V(G)) == basis_key(V(G) ** 2)
    assert (Named(G) >> V(G)).equivariant_basis().rank == 1


def test_a_drho_alone_makes_a_user_defined_rep() -> None:
    class Wrong(Base):
        def drho(self, A: Any) -> Any:
            return 2 * np.asarray(A)

    with pytest.raises(InvalidRep, match="is not a representation of SO\\(3\\)"):
        Wrong(SO(3)).equivariant_basis()


# -- how precise, and how large


class Single(Rep):
    def rho(self, M: Any) -> Any:
        return np.asarray(M).astype(np.float32)


@pytest.mark.parametrize("G", [SO(3), C(3), D(5), SO13p(), SL(2)], ids=repr)
def test_a_rep_in_single_precision_is_ambiguous(G: Any) -> None:
    with pytest.raises(AmbiguousRank) as error:
        (V(G) >> Single()(G)).equivariant_basis()
    assert "is a homomorphism only to " in str(error.value)
    assert str(error.value).endswith("If it computes in float32, use float64")


def test_a_rep_in_single_precision_is_exact_where_its_entries_are() -> None:
    G = S(4)
    assert (V(G) >> Single()(G)).equivariant_basis().rank == 2


@pytest.mark.parametrize("digits", [4, 6, 8, 9])
def test_a_rep_that_rounds_is_ambiguous(digits: int) -> None:
    class Rounded(Rep):
        def rho(self, M: Any) -> Any:
            return np.round(M, digits)

    with pytest.raises((AmbiguousRank, InvalidRep)):
        (V(SO(3)) >> Rounded()(SO(3))).equivariant_basis()


class WrongOn(Rep):
    """V but for one generator."""

    def __init__(self, index: int) -> None:
        self.index = index

    def rho(self, M: Any) -> Any:
        wrong = np.asarray(self.G.group_generators[self.index])
        return -M if np.array_equal(M, wrong) else M


@pytest.mark.parametrize("index", range(7))
def test_every_generator_is_checked(index: int) -> None:
    with pytest.raises(InvalidRep, match="is not a representation of S\\(8\\)"):
        (V(S(8)) >> WrongOn(index)(S(8))).equivariant_basis()


def test_a_derivative_that_is_wrong_on_one_lie_generator_is_refused() -> None:
    class Wrong(Rep):
        def rho(self, M: Any) -> Any:
            return M

        def drho(self, A: Any) -> Any:
            last = np.array_equal(A, SO(4).lie_generators[-1])
            return 2 * A if last else A

    with pytest.raises(InvalidRep, match="dρ is not linear on the Lie algebra"):
        Wrong()(SO(4)).equivariant_basis()


class Nothing(Rep):
    def rho(self, M: Any) -> Any:
        return np.zeros((0, 0))


@pytest.mark.parametrize("G", [SO(3), S(3)], ids=repr)
def test_a_rep_of_size_0_is_the_empty_one(G: Any) -> None:
    z = Nothing()(G)
    cases = [(z, 0), (z.T, 0), (z * V(G), 0), (z >> V(G), 0), (V(G) >> z, 0), (3 * z + 2, 2)]
    cases += [(z + V(G) ** 2, V(G) ** 2), (z * V(Z(2)) + V(Z(2)), V(Z(2)))]
    for rep, plain in cases:
        like = plain if isinstance(plain, Rep) else plain * Scalar
        assert rep.equivariant_basis().shape == like.equivariant_basis().shape


class Large(Rep):
    def size(self) -> int:
        return 20_001

    def rho(self, M: Any) -> Any:
        raise AssertionError("nothing is computed before the size is looked at")


class LargeView(Rep):
    """Without a size; its matrix takes no memory as long as nobody copies it."""

    def rho(self, M: Any) -> Any:
        return np.broadcast_to(1.0, (20_001, 20_001))


@pytest.mark.parametrize("rep", [Large(), LargeView()], ids=str)
def test_a_rep_too_large_is_refused_before_memory_is_taken(rep: Rep) -> None:
    bound = rep(SO(3))
    assert bound.size() == 20_001
    for ask in (lambda: bound.T, lambda: bound >> V(SO(3)), bound.equivariant_basis):
        with pytest.raises(TooLarge) as error:
            ask()
        assert str(error.value).startswith(
            f"{bound!r} has 20,001 dimensions, and its matrices are dense; at most 20,000 are"
        )


def test_a_rho_that_runs_out_of_memory_is_too_large() -> None:
    class Greedy(Rep):
        def rho(self, M: Any) -> Any:
            raise MemoryError

    for ask in (Greedy()(S(3)).size, Greedy()(S(3)).equivariant_basis):
        with pytest.raises(TooLarge, match="needs more memory than there is"):
            ask()


@pytest.mark.parametrize(
    "convert",
    [scipy.sparse.csr_matrix, scipy.sparse.coo_array, jnp.asarray, np.ndarray.tolist],
)
def test_rho_may_return_any_kind_of_matrix(convert: Any) -> None:
    class Converted(Rep):
        def rho(self, M: Any) -> Any:
            return convert(np.asarray(M))

    assert (V(SO(3)) >> Converted()(SO(3))).equivariant_basis().rank == 1


def test_ragged_lists_are_no_matrix() -> None:
    class Ragged(Rep):
        def rho(self, M: Any) -> Any:
            return [[1.0], [0.0, 1.0]]

    with pytest.raises(InvalidRep, match="does not return a matrix"):
        Ragged()(S(3)).equivariant_basis()
