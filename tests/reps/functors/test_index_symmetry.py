"""Symmetries of indices: the group of a formula, the basis, and the constants of crystals."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import InvalidRep, TooLarge
from intertwine.groups import CRYSTAL_CLASSES, SO, O, PointGroup
from intertwine.reps import Alt, Indexed, Rep, Scalar, Sym, V, basis_key
from intertwine.reps.functors import tensor_subspace

#: For each class, the numbers of independent elastic constants of second and third order, of
#: piezoelectric and of photoelastic constants (Nye, *Physical Properties of Crystals*, 1985, tables
#: 8, 9 and 15; third order: Brugger, J. Appl. Phys. 36, 1965, 759, table I, by Laue classes).
CONSTANTS = {
    "1": (21, 56, 18, 36), "-1": (21, 56, 0, 36),
    "2": (13, 32, 8, 20), "m": (13, 32, 10, 20), "2/m": (13, 32, 0, 20),
    "222": (9, 20, 3, 12), "mm2": (9, 20, 5, 12), "mmm": (9, 20, 0, 12),
    "4": (7, 16, 4, 10), "-4": (7, 16, 4, 10), "4/m": (7, 16, 0, 10),
    "422": (6, 12, 1, 7), "4mm": (6, 12, 3, 7), "-42m": (6, 12, 2, 7), "4/mmm": (6, 12, 0, 7),
    "3": (7, 20, 6, 12), "-3": (7, 20, 0, 12),
    "32": (6, 14, 2, 8), "3m": (6, 14, 4, 8), "-3m": (6, 14, 0, 8),
    "6": (5, 12, 4, 8), "-6": (5, 12, 2, 8), "6/m": (5, 12, 0, 8),
    "622": (5, 10, 1, 6), "6mm": (5, 10, 3, 6), "-6m2": (5, 10, 1, 6), "6/mmm": (5, 10, 0, 6),
    "23": (3, 8, 1, 4), "m-3": (3, 8, 0, 4),
    "432": (3, 6, 0, 3), "-43m": (3, 6, 1, 3), "m-3m": (3, 6, 0, 3),
}  # fmt: skip
ELASTIC = Indexed(V, "ijkl=jikl=klij")
TENSORS: tuple[Rep, ...] = (
    ELASTIC, Sym(3, Sym(2, V)), V * Sym(2, V), Sym(2, V) >> Sym(2, V)
)  # fmt: skip


@pytest.mark.parametrize("formula", ["ij=-ji", "ijk=jik", "ijkl=jikl=klij"])
def test_large_derivatives_are_sparse_products(
    formula: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    subspace = Indexed(V, formula).subspace_of(4)
    for matrix in (rng.standard_normal((4, 4)), 1j * np.diag([1, 0, 0, 2]), np.eye(4, dtype=int)):
        dense = subspace.derivative(matrix)
        monkeypatch.setattr(tensor_subspace, "_DENSE_ENTRIES", 0)
        sparse = subspace.derivative(matrix)
        monkeypatch.undo()
        assert sparse.dtype == dense.dtype
        np.testing.assert_allclose(sparse, dense, rtol=1e-15, atol=1e-15)


def rank(rep: Rep) -> int:
    return int(rep.equivariant_basis(store=False).shape[1])


@pytest.mark.parametrize("symbol", ["1", "mm2", "-4", "32", "6", "-43m"])
def test_crystals_have_their_published_numbers_of_constants(symbol: str) -> None:
    group = PointGroup(symbol)
    assert tuple(rank(tensor(group)) for tensor in TENSORS) == CONSTANTS[symbol]


@pytest.mark.slow
def test_all_classes_have_their_published_numbers_within_ten_seconds() -> None:
    assert CONSTANTS.keys() == {row.hermann_mauguin for row in CRYSTAL_CLASSES}
    begun = time.process_time()
    found = {
        symbol: tuple(rank(tensor(PointGroup(symbol))) for tensor in TENSORS)
        for symbol in CONSTANTS
    }
    assert found == CONSTANTS
    assert time.process_time() - begun < 10


def test_isotropic_constants() -> None:
    assert [rank(tensor(O(3))) for tensor in TENSORS] == [2, 3, 0, 2]


def test_elastic_constants_are_a_symmetric_form_on_symmetric_tensors() -> None:
    group = SO(3)
    full: Any = ELASTIC(group)
    forms: Any = Sym(2, Sym(2, V))(group)
    assert full.size() == forms.size() == 21
    # both embed into V⁴: one through symmetric pairs
    pairs = np.asarray(Sym(2, V)(group).embed.dense())  # type: ignore[attr-defined]
    in_full = np.kron(pairs, pairs) @ forms.embed.dense()
    np.testing.assert_allclose(full.embed @ (full.project @ in_full), in_full, atol=1e-14)


def test_a_cubic_crystal_in_voigt_order() -> None:
    """c₁₁, c₁₂ and c₄₄ of a cubic crystal, read from the basis through the full tensor."""
    rep: Any = ELASTIC(PointGroup("m-3m"))
    tensor = np.zeros((3, 3, 3, 3))
    c11, c12, c44 = 166.0, 64.0, 80.0  # silicon, GPa
    for i in range(3):
        for j in range(3):
            tensor[i, i, j, j] = c11 if i == j else c12
            if i != j:
                tensor[i, j, i, j] = tensor[i, j, j, i] = c44
    vector = rep.project @ tensor.ravel()
    np.testing.assert_allclose(rep.embed @ vector, tensor.ravel(), atol=1e-12)
    np.testing.assert_allclose(rep.equivariant_projector() @ vector, vector, atol=1e-12)
    # an entry that occurs m times has the weight √m: c₁₁ once, c₁₂ twice, c₄₄ four times
    first = [tuple(index) for index in rep.indices.tolist()]
    assert vector[first.index((0, 0, 0, 0))] == pytest.approx(c11)
    assert vector[first.index((0, 0, 1, 1))] == pytest.approx(np.sqrt(2) * c12)
    assert vector[first.index((0, 1, 0, 1))] == pytest.approx(2 * c44)
    assert rep.order == 8


@pytest.mark.parametrize(
    ("formula", "same"),
    [
        ("ij=ji", "ab = ba"),
        ("ijkl=jikl=klij", "ijkl=ijlk=klij"),
        ("ij=-ji", "-ij=ji"),
        ("ijk=jik=kji", "ijk=jki=jik"),
        ("ijkl=klij", "ijkl=klij=klij=ijkl"),
    ],
)
def test_formulas_of_one_group_are_equal(formula: str, same: str) -> None:
    one, other = Indexed(V, formula), Indexed(V, same)
    assert one == other
    assert hash(one) == hash(other)
    assert basis_key(one(SO(3))) == basis_key(other(SO(3)))


def test_formulas_of_other_groups_differ() -> None:
    assert Indexed(V, "ij=ji") != Indexed(V, "ij=-ji")
    assert Indexed(V, "ijk=jik") != Indexed(V, "ijk=kji")
    assert Indexed(V, "ij=ji") != Sym(2, V)


def test_formulas_without_equalities_are_powers() -> None:
    assert Indexed(V, "ijk") == V**3
    assert Indexed(V, "ij=ij") == V**2
    assert Indexed(2, "ij=ji") == 3 * Scalar


@laws
@given(st.data(), st.integers(2, 4))
def test_the_basis_spans_the_tensors_of_the_formula(data: st.DataObject, k: int) -> None:
    letters = "ijkl"[:k]
    words = []
    for _ in range(data.draw(st.integers(1, 2))):
        word = "".join(data.draw(st.permutations(letters)))
        words.append(data.draw(st.sampled_from(["", "-"])) + word)
    try:
        rep: Any = Indexed(V, "=".join([letters, *words]))
    except InvalidRep:
        return  # a sign contradicts itself
    if rep == V**k:
        return
    e = np.asarray(rep.subspace_of(3).embedding.dense())
    np.testing.assert_allclose(e.T @ e, np.eye(e.shape[1]), atol=1e-14)
    # each word holds for every column …
    projector = np.eye(3**k)
    for word in words:
        sign = -1.0 if word.startswith("-") else 1.0
        axes = [letters.index(letter) for letter in word.removeprefix("-")]
        for column in e.T:
            tensor = column.reshape((3,) * k)
            np.testing.assert_allclose(
                tensor, sign * np.transpose(tensor, np.argsort(axes)), atol=1e-14
            )
        moved = np.eye(3**k).reshape((3**k, *(3,) * k))
        swapped = sign * np.transpose(moved, [0, *(1 + np.argsort(axes))]).reshape(3**k, 3**k)
        constraint = swapped.T - np.eye(3**k)
        projector = np.concatenate([projector, constraint]) if len(projector) > 3**k else constraint
    # … and no other tensor satisfies all
    assert 3**k - np.linalg.matrix_rank(projector) == e.shape[1] or len(words) == 2


def test_full_symmetry_is_sym_and_alt() -> None:
    for formula, other in (("ijk=jik=ikj", Sym(3, V)), ("ijk=-jik=-ikj", Alt(3, V))):
        ours: Any = Indexed(V, formula)
        subspace, power = ours.subspace_of(4), other.subspace_of(4)  # type: ignore[attr-defined]
        np.testing.assert_allclose(subspace.embedding.dense(), power.embedding.dense(), atol=1e-15)


def test_bounds() -> None:
    with pytest.raises(TooLarge, match="17 indices"):
        Indexed(V, "abcdefghijklmnopq")
    with pytest.raises(TooLarge, match="words"):
        Indexed(V, "=".join(["ij"] * 100))
    wide: Any = Indexed(V, "abcdefghijklmnop=bacdefghijklmnop")
    assert wide(SO(3)).size() == (3**16 + 3**15) // 2
    with pytest.raises(TooLarge, match="at most 20,000"):
        wide(SO(3)).equivariant_basis(method="svd", store=False)
