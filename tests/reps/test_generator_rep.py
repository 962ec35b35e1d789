"""Reps that are given by the images of the group's generators."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import jax
import numpy as np
import pytest
import scipy.sparse
from helpers.laws import laws
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import InvalidRep, MethodNotApplicable
from intertwine.groups import SL, SO, SU, D, Group, Icosahedral, O, Octahedral, RubiksCube, S, U, Z
from intertwine.irreps import decompose
from intertwine.nn import EMLP, Linear
from intertwine.operators import Permutation, as_signed_permutation, dense
from intertwine.reps import Rep, T, V, basis_key, canonical, parse
from intertwine.reps.generator_images import images

FINITE = [S(4), D(5), Octahedral(), Icosahedral(), Z(6)]
CONTINUOUS = [SO(3), O(3), SU(2), SL(2), U(2), SO(2), O(2)]
FAST = [S(4), D(5), SO(3), SU(2)]
SLOW = [group for group in (*FINITE, *CONTINUOUS) if group not in FAST]
EVERY = [*FAST, *(pytest.param(group, marks=pytest.mark.slow) for group in SLOW)]

each_group = pytest.mark.parametrize("group", EVERY, ids=[repr(g) for g in (*FAST, *SLOW)])


def _matrices(rep: Rep) -> tuple[list[Any], list[Any]]:
    """ρ of the discrete generators and dρ of the Lie generators."""
    group: Group = rep.G
    return (
        [np.asarray(rep.rho_dense(np.asarray(dense(h)))) for h in group.group_generators],
        [np.asarray(rep.drho_dense(np.asarray(dense(a)))) for a in group.lie_generators],
    )


def _given(rep: Rep, frame: Any = None, name: str | None = None) -> Rep:
    """The rep by its images, in another frame."""
    discrete, lie = _matrices(rep)
    if frame is not None:
        back = np.linalg.inv(frame)
        discrete = [frame @ h @ back for h in discrete]
        lie = [frame @ a @ back for a in lie]
    return Rep.from_generators(rep.G, discrete, lie=lie, name=name)


def _frame(n: int, seed: int) -> Any:
    u, _, vh = np.linalg.svd(np.random.default_rng(seed).standard_normal((n, n)))
    return u @ np.diag(np.linspace(1, 3, n)) @ vh


# -- the same rep by other means


@each_group
def test_images_of_v_give_as_many_invariants_as_v(group: Group) -> None:
    base = V(group)
    for frame in (None, _frame(group.d, 1)):
        found = _given(base, frame)
        for rep, known in [(found**2, base**2), (found >> base, base >> base)]:
            basis, expected = rep.equivariant_basis(), known.equivariant_basis()
            assert basis.rank == expected.rank
        if frame is None:
            (one, other) = ((rep**2).equivariant_projector().dense() for rep in (found, base))
            assert np.abs(one - other).max() < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("group", [SO(3), D(5)], ids=repr)
@settings(laws, max_examples=10)
@given(seed=st.integers(0, 2**16))
def test_a_conjugate_of_tensors_is_equivalent_to_them(group: Group, seed: int) -> None:
    rep = V(group) ** 2
    found = _given(rep, _frame(rep.size(), seed))
    assert (rep >> found).equivariant_basis().rank == (rep >> rep).equivariant_basis().rank


def test_the_images_of_an_irrep_are_its_copy() -> None:
    group = SO(3)
    for irrep in decompose(V(group) ** 3).multiplicities:
        assert (irrep >> _given(irrep)).equivariant_basis().rank == 1


@pytest.mark.parametrize("method", ["orbits", "irreps", "svd", "krylov"])
def test_every_method_solves_it(method: str) -> None:
    group = S(4)
    rep = _given(V(group), name="P")
    basis = (rep**2 >> rep + 2).equivariant_basis(method=method)
    assert basis.certificate.method == method
    assert basis.rank == (V(group) ** 2 >> V(group) + 2).equivariant_basis().rank


@each_group
def test_rho_of_other_elements_is_that_of_the_words_for_them(group: Group) -> None:
    rep = V(group) ** 2
    found, frame = _given(rep), _frame(rep.size(), 4)
    moved = _given(rep, frame)
    for g in group.samples(3, seed=5):
        expected = np.asarray(rep.rho_dense(g))
        assert np.abs(found.rho(g) - expected).max() < 1e-8 * max(1, np.abs(expected).max())
        turned = frame @ expected @ np.linalg.inv(frame)
        assert np.abs(moved.rho(g) - turned).max() < 1e-8 * max(1, np.abs(turned).max())
    for a in group.lie_generators:
        known = np.asarray(rep.drho_dense(np.asarray(dense(a))))
        assert np.abs(found.drho(np.asarray(dense(a))) - known).max() < 1e-9


def test_half_turns_have_images() -> None:
    """A rotation by π has no principal logarithm in so(3)."""
    rep = (V**2)(SO(3))
    found = _given(rep)
    for g in (np.diag([1.0, -1, -1]), np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]])):
        assert np.abs(found.rho(g) - np.kron(g, g)).max() < 1e-9
    turn, half = dense(SO(2).lie_generators[0]), -np.eye(2)
    group = Group(lie_algebra=[turn], discrete_generators=[half])
    assert Rep.from_generators(group, [half], lie=[3 * turn]).size() == 2
    with pytest.raises(InvalidRep, match="= exp A"):
        Rep.from_generators(group, [half], lie=[2 * turn])


def test_an_element_that_is_no_product_of_generators_is_refused_with_the_remedy() -> None:
    rep = _given(V(S(3)), name="P")
    with pytest.raises(MethodNotApplicable, match="Use its `generators`, or write the rep as a"):
        rep.rho(np.diag([2.0, 1, 1]))
    with pytest.raises(MethodNotApplicable, match=r"jax\.jit, grad and vmap hide"):
        jax.vmap(rep.rho)(np.eye(3)[None])
    with pytest.raises(InvalidRep, match="is outside of it"):
        _given(V(SO(3))).drho(np.eye(3))


@pytest.mark.slow
@pytest.mark.parametrize("group", [SO(3), O(3), S(4), D(5)], ids=repr)
def test_irreps_are_found_in_any_frame_of_a_compact_group(group: Group) -> None:
    base, frame = V(group), _frame(group.d, 6)
    expected = (base**2 >> base**2).equivariant_basis().rank
    turned = Group(
        lie_algebra=[frame @ dense(a) @ np.linalg.inv(frame) for a in group.lie_generators],
        discrete_generators=[
            frame @ dense(h) @ np.linalg.inv(frame) for h in group.group_generators
        ],
    )
    discrete, lie = _matrices(base)
    for rep in (_given(base, frame), Rep.from_generators(turned, discrete, lie=lie)):
        basis = (rep**2 >> rep**2).equivariant_basis(method="irreps")
        assert basis.rank == expected
        assert basis.certificate.residual < 1e-10
        parts = decompose(rep**2)
        assert sum(m * irrep.size() for irrep, m in parts.multiplicities.items()) == group.d**2
    # the catalogue is as before
    assert decompose(base**2).multiplicities == decompose(_given(base) ** 2).multiplicities


# -- a value


def test_it_is_a_frozen_value_by_content() -> None:
    a, b = _given(V(S(3)), name="P"), _given(V(S(3)), name="Q")
    assert a == b
    assert hash(a) == hash(b)
    assert basis_key(a**2) == basis_key(b**2)
    assert a != _given(V(S(3)), _frame(3, 1))
    assert a != V(S(3))
    assert pickle.loads(pickle.dumps(a)) == copy.deepcopy(a) == a
    with pytest.raises(FrozenInstanceError):
        a.name = "R"  # type: ignore[attr-defined]


def test_it_prints_by_name() -> None:
    P = _given(V(S(3)), name="P")
    assert (str(P), repr(P), str(P**2 + V(S(3)))) == ("P", "P(S(3))", "P²+V")
    assert parse("P**2+2V", names={"P": P})(S(3)) == P**2 + 2 * V(S(3))
    assert str(_given(V(S(3)))) == f"R3_{_given(V(S(3))).__dict__['_digest'][:6]}"
    with pytest.raises(InvalidRep, match="no name of a rep"):
        _given(V(S(3)), name="a b")


def test_permutations_stay_permutations_however_they_are_written() -> None:
    group = S(4)
    moves = [as_signed_permutation(h) for h in group.group_generators]
    indices = [move.indices for move in moves if move is not None]
    written = [
        [Permutation(p) for p in indices],
        [p.tolist() for p in indices],
        [np.eye(4)[p] for p in indices],
        [scipy.sparse.csr_array(np.eye(4)[p]) for p in indices],
    ]
    reps = [Rep.from_generators(group, given) for given in written]
    assert all(rep == reps[0] for rep in reps)
    for rep in reps:
        assert all(isinstance(h, Permutation) for h in images(rep).discrete)
        assert (rep**2).equivariant_basis().certificate.method == "orbits"


def test_a_permutation_rep_of_size_two_thousand_takes_a_second_at_most() -> None:
    group, d = S(45), 45
    pairs = []
    for h in group.group_generators:
        move = as_signed_permutation(h)
        assert move is not None
        p = move.indices
        pairs.append((p[:, None] * d + p[None, :]).ravel())
    rep = Rep.from_generators(group, pairs)
    assert rep.size() == 2025
    assert rep.equivariant_basis().rank == 2
    assert "words only" not in repr(rep)


def test_dihedral_groups_act_on_cosets() -> None:
    """D(4), whose V is a plane, permutes the four corners of a square: Burnside's count is 1."""
    group = D(4)
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    moves = []
    for h in group.group_generators:
        moved = np.rint(corners @ np.asarray(dense(h)).T)
        moves.append([int(np.argmin(np.abs(moved - c).sum(axis=1))) for c in corners])
    rep = Rep.from_generators(group, moves)
    assert rep.equivariant_basis().rank == 1
    assert (V(group) >> rep).equivariant_basis().rank == 1
    assert (rep >> rep).equivariant_basis().certificate.rank == 3


