"""Reps made of other reps: values, text, matrices, dimensions, and numbers of invariants."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from helpers.laws import laws
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine import verify
from intertwine.errors import InvalidRep, NotConcrete, ParseError, TooLarge
from intertwine.groups import GL, SL, SO, SU, D, Group, Lorentz, O, PointGroup, S, U
from intertwine.irreps import decompose
from intertwine.reps import (
    Alt,
    Conj,
    Det,
    Dual,
    Functor,
    Indexed,
    Parity,
    PseudoScalar,
    PseudoVector,
    Rep,
    Scalar,
    Schur,
    Sign,
    Sym,
    T,
    V,
    basis_key,
    canonical,
    dimension,
    latex,
    parse,
    rep_document,
)
from intertwine.reps.functors.tensor_powers import SymmetricPower, TensorFunctor
from intertwine.reps.generator_images import act_by_complex_numbers, images

SHEARED = np.array([[2.0, 1.0], [0.0, 0.5]])


def oblique(group: Group, seed: int = 5) -> Group:
    """The group in a frame that is far from orthogonal."""
    d = group.d
    frame = np.eye(d) + 0.4 * np.random.default_rng(seed).standard_normal((d, d))
    back = np.linalg.inv(frame)
    return Group(
        lie_algebra=[frame @ np.asarray(a) @ back for a in group.lie_generators],
        discrete_generators=[frame @ np.asarray(h) @ back for h in group.group_generators],
        d=d,
    )


def rank(rep: Rep, **options: Any) -> int:
    basis = rep.equivariant_basis(store=False, **options)
    assert basis.certificate.residual < 1e-11
    return int(basis.shape[1])


# -- values


PARTS: list[Rep] = [V, V.T, V + 1, V + V.T, V * V.T, 2 * V]
FUNCTORS = {
    "Sym2": lambda r: Sym(2, r), "Sym3": lambda r: Sym(3, r), "Alt2": lambda r: Alt(2, r),
    "Schur21": lambda r: Schur([2, 1], r), "elastic": lambda r: Indexed(r, "ijkl=jikl=klij"),
    "anti": lambda r: Indexed(r, "ij=-ji"), "Det": Det,
}  # fmt: skip


@st.composite
def functor_reps(draw: st.DrawFn, depth: int = 2) -> Rep:
    part = draw(st.sampled_from(PARTS))
    for _ in range(draw(st.integers(0, depth))):
        part = draw(st.sampled_from(list(FUNCTORS.values())))(part)
        part = draw(st.sampled_from([part, part, part.T, part + V, 2 * part, part * V]))
    return part


@laws
@given(functor_reps(3))
def test_text_is_read_back(rep: Rep) -> None:
    assert parse(str(rep)) == rep
    assert parse(repr(rep)) == rep
    assert hash(parse(str(rep))) == hash(rep)
    over = rep(SO(3))
    assert parse(str(rep))(SO(3)) == over
    assert parse(repr(over)) == over
    assert latex(over)


@laws
@given(functor_reps(2))
def test_keys_are_equal_for_equal_values(rep: Rep) -> None:
    group = O(2)
    assert basis_key(rep(group)) == basis_key(parse(str(rep))(group))
    assert canonical(canonical(rep).rep).is_identity
    assert str(canonical(rep).rep)


@pytest.mark.parametrize(
    ("text", "rep"),
    [
        ("Sym(2, V)", Sym(2, V)),
        ("Sym²(V)", Sym(2, V)),
        ("Λ²(V)", Alt(2, V)),
        ("Alt(3, V*)", Alt(3, V.T)),
        ("Sym(2, V)*V", Sym(2, V) * V),
        ("2Sym(2, V)**2", 2 * Sym(2, V) ** 2),
        ("Sym(2, V+V0)", Sym(2, V + 1)),
        ("Sym(2, Alt(2, V))", Sym(2, Alt(2, V))),
        ("Sym(2, V) >> V", Sym(2, V) >> V),
        ("Sym(2, V(SO(3)))", Sym(2, V(SO(3)))),
        ("Sym(2, V)(SO(3))", Sym(2, V(SO(3)))),
        ("Sym(2, V).T", Sym(2, V.T)),
        ("Sym(2, V)*", Sym(2, V.T)),
        ("Schur([2, 1], V)", Schur([2, 1], V)),
        ('Indexed(V, "ijkl=jikl=klij")', Indexed(V, "ijkl=jikl=klij")),
        ("Indexed(V, 'ij=-ji')", Indexed(V, "ij=-ji")),
        ("Det(V)", Det(V)),
        ("Conj(V)", Conj(V)),
        ("Sign", Sign),
        ("Parity+PseudoScalar", 2 * Sign),
        ("PseudoVector(O(3))", PseudoVector(O(3))),
        ("Sym(0, V)", Scalar),
        ("Sym(1, V)", V),
        ("Sym(2, 3)", 6 * Scalar),
        ("Alt(2, 3V0)", 3 * Scalar),
    ],
)
def test_texts(text: str, rep: Rep) -> None:
    assert parse(text) == rep


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("Sym(2, V(SO(3))*V(S(4)))", InvalidRep, r"several groups.*V\(SO\(3\)\*S\(4\)\)"),
        ("Sym(V, 2)", InvalidRep, "degree of Sym is an integer"),
        ("Sym(257, V)", TooLarge, "at most 256"),
        ("Sym³⁰⁰(V)", TooLarge, "at most 256"),
        ("Alt(2)", ParseError, r"Alt\(k, rep\)"),
        ("Det", ParseError, r"'\('"),
        ("Schur([1, 2], V)", InvalidRep, "do not get longer"),
        ("Schur([4, 4], V)", TooLarge, "at most 7"),
        ("Schur(2, V)", InvalidRep, "list of integers"),
        ("Indexed(V, 'ij=-ij')", InvalidRep, "their own negatives"),
        ("Indexed(V, 'ii=ii')", InvalidRep, "no symmetry of indices"),
        ("Indexed(V, 'ij=jk')", InvalidRep, "no symmetry of indices"),
        ("Indexed(V, 'abcdefgh=bcdefgha=bacdefgh')", TooLarge, "over 2,000 permutations"),
        ("Indexed(V, V)", InvalidRep, "a text such as"),
        ("Sign(GL(2))", InvalidRep, r"use Det\(V\)"),
    ],
)
def test_what_is_refused(text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        parse(text)


@pytest.mark.slow
def test_work_is_bounded_before_it_starts() -> None:
    huge = parse("Sym(200, V(SO(9)))")
    assert huge.size() == int(sympy.binomial(208, 200))
    with pytest.raises(TooLarge):
        huge.equivariant_basis(store=False)
    for text in ("Sym(100, V(SO(5)))", "Schur([3, 3], V(SO(20)))", "Sym(2, V**9)(SO(3))"):
        with pytest.raises(TooLarge):
            parse(text).equivariant_basis(store=False)
    with pytest.raises(TooLarge, match="dimensions"):
        parse("Sym(256, Sym(256, Sym(256, V(SO(9)))))").size()
    with pytest.raises(TooLarge, match="degree"):
        dimension(parse("Sym(256, Sym(256, V))"))
    for text in ("Sym(256, V)**256", "+".join(["V*Sym(16, Sym(16, V))"] * 80)):
        with pytest.raises(TooLarge, match="products of coefficients"):
            dimension(parse(f"{text}+Sym(256, V)**200"))
    with pytest.raises(TooLarge, match="too many entries"):
        _ = parse("Sym(20, V(SO(3)))").embed  # type: ignore[attr-defined]


def test_values_are_frozen_and_compare_by_content() -> None:
    assert Sym(2, V) == Sym(2, V) != Sym(3, V)
    assert Sym(2, V) != Alt(2, V)
    assert Sym(2, V) != Sym(2, V.T)
    assert len({Sym(2, V), Sym(2, V), Alt(2, V)}) == 2
    with pytest.raises(FrozenInstanceError):
        Sym(2, V).k = 3  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(Sym(2, V(SO(3))))) == Sym(2, V(SO(3)))
    assert isinstance(Sym(2, V), Functor)
    with pytest.raises(NotConcrete):
        Sym(2, V).size()
    assert Sym(2, V)(SO(3)) == Sym(2, V(SO(3)))
    group = Sym(2, V)(SO(3)).G
    assert group == SO(3)
    with pytest.raises(InvalidRep, match="already"):
        Sym(2, V(SO(3)))(O(3))


def test_a_service_reads_the_document() -> None:
    rep = Sym(2, V(SO(3))) * Indexed(V(SO(3)), "ij=ji")
    assert rep_document(rep)["rep"] == 'Sym(2, V)⊗Indexed(V, "ij=ji")'


# -- matrices


GROUPS = [SO(3), O(3), GL(2), SL(2), SU(2), U(2), D(5), Lorentz(), PointGroup("m-3m"), S(4)]


@pytest.mark.parametrize("functor", FUNCTORS)
@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_every_rep_is_a_homomorphism_and_embeds_into_the_full_tensors(
    functor: str, group: Group
) -> None:
    rep = FUNCTORS[functor](V(group))
    g, h = group.sample(), group.sample()
    n = rep.size()
    assert rep.rho(g).shape == (n, n)
    scale = max(
        1.0, float(np.abs(rep.rho(g)).max(initial=0)) * float(np.abs(rep.rho(h)).max(initial=0))
    )
    np.testing.assert_allclose(rep.rho(g @ h), rep.rho(g) @ rep.rho(h), atol=1e-10 * scale)
    np.testing.assert_allclose(rep.rho(np.eye(group.d)), np.eye(n), atol=1e-14)
    # the dual is the contragredient
    np.testing.assert_allclose(rep.T.rho_dense(g), np.linalg.inv(rep.rho(g)).T, atol=1e-7 * scale)
    if isinstance(rep, TensorFunctor):
        e = rep.embed
        np.testing.assert_allclose(rep.project @ e.dense(), np.eye(n), atol=1e-14)
        np.testing.assert_allclose(rep.full.rho(g) @ e.dense(), e @ rep.rho(g), atol=1e-10 * scale)


@pytest.mark.parametrize("functor", FUNCTORS)
def test_drho_is_the_derivative_of_rho(functor: str) -> None:
    group = GL(3)
    rep = FUNCTORS[functor](V(group) + 1)
    a = np.random.default_rng(0).standard_normal((3, 3))
    step = 1e-6
    one = np.eye(3)
    expected = (rep.rho_dense(one + step * a) - rep.rho_dense(one - step * a)) / (2 * step)
    np.testing.assert_allclose(rep.drho_dense(a), expected, atol=1e-7)


def test_permutations_stay_permutations() -> None:
    group = PointGroup("m-3m")
    for rep in (
        Sym(3, V),
        Alt(2, V + 1),
        Indexed(V, "ijkl=jikl=klij"),
        Det(V),
        Sign * V,
        Sym(2, V**2),
    ):
        basis = rep(group).equivariant_basis(store=False)
        assert basis.certificate.method == "orbits"
        assert basis.certificate.residual == 0


@pytest.mark.parametrize(
    "rep",
    [
        Sym(2, V) + Alt(2, V) + Indexed(V, "ij=ji"),
        pytest.param(
            Sym(14, V) + Schur([2, 1], V) + Det(V) + Sign + Alt(2, V + V**2), marks=pytest.mark.slow
        ),
    ],
    ids=["small", "all"],
)
def test_jax_maps_over_elements(rep: Rep) -> None:
    import jax
    import jax.numpy as jnp

    over = rep(O(3))
    elements = np.stack([over.G.sample() for _ in range(4)])
    found = jax.jit(jax.vmap(over.rho_dense))(jnp.asarray(elements))
    for matrix, g in zip(found, elements, strict=True):
        np.testing.assert_allclose(matrix, over.rho_dense(g), atol=1e-4)
    direction = np.asarray(over.G.lie_generators[0])
    np.testing.assert_allclose(
        jax.jit(over.drho_dense)(jnp.asarray(direction)), over.drho_dense(direction), atol=1e-5
    )


def test_mandel_weights_by_hand() -> None:
    rep: Any = Sym(2, V(SO(3)))
    matrix = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]])
    root = np.sqrt(2)
    mandel = [1, 2 * root, 3 * root, 4, 5 * root, 6]
    np.testing.assert_allclose(rep.project @ matrix.ravel(), mandel)
    np.testing.assert_allclose((rep.embed @ np.array(mandel)).reshape(3, 3), matrix)
    assert rep.indices.tolist() == [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 2]]
    skew: Any = Alt(2, V(SO(3)))
    np.testing.assert_allclose(
        (skew.embed @ np.array([root, 0, 0])).reshape(3, 3), [[0, 1, 0], [-1, 0, 0], [0, 0, 0]]
    )


# -- dimensions


def test_dimensions_are_polynomials() -> None:
    d = sympy.Symbol("d")
    assert sympy.expand(dimension(Sym(3, V)) - d * (d + 1) * (d + 2) / 6) == 0
    assert sympy.expand(dimension(Alt(2, V)) - d * (d - 1) / 2) == 0
    assert sympy.expand(dimension(Schur([2, 2], V)) - d**2 * (d**2 - 1) / 12) == 0
    assert sympy.expand(dimension(Indexed(V, "ijkl=jikl=klij")).subs(d, 3)) == 21
    assert sympy.expand(dimension(Sym(2, V) + Alt(2, V)) - d**2) == 0
    assert sympy.expand(dimension(Sym(2, V + 1)) - (d + 1) * (d + 2) / 2) == 0
    assert dimension(Det(V)) == 1
    assert dimension(Sym(2, V(SO(3)))) == 6


@laws
@given(functor_reps(2), st.integers(2, 3))
def test_sizes_agree_with_dimensions(rep: Rep, n: int) -> None:
    assert dimension(rep).subs(sympy.Symbol("d"), n) == rep(O(n)).size()


# -- invariants


@pytest.mark.parametrize(
    "group", [SO(3), O(3), SU(2), D(5), Lorentz(), PointGroup("-43m"), SL(2)], ids=repr
)
def test_symmetric_and_alternating_squares_make_the_square(group: Group) -> None:
    for other in (V, T(1, 1)):
        whole = rank((V**2 >> other)(group))
        assert rank((Sym(2, V) >> other)(group)) + rank((Alt(2, V) >> other)(group)) == whole


@pytest.mark.parametrize(
    "group", [SO(3), SU(2), PointGroup("32"), oblique(SO(3))], ids=["SO3", "SU2", "32", "oblique"]
)
def test_schur_functors_decompose_the_cube(group: Group) -> None:
    parts = rank((Sym(3, V) >> V)(group)) + 2 * rank((Schur([2, 1], V) >> V)(group))
    assert parts + rank((Alt(3, V) >> V)(group)) == rank((V**3 >> V)(group))


@pytest.mark.parametrize("functor", ["Sym2", "Sym3", "Alt2", "Schur21", "elastic"])
@pytest.mark.parametrize("group", [SO(3), PointGroup("-42m"), S(3)], ids=repr)
def test_invariants_are_projections_of_those_of_the_full_tensors(
    functor: str, group: Group
) -> None:
    rep = FUNCTORS[functor](V(group))
    full = rep.project @ rep.full.equivariant_basis(store=False).dense()
    own = rep.equivariant_basis(store=False).dense()
    np.testing.assert_allclose(own @ (own.T @ full), full, atol=1e-12)
    assert np.linalg.matrix_rank(full, tol=1e-9) == own.shape[1]


@pytest.mark.parametrize(
    ("rep", "invariants"),
    [
        (Sym(2, V(SO(3))), 1),
        (Sym(4, V(O(3))), 1),
        (Sym(3, V(O(3))), 0),
        (Sym(2, Sym(2, V(O(3)))), 2),  # the isotropic elastic constants
        (Indexed(V(O(3)), "ijkl=jikl=klij"), 2),
        (Sym(3, Sym(2, V(O(3)))), 3),  # and those of third order
        (Alt(3, V(SO(3))), 1),
        (Alt(3, V(O(3))), 0),
        (Det(V(O(3))) * Alt(3, V(O(3))), 1),
        (Sign(O(3)) * Alt(3, V(O(3))), 1),
        (PseudoVector(O(3)) * Alt(2, V(O(3))), 1),  # the cross product
        (Sym(4, V(SU(2))) * Sym(4, V(SU(2))), 1),
        (Sym(4, Sym(4, V(SL(2)))), 1),  # I² of a binary quartic; 1 of degree 2, 1 of degree 3
        (Sym(3, Sym(4, V(SL(2)))), 1),  # J
        (Sym(2, Sym(4, V(SL(2)))), 1),  # I
        (Sym(4, Sym(3, V(SL(2)))), 1),  # the discriminant of a binary cubic
        (Alt(2, V(SL(2))), 1),
        (Det(V(GL(2))) * Sym(2, V(GL(2)).T) * Alt(2, V(GL(2)).T), 0),
        (Det(V(U(2))) * Alt(2, V(U(2)).T), 1),
        (Conj(V(U(2))) * V(U(2)), 1),
        (Sym(2, V(SU(2))) * Conj(Sym(2, V(SU(2)))), 1),
        (Sym(2, V(S(5))), 2),
    ],
    ids=str,
)  # fmt: skip
def test_known_numbers_of_invariants(rep: Rep, invariants: int) -> None:
    assert rank(rep) == invariants


@pytest.mark.parametrize("method", ["irreps", "svd", "krylov"])
def test_methods_agree(method: str) -> None:
    for group in (SO(3), oblique(SO(3)), oblique(PointGroup("32")), SU(2)):
        rep = (Sym(2, V) * Sym(2, V.T))(group)
        found = rep.equivariant_basis(method=method, store=False)
        assert found.shape[1] == rep.equivariant_basis(store=False).shape[1]
        np.testing.assert_allclose(
            found.projector @ np.eye(rep.size()),
            rep.equivariant_basis(method="svd", store=False).projector @ np.eye(rep.size()),
            atol=1e-9,
        )


@pytest.mark.parametrize(
    "functor",
    [
        f if f in ("Sym2", "Det") else pytest.param(f, marks=pytest.mark.slow)
        for f in FUNCTORS
        if f != "elastic"
    ],
)
def test_irreps_work_in_an_oblique_frame(functor: str) -> None:
    for group in (oblique(SU(2)), oblique(O(2)), oblique(SL(2))):
        rep = FUNCTORS[functor](V(group) + V(group).T)
        hom = rep >> rep if rep.size() < 25 else rep >> V(group)
        assert rank(hom, method="irreps") == rank(
            hom, method="svd" if hom.size() < 900 else "krylov"
        )


def test_groups_that_are_not_reductive() -> None:
    shear = Group(lie_algebra=[np.array([[0.0, 1.0], [0.0, 0.0]])], d=2)
    # Symᵏ is one Jordan block, with one invariant
    assert [rank(Sym(k, V(shear))) for k in (2, 3, 5)] == [1, 1, 1]
    assert rank(Sym(2, Sym(2, V(shear)))) == 2
    dilation = Group(discrete_generators=[SHEARED], d=2)
    assert rank(Sym(2, V(dilation))) == 1
    assert rank(Det(V(dilation))) == 1


def test_a_dual_made_explicitly_is_the_contragredient() -> None:
    group = SL(2)
    dual = Dual(Sym(2, V(group)))
    g = group.sample()
    np.testing.assert_allclose(dual.rho(g), Sym(2, V(group).T).rho(g), atol=1e-9)
    assert rank(Sym(2, V(group)) * dual) == 1


def test_a_user_defined_part_is_checked_as_always() -> None:
    class Cube(Rep):
        def rho(self, M: Any) -> Any:
            return np.kron(M, M)

    class Wrong(Rep):
        def rho(self, M: Any) -> Any:
            return M + 1

    group = SO(3)
    own, same = Sym(2, Cube()(group)), Sym(2, V(group) ** 2)
    assert rank(own) == rank(same) == 3
    assert own != same
    with pytest.raises(InvalidRep):
        images(Sym(2, Wrong()(group)))


# -- sizes of one, and conjugates


def test_signs_and_determinants() -> None:
    reflection = np.diag([1.0, 1.0, -1.0])
    assert Sign(O(3)).rho(reflection) == -1
    assert Parity is PseudoScalar is Sign
    np.testing.assert_array_equal(PseudoVector(O(3)).rho_dense(reflection), -reflection)
    assert Det(V(GL(2))).rho(np.array([[2.0, 1.0], [0.0, 3.0]])) == 6
    assert Sign.T is Sign
    assert images(Sign(S(3))).discrete[0].shape == (1, 1)
    assert Sign(SU(2)).rho(np.eye(2)) == 1
    assert not act_by_complex_numbers([Sign(SU(2))])
    for group in (GL(2), U(2), Group(discrete_generators=[2 * np.eye(2)], d=2)):
        with pytest.raises(InvalidRep, match=r"use Det\(V\)"):
            Sign(group)


def test_conjugates() -> None:
    assert Conj(V(SO(3))) == V(SO(3))
    assert Conj(V(U(2))) == V(U(2)).T
    assert Conj(Conj(V)) == V
    assert Conj(V * V + 2) == Conj(V) ** 2 + 2
    assert Conj(V)(SO(3)) == V(SO(3))
    complexes = Group(
        lie_algebra=[
            factor * np.array(a, dtype=complex)
            for a in ([[1, 0], [0, -1]], [[0, 1], [0, 0]], [[0, 0], [1, 0]])
            for factor in (1, 1j)
        ],
        d=2,
    )  # SL(2, ℂ), as a real group
    spinor = V(complexes)
    bar = Conj(spinor)
    g = complexes.sample()
    np.testing.assert_allclose(bar.rho(g), np.conj(g))
    # V ⊗ V̄ are the four-vectors, with one invariant form; V ⊗ V has ε, and V ⊗ V̄ none
    assert rank((spinor * bar) ** 2) == 1
    assert rank(spinor * bar) == 0
    assert rank(spinor**2) == 1
    assert rank(bar**2) == 1


def test_equivariance_errors_are_small() -> None:
    group = O(3)
    rep_in, rep_out = Sym(2, V)(group), V(group) * Alt(2, V)(group) + Sym(2, V)(group)
    for column in (rep_in >> rep_out).equivariant_basis(store=False).dense().T:
        weights = column.reshape(rep_out.size(), rep_in.size())
        assert verify.equivariance_error(weights, rep_in, rep_out, group) < 1e-10


@settings(deadline=None, max_examples=10)
@given(st.integers(2, 6), st.integers(2, 3))
def test_binary_forms_have_the_spins_of_sym(k: int, n: int) -> None:
    # Symᵏ of SU(2) is irreducible: its commutant has dimension 1
    assert rank((Sym(k, V) >> Sym(k, V))(SU(2))) == 1
    assert rank((Sym(k, V) >> Sym(k, V))(SO(3))) == k // 2 + 1


def test_a_subclass_with_another_action_is_a_rep_of_its_own() -> None:
    class Trivial(SymmetricPower):
        __module__ = SymmetricPower.__module__  # the place of a class says nothing about its action

        def rho(self, M: Any) -> Any:
            return np.eye(1)

        def drho(self, A: Any) -> Any:
            return np.zeros((1, 1))

        def size(self) -> int:
            return 1

    own = Trivial(V(SO(3)), k=2)
    assert own != Sym(2, V(SO(3)))
    assert basis_key(own) != basis_key(Sym(2, V(SO(3))))
    assert own.equivariant_basis(store=False).shape == (1, 1)


def test_a_functor_of_ones_own_is_known_by_what_it_computes() -> None:
    def twist(function: Any) -> Any:
        class Twist(Functor):
            def rebuilt(self, part: Rep) -> Rep:
                return Twist(part)

            def of_matrix(self, matrix: Any) -> Any:
                return function(matrix)

            def of_derivative(self, matrix: Any) -> Any:
                return matrix

            @property
            def size_polynomial(self) -> Any:
                return (Fraction(0), Fraction(1))

            def __str__(self) -> str:
                return f"Twist({self.part})"

        return Twist

    vector = twist(lambda m: m)(V(O(3)))
    axial = twist(lambda m: m * np.linalg.det(m))(V(O(3)))
    assert basis_key(vector) != basis_key(axial)
    assert rank(vector * V(O(3))) == 1
    assert rank(axial * V(O(3))) == 0
    with pytest.raises(InvalidRep, match="not a representation"):
        twist(lambda m: m**2)(V(O(3))).equivariant_basis(store=False)
    doubled = twist(lambda m: SHEARED @ m @ np.linalg.inv(SHEARED))(V(D(4)))
    assert Dual(doubled) == doubled.T  # in an oblique basis F(ρ*) is not F(ρ)*


def test_a_formula_is_a_text() -> None:
    with pytest.raises(InvalidRep, match="is a text such as"):
        Indexed(V, ["ij", "ji"])  # type: ignore[arg-type]


def test_the_determinant_of_a_rep_that_is_too_large_is_refused() -> None:
    for group in (SO(3), S(50)):
        with pytest.raises(TooLarge, match="dimensions"):
            Det(1_000_000 * V)(group).equivariant_basis(store=False)


def test_irreps_of_a_symmetric_power() -> None:
    def sizes(rep: Rep) -> list[int]:
        return sorted(irrep.size() for irrep in decompose(rep).multiplicities)

    assert sizes(Sym(2, V(SO(3)))) == [1, 5]
    assert sizes(Sym(4, V(SO(3)))) == [1, 5, 9]
    assert sizes(Alt(2, V(SO(4)))) == [3, 3]
    assert sizes(Sym(2, V(oblique(SO(3))))) == [1, 5]
