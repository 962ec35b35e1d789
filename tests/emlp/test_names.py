"""EMLP's top-level names, and its addresses of operators and reps."""

import sys

import intertwine
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.program import python
from intertwine import Group, Scalar, T, V
from intertwine.groups import SO, S
from intertwine.reps import rel_err
from intertwine.reps.linear_operators import (
    ConcatLazy,
    I,
    Lazy,
    LazyDirectSum,
    LazyKron,
    LazyKronsum,
    LazyPerm,
    LazyShift,
    densify,
    lazify,
)
from intertwine.reps.product_sum_reps import DirectProduct, ProductRep, SumRep
from intertwine.reps.representation import Base, Dual, Rep, ScalarRep

#: The groups that EMLP has at its top level.
GROUPS = (
    *("C", "Cube", "D", "DkeR3", "GL", "Group", "Lorentz", "O", "O11", "O13", "O2eR3"),
    *("RubiksCube", "S", "SL", "SO", "SO11p", "SO13", "SO13p", "SO2eR3", "SU", "Scaling"),
    *("Sp", "Trivial", "U", "Z", "ZksZnxZn"),
)


@pytest.mark.parametrize("name", [*intertwine._NAMES, *GROUPS])
def test_each_name_at_the_top_is_that_of_its_package(name: str):
    found = getattr(intertwine, name)
    package = sys.modules[f"intertwine.{intertwine._NAMES.get(name, 'groups')}"]
    assert found is getattr(package, name)
    assert name in dir(intertwine)


def test_names_at_the_top_load_no_jax():
    program = (
        "from intertwine import T, V, Scalar, Group, SO\nimport sys; print('jax' in sys.modules)"
    )
    assert python(program).split() == ["False"]


def test_a_name_that_does_not_exist_is_an_attribute_error():
    for module in (intertwine, intertwine.groups, intertwine.reps):
        with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
            _ = module.Nothing


def test_operators_made_by_emlps_names_are_their_matrices():
    A, p = np.arange(4.0).reshape(2, 2), LazyPerm(np.array([1, 0]))
    cases = [
        (Lazy(A), A),
        (lazify(A), A),
        (I(2), np.eye(2)),
        (LazyShift(3), np.roll(np.eye(3), 1, axis=0)),
        (ConcatLazy([Lazy(A), p, A]), np.concatenate([A, p.dense(), A])),
        (LazyKron([A, p]), np.kron(A, p)),
        (LazyKronsum([A, p]), np.kron(A, np.eye(2)) + np.kron(np.eye(2), p)),
        (LazyDirectSum([A, p], [2, 1]).T, LazyDirectSum([A, A, p]).dense().T),
    ]
    for operator, matrix in cases:
        np.testing.assert_array_equal(densify(operator), matrix)
        np.testing.assert_array_equal(operator.dot(jnp.eye(matrix.shape[1])), matrix)
    assert lazify(p) is p
    assert densify(A) is A


def test_constraints_can_be_written_as_in_emlp():
    rep = T(2)(S(4)) + V(S(4))
    rows = [lazify(rep.rho(h)) - I(rep.size()) for h in rep.G.discrete_generators]
    written = ConcatLazy(rows)
    np.testing.assert_array_equal(written.dense(), rep.constraint_matrix().dense())


def test_classes_of_reps_at_emlps_addresses_tell_reps_apart():
    W = V(SO(3))
    assert isinstance(W + Scalar, SumRep)
    assert isinstance(W * W, ProductRep)
    assert isinstance(W * V(S(3)), DirectProduct)
    assert isinstance(V.T, Dual)
    assert isinstance(W, Base)
    assert isinstance(Scalar, ScalarRep)
    assert issubclass(SumRep, Rep)
    assert isinstance(W.G, Group)


@pytest.mark.parametrize("xp", [np, jnp])
def test_the_relative_error_is_between_zero_and_one(xp):
    a = xp.asarray([3.0, 4.0])
    assert rel_err(a, a) == 0
    assert rel_err(a, -a) == 1
    assert rel_err(0 * a, 0 * a) == 0
    assert rel_err(a, 0 * a) == 1
    assert float(rel_err(a, a + 5j)) == pytest.approx(50**0.5 / (5 + 75**0.5))
    assert np.isnan(rel_err(a, a * np.nan))
