"""Homomorphisms of groups, pulled-back reps, and restrictions to subgroups."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from intertwine.errors import InvalidRep
from intertwine.groups import SO, SU, D, Group, O, Octahedral, PointGroup, RubiksCube, S, Z
from intertwine.groups.enumeration import enumerate_elements
from intertwine.irreps import decompose
from intertwine.nn import Linear
from intertwine.operators import as_signed_permutation, dense
from intertwine.reps import Homomorphism, Rep, Restrict, Scalar, V

# -- homomorphisms


def _su2_to_so3() -> Homomorphism:
    """The adjoint action of su(2), in a basis of so(3) with the same brackets."""
    lie = [np.asarray(dense(a)) for a in SU(2).lie_generators]
    norm = np.array([np.vdot(a, a).real for a in lie])
    images = []
    for a in lie:
        brackets = [a @ b - b @ a for b in lie]
        images.append(
            np.array([[np.vdot(e, c).real for c in brackets] for e in lie]) / norm[:, None]
        )
    scale = np.sqrt(norm)
    orthogonal = [m * scale[:, None] / scale[None, :] for m in images]
    return Homomorphism(SU(2), SO(3), lie=orthogonal)


def test_su2_covers_so3() -> None:
    cover = _su2_to_so3()
    vector = cover.pull_back(V)
    assert vector.size() == 3
    spin = V(SU(2))
    assert (spin >> spin).equivariant_basis().rank == 1
    # spin 1 is in ½ ⊗ ½, and ½ is no rep of SO(3)
    assert (spin * spin.T >> vector).equivariant_basis().rank == 1
    assert (spin >> vector).equivariant_basis().rank == 0
    for rep in (V**2, V**3, V**2 >> V):
        pulled = cover.pull_back(rep)
        assert pulled.equivariant_basis().rank == rep(SO(3)).equivariant_basis().rank
    g = SU(2).sample(4)
    turned = cover(g)
    assert np.abs(turned @ turned.T - np.eye(3)).max() < 1e-9
    assert np.abs(cover(-g) - turned).max() < 1e-9
    for irrep in decompose(V(SO(3)) ** 2).multiplicities:
        assert cover.pull_back(irrep).size() == irrep.size()


def _s4_to_s3() -> Homomorphism:
    """S(4) permutes the three ways to pair four things."""
    pairings = [{frozenset({0, k}), frozenset({1, 2, 3} - {k})} for k in (1, 2, 3)]
    images = []
    for h in S(4).group_generators:
        move = as_signed_permutation(h)
        assert move is not None
        p = move.indices.tolist()
        moved = [{frozenset(p[i] for i in pair) for pair in pairing} for pairing in pairings]
        images.append([pairings.index(pairing) for pairing in moved])
    return Homomorphism(S(4), S(3), images)


def test_s4_maps_onto_s3() -> None:
    quotient = _s4_to_s3()
    for rep in (V, V**2, V**2 + 3 * V, V**2 >> V):
        pulled = quotient.pull_back(rep)
        assert S(4) == pulled.G
        assert pulled.equivariant_basis().rank == rep(S(3)).equivariant_basis().rank
    # V of S(3) is 1 + E, and V² of S(4) is 2 + E + …
    assert (quotient.pull_back(V) >> V(S(4)) ** 2).equivariant_basis().rank == 3
    assert quotient.pull_back(V**2) == quotient.pull_back(V) ** 2


@pytest.mark.parametrize("n", [2, 3])
def test_cyclic_groups_have_quotients(n: int) -> None:
    down = Homomorphism(Z(6), Z(n), Z(n).group_generators)
    for rep in (V, V**2, 2 * V + 1):
        assert down.pull_back(rep).equivariant_basis().rank == (rep(Z(n)).equivariant_basis().rank)
    with pytest.raises(InvalidRep, match=r"h\[0\]\^6 = 1"):
        Homomorphism(Z(6), Z(4), Z(4).group_generators)


def test_images_must_be_in_the_group() -> None:
    line = Group(lie_algebra=[[[0.0, 1], [0, 0]]])
    with pytest.raises(InvalidRep, match=r"the image of h\[0\] is not in D\(3\)"):
        Homomorphism(Z(4), D(3), [[[0.0, -1], [1, 0]]])
    with pytest.raises(InvalidRep, match=r"the image of h\[0\] is not in Z\(4\)"):
        Homomorphism(Z(2), Z(4), [[1, 0, 3, 2]])
    with pytest.raises(InvalidRep, match="is not in the Lie algebra"):
        Homomorphism(line, SO(2), lie=[np.diag([1.0, -1])])
    with pytest.raises(InvalidRep, match="have size 3, and the images 2"):
        Homomorphism(Z(2), S(3), [[1, 0]])
    with pytest.raises(InvalidRep, match="is between groups"):
        Homomorphism(Z(2), "S(3)", [[1, 0]])  # type: ignore[arg-type]


def test_a_rep_of_another_group_is_not_pulled_back() -> None:
    with pytest.raises(InvalidRep, match="is not a rep of"):
        _s4_to_s3().pull_back(V(S(5)))
    mixed = _s4_to_s3().pull_back(V(S(3)) * V(SO(3)))
    assert mixed.size() == 9
    assert {repr(g) for g in (S(4), SO(3))} == {repr(a.G) for a in mixed._parts()}  # type: ignore[attr-defined]


def test_the_trivial_group_maps_to_every_group() -> None:
    inclusion = Homomorphism(Group(d=3), S(3))
    assert inclusion.pull_back(V).equivariant_basis().rank == 3
    assert np.array_equal(inclusion(np.eye(3)), np.eye(3))


def test_homomorphisms_are_values() -> None:
    assert _s4_to_s3() == _s4_to_s3()
    assert hash(_s4_to_s3()) == hash(_s4_to_s3())
    assert repr(_s4_to_s3()) == "<S(4) → S(3)>"
    assert _s4_to_s3() != Homomorphism(S(4), S(3), [[0, 1, 2]] * 3)


def test_layers_take_a_pulled_back_rep() -> None:
    pulled = _s4_to_s3().pull_back(V)
    layer = Linear(V(S(4)) ** 2, pulled)
    assert layer(np.ones(16)).shape == (3,)


# -- restriction


def test_tensors_of_v_are_the_same_expression_over_the_subgroup() -> None:
    group = PointGroup("m-3m")
    assert Restrict((V**2 + 3 * V)(O(3)), group) == (V**2 + 3 * V)(group)
    assert Restrict((V**2 >> V)(S(4)), [[0, 1], [2]]).G.d == 4


@pytest.mark.slow
def test_so3_restricts_to_the_rotations_of_a_cube() -> None:
    """l = 2 splits into E and T₂, and l = 3 into A₂, T₁ and T₂ (Altmann and Herzig 1994)."""
    cube = PointGroup("432")
    found = {}
    for irrep in decompose(V(SO(3)) ** 3).multiplicities:
        parts = decompose(Restrict(irrep, cube)).multiplicities
        found[irrep.size()] = sorted(part.size() for part in parts for _ in range(parts[part]))
    assert found == {1: [1], 3: [3], 5: [2, 3], 7: [1, 3, 3]}


def _cosets(group: Group, subgroup: Group) -> Rep:
    """The permutation rep on the left cosets gH, by brute force."""
    whole, part = enumerate_elements(group), enumerate_elements(subgroup)
    assert whole is not None
    assert part is not None

    def name(coset: Any) -> frozenset[bytes]:
        return frozenset(np.rint(1e6 * e + 0.1).astype(int).tobytes() for e in coset)

    cosets = list(dict.fromkeys(name(g @ part.elements) for g in whole.elements))
    firsts = [next(g for g in whole.elements if name(g @ part.elements) == c) for c in cosets]
    images = []
    for h in group.group_generators:
        matrix = np.zeros((len(cosets), len(cosets)))
        for i, g in enumerate(firsts):
            matrix[cosets.index(name(np.asarray(dense(h)) @ g @ part.elements)), i] = 1
        images.append(matrix)
    return Rep.from_generators(group, images)


@pytest.mark.parametrize(
    ("group", "words"),
    [
        pytest.param(S(4), [[0, 1]], id="S(4), 3-cycle", marks=pytest.mark.slow),
        pytest.param(S(4), [[0], [1]], id="S(4), S(3)", marks=pytest.mark.slow),
        pytest.param(D(6), [[(0, 2)], [1]], id="D(6), D(3)", marks=pytest.mark.slow),
        pytest.param(D(5), [[1]], id="D(5), reflection"),
        pytest.param(Octahedral(), [[0], [1]], id="Octahedral", marks=pytest.mark.slow),
    ],
)
def test_frobenius_reciprocity(group: Group, words: Any) -> None:
    """dim Hom_H(R, 1) = dim Hom_G(R, ℝ[G/H])."""
    subgroup = Restrict(V(group), words).G
    cosets = _cosets(group, subgroup)
    for rep in (V(group), V(group) ** 2, V(group) ** 3):
        restricted = Restrict(rep, words)
        assert subgroup == restricted.G
        assert restricted.equivariant_basis().rank == (rep >> cosets).equivariant_basis().rank
    for irrep in decompose(V(group) ** 2).multiplicities:
        below = Restrict(irrep, words)
        assert below.equivariant_basis().rank == (irrep >> cosets).equivariant_basis().rank


def test_a_rep_by_generators_restricts_to_words() -> None:
    pairs = list(combinations(range(4), 2))
    images = []
    for h in S(4).group_generators:
        move = as_signed_permutation(h)
        assert move is not None
        p = move.indices
        images.append([pairs.index(tuple(sorted((int(p[i]), int(p[j]))))) for i, j in pairs])
    edges = Rep.from_generators(S(4), images)
    assert edges.equivariant_basis().rank == 1
    below = Restrict(edges, [[0]])  # one transposition: orbits {01}, {23}, {02, 12}, {03, 13}
    assert below.equivariant_basis().rank == 4
    assert below.equivariant_basis().certificate.method == "orbits"


def test_one_turn_of_the_cube_has_as_many_orbits_as_its_cycles() -> None:
    cube = RubiksCube()
    below = Restrict(V(cube), [[0]])
    move = as_signed_permutation(cube.group_generators[0])
    assert move is not None
    fixed = int((move.indices == np.arange(48)).sum())
    assert below.equivariant_basis().rank == fixed + (48 - fixed) // 4


def test_what_is_no_subgroup_is_refused() -> None:
    with pytest.raises(InvalidRep, match=r"the image of h\[0\] is not in D\(4\)"):
        Restrict(V(D(4)), D(3))
    with pytest.raises(InvalidRep, match="acts on 3 dimensions"):
        Restrict(V(D(4)), SO(3))
    with pytest.raises(InvalidRep, match="restrict a rep over one"):
        Restrict(V, D(3))
    with pytest.raises(InvalidRep, match="not a generator of"):
        Restrict(V(S(3)), [[5]])
    with pytest.raises(InvalidRep, match="is larger than"):
        Restrict(V(S(3)), [[(0, 10**9)]])
    with pytest.raises(InvalidRep, match="a list of words"):
        Restrict(V(S(3)), "S(2)")
    assert Restrict(Scalar, D(3)) == Scalar


def test_undecided_membership_is_said() -> None:
    shears = Group(discrete_generators=[[[1.0, 1], [0, 1]]])
    far = Group(discrete_generators=[[[1.0, 40_000], [0, 1]]])
    assert "not known to be in" in Homomorphism(far, shears, far.group_generators).note
    assert Restrict(V(shears) ** 2, far) == V(far) ** 2


def test_reflections_are_not_among_rotations() -> None:
    with pytest.raises(InvalidRep, match=r"is not in SO\(3\)"):
        Restrict(V(SO(3)), O(3))
    assert Restrict(V(O(3)), SO(3)) == V(SO(3))
