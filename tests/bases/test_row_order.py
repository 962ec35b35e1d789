"""A basis says whose coordinates its rows are, in memory and in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_networks import Determinant
from intertwine.bases import Basis, RowOrder, from_bytes, load_basis, save_basis, to_bytes
from intertwine.errors import FormatError, InvalidRep
from intertwine.groups import SO, Group, S
from intertwine.reps import Scalar, V, canonical

TURN = Group(discrete_generators=[[[0.0, -1.0], [1.0, 0.0]]])
L, R = SO(3).copies(2)
REPS = {
    "in another order than the canonical one": (V + 2 * Scalar)(SO(3)),
    "a product of sums": (V * (V + Scalar) + Scalar)(S(4)),
    "with a dual": (V.T + V)(Group(lie_algebra=[[[0.0, 1.0], [0.0, 0.0]]])),
    "a group without a name": (V + Scalar + V**2)(TURN),
    "two groups": V(S(3)) * V(SO(2)) + V(SO(2)),
    "copies of a group": V(L) * V(R) + V(L) * V(L),
    "scalars": 3 * Scalar,
}


@pytest.mark.parametrize("name", REPS)
def test_a_file_has_rep_group_and_order(name: str, tmp_path: Path) -> None:
    rep = REPS[name]
    basis = rep.equivariant_basis(store=False)
    assert basis.rep == rep
    save_basis(basis, tmp_path / "q.safetensors")
    found = load_basis(tmp_path / "q.safetensors")
    assert found.rep == rep
    assert str(found.rep) == str(rep)  # the order too
    np.testing.assert_array_equal(found.dense(), basis.dense())
    assert from_bytes(to_bytes(found)).rows == found.rows == basis.rows


def test_what_a_store_had_under_other_names_has_the_rows_asked_for(tmp_path: Path) -> None:
    first, second = (V + 2 * Scalar)(SO(3)), (2 * Scalar + V)(SO(3))
    assert canonical(first).rep == canonical(second).rep
    for rep in (first, second):
        assert rep.equivariant_basis(store=False).rep == rep


def test_reps_of_ones_own_are_in_words_only() -> None:
    found = from_bytes(to_bytes(Determinant()(SO(3)).equivariant_basis(store=False)))
    assert found.rows is not None
    with pytest.raises(InvalidRep, match=r"cannot be read|is not one of its groups"):
        _ = found.rep


def test_files_of_earlier_versions_say_nothing() -> None:
    basis = V(SO(3)).equivariant_basis(store=False)
    silent = Basis(basis.storage, basis.certificate)
    assert silent.rep is silent.rows is from_bytes(to_bytes(silent)).rep is None


@pytest.mark.parametrize(
    "document", [None, [], {}, {"rep": 3, "groups": {}}, {"rep": "V", "groups": {"G": 3}}]
)
def test_anything_else_is_refused(document: Any) -> None:
    with pytest.raises(FormatError, match="the rows of a basis are a rep"):
        RowOrder.from_json(document)


@pytest.mark.parametrize(
    "rows",
    [
        RowOrder("V", {}),
        RowOrder("V+", {"SO(3)": {"d": 3}}),
        RowOrder("V", {"G": {"discrete_generators": [[1, 0]], "d": "3"}}),
        RowOrder("V", {"A": {"d": 2}, "B": {"d": 3}}),
        RowOrder("V(SO(3))", {"SO(3)": {"d": 3}}),
    ],
    ids=repr,
)
def test_a_rep_that_cannot_be_read_is_refused_when_it_is_asked_for(rows: RowOrder) -> None:
    with pytest.raises(InvalidRep, match="of a file"):
        rows.read()