# -- what is refused


def _altered(kind: str, discrete: list[Any], lie: list[Any]) -> tuple[list[Any], list[Any]]:
    rows = discrete or lie
    first = np.array(rows[0])
    if kind == "off by 1e-6":
        first[0, -1] += 1e-6
    elif kind == "negative":
        first = -first
    elif kind == "doubled":
        first = 2 * first
    else:
        first = np.roll(first, 1, axis=0)
    changed = [first, *rows[1:]]
    return (changed, lie) if discrete else (discrete, changed)


@pytest.mark.parametrize("kind", ["off by 1e-6", "doubled", "shifted"])
@pytest.mark.parametrize("group", [S(4), D(5), Octahedral(), SO(3), O(3), SU(2), SL(2)], ids=repr)
def test_images_that_are_no_representation_are_refused(group: Group, kind: str) -> None:
    frame = _frame(group.d, 2)
    back = np.linalg.inv(frame)
    discrete, lie = ([frame @ m @ back for m in ms] for ms in _matrices(V(group)))
    Rep.from_generators(group, discrete, lie=lie)
    wrong, other = _altered(kind, discrete, lie)
    with pytest.raises(InvalidRep, match="is not a representation of"):
        Rep.from_generators(group, wrong, lie=other)


def test_the_relation_that_fails_is_named() -> None:
    group = S(4)
    discrete, _ = _matrices(V(group))
    with pytest.raises(InvalidRep, match=r"\(h\[0\] h\[1\]\)\^3 = 1, but the same product"):
        Rep.from_generators(group, [-discrete[0], *discrete[1:]], name="P")
    _, lie = _matrices(V(SO(3)))
    with pytest.raises(InvalidRep, match=r"\[A\[1\], A\[0\]\] is a combination of generators"):
        Rep.from_generators(SO(3), lie=[2 * a for a in lie])
    turned = _frame(4, 1)
    rounded = [np.round(turned @ h @ np.linalg.inv(turned), 7) for h in discrete]
    with pytest.raises(InvalidRep, match="give more digits"):
        Rep.from_generators(group, rounded)


