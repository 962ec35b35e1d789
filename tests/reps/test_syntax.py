"""The algebra of representations: what its values mean, when they are equal, what they refuse."""

from __future__ import annotations

import copy
import itertools
import json
import operator
import pickle
from dataclasses import FrozenInstanceError
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.example_reps import MIXED, SIZES, Tree, build, group_named, matrix, size, trees
from helpers.laws import laws
from helpers.support import run_python
from hypothesis import given
from intertwine.errors import InvalidRep, NotConcrete, TooLarge
from intertwine.groups import O13, SO, Group, S, SO11p, SO13p, Sp, U, Z
from intertwine.operators import LinearOperator
from intertwine.reps import Base, Dual, Rep, Scalar, ScalarRep, Sum, T, Tensor, V, Vector
from intertwine.reps.syntax import MAX_FACTORS
from scipy.linalg import expm

GROUPS = {name: group_named(name) for name in SIZES}


@cache
def elements(seed: int = 3) -> dict[str | None, Any]:
    return {name: G.sample(seed) for name, G in GROUPS.items()}


# -- meaning


@laws
@given(trees())
def test_an_expression_means_what_it_says_for_every_group_element(tree: Tree) -> None:
    """The constructors normalise, and the matrix of ρ(g) stays what the operations define."""
    G = SO11p()
    g = G.sample(5)
    rep = build(tree)(G)
    assert rep.size() == size(tree)
    np.testing.assert_allclose(rep.rho_dense(g), matrix(tree, {None: g}), atol=1e-9)


@laws
@given(trees(MIXED))
def test_an_expression_over_several_groups_means_what_it_says(tree: Tree) -> None:
    drawn = elements()
    rep = build(tree)
    given_elements = {G: drawn[name] for name, G in GROUPS.items()}
    assert rep.size() == size(tree)
    np.testing.assert_allclose(rep.rho_dense(given_elements), matrix(tree, drawn), atol=1e-9)


@laws
@given(trees(MIXED, largest=30))
def test_drho_is_the_derivative_of_rho(tree: Tree) -> None:
    rep = build(tree)
    directions, moved, step = {}, {}, 1e-6
    for G in GROUPS.values():
        A = sum(G.lie_generators, np.zeros((G.d, G.d)))
        directions[G], moved[G] = A, (expm(step * A), expm(-step * A))
    forward, backward = (
        np.asarray(rep.rho_dense({G: pair[i] for G, pair in moved.items()})) for i in (0, 1)
    )
    difference = (forward - backward) / (2 * step)
    np.testing.assert_allclose(rep.drho_dense(directions), difference, atol=1e-6)


@laws
@given(trees())
def test_the_lazy_action_is_that_of_the_matrix(tree: Tree) -> None:
    G = SO11p()
    rep, g = build(tree)(G), G.sample(2)
    v = np.random.default_rng(0).standard_normal(rep.size())
    np.testing.assert_allclose(rep.rho(g) @ v, np.asarray(rep.rho_dense(g)) @ v, atol=1e-9)
    A = G.lie_algebra[0]
    np.testing.assert_allclose(rep.drho(A) @ v, np.asarray(rep.drho_dense(A)) @ v, atol=1e-9)


def test_rho_does_not_build_the_matrix_of_a_large_tensor() -> None:
    rep = T(6, 6)(SO13p())  # 16,777,216 dimensions, whose matrix would take two petabytes
    g = SO13p().sample()
    v = np.zeros(rep.size())
    v[0] = 1.0
    moved = rep.rho(g) @ v
    first = np.linalg.inv(g).T[:, 0]
    corner = np.einsum("a,b->ab", g[:, 0], first)
    expected = corner[0, 0] ** 5 * corner
    tensor = moved.reshape((4,) * 12)
    np.testing.assert_allclose(tensor[:, 0, 0, 0, 0, 0, :, 0, 0, 0, 0, 0], expected, rtol=1e-9)


