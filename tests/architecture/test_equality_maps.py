"""Layers over groups of all permutations: every equivariant map, without its matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.architecture.equality_maps import EqualityMaps, Pattern
from intertwine.architecture.linear_maps import SchurMaps
from intertwine.errors import InvalidRep
from intertwine.groups import SO, D, Group, S, Z
from intertwine.nn import Linear, Pointwise, Sequential, load, save
from intertwine.reps import Rep, Scalar, V
from jax.flatten_util import ravel_pytree


def permutations(n: int, *, even: bool = False, signed: bool = False) -> Group:
    """Return all permutations of n coordinates, or the even ones, with signs or without."""
    full = np.eye(n)[np.roll(np.arange(n), 1)]
    few = np.eye(n)[[1, 2, 0, *range(3, n)] if even else [1, 0, *range(2, n)]]
    signs = [np.diag([-1.0] + [1.0] * (n - 1))] if signed else []
    threes = [few, *(np.eye(n)[_three(n, k)] for k in range(3, n))]
    return Group(discrete_generators=[*(threes if even else [full, few]), *signs])


def _three(n: int, k: int) -> list[int]:
    indices = list(range(n))
    indices[0], indices[1], indices[k] = 1, k, 0
    return indices


SIGNED = permutations(4, signed=True)
CASES = {
    "vectors": (V(S(5)), V(S(5))),
    "matrices": (V(S(5)) ** 2, V(S(5)) ** 2),
    "fewer nodes than indices": (V(S(3)) ** 2, V(S(3)) ** 2),
    "two nodes": (V(S(2)) ** 3, V(S(2)) + Scalar),
    "one node": (V(S(1)) ** 2, V(S(1))),
    "mixed": (2 * V(S(4)) ** 2 + V(S(4)) + 3 * Scalar, V(S(4)) + 2 * V(S(4)) ** 2 + Scalar),
    "out of order": (V(S(3)) + Scalar + V(S(3)) ** 2 + V(S(3)), Scalar + V(S(3)) ** 2 + Scalar),
    "to a scalar": (2 * V(S(5)) ** 2 + V(S(5)), Scalar),
    "of a scalar": (2 * Scalar, V(S(5)) ** 2),
    "to three indices": (V(S(4)), V(S(4)) ** 3),
    "two groups": (V(S(3)) * V(S(4)), V(S(3)) * V(S(4)) + V(S(4))),
    "even": (V(permutations(6, even=True)) ** 2, V(permutations(6, even=True)) ** 2),
    "signed": (V(SIGNED) ** 2 + V(SIGNED), V(SIGNED) ** 2 + V(SIGNED) + Scalar),
}


def unit_maps(maps: Any) -> np.ndarray:
    """Return W and b, of shape (·, m, n + 1), for each weight being 1 and the others 0."""
    n = maps.rep_in.size()
    shapes = {name: np.zeros(shape) for name, (shape, _) in maps.weight_spec.items()}
    flat, shaped = ravel_pytree((shapes, np.zeros(maps.constants)))
    inputs = jnp.concatenate([jnp.zeros((1, n)), jnp.eye(n)])
    found = jax.jit(jax.vmap(lambda w: maps.apply(*shaped(w), inputs)))(np.eye(len(flat)))
    return np.concatenate([found[:, 1:] - found[:, :1], found[:, :1]], axis=1).swapaxes(1, 2)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.sampled(6)
def test_maps_span_all_equivariant_affine_maps(name: str) -> None:
    rep_in, rep_out = CASES[name]
    with jax.enable_x64(True):
        layer = Linear(rep_in, rep_out, dtype=np.float64)
        assert isinstance(layer.maps, EqualityMaps)
        every = unit_maps(layer.maps)
    free = layer.maps.constants
    linear, constant = every[: len(every) - free, :, :-1], every[len(every) - free :, :, -1]
    for found, rep in ((linear, rep_in >> rep_out), (constant, rep_out)):
        basis = rep.equivariant_basis(store=False)
        rows = found.reshape(len(found), -1)
        assert np.linalg.matrix_rank(rows) == len(rows) == basis.rank
        np.testing.assert_allclose(rows, rows @ basis.dense() @ basis.dense().T, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.sampled(4)
def test_initial_outputs_have_the_mean_square_of_the_inputs(name: str) -> None:
    rep_in, rep_out = CASES[name]
    x = np.random.default_rng(0).standard_normal((200, rep_in.size()))
    squares = [np.mean(np.square(Linear(rep_in, rep_out, key=key)(x))) for key in range(60)]
    assert 0.6 < np.mean(squares) < 1.6


def test_the_patterns_of_linear_maps_of_vectors() -> None:
    maps = Linear(V(S(4)), V(S(4))).maps
    assert isinstance(maps, EqualityMaps)
    assert list(maps.patterns) == ["0→0 a←a", "0→0 a←b"]
    assert Pattern("ab", "ba").kept == "ba"


def test_a_graph_of_a_hundred_nodes_needs_no_matrix() -> None:
    matrices = V(S(100)) ** 2
    layer = Linear(matrices, matrices)
    assert sum(weight.size for weight in layer.weights.values()) == 15
    assert layer.bias.size == 2
    x = np.random.default_rng(0).standard_normal((1, 10_000)).astype(np.float32)
    program = jax.jit(lambda layer, x: layer(x)).lower(layer, x).compile()
    assert program.memory_analysis().temp_size_in_bytes < 50 * x.nbytes  # the matrix has 10,000
    y = np.asarray(program(layer, x)).reshape(100, 100)
    order = np.random.default_rng(1).permutation(100)
    moved = np.asarray(program(layer, x.reshape(100, 100)[order][:, order].reshape(1, -1)))
    np.testing.assert_allclose(moved.reshape(100, 100), y[order][:, order], atol=1e-5)


class TestOver:
    """The same weights for another number of nodes."""

    NETWORK = Sequential(
        Linear(V(S(5)) ** 2, 3 * V(S(5)) ** 2 + 2 * V(S(5)), key=0),
        Pointwise(3 * V(S(5)) ** 2 + 2 * V(S(5)), "tanh"),
        Linear(3 * V(S(5)) ** 2 + 2 * V(S(5)), V(S(5)) + Scalar, key=1),
    )

    @pytest.mark.slow
    def test_going_to_another_group_and_back_changes_nothing(self) -> None:
        again = self.NETWORK.over(S(30)).over(S(5))
        x = np.random.default_rng(0).standard_normal((2, 25))
        np.testing.assert_array_equal(again(x), self.NETWORK(x))

    @pytest.mark.parametrize("n", [4, 7, 30])
    @pytest.mark.sampled(3)
    def test_a_layer_is_equivariant_over_the_other_group(self, n: int) -> None:
        large = self.NETWORK.over(S(n))
        x = np.random.default_rng(0).standard_normal((n, n))
        order = np.random.default_rng(1).permutation(n)
        y, moved = np.asarray(large(x.ravel())), np.asarray(large(x[order][:, order].ravel()))
        np.testing.assert_allclose(moved, [*y[:n][order], y[n]], atol=1e-6)

    def test_weights_keep_their_meaning(self) -> None:
        """If each node is there twice, means do not change, and neither does the output."""
        layer = Linear(2 * V(S(6)), 2 * V(S(6)) + Scalar, key=3)
        x = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)
        y = np.asarray(layer(x.ravel()))
        double = np.asarray(layer.over(S(12))(np.repeat(x, 2, axis=1).ravel()))
        twice = np.concatenate([np.repeat(y[:12], 2), y[12:]])
        np.testing.assert_allclose(double, twice, atol=1e-6)

    @pytest.mark.parametrize("times", range(2, 8))
    @pytest.mark.sampled(4)
    def test_weights_of_tables_keep_their_meaning(self, times: int) -> None:
        """The order of the groups, which changes with their size, does not matter."""
        users, items, more = S(4), S(5), S(4 * times)

        def features(rows: Group, columns: Group) -> Rep:
            return 2 * V(rows) + 3 * V(columns) + V(columns) * V(rows) + Scalar

        def table(x: Any, rows: int) -> Any:
            """Return a table with each user several times."""
            row, column, cell, rest = np.split(x, [2 * rows, 2 * rows + 15, 7 * rows + 15])
            again = (np.repeat(row, times), np.repeat(cell.reshape(5, rows), times, axis=1).ravel())
            return np.concatenate([again[0], column, again[1], rest])

        layer = Linear(features(users, items), features(users, items), key=3)
        layer = eqx.tree_at(lambda one: one.bias, layer, np.arange(1.0, 8.0, dtype=np.float32))
        x = np.random.default_rng(0).standard_normal(44).astype(np.float32)
        y = np.asarray(layer.over({users: more})(table(x, 4)))
        np.testing.assert_allclose(y, table(np.asarray(layer(x)), 4), atol=1e-5)

    def test_an_unknown_group_is_refused(self) -> None:
        layer = Linear(V(S(4)), V(S(4)))
        with pytest.raises(InvalidRep, match=r"S\(7\) cannot be replaced: .* is over S\(4\)"):
            layer.over({S(7): S(9)})
        with pytest.raises(InvalidRep, match="cannot be replaced"):
            Sequential(layer, Pointwise(V(S(4)))).over({S(7): S(9)})

    def test_layers_without_the_replaced_groups_do_not_change(self) -> None:
        users, items = S(4), S(6)
        network = Sequential(
            Linear(V(users), V(items) + Scalar), Linear(V(items) + Scalar, V(items))
        )
        larger = network.over({users: S(9)})
        assert larger[0].rep_in == V(S(9))
        assert larger[1] is network[1]

    def test_some_of_several_groups_are_replaced(self) -> None:
        users, items = S(4), S(6)
        layer = Linear(V(users) * V(items), V(users) * V(items))
        larger = layer.over({users: S(9)})
        assert larger.rep_in == V(S(9)) * V(items)
        assert larger.weights is layer.weights
        with pytest.raises(InvalidRep, match="give a mapping from the group to replace"):
            layer.over(S(9))

    def test_groups_with_other_patterns_are_refused(self) -> None:
        with pytest.raises(InvalidRep, match="do not correspond"):
            Linear(V(S(5)) ** 2, V(S(5)) ** 2).over(S(3))
        with pytest.raises(InvalidRep, match="do not correspond"):
            Linear(V(Z(5)), V(Z(5))).over(Z(6))
        with pytest.raises(InvalidRep, match="do not correspond"):
            Linear(V(S(5)), V(S(5))).over(SO(5))


@pytest.mark.parametrize("group", [Z(5), D(5), S(3) * Z(2)], ids=repr)
def test_other_groups_take_irreps(group: Group) -> None:
    assert isinstance(Linear(V(group), V(group)).maps, SchurMaps)


@pytest.mark.parametrize("rep", [V(S(4)) ** 2 + V(S(4)), V(SIGNED) ** 2], ids=repr)
def test_equality_maps_are_saved_and_loaded(rep: Rep, tmp_path: Path) -> None:
    layer = Linear(rep, rep)
    save(layer, tmp_path)
    x = np.random.default_rng(0).standard_normal((3, rep.size()))
    np.testing.assert_array_equal(load(tmp_path)(x), layer(x))
