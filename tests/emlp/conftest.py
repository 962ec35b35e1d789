"""What the tests of EMLP's pages share: JAX in either precision, and `vis` without its picture."""

from collections.abc import Callable, Iterator

import jax
import numpy as np
import pytest
from intertwine.reps import Rep


@pytest.fixture(params=[False, True], ids=["JAX in float32", "JAX in float64"])
def precision(request: pytest.FixtureRequest) -> Iterator[np.dtype]:
    """JAX as a notebook finds it, and with `jax_enable_x64`: the dtype that its arrays have."""
    with jax.enable_x64(request.param):
        yield np.dtype("float64" if request.param else "float32")


@pytest.fixture
def vis() -> Callable[[Rep, Rep], np.ndarray]:
    """What EMLP's `vis(rep_in, rep_out)` computes before it draws: a random equivariant map."""

    def picture(rep_in: Rep, rep_out: Rep) -> np.ndarray:
        rep = rep_in >> rep_out
        P = rep.equivariant_projector()
        Q = rep.equivariant_basis()
        v = np.random.default_rng(1).standard_normal(P.shape[1])
        v = np.round(P @ v, decimals=4)
        assert P.shape == (Q.shape[0], Q.shape[0])
        return v.reshape(rep_out.size(), rep_in.size())

    return picture
