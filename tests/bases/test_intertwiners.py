"""The storage `intertwiners`: the same projector as by `svd`, in every form, library and file."""

from __future__ import annotations

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.bases import Intertwiners, from_arrays, from_bytes, to_arrays, to_bytes
from intertwine.errors import FormatError
from intertwine.groups import parse_group
from intertwine.reps import parse

CASES = (
    ("SO(3)", "V**5"), ("SO(2)", "V**4"), ("SO13p()", "V**2*V.T**2"), ("Sp(2)", "V**2*V.T"),
    ("U(2)", "V**2*V.T**2"), ("SU(3)", "V**3"), ("S(4)", "V**3"), ("O(3)", "V**3"), ("D(5)", "V"),
)  # fmt: skip


@pytest.mark.parametrize(("group", "text"), CASES)
def test_it_is_the_basis(group: str, text: str) -> None:
    rep = parse(text)(parse_group(group))
    basis, expected = (rep.equivariant_basis(method=m) for m in ("irreps", "svd"))
    assert isinstance(basis.storage, Intertwiners)
    assert basis.shape == expected.shape
    Q, P = basis.dense(), expected.dense()
    np.testing.assert_allclose(Q @ Q.conj().T, P @ P.conj().T, atol=1e-11)
    np.testing.assert_allclose(basis.H @ Q, np.eye(basis.rank), atol=1e-13)
    np.testing.assert_allclose(basis.sparse().toarray(), Q, atol=1e-13)
    v = np.random.default_rng(0).standard_normal((rep.size(), 3))
    np.testing.assert_allclose(basis.project(v), P @ (P.conj().T @ v), atol=1e-11)
    np.testing.assert_allclose(basis.H @ v, Q.conj().T @ v, atol=1e-12)
    for i in range(min(3, basis.rank)):
        np.testing.assert_allclose(basis[:, i], Q[:, i], atol=1e-14)
    again = from_bytes(to_bytes(basis))
    np.testing.assert_array_equal(again.dense(), Q)
    assert again.nbytes == basis.nbytes


@pytest.mark.slow
@pytest.mark.parametrize("group", ["SO(3)", "U(2)"])
def test_it_works_in_jax(group: str) -> None:
    rep = parse("V**2*V.T**2")(parse_group(group))
    basis = rep.equivariant_basis(method="irreps")
    Q = basis.dense()
    w = np.random.default_rng(1).standard_normal((5, basis.rank)).astype(np.float32)
    found = jax.jit(jax.vmap(lambda x: basis @ x))(jnp.asarray(w))
    assert found.dtype == (jnp.complex64 if np.iscomplexobj(Q) else jnp.float32)
    np.testing.assert_allclose(found, w @ Q.T, atol=1e-5)
    gradient = jax.grad(lambda x: jnp.sum(abs(basis @ x) ** 2))(jnp.asarray(w[0]))
    np.testing.assert_allclose(gradient, 2 * w[0], atol=1e-5)


def test_coordinates_are_ordered_by_irrep_copy_copy_endomorphism() -> None:
    rep = parse("V**4")(parse_group("SO(2)"))
    storage = rep.equivariant_basis(method="irreps").storage
    assert isinstance(storage, Intertwiners)
    left, right = storage.left.multiplicities, storage.right.multiplicities
    at = 0
    for irrep, units in storage.endomorphisms.items():
        for i in range(left[irrep]):
            for j in range(right[irrep]):
                for unit in units:
                    one = np.zeros((storage.shape[1], 1))
                    one[at] = 1
                    at += 1
                    inner = storage.left.forward(storage.apply(one).reshape(4, 4))[irrep]
                    back = storage.right.forward(np.ascontiguousarray(inner[i].T))[irrep]
                    np.testing.assert_allclose(back[j].T, unit / np.sqrt(len(unit)), atol=1e-12)


def test_what_is_stored_is_small() -> None:
    basis = parse("V**12")(parse_group("SO(3)")).equivariant_basis()
    assert basis.shape == (531_441, 4213)
    assert basis.certificate.method == "irreps"
    assert len(to_bytes(basis)) < 100_000


def test_what_does_not_fit_is_refused() -> None:
    arrays, metadata = to_arrays(parse("V**5")(parse_group("SO(3)")).equivariant_basis())
    storage = metadata["storage"]
    assert storage["kind"] == "intertwiners"

    def broken(*path: str | int, value: object) -> None:
        wrong = copy.deepcopy(metadata)
        at = wrong["storage"]
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        with pytest.raises(FormatError):
            from_arrays(arrays, wrong)

    broken("left", value=None)
    broken("left", "sizes", value=[3, 3, 0])
    broken("left", "sizes", value=[3, 3])
    broken("left", "steps", 0, 0, 0, value=99)
    broken("left", "steps", 1, 0, 2, value="nothing")
    broken("endomorphisms", 0, 0, value=77)
    broken("endomorphisms", 0, 1, value=storage["left"]["steps"][0][0][2])