@laws
@given(trees(MIXED, largest=40))
def test_maps_from_one_rep_to_another_transform_as_matrices(tree: Tree) -> None:
    """ρ₁ ≫ ρ₂ acts on row-major flattened W of shape (n₂, n₁) by W ↦ ρ₂(g) W ρ₁(g)⁻¹."""
    drawn = {G: elements()[name] for name, G in GROUPS.items()}
    source, target = build(tree), V(SO11p()) + 1
    W = np.random.default_rng(1).standard_normal((target.size(), source.size()))
    left = (source >> target).rho(drawn) @ W.ravel()
    right = target.rho_dense(drawn) @ W @ np.linalg.inv(np.asarray(source.rho_dense(drawn)))
    np.testing.assert_allclose(left.reshape(W.shape), right, atol=1e-7)


# -- normal forms and equality

EQUAL = [
    ("sums are associative", (V + V.T) + 1, V + (V.T + 1)),
    ("products are associative", (V * V.T) * V, V * (V.T * V)),
    ("adjacent equal terms merge", V + V, 2 * V),
    ("and merge with multiples", 2 * V + V + 3 * V, 6 * V),
    ("across flattened sums", (V.T + V) + (V + V.T), V.T + 2 * V + V.T),
    ("a power is a product", V**3, V * V * V),
    ("powers add up", V**2 * V**3, V**5),
    ("powers of powers multiply", (V**2) ** 3, V**6),
    ("the zeroth power is the scalar", V**0, Scalar),
    ("the scalar leaves products", Scalar * V * Scalar, V),
    ("the scalar squared is itself", Scalar**5, Scalar),
    ("an integer is that many scalars", V + 5, V + 5 * Scalar),
    ("on the left too", 5 + V, 5 * Scalar + V),
    ("0 adds nothing", V + 0, V),
    ("sum() works", sum([V, V.T, V.T]), V + 2 * V.T),
    ("a number times a rep", 5 * V, V + V + V + V + V),
    ("from the right, outermost", V * 5, 5 * V),
    ("twice", 5 * V * 2, 10 * V),
    ("integers stay integers until they meet a rep", V * (1 + 1), 2 * V),
    ("one copy is the rep", 1 * V, V),
    ("no copies are the rep of size 0", 0 * V, 0 * V.T),
    ("which swallows products", V * (0 * V), 0 * V),
    ("and is nothing in sums", V + 0 * V.T, V),
    ("copies on the left come out of a product", (2 * V) * V.T, 2 * (V * V.T)),
    ("from each factor in turn", (2 * V) * (V * 3), 2 * (V * (3 * V))),
    ("copies of copies", 3 * (2 * V), 6 * V),
    ("copies of a sum repeat it as a whole", 2 * (V + V.T), V + V.T + V + V.T),
    ("of several scalars too", (2 * Scalar) * (V + V.T), V + V.T + V + V.T),
    ("the dual of the dual", V.T.T, V),
    ("the dual of the scalar", Scalar.T, Scalar),
    ("the dual of a product keeps the order", (V**2 * V.T).T, V.T**2 * V),
    ("the dual of a sum keeps the order", (V + 2 * V.T + 3).T, V.T + 2 * V + 3),
    ("maps are target times dual", V >> V**2, V**2 * V.T),
    ("in both spellings", V << V**2, V * V.T**2),
    ("maps to scalars", V >> 1, V.T),
    ("maps from scalars", 1 >> V, V),
    ("maps to several scalars", V >> 3, 3 * V.T),
    ("several scalars to V", V << 3, 3 >> V),
    ("the other spelling", 3 << V, V >> 3),
    ("T(p, q)", T(2, 1), V**2 * V.T),
    ("T(p)", T(2), V**2),
    ("T(0)", T(0), Scalar),
    ("T over a group", T(1, 1, G=SO13p()), V(SO13p()) * V(SO13p()).T),
    ("binding reaches every part", (V**2 * V.T + 5)(SO13p()), T(2, 1)(SO13p()) + 5),
    ("the dual of an orthogonal group's V", V(SO(3)).T, V(SO(3))),
    ("so that binding normalises again", (V.T * V + V * V.T)(SO(3)), 2 * V(SO(3)) ** 2),
    ("a scalar needs no group", Scalar(SO(3)), Scalar),
    ("binding again to the same group", V(SO(3))(SO(3)), V(SO(3))),
    ("equal groups are one", V(SO(3)) + V(Group(lie_algebra=SO(3).lie_algebra)), 2 * V(SO(3))),
    ("Vector is V", Vector, V),
]


