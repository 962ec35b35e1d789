"""Initial weights are drawn in NumPy: the same numbers everywhere, without a compiled program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intertwine.architecture.initialization import sampled
from intertwine.architecture.seed import Seed, as_seed
from intertwine.errors import InvalidSetting
from intertwine.groups import SO, U
from intertwine.nn import EMLP, MLP, BiLinear, EMLPBlock, Linear, Standardize
from intertwine.reps import Scalar, T, V

IN, OUT = (2 * V + 3)(SO(3)), (V + T(2))(SO(3))
SEEDS = st.integers(-(2**63), 2**64 - 1)
PATHS = st.lists(st.integers(0, 99), max_size=3)

Make = Callable[[Any], Any]
#: Layers and networks of a key.
LAYERS: dict[str, Make] = {
    "EMLP": lambda key: EMLP(IN, OUT, SO(3), 24, 2, key=key),
    "complex EMLP": lambda key: EMLP(V, V, U(2), 16, 1, key=key),
    "MLP": lambda key: MLP(IN, OUT, SO(3), 24, 1, key=key),
    "Linear": lambda key: Linear(IN, OUT, key=key),
    "channelwise BiLinear": lambda key: BiLinear(IN, OUT, key=key),
    "paper BiLinear": lambda key: BiLinear(IN, OUT, bilinear="paper", key=key),
    "EMLPBlock": lambda key: EMLPBlock(IN, OUT, bilinear="paper", key=key),
}


def arrays(model: Any) -> list[Any]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array))]


class TestSeeds:
    @pytest.mark.parametrize("seed", [5, np.int64(5), np.uint8(5)], ids=repr)
    def test_any_integer_is_a_seed_and_has_the_seed_of_its_key(self, seed: Any) -> None:
        assert as_seed(seed) == as_seed(jax.random.key(5)) == as_seed(jax.random.PRNGKey(5))
        assert as_seed(as_seed(seed)) == as_seed(5)

    @pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
    def test_keys_of_every_implementation(self, implementation: str) -> None:
        first, second = jax.random.split(jax.random.key(0, impl=implementation))
        a, b = (as_seed(key).generator().standard_normal(8) for key in (first, second))
        assert not np.any(a == b)

    @given(SEEDS, SEEDS)
    def test_different_integers_are_different_seeds(self, a: int, b: int) -> None:
        assert (as_seed(a) == as_seed(b)) == (a % 2**64 == b % 2**64)

    @given(
        SEEDS, st.lists(st.integers(0, 99), max_size=3), st.lists(st.integers(0, 99), max_size=3)
    )
    def test_children_have_other_numbers(self, seed: int, a: list[int], b: list[int]) -> None:
        def below(path: list[int]) -> Any:
            found = as_seed(seed)
            for index in path:
                found = found.child(index)
            return found.generator().standard_normal(8)

        np.testing.assert_array_equal(below(a), below(a))
        assert (a == b) == bool(np.any(below(a) == below(b)))

    @pytest.mark.parametrize(
        ("key", "said"),
        [
            (None, "key is a seed, such as 0, or a key of jax.random, not None"),
            (0.5, "key is a seed, such as 0, or a key of jax.random, not 0.5"),
            (2**64, "a seed has at most 64 bits, and 18446744073709551616 has more"),
            (
                jax.random.split(jax.random.key(0), 3),
                "key is one key of jax.random, not an array of key<fry> of shape (3,): "
                "make an ensemble by eqx.filter_vmap over the keys",
            ),
            (
                jnp.zeros(2),
                "key is one key of jax.random, not an array of float32 of shape (2,): "
                "make an ensemble by eqx.filter_vmap over the keys",
            ),
        ],
        ids=["None", "a float", "too many bits", "several keys", "floats"],
    )
    def test_invalid_keys_are_refused(self, key: Any, said: str) -> None:
        with pytest.raises(InvalidSetting) as caught:
            as_seed(key)
        assert str(caught.value) == said


class TestNumbers:
    def test_they_are_the_same_on_every_platform_and_with_every_version(self) -> None:
        """A change of NumPy that changes them would change every network."""
        found = sampled(as_seed(5).child(1), {"a": ((2,), 1.0), "b": ((1, 2), 4.0)}, np.float32)
        np.testing.assert_allclose(found["a"], [0.27984464170483514, 0.9202229826339765], 1e-14)
        np.testing.assert_allclose(found["b"], [[1.4934039135560069, 0.9695602078671605]], 1e-14)

    def test_variances(self) -> None:
        specs = {"a": ((200, 300), 1.0), "b": ((300, 200), 0.25)}
        for dtype in (np.float32, np.complex64):
            found = sampled(as_seed(0), specs, dtype)
            for name, (shape, variance) in specs.items():
                assert found[name].shape == shape
                assert abs(np.mean(np.abs(found[name]) ** 2) / variance - 1) < 0.03
                assert abs(np.mean(found[name])) < 0.02
        assert abs(np.mean(found["a"].real ** 2) - np.mean(found["a"].imag ** 2)) < 0.02

    def test_precision_only_rounds_them(self) -> None:
        with jax.enable_x64(True):
            wide, narrow = (EMLP(IN, OUT, SO(3), 24, 1, dtype=f"float{n}") for n in (64, 32))
            pairs = zip(arrays(wide), arrays(narrow), strict=True)
        for exact, rounded in pairs:
            assert exact.dtype == np.float64
            np.testing.assert_array_equal(exact.astype(np.float32), rounded)


class TestPrograms:
    @pytest.mark.parametrize("name", LAYERS)
    def test_no_layer_compiles_a_program(self, name: str, programs: list[str]) -> None:
        LAYERS[name](7)
        assert programs == []

    def test_no_network_compiles_a_program(self, programs: list[str]) -> None:
        model = EMLP(2 * V + Scalar, T(2), SO(3), 384)
        Standardize(model, (0.0, 2.0))
        assert programs == []

    @pytest.mark.slow
    def test_the_paper_s_form_compiles_one_program(self, programs: list[str]) -> None:
        """The scale of its outputs: those layers have no other implementation than JAX's."""
        EMLP(2 * V + Scalar, T(2), SO(3), 24, 1, bilinear="paper")
        assert programs == ["jit(_sizes)"]