def test_a_wrong_turn_of_the_cube_is_refused() -> None:
    turns = [dense(h) for h in RubiksCube().group_generators]
    with pytest.raises(InvalidRep, match="is not a representation"):
        Rep.from_generators(RubiksCube(), [turns[1], turns[0], *turns[2:]])


def test_a_kernel_that_no_short_word_shows_is_found() -> None:
    """PSL(2, 7) is simple: a sign of its generators is none, whatever their orders."""
    sign = [np.array([[1.0]]), np.array([[-1.0]])]
    with pytest.raises(InvalidRep, match="is not a representation"):
        Rep.from_generators(Group.from_permutations("(1,2,3,4,5,6,7),(2,3)(4,7)"), sign)


def test_a_circle_with_large_frequencies_has_only_whole_charges() -> None:
    turn = dense(SO(2).lie_generators[0])
    group = Group(lie_algebra=[np.kron(np.diag([67.0, 71.0]), turn)])
    assert Rep.from_generators(group, lie=[3 * turn]).size() == 2
    with pytest.raises(InvalidRep, match="covering group"):
        Rep.from_generators(group, lie=[0.5 * turn])


def test_spin_one_half_is_no_rep_of_rotations() -> None:
    """The brackets of so(3) are those of su(2), but a full turn of spin 1/2 is −1."""
    group = SO(3)
    x, y, z = (
        np.array([[0, 0, 0], [0, 0, -1.0], [0, 1, 0]]),
        np.array([[0, 0, 1.0], [0, 0, 0], [-1, 0, 0]]),
        np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 0]]),
    )
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    spin = []
    for a in map(dense, group.lie_generators):
        c = [np.sum(a * e) / 2 for e in (x, y, z)]
        spin.append(np.tensordot(c, -0.5j * pauli, axes=1))
    with pytest.raises(InvalidRep, match="belongs to a covering group"):
        Rep.from_generators(group, lie=spin)