@pytest.mark.parametrize(("left", "right"), [pytest.param(a, b, id=name) for name, a, b in EQUAL])
def test_equal(left: Rep, right: Rep) -> None:
    assert left == right
    assert hash(left) == hash(right)
    assert str(left) == str(right)
    assert len({left, right}) == 1


DIFFERENT = [
    ("V is not its dual", V, V.T),
    ("nor for a Lorentz group", V(SO13p()), V(SO13p()).T),
    ("nor for a unitary one", V(U(2)), V(U(2)).T),
    ("nor for a symplectic one", V(Sp(1)), V(Sp(1)).T),
    ("sums are written in an order", V + V.T, V.T + V),
    ("and so are products", V * V.T, V.T * V),
    ("equal terms apart stay apart", V + V.T + V, 2 * V + V.T),
    ("copies on the right are another matrix", V * (2 * V), 2 * V**2),
    ("scalars on the right too", V * (2 * Scalar), 2 * V),
    ("copies in the middle stay where they were written", (V * (2 * V)) * V, V * (2 * V * V)),
    ("products are not expanded", V * (V + 1), V**2 + V),
    ("reps of different groups", V(SO(3)), V(SO(2))),
    ("of different size only by group", V(Z(3)), V(S(3))),
    ("with a group and without", V(SO(3)), V),
    ("the scalar and V", Scalar, V),
    ("nothing and the scalar", 0 * V, Scalar),
]


@pytest.mark.parametrize(
    ("left", "right"), [pytest.param(a, b, id=name) for name, a, b in DIFFERENT]
)
def test_different(left: Rep, right: Rep) -> None:
    assert left != right
    assert len({left, right}) == 2


@laws
@given(trees(), trees())
def test_equal_values_are_equal_in_every_way(a: Tree, b: Tree) -> None:
    left, right = build(a), build(b)
    assert build(a) == left
    assert hash(build(a)) == hash(left)
    assert (left == right) == (repr(left) == repr(right))
    if left == right:
        assert hash(left) == hash(right)


@laws
@given(trees(), trees(), trees())
def test_sums_and_products_are_associative_with_neutral_elements(a: Tree, b: Tree, c: Tree) -> None:
    x, y, z = build(a), build(b), build(c)
    assert (x + y) + z == x + (y + z)
    assert x + 0 * V == 0 * V + x == x + 0 == 0 + x == x
    assert Scalar * x == x * Scalar == x * 1 == 1 * x == x
    # but for copies in front: 2(V+W) is V+W+V+W, and 2((V+W)⊗V) stays
    if not any(isinstance(rep, Sum) and len(rep.terms) == 1 for rep in (x, y)):
        assert (x * y) * z == x * (y * z)


@laws
@given(trees(), trees())
def test_taking_the_dual_is_an_involution_that_respects_sums_and_products(a: Tree, b: Tree) -> None:
    x, y = build(a), build(b)
    assert x == x.T.T
    assert (x + y).T == x.T + y.T
    assert (x * y).T == x.T * y.T
    assert (x >> y) == (y << x) == y * x.T


@laws
@given(trees())
def test_binding_to_a_group_respects_the_algebra(a: Tree) -> None:
    for G in (SO(2), SO11p()):
        x = build(a)
        assert (x + x)(G) == x(G) + x(G)
        assert (x * x)(G) == x(G) * x(G)
        assert x.T(G) == x(G).T
        assert x(G).is_concrete