class TestTraced:
    @pytest.mark.sampled(4)
    @pytest.mark.parametrize("style", [jax.random.key, jax.random.PRNGKey], ids=["new", "old"])
    @pytest.mark.parametrize("name", LAYERS)
    def test_an_ensemble_has_the_weights_of_its_members_made_one_by_one(
        self, name: str, style: Make
    ) -> None:
        keys = jax.random.split(style(0), 3)
        ensemble = arrays(eqx.filter_vmap(LAYERS[name])(keys))
        members = zip(*(arrays(LAYERS[name](key)) for key in keys), strict=True)
        for found, expected in zip(ensemble, members, strict=True):
            np.testing.assert_array_equal(found, np.stack(expected))

    @pytest.mark.slow
    def test_a_compiled_program_may_make_and_differentiate_a_network(self) -> None:
        x = np.linspace(-1, 1, IN.size(), dtype=np.float32)

        @jax.jit
        @jax.grad
        def gradient(scale: Any, key: Any) -> Any:
            return (LAYERS["EMLP"](key)(scale * x) ** 2).sum()

        def expected(scale: float) -> Any:
            return (LAYERS["EMLP"](2)(scale * x) ** 2).sum()

        found = gradient(1.0, jax.random.key(2))
        np.testing.assert_allclose(found, jax.grad(expected)(1.0), rtol=1e-4)

    def test_seeds_in_a_compiled_program_are_not_traced(self) -> None:
        @jax.jit
        def weight() -> Any:
            return LAYERS["Linear"](5).weights

        np.testing.assert_array_equal(
            *(
                np.concatenate([w.ravel() for w in jax.tree.leaves(found)])
                for found in (weight(), LAYERS["Linear"](5).weights)
            )
        )


def test_a_seed_is_a_value() -> None:
    assert Seed((0, 5), (1,)) == Seed((0, 5)).child(1)
    assert not Seed((0, 5)).is_traced