@pytest.mark.parametrize("charge", [0.5, np.sqrt(2), 1 + 1e-6])
def test_charges_of_the_circle_are_integers(charge: float) -> None:
    turn = dense(SO(2).lie_generators[0])
    assert Rep.from_generators(SO(2), lie=[3 * turn]).size() == 2
    with pytest.raises(InvalidRep, match="covering group"):
        Rep.from_generators(SO(2), lie=[charge * turn])


@pytest.mark.parametrize(
    ("charges", "is_rep"),
    [((1, 2), True), ((3, -1), True), ((0.5, 0.5), False), ((1, np.sqrt(2)), False)],
    ids=str,
)
def test_a_torus_has_a_lattice_of_charges(charges: tuple[float, float], is_rep: bool) -> None:
    turn = np.array([[0.0, -1], [1, 0]])
    axes = [np.kron(np.diag(e), turn) for e in np.eye(2)]
    images = [charge * turn for charge in charges]
    # in another basis of the Lie algebra, the charges of the generators may look like others
    mixed = Group(lie_algebra=[axes[0] + axes[1], axes[0] - axes[1]])
    of_mixed = [images[0] + images[1], images[0] - images[1]]
    for group, lie in ((Group(lie_algebra=axes), images), (mixed, of_mixed)):
        if is_rep:
            assert Rep.from_generators(group, lie=lie).size() == 2
        else:
            with pytest.raises(InvalidRep, match="covering group"):
                Rep.from_generators(group, lie=lie)


@pytest.mark.parametrize("angle", [0.0, np.pi], ids=["1", "-h"])
def test_a_discrete_generator_that_is_an_exponential_has_its_image(angle: float) -> None:
    quarter = np.array([[0.0, -1], [1, 0]])
    group = Group(lie_algebra=[quarter], discrete_generators=[quarter])
    assert Rep.from_generators(group, [quarter], lie=[quarter]).size() == 2
    wrong = np.eye(2) if angle == 0 else -quarter
    with pytest.raises(InvalidRep, match=r"h\[0\] = exp A for an A of the Lie algebra"):
        Rep.from_generators(group, [wrong], lie=[quarter])


