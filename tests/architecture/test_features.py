"""Features in irrep coordinates: weights on the components of an irrep."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.example_networks import double_precision
from intertwine.architecture.features import Kind, mixed
from intertwine.architecture.irrep_space import kind_of
from intertwine.groups import SO, SU
from intertwine.irreps import decompose
from intertwine.reps import Scalar, V

#: An irrep of one dimension, one of three, one that commutes with rotations, and a complex one.
REPS = {"scalar": (Scalar, SO(3)), "3": (V, SO(3)), "SO(2)": (V, SO(2)), "SU(2)": (V, SU(2))}


def kind(name: str) -> Kind:
    rep, group = REPS[name]
    [irrep] = decompose(rep(group), group=group).multiplicities
    return kind_of(irrep)


def arrays(of: Kind, batch: int, new: int = 4, old: int = 3) -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(batch)
    weight = rng.standard_normal((new, of.freedom * old))
    return weight, [*rng.standard_normal((of.dimension, old, batch))]


def reference(weight: np.ndarray, of: Kind, x: list[np.ndarray]) -> np.ndarray:
    """Return (Σᵢ Wᵢ ⊗ Eᵢ)x from its definition."""
    parts = np.split(weight, of.freedom, axis=1)
    return sum(  # type: ignore[return-value]
        np.einsum("nm,de,emb->dnb", w, e, np.array(x))
        for w, e in zip(parts, of.endomorphisms, strict=True)
    )


@pytest.mark.sampled(3)
@pytest.mark.parametrize("batch", [0, 1, 2, 5, 64])
@pytest.mark.parametrize("name", REPS)
def test_every_form_of_a_product_is_the_same_map(name: str, batch: int) -> None:
    of = kind(name)
    weight, x = arrays(of, batch)
    expected = reference(weight, of, x)
    with double_precision():
        parts, constant = [jnp.asarray(part) for part in x], jnp.asarray(weight)
        found = {
            "NumPy": mixed(weight, of, x),
            "argument": jax.jit(lambda w, x: mixed(w, of, x))(constant, parts),
            "constant": jax.jit(lambda x: mixed(constant, of, x))(parts),
        }
    for image in found.values():
        np.testing.assert_allclose(np.array(image), expected, atol=1e-13)


def products(weight: Any, of: Kind, x: Any) -> list[tuple[int, ...]]:
    """Return the shapes of the matrix products of `mixed` with an argument or constant weight."""
    if isinstance(weight, jax.Array):
        traced = jax.make_jaxpr(lambda x: mixed(weight, of, x))(x)
    else:
        traced = jax.make_jaxpr(lambda w, x: mixed(w, of, x))(weight, x)
    dots = [e for e in traced.jaxpr.eqns if e.primitive is jax.lax.dot_general_p]
    return [dot.outvars[0].aval.shape for dot in dots]


@pytest.mark.parametrize(
    ("batch", "is_constant", "expected"),
    [
        (1, False, [(4, 1)] * 3),  # one by one: under vmap, columns would be interleaved
        (2, False, [(4, 6)]),
        (64, False, [(4, 192)]),
        (1, True, [(3, 4)]),  # few vectors are rows of a product with a constant
        (5, True, [(15, 4)]),
        (6, True, [(4, 18)]),
        (64, True, [(4, 192)]),
    ],
)
def test_the_components_of_an_irrep_are_multiplied_at_once(
    batch: int, is_constant: bool, expected: list[tuple[int, ...]]
) -> None:
    of = kind("3")
    weight, x = arrays(of, batch)
    assert products(jnp.asarray(weight) if is_constant else weight, of, x) == expected


def test_a_program_for_any_batch_multiplies_columns() -> None:
    of = kind("3")
    weight, x = arrays(of, 1)
    (batch,) = jax.export.symbolic_shape("batch")
    symbolic = [jax.ShapeDtypeStruct((3, batch), jnp.float32) for _ in x]
    [(rows, columns)] = products(jnp.asarray(weight), of, symbolic)
    assert rows == 4
    assert columns == 3 * batch
