"""Copied and loaded models have the same tree structure as their originals."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from helpers.example_networks import CASES, moved, points
from intertwine.groups import SO, O
from intertwine.nn import EMLP, bake, load, save
from intertwine.nn.features import Kind
from intertwine.nn.irrep_space import irrep_space_of
from intertwine.reps import Scalar, V

QUICK = ("SO(3)", "SU(2)", "not reductive")
SAVED = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in CASES
    if name != "a rep of the user's own"
]


def _kind() -> Kind:
    [kind] = irrep_space_of(V(SO(3)), SO(3), is_complex=False).kinds.values()
    return kind


class TestConstants:
    def test_equal_entries_make_constants_equal(self) -> None:
        kind = _kind()
        again = replace(kind, endomorphisms=kind.endomorphisms.copy())
        assert again == kind
        assert hash(again) == hash(kind)
        assert again == kind  # known by now

    @pytest.mark.parametrize(
        "change",
        [
            lambda kind: replace(kind, name="W3_000000"),
            lambda kind: replace(kind, is_trivial=True),
            lambda kind: replace(kind, endomorphisms=2 * kind.endomorphisms),
            lambda kind: replace(kind, endomorphisms=kind.endomorphisms.astype(np.float32)),
            lambda kind: replace(kind, endomorphisms=kind.endomorphisms[:, :2, :2]),
            lambda kind: kind.name,
        ],
        ids=["a text", "a flag", "entries", "a dtype", "a shape", "something else"],
    )
    def test_a_different_field_makes_constants_differ(self, change: Callable[[Kind], Any]) -> None:
        assert change(_kind()) != _kind()

    def test_constants_of_other_reps_differ(self) -> None:
        spaces = [
            irrep_space_of(rep, group, is_complex=False)
            for group in (SO(3), O(3))
            for rep in (V(group), Scalar)
        ]
        assert len({*spaces}) == 4

    def test_pickles_do_not_contain_the_hash(self) -> None:
        """Hashes of strings differ between processes."""
        kind = _kind()
        hash(kind)
        assert {*vars(pickle.loads(pickle.dumps(kind)))} == {"name", "is_trivial", "endomorphisms"}


@pytest.mark.parametrize("name", SAVED)
@pytest.mark.sampled(3)
def test_loaded_and_copied_models_have_the_same_tree_structure(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model = moved(EMLP(case.rep_in, case.rep_out, case.group, case.hidden, 2, channels=3))
    save(model, tmp_path)
    same = load(tmp_path), copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    for other in same:
        assert jax.tree.structure(other) == jax.tree.structure(model)
    assert jax.tree.structure(bake(same[0])) == jax.tree.structure(bake(model))


def test_loaded_and_copied_models_average_and_share_one_program(tmp_path: Path) -> None:
    model = EMLP(2 * V, V, SO(3), ch=16, num_layers=1)
    save(moved(model), tmp_path)
    traces = []

    @eqx.filter_jit
    def run(model: Any, x: Any) -> Any:
        traces.append(model)
        return model(x)

    x = points(model.rep_in)
    mean = jax.tree.map(lambda a, b: (a + b) / 2, model, load(tmp_path))
    y = [np.asarray(run(m, x)) for m in (model, load(tmp_path), mean)]
    assert len(traces) == 1
    assert not np.allclose(y[0], y[2])