def test_relations_of_sl2z_are_found_among_short_words() -> None:
    a, b = np.array([[0.0, -1], [1, 0]]), np.array([[1.0, 1], [0, 1]])
    group = Group(discrete_generators=[a, b])
    assert "checked on short words only" in repr(Rep.from_generators(group, [a, b]))
    for wrong in ([a, np.eye(2)], [b, a]):
        with pytest.raises(InvalidRep, match="but the same products of the images"):
            Rep.from_generators(group, wrong)


def test_redundant_generators_have_the_images_of_combinations() -> None:
    _, lie = _matrices(V(SO(3)))
    group = Group(lie_algebra=[*lie, lie[0] + lie[1]])
    assert Rep.from_generators(group, lie=[*lie, lie[0] + lie[1]]).equivariant_basis().rank == 0
    with pytest.raises(InvalidRep, match=r"A\[3\] is a combination of generators"):
        Rep.from_generators(group, lie=[*lie, lie[0]])
    few = Rep.from_generators(Group(lie_algebra=lie[:2]), lie=lie[:2])
    g = SO(3).sample(2)
    assert np.abs(few.rho(g) - g).max() < 1e-9  # the bracket of the two is the third


def test_a_reflection_and_rotations_must_agree() -> None:
    """In O(2), h A h⁻¹ = −A: an image that commutes with A is none."""
    turn = dense(O(2).lie_generators[0])
    with pytest.raises(InvalidRep, match=r"h\[0\] A\[0\] h\[0\]⁻¹"):
        Rep.from_generators(O(2), [np.eye(2)], lie=[turn])


def test_wrong_numbers_sizes_and_singular_images_are_refused() -> None:
    group = S(3)
    discrete, _ = _matrices(V(group))
    with pytest.raises(InvalidRep, match="2 discrete generators, and 1 images are given"):
        Rep.from_generators(group, discrete[:1])
    with pytest.raises(InvalidRep, match="mixed sizes"):
        Rep.from_generators(group, [np.eye(2), discrete[1]])
    with pytest.raises(InvalidRep, match="singular"):
        Rep.from_generators(group, [0 * discrete[0], discrete[1]])
    with pytest.raises(InvalidRep, match="as in lie="):
        Rep.from_generators(SO(3), discrete[:1])
    with pytest.raises(InvalidRep, match="has no generators"):
        Rep.from_generators(Group(d=3))
    with pytest.raises(InvalidRep, match="such as SO"):
        Rep.from_generators("S(3)", discrete)  # type: ignore[arg-type]


def test_what_was_checked_in_part_says_so() -> None:
    shear = Group(discrete_generators=[[[1.0, 1], [0, 1]]])
    rep = Rep.from_generators(shear, [[[1.0, 2], [0, 1]]], name="W")
    assert repr(rep).endswith("(checked on short words only: the group is infinite or large)")
    assert rep.equivariant_basis().rank == 1


# -- used everywhere


@pytest.mark.slow
def test_layers_and_networks_take_it() -> None:
    group = S(4)
    P = _given(V(group), name="P")
    layer = Linear(P + P**2, P**2)
    x = np.random.default_rng(0).standard_normal((P + P**2).size())
    g = group.sample(3)
    moved = layer(np.asarray((P + P**2).rho_dense(g)) @ x)
    assert np.abs(moved - np.asarray((P**2).rho_dense(g)) @ layer(x)).max() < 1e-4
    model = EMLP(P + P**2, P, group, ch=16, num_layers=2)
    assert model(x).shape == (4,)


def test_it_is_canonical_beside_other_reps() -> None:
    group = SO(3)
    P = _given(T(2)(group), name="P")
    assert canonical(P * V(group) + V(group) * P).rep.terms[0][0] == 2  # type: ignore[attr-defined]
    assert (V(group) ** 2 >> P).equivariant_basis().rank == 3
