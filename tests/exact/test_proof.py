"""The bound goes into the certificate, and stays there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from intertwine.bases import Basis, Certificate, load_basis, save_basis
from intertwine.errors import MethodNotApplicable, SolveError
from intertwine.exact import prove
from intertwine.groups import SO, Group
from intertwine.reps import Rep, T, V


def _basis(rep: Rep) -> Basis:
    return rep.equivariant_basis(store=False)


def test_a_bound_that_is_reached_proves_the_rank(tmp_path: Path) -> None:
    rep = T(4)(SO(3))
    found = _basis(rep)
    assert (found.certificate.rank_bound, found.certificate.is_proven) == (None, False)
    proven = prove(rep, found)
    assert (proven.certificate.rank_bound, proven.certificate.is_proven) == (3, True)
    np.testing.assert_array_equal(proven.dense(), found.dense())
    assert "at most" in str(proven.certificate)
    save_basis(proven, tmp_path / "b.safetensors")
    assert load_basis(tmp_path / "b.safetensors").certificate == proven.certificate


def test_a_basis_of_more_than_the_bound_is_an_error() -> None:
    larger = _basis(T(6)(SO(3)))
    with pytest.raises(SolveError, match="at most 3"):
        prove(T(4)(SO(3)), larger)


def test_a_basis_of_less_is_not_proven() -> None:
    assert not prove(T(6)(SO(3)), _basis(T(4)(SO(3)))).certificate.is_proven


def test_generators_of_other_entries_have_no_bound() -> None:
    turn = np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])
    rep = V(Group(discrete_generators=[turn]))
    with pytest.raises(MethodNotApplicable):
        prove(rep, _basis(rep))


def test_older_certificates_have_none() -> None:
    document = json.loads(json.dumps(_basis(V(SO(2))).certificate.to_json()))
    del document["rank_bound"]
    assert Certificate.from_json(document).rank_bound is None
