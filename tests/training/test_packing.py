"""Packed weights: the same numbers, which an elementwise optimiser updates in the same way."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.example_training import Small, pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.training import Packing, fit
from intertwine.training.identity import name_of
from intertwine.training.optimizers import ELEMENTWISE, is_elementwise
from intertwine.training.packing import SMALL, Packed


def tree_of(seed: int = 0) -> Any:
    """Weights of two dtypes, some too large to be packed."""
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> Any:
        return jnp.asarray(rng.standard_normal(shape), jnp.float32)

    parts = {"a": drawn(3, 2), "b": [drawn(4), None, drawn()], "large": drawn(SMALL)}
    return parts | {"z": (drawn(2) + 1j, drawn(2, 2) * 1j)}


def assert_close(a: Any, b: Any, rtol: float) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-6)


class TestPacking:
    @pytest.mark.slow
    @settings(deadline=None, max_examples=20)
    @given(
        st.lists(
            st.tuples(
                st.lists(st.integers(0, 3), max_size=3),
                st.sampled_from(["float32", "complex64", "float16"]),
            ),
            min_size=1,
            max_size=6,
        )
    )
    def test_unpacking_returns_every_array(self, kinds: Any) -> None:
        tree = [jnp.asarray(np.random.default_rng(0).normal(size=s), d) for s, d in kinds]
        packing = Packing.of(tree)
        assert_close(packing.unpack(packing.pack(tree)), tree, rtol=0)

    def test_small_arrays_share_a_vector_for_each_dtype(self) -> None:
        packed = Packing.of(tree_of()).pack(tree_of())
        assert [(v.dtype.name, v.shape) for v in packed.vectors] == [
            ("float32", (11,)),
            ("complex64", (6,)),
        ]
        assert [array.shape for array in packed.large] == [(SMALL,)]

    @pytest.mark.slow
    @pytest.mark.parametrize("factory", sorted(ELEMENTWISE, key=name_of), ids=name_of)
    def test_an_elementwise_optimiser_updates_packed_weights_in_the_same_way(
        self, factory: Any
    ) -> None:
        weights = {name: one for name, one in tree_of().items() if name != "z"}
        packing, optimizer = Packing.of(weights), factory(0.01)
        state, packed = optimizer.init(weights), packing.pack(weights)
        packed_state = packing.pack_all(state)
        expected = jax.tree.structure(optimizer.init(packed))
        assert jax.tree.structure(packed_state) == expected
        for seed in (1, 2):
            gradient = {name: one for name, one in tree_of(seed).items() if name != "z"}
            moved, packed_state = optimizer.update(packing.pack(gradient), packed_state, packed)
            packed = optax.apply_updates(packed, moved)
            updates, state = optimizer.update(gradient, state, weights)
            weights = optax.apply_updates(weights, updates)
        assert_close(packing.unpack(packed), weights, rtol=1e-5)
        assert_close(packing.unpack_all(packed_state), state, rtol=1e-5)


class TestElementwise:
    def test_only_known_functions_with_plain_arguments_are_elementwise(self) -> None:
        partial = functools.partial
        for known in (optax.adam, partial(optax.adamw, weight_decay=0.1), optax.sgd):
            assert is_elementwise(known)
        unknown = (
            *(optax.lamb, optax.lars, optax.adafactor, optax.adam(1e-3), lambda rate: None),
            partial(optax.adamw, mask=lambda weights: weights),
            partial(optax.lars, momentum=0.9),
        )
        for one in unknown:
            assert not is_elementwise(one)


class TestFit:
    @pytest.mark.slow
    @pytest.mark.parametrize("optimizer", [optax.adam, functools.partial(optax.sgd, momentum=0.9)])
    def test_a_fit_equals_one_without_packing(
        self, optimizer: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[Any] = []

        def spy(rate: float) -> optax.GradientTransformation:
            made = optimizer(rate)

            def update(gradient: Any, state: Any, weights: Any = None) -> Any:
                seen.append(type(gradient))
                return made.update(gradient, state, weights)

            return optax.GradientTransformation(made.init, update)

        how: dict[str, Any] = {"epochs": 5, "batch_size": 16, "optimizer": spy}
        apart = fit(Small(3, 2), pairs(), **how)
        monkeypatch.setattr("intertwine.training.jax_engine.is_elementwise", lambda one: True)
        packed = fit(Small(3, 2), pairs(), **how)
        assert seen == [Small, Packed]
        assert_close(packed.model, apart.model, rtol=1e-4)
