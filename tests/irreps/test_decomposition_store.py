"""Catalogues in a store: the next process starts with them, and nobody is harmed by a bad one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.program import environment
from intertwine.bases.safetensors_file import read_file, write_arrays
from intertwine.groups import Group, parse_group
from intertwine.irreps import Decomposer, decomposition_store
from intertwine.irreps.decomposition_store import store_key
from intertwine.reps import V
from intertwine_cache import Store

GROUPS = ["SO(3)", "SO13p()", "S(5)", "U(2)", "SL(2)", "Cube()"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def _decomposer(group: Group) -> Decomposer:
    return Decomposer(group, np.dtype(complex if group.is_complex else float))


def _grown(name: str, power: int = 3) -> Decomposer:
    found = _decomposer(parse_group(name))
    found.decompose((V(found.group),) * power)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", GROUPS)
def test_saved_irreps_are_loaded_again(name: str, store: Store) -> None:
    first = _grown(name)
    decomposition_store.save(first, store)
    second = _decomposer(first.group)
    decomposition_store.load(second, store)
    assert [i.name for i in second.catalogue.irreps] == [i.name for i in first.catalogue.irreps]
    assert second.catalogue.products.keys() == first.catalogue.products.keys()
    for one, other in zip(first.catalogue.irreps[1:], second.catalogue.irreps[1:], strict=True):
        np.testing.assert_array_equal(one.rep.given.matrices, other.rep.given.matrices)
        np.testing.assert_array_equal(one.rep.constraints.matrices, other.rep.constraints.matrices)
        np.testing.assert_array_equal(one.endomorphisms, other.endomorphisms)
    atoms = (V(first.group),) * 4
    one, other = first.decompose(atoms), second.decompose(atoms)
    assert one.transform.multiplicities == other.transform.multiplicities
    assert other.errors.max(initial=0.0) < 1e-12


def test_it_is_kept_again_when_it_has_grown_by_half(store: Store) -> None:
    found = _grown("SO(3)", 2)
    decomposition_store.save(found, store)
    decomposition_store.save(found, store)
    assert store.read(store_key(found, 1)) is None
    found.decompose((V(found.group),) * 5)
    decomposition_store.save(found, store)
    entry = store.read(store_key(found, 1))
    assert entry is not None
    assert len(read_file(entry[1])[1]["irreps"]) == 5
    fresh = _decomposer(found.group)
    decomposition_store.load(fresh, store)
    assert len(fresh.catalogue.irreps) == 6


def test_a_catalogue_that_has_something_is_left_alone(store: Store) -> None:
    decomposition_store.save(_grown("SO(3)", 4), store)
    busy = _grown("SO(3)", 1)
    decomposition_store.load(busy, store)
    assert len(busy.catalogue.irreps) == 2


def test_a_spoilt_one_is_put_away_and_found_anew(store: Store) -> None:
    found = _grown("SO(3)")
    decomposition_store.save(found, store)
    entry = store.read(store_key(found, 0))
    assert entry is not None
    arrays, metadata = read_file(entry[1])
    name = metadata["irreps"][1]["matrices"]
    arrays = {**arrays, name: 2 * arrays[name]}
    other = Store(store.layout.root.parent / "other")
    other.publish(store_key(found, 0), lambda write: write_arrays(arrays, metadata, write), {})
    fresh = _decomposer(found.group)
    decomposition_store.load(fresh, other)
    assert len(fresh.catalogue.irreps) == 1
    assert other.read(store_key(found, 0)) is None
    fresh.decompose((V(fresh.group),) * 3)  # nothing of it is left
    assert len(fresh.catalogue.irreps) == 4


def test_irreps_of_a_users_own_reps_stay_at_home(store: Store) -> None:
    from dataclasses import dataclass
    from typing import Any

    from intertwine.reps import Rep

    @dataclass(frozen=True)
    class Determinant(Rep):
        G: Any = None

        def rho(self, M: Any) -> Any:
            return np.linalg.det(M).reshape(1, 1)

    found = _decomposer(parse_group("O(3)"))
    found.decompose((Determinant(found.group), V(found.group)))
    decomposition_store.save(found, store)
    assert store.read(store_key(found, 0)) is None


def test_the_next_process_has_the_first_ones_gauge(tmp_path: Path) -> None:
    program = (
        "import json\n"
        "from intertwine.groups import SO\n"
        "from intertwine.irreps import decompose\n"
        "from intertwine.reps import T\n"
        "found = decompose(T(4)(SO(4)))\n"
        "print(json.dumps(found.matrix().tolist()))\n"
    )
    place = tmp_path / "cache"
    first, second = (
        subprocess.run(
            [sys.executable, "-c", program],
            env=environment(INTERTWINE_CACHE=str(place)),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    )
    np.testing.assert_allclose(json.loads(first), json.loads(second), atol=1e-12)
    assert any(place.rglob("*"))
