"""Semidirect and wreath products: orders, actions, ranks, and refused actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.errors import InvalidGroup
from intertwine.groups import (
    SO,
    Group,
    Klein,
    O,
    S,
    SemidirectProduct,
    Trivial,
    WreathProduct,
    Z,
    group_document,
    read_group,
)
from intertwine.groups.enumeration import enumerate_elements
from intertwine.reps import Rep, V

_E = np.zeros((3, 4, 4))
_E[range(3), range(3), 3] = 1
#: Translations of space on affine coordinates, and rotations, which act on them.
SHIFTS = Group(lie_algebra=_E, name="translations")
TURNS = [np.pad(np.asarray(a), (0, 1)) for a in SO(3).lie_generators]
TURN = np.pad(np.asarray(SO(2).lie_generators[0]), (0, 2))
SHEAR = np.eye(4) + np.diag([1, 0, 0], 1)


def order_of(group: Group) -> int:
    known = enumerate_elements(group)
    assert known is not None
    return known.order


@pytest.mark.parametrize(
    ("group", "blocks", "order"),
    [(Z(2), 3, 2**3 * 6), (Z(3), Z(2), 18), (S(3), Z(3), 6**3 * 3), (Z(2), Trivial(2), 4)],
    ids=repr,
)
def test_a_wreath_product_has_its_order(group: Group, blocks: Any, order: int) -> None:
    product = WreathProduct(group, blocks)
    assert order_of(product) == order
    assert product.is_permutation


def test_a_wreath_product_of_rotations_acts_on_particles() -> None:
    """n vectors that are rotated separately and exchanged have one invariant form."""
    product = WreathProduct(O(3), 4)
    assert product.d == 12
    assert (V**2)(product).equivariant_basis().rank == 1
    assert (V**4)(product).equivariant_basis().rank == 3 + 3  # pairings in a block, and of two
    assert product.is_orthogonal


def test_a_wreath_product_needs_permutations() -> None:
    with pytest.raises(InvalidGroup, match=r"O\(3\) does not permute its coordinates"):
        WreathProduct(Z(2), O(3))


def test_klein_and_s3_make_s4() -> None:
    product = SemidirectProduct(Klein(), S(3), [[1, 0, 2, 3], [2, 1, 0, 3]])
    assert order_of(product) == 24
    assert repr(product) == "(Klein() ⋊ S(3))"
    # on the first four coordinates it is S(4) itself
    first = {element[:4, :4].tobytes() for element in _elements(product)}
    assert first == {element.tobytes() for element in _elements(S(4))}


def _elements(group: Group) -> np.ndarray:
    known = enumerate_elements(group)
    assert known is not None
    return known.elements + 0.0


def test_translations_and_rotations_make_motions() -> None:
    """ℝ³ ⋊ SO(3) on affine coordinates, and on three more that SO(3) rotates."""
    product = SemidirectProduct(SHIFTS, SO(3), TURNS)
    assert (product.d, len(product.lie_generators)) == (7, 6)

    class Affine(Rep):
        def __init__(self, G: Group) -> None:
            self.G = G

        def rho(self, M: Any) -> Any:
            return M[:4, :4]

    assert Affine(product).equivariant_basis().rank == 0
    assert Affine(product).T.equivariant_basis().rank == 1


def test_a_product_is_read_from_its_document() -> None:
    product = SemidirectProduct(Klein(), S(3), [[1, 0, 2, 3], [2, 1, 0, 3]])
    assert read_group(group_document(product)) == product
    wreath = WreathProduct(SO(2), 2)
    assert read_group(group_document(wreath)) == wreath


@pytest.mark.parametrize(
    ("normal", "acting", "action", "message"),
    [
        (Z(4), Z(2), [[1, 0, 2, 3]], "a matrix of the action does not map"),
        (SO(3), Z(2), [np.diag([2.0, 1, 1])], "a matrix of the action does not map"),
        (SO(2), SO(2), [np.array([[0.0, 1], [0, 0]])], "a matrix of the action does not map"),
        (Klein(), S(3), [[1, 0, 2, 3]], "for each of the 2 generators"),
        (Klein(), Z(2), [[1, 0, 2]], r"found the shapes \[\(3, 3\)\]"),
        (Klein(), Z(2), [np.zeros((4, 4))], "acts by a singular matrix"),
        (Klein(), Z(2), [np.full((4, 4), np.nan)], "entries that are not finite"),
        (Klein(), Z(2), [[0, 0, 1, 2]], "neither a matrix nor a permutation"),
        (Klein(), Z(2), ["ab"], "neither a matrix nor a permutation"),
        (SHIFTS, SO(2), [TURN / 2], "the action is not a representation of SO\\(2\\)"),
        (SHIFTS, SO(3), [0.5 * each for each in TURNS], "the action is not a representation"),
        (SHIFTS, Z(2), [SHEAR], r"h\[0\]\^2 = 1, but the same product of the images is not 1"),
        (SHIFTS, O(2), [TURN, np.eye(4)], "the action is not a representation of O\\(2\\)"),
        (Z(3), Z(2), [np.diag([1j, 1j, 1j])], "has 12 elements instead of 3 · 2"),
    ],
    ids=range(14),
)
def test_invalid_actions_are_refused(
    normal: Group, acting: Group, action: Any, message: str
) -> None:
    with pytest.raises(InvalidGroup, match=message):
        SemidirectProduct(normal, acting, action)