@laws
@given(trees())
def test_values_hold_no_arrays_and_no_redundant_shapes(a: Tree) -> None:
    """The normal form: no sum in a sum, no product or scalar in a product, no neighbours equal."""

    def check(rep: Rep) -> None:
        match rep:
            case Sum(terms):
                assert terms == () or len(terms) > 1 or terms[0][0] > 1
                assert all(isinstance(m, int) and m > 0 for m, _ in terms)
                assert not any(isinstance(term, Sum) for _, term in terms)
                assert all(p[1] != q[1] for p, q in itertools.pairwise(terms))
                for _, term in terms:
                    check(term)
            case Tensor(factors):
                assert len(factors) > 1
                assert not any(isinstance(f, Tensor | ScalarRep) for f in factors)
                assert not (isinstance(factors[0], Sum) and len(factors[0].terms) < 2)
                for factor in factors:
                    check(factor)
            case Dual(inner):
                assert isinstance(inner, Base)
            case _:
                assert isinstance(rep, Base | ScalarRep)

    check(build(a))


def test_values_are_frozen() -> None:
    for rep in (V, Scalar, V.T, V * V.T, V + 1):
        with pytest.raises(FrozenInstanceError):
            rep.G = SO(3)  # type: ignore[misc]


@laws
@given(trees(MIXED))
def test_values_survive_copying_and_pickling(tree: Tree) -> None:
    rep = build(tree)
    for other in (copy.copy(rep), copy.deepcopy(rep), pickle.loads(pickle.dumps(rep))):
        assert other == rep
        assert hash(other) == hash(rep)
        assert repr(other) == repr(rep)


def test_a_rep_is_equal_to_no_other_kind_of_value() -> None:
    assert V != "V"
    assert Scalar != 1
    assert V != None  # noqa: E711 - the comparison itself is tested
    assert V not in [0, 1, SO(3)]


# -- groups


def test_a_rep_knows_its_one_group() -> None:
    G = SO(3)
    for rep in (V(G), V(G) ** 2, 5 * V(G) + 3, V(SO13p()).T):
        assert rep.is_concrete
        assert rep.G in (G, SO13p())
    for rep in (V, V.T, V**2, V + 1):
        assert not rep.is_concrete
        assert rep.G is None


def test_a_rep_of_several_groups_or_of_none_has_no_one_group() -> None:
    mixed = V(Z(3)) * V(S(4)) + V(SO(3))
    assert mixed.G is None
    assert mixed.is_concrete
    assert Scalar.G is None
    assert (5 * Scalar).is_concrete
    assert (0 * V).is_concrete


def test_parts_without_a_group_take_the_one_given() -> None:
    half = V(Z(3)) * V
    assert not half.is_concrete
    assert half(S(4)) == V(Z(3)) * V(S(4))
    assert (half + V(Z(3)))(S(4)) == V(Z(3)) * V(S(4)) + V(Z(3))


def test_a_rep_that_has_its_group_refuses_another() -> None:
    with pytest.raises(InvalidRep) as error:
        V(SO(3))(SO(2))
    remedy = "write it without its group; in Python, Restrict(rep, H) takes it to a subgroup H"
    assert str(error.value) == (
        f"V(SO(3)) is over SO(3) already, and cannot be taken over SO(2): {remedy}"
    )
    with pytest.raises(InvalidRep) as error:
        (V**2 + 1)(SO(3))(SO(2))
    assert str(error.value) == (
        f"(V²+V⁰)(SO(3)) has its groups already, and cannot be taken over SO(2): {remedy}"
    )


@pytest.mark.parametrize("rep", [V, V.T, V**2, V + 1, V * V(SO(3)), V(SO(3)) + V], ids=str)
def test_without_its_group_a_rep_has_no_size(rep: Rep) -> None:
    with pytest.raises(NotConcrete) as error:
        rep.size()
    assert str(error.value).endswith(
        " has no group yet: call it with one, as in rep(SO(3)), or write V(SO(3))"
    )


def test_an_element_of_a_missing_group_is_asked_for() -> None:
    with pytest.raises(InvalidRep) as error:
        (V(Z(3)) * V(S(4))).rho({Z(3): np.eye(3)})
    assert str(error.value) == "no element of S(4) was given for V(S(4)), only of [Z(3)]"


@pytest.mark.parametrize("rep", [V(SO(3)) * V(SO(2)), V(SO(3)) + V(SO(2))], ids=str)
def test_one_element_for_several_groups_is_refused(rep: Rep) -> None:
    """Taken for both it would give a matrix of another size, without a word."""
    for action in (rep.rho, rep.rho_dense, rep.drho, rep.drho_dense):
        with pytest.raises(InvalidRep, match="several groups"):
            action(np.eye(3))


