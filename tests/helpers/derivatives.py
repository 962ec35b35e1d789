"""Compare what a network can represent, by its derivatives at 0, with what equivariance allows.

f(ρ(g)x) = ρ(g)f(x) for a network and all its weights, so its derivatives at the fixed point 0 are
equivariant maps: Df(0) from the input, D²f(0) from the input's symmetric square. A network that
leaves nothing out has weights for all of them, up to a linear combination.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import jax
import numpy as np
from intertwine.architecture.block import gate, linear_part, together
from intertwine.architecture.conjugates import with_conjugate, with_dual
from intertwine.architecture.features import mixed
from intertwine.groups import Group
from intertwine.nn import EMLP
from intertwine.nn.irrep_network import IrrepNetwork
from intertwine.reps import Rep

from helpers.compiled import IN_HASTE

_STEP = 1e-3
_RELATIVE, _SMALLEST = 1e-5, 1e-6


def possible(rep_in: Rep, rep_out: Rep) -> tuple[int, int]:
    """The dimensions of Hom(in, out) and Hom(Sym² in, out), by the solver; x̄ counts as input too
    where it is another vector than x.
    """
    source = with_dual(rep_in)
    n, m = source.size(), rep_out.size()
    linear = (source >> rep_out).equivariant_basis(store=False).rank
    basis = (source * source >> rep_out).equivariant_basis(store=False).dense()
    maps = basis.reshape(m, n, n, -1)
    symmetric = (maps + maps.swapaxes(1, 2)).reshape(m * n * n, -1)
    return linear, int(np.linalg.matrix_rank(symmetric, 1e-8)) if symmetric.size else 0


def spanned(model: EMLP, samples: int, seed: int = 0) -> tuple[int, int]:
    """The dimensions of what Df(0) and D²f(0) span, for so many random weights of a model in
    float64.
    """
    points = _points(model)
    rng, firsts, seconds = np.random.default_rng(seed), [], []
    leaves, structure = jax.tree_util.tree_flatten(model)
    call = _evaluator(model)
    for _ in range(samples):
        random = [_random(rng, np.asarray(leaf)) for leaf in leaves]
        with jax.enable_x64(True):
            values = np.asarray(call(jax.tree_util.tree_unflatten(structure, random), points))
        first, second = _differences(values)
        firsts.append(first)
        seconds.append(second)
    return _rank(firsts), _rank(seconds)


def _random(rng: np.random.Generator, leaf: np.ndarray) -> np.ndarray:
    drawn = rng.standard_normal(leaf.shape)
    if np.iscomplexobj(leaf):
        drawn = drawn + 1j * rng.standard_normal(leaf.shape)
    return drawn / np.sqrt(max(1, leaf.shape[-1] if leaf.ndim else 1))


def _points(model: EMLP) -> np.ndarray:
    """0, and ±hw and ±2hw for the coordinates' directions w = u, and w = u + v for pairs."""
    n, is_complex = model.rep_in.size(), _is_complex(model)
    units = np.eye(n) if not is_complex else np.concatenate([np.eye(n), 1j * np.eye(n)])
    pairs = combinations_with_replacement(range(len(units)), 2)
    directions = np.array([*units, *(units[i] + units[j] for i, j in pairs)])
    steps = [directions, -directions, 2 * directions, -2 * directions]
    return _STEP * np.concatenate([np.zeros((1, n)), *steps])


def _is_complex(model: EMLP) -> bool:
    return any(np.iscomplexobj(leaf) for leaf in jax.tree_util.tree_leaves(model))


def _differences(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivatives, to the fourth order of the step."""
    zero, (plus, minus, plus2, minus2) = values[0], np.split(values[1:], 4)
    slopes = (8 * (plus - minus) - (plus2 - minus2)) / (12 * _STEP)
    bends = (16 * (plus + minus) - (plus2 + minus2) - 30 * zero) / (12 * _STEP**2)
    return slopes.reshape(-1), bends.reshape(-1)


def _rank(samples: list[np.ndarray]) -> int:
    matrix = np.array(samples)
    values = np.linalg.svd(matrix, compute_uv=False)
    return int((values > max(_SMALLEST, _RELATIVE * values[0])).sum())


def _evaluator(model: EMLP) -> Any:
    if isinstance(model.network, IrrepNetwork):
        return by_numpy
    return jax.jit(lambda m, x: m(x), compiler_options=IN_HASTE)


def by_numpy(model: EMLP, x: np.ndarray) -> np.ndarray:
    """The function of a network in irreps, where nothing is compiled."""
    network = jax.tree_util.tree_map(np.asarray, model.network)
    features = network.space_in.enter(with_conjugate(x, network.space_in.size))
    for block in network.blocks:
        shape, one = block.shape, np.ones((1, len(x)))
        h, a, b = linear_part(shape, block.weights, features)
        h = together(h, shape.products(block.couplings, a, b))
        features = gate(shape, together(h, {shape.trivial: [block.bias[:, None] @ one]}))
    space = network.space_out
    out = {n: mixed(w, space.kinds[n], features[n]) for n, w in network.weights.items()}
    if space.trivial:
        bias = [network.bias[:, None] @ np.ones((1, len(x)))]
        out = together(out, {space.trivial: bias})
    return np.asarray(space.leave(out, x))


def network(rep_in: Rep, rep_out: Rep, group: Group, **settings: Any) -> EMLP:
    """A network in float64."""
    with jax.enable_x64(True):
        return EMLP(rep_in, rep_out, group, dtype=np.float64, **settings)
