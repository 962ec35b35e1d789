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
from hypothesis import given
from hypothesis import strategies as st
from intertwine.architecture.by_content import cleaned, content_digest
from intertwine.architecture.features import Kind
from intertwine.architecture.irrep_space import irrep_space_of
from intertwine.groups import SO, O
from intertwine.nn import EMLP, bake, load, save
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
        assert content_digest(again) == content_digest(kind)
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
        assert content_digest(change(_kind())) != content_digest(_kind())

    def test_constants_of_other_reps_differ(self) -> None:
        spaces = [
            irrep_space_of(rep, group, is_complex=False)
            for group in (SO(3), O(3))
            for rep in (V(group), Scalar)
        ]
        assert len({*spaces}) == 4

    def test_content_that_is_unknown_has_no_digest(self) -> None:
        assert content_digest({"maps": [object()]}) is None

    def test_digests_tell_nested_values_apart(self) -> None:
        values = [((1, 2), 3), (1, (2, 3)), (1, 2, 3), {1: (2, 3)}, ("1", 2, 3), (1.0, 2, 3)]
        assert len({*map(content_digest, values)}) == len(values)

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


ENTRIES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 3**-0.5, -(2**-0.5), 2.0, 3.0])


class TestCleaned:
    """Zeros and units up to rounding are exact; other entries keep all their digits."""

    @pytest.mark.parametrize("factor", [1, 1j])
    @given(st.lists(ENTRIES, max_size=12), st.integers(0, 2**32 - 1))
    def test_entries_within_rounding_of_zero_and_one_are_exact(
        self, factor: complex, entries: list[float], seed: int
    ) -> None:
        exact = np.array([1.0, *entries]) * factor
        noise = np.random.default_rng(seed).uniform(-1e-14, 1e-14, (2, len(exact)))
        found = cleaned(exact + (noise[0] + 1j * noise[1] if factor == 1j else noise[0]))
        assert found.dtype == exact.dtype
        for part, true in ((found.real, exact.real), (found.imag, exact.imag)):
            special = np.abs(true) <= 1
            special &= true == np.rint(true)
            np.testing.assert_array_equal(part[special], true[special])
            assert not np.any(np.signbit(part[part == 0]))
            np.testing.assert_allclose(part, true, rtol=0, atol=2e-14)

    def test_other_entries_keep_their_digits(self) -> None:
        entries = np.array([1 / 3, 0.1, 1e-9, -1.25, 2 + 1e-15, 1 - 1e-10])
        np.testing.assert_array_equal(cleaned(entries), entries)

    def test_rounding_is_relative_to_the_largest_entry(self) -> None:
        np.testing.assert_array_equal(cleaned(np.array([1e-9, 1e-24])), [1e-9, 0])

    @pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 2)])
    def test_empty_and_zero_arrays(self, shape: tuple[int, ...]) -> None:
        assert cleaned(np.zeros(shape)).shape == shape
        assert cleaned(np.zeros(shape, complex)).shape == shape