# -- what is refused

COUNTS = "multiplicities and powers are integers from 0 on, not {}"
REFUSED = [
    ("a negative power", lambda: V**-1, InvalidRep, COUNTS.format(-1)),
    ("a negative count", lambda: -3 * V, InvalidRep, COUNTS.format(-3)),
    ("a negative number of scalars", lambda: V + -1, InvalidRep, COUNTS.format(-1)),
    ("a truth value", lambda: True * V, InvalidRep, COUNTS.format(True)),
    (
        "a power past the bound",
        lambda: V**257,
        TooLarge,
        "the power 257 is too large; at most 256",
    ),
    (
        "too many factors",
        lambda: (V**256) ** 5,
        TooLarge,
        f"a tensor product has at most {MAX_FACTORS:,} factors",
    ),
    (
        "too many terms",
        lambda: 5001 * (V + V.T),
        TooLarge,
        "the sum has 10,002 terms; at most 10,000. Adjacent equal terms count once: "
        "write 9V+9W, not 9(V+W)",
    ),
]


@pytest.mark.parametrize(
    ("make", "kind", "message"), [pytest.param(f, k, m, id=name) for name, f, k, m in REFUSED]
)
def test_refused(make: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        make()
    assert str(error.value) == message


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: (10**12 * Scalar) ** 256, id="a power of many scalars"),
        pytest.param(lambda: 10**400 * V, id="a number past every float"),
        pytest.param(lambda: 10**7 * (10**6 * V), id="copies of many copies"),
        pytest.param(lambda: 10**12 * V + V, id="one more than the most"),
    ],
)
def test_multiplicities_are_bounded(make: Any) -> None:
    """Unbounded they would double in digits with every power, and take all memory in a few."""
    with pytest.raises(TooLarge, match="at most 1,000,000,000,000"):
        make()


NEITHER = "{} is neither a rep nor an integer"
OF_OTHER_TYPES = {
    "V**0.5": COUNTS.format(0.5),
    "V*2.5": COUNTS.format(2.5),
    "2.5*V": COUNTS.format(2.5),
    "V+np.float64(1)": COUNTS.format("np.float64(1.0)"),
    "np.float64(2)*V": COUNTS.format(2.0),
    "V**2.0": COUNTS.format(2.0),
    "V+'V'": NEITHER.format("'V'"),
    "V*None": NEITHER.format("None"),
    "V**V": NEITHER.format("V"),
    "[V]+V": NEITHER.format("[V]"),
    "V>>'V'": NEITHER.format("'V'"),
    "V(SO)": "a rep is taken over a group such as SO(3), not over "
    "<class 'intertwine.groups.catalogue.SO'>; call it, as in SO(3)",
    "V(3)": "a rep is taken over a group such as SO(3), not over 3",
    "(V*V)(None)": "a rep is taken over a group such as SO(3), not over None",
    "V.T('SO(3)')": "a rep is taken over a group such as SO(3), not over 'SO(3)'",
    "T(1, 1, V)": "a rep is taken over a group such as SO(3), not over V",
}
TYPES = """
import sys
import numpy as np
from intertwine.errors import IntertwineError
from intertwine.groups import SO
from intertwine.reps import T, V

outcomes = {}
for text in json.loads(sys.argv[1]):
    try:
        outcomes[text] = f"accepted as {eval(text)!r}"
    except IntertwineError as error:
        outcomes[text] = str(error)
integers = [np.int64(2) * V, V * np.int32(3), V ** np.uint8(2), V + np.int64(1), np.int64(1) + V]
integers += [V >> np.int64(2), T(np.int64(2), np.int64(1)), T(np.int8(1), G=SO(np.int64(2)))]
answer([outcomes, [repr(rep) for rep in integers]])
"""


def test_what_is_of_another_type_is_refused_and_numpys_integers_are_not() -> None:
    """In a fresh process: here every annotation is checked, and would complain first."""
    finished = run_python(TYPES, json.dumps(list(OF_OTHER_TYPES)))
    assert finished.status == 0, finished.stderr
    outcomes, integers = finished.value
    assert outcomes == OF_OTHER_TYPES
    assert integers == ["2V", "3V", "V²", "V+V⁰", "V⁰+V", "2V*", "V²⊗V*", "V(SO(2))"]


def test_there_is_no_subtraction_or_division() -> None:
    for operation in (operator.sub, operator.truediv, operator.mod):
        with pytest.raises(TypeError):
            operation(V, V)


# -- in JAX

CONCRETE = [
    V(SO(3)),
    V(S(3)),
    V(SO13p()).T,
    (V + V.T + 1)(SO13p()),
    (2 * V + 3)(SO(3)),
    (V**2 * V.T + 5)(O13()),
    ((V + 1) * (V.T + 2))(SO11p()),
    V(SO(3)) ** 2 >> V(SO(3)),
    Scalar(SO(3)),
    5 * Scalar,
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("rep", CONCRETE, ids=repr)
def test_rho_dense_can_be_vmapped_over_samples(rep: Rep) -> None:
    G = rep.G or SO(3)
    samples = G.samples(3)
    found = jax.vmap(rep.rho_dense)(samples)
    assert found.shape == (3, rep.size(), rep.size())
    expected = np.stack([np.asarray(rep.rho_dense(g)) for g in samples])
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize("rep", CONCRETE, ids=repr)
def test_rho_dense_can_be_vmapped_in_double_precision(rep: Rep) -> None:
    samples = (rep.G or SO(3)).samples(3)
    with jax.enable_x64(True):
        found = np.asarray(jax.vmap(rep.rho_dense)(samples))
    expected = np.stack([np.asarray(rep.rho_dense(g)) for g in samples])
    np.testing.assert_allclose(found, expected, atol=1e-11 * max(1, np.abs(expected).max()))


@pytest.mark.slow
@pytest.mark.parametrize("rep", CONCRETE[:-2], ids=repr)
def test_the_jacobian_of_rho_dense_is_drho(rep: Rep) -> None:
    G = rep.G
    with jax.enable_x64(True):
        jacobian = np.asarray(jax.jacobian(rep.rho_dense)(jnp.eye(G.d)))
    A = np.random.default_rng(0).standard_normal((G.d, G.d))
    A = A - A.T if G.is_orthogonal else A  # elsewhere the dual of an orthogonal V is V
    np.testing.assert_allclose(
        np.tensordot(jacobian, A, axes=2), np.asarray(rep.drho_dense(A)), atol=1e-9
    )


def test_rho_works_under_jit_on_vectors_and_batches() -> None:
    G = SO13p()
    rep = (V**2 * V.T + V + 2)(G)
    g, v = G.sample(), np.random.default_rng(0).standard_normal((rep.size(), 5))

    @jax.jit
    def act(g: Any, v: Any) -> Any:
        return rep.rho(g) @ v

    with jax.enable_x64(True):
        np.testing.assert_allclose(act(g, v), rep.rho(g) @ v, atol=1e-9)
        np.testing.assert_allclose(act(g, v[:, 0]), rep.rho(g) @ v[:, 0], atol=1e-9)


def test_rho_of_mixed_groups_can_be_vmapped_over_a_dict() -> None:
    left, right = Z(3), SO(2)
    rep = 2 * V(left) * V(right) + V(right)
    drawn = (left.samples(4), right.samples(4))
    found = jax.vmap(lambda g, h: rep.rho_dense({left: g, right: h}))(*drawn)
    for i in range(4):
        expected = rep.rho_dense({left: drawn[0][i], right: drawn[1][i]})
        np.testing.assert_allclose(found[i], expected, atol=1e-4)


def test_group_elements_may_be_operators() -> None:
    G = S(4)
    for h in G.group_generators:
        assert isinstance(h, LinearOperator)
        for rep in (V(G), V(G).T, V(G) ** 2 + 1):
            expected = rep.rho_dense(np.asarray(h))
            np.testing.assert_array_equal(rep.rho_dense(h), expected)
            np.testing.assert_array_equal(np.asarray(rep.rho(h)), expected)
