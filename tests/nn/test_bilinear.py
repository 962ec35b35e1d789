"""Bilinear layers: which quadratic maps they reach in both forms, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.example_networks import CASES, double_precision, points
from helpers.oblique_groups import NOT_REDUCTIVE
from intertwine.architecture.bilinear_maps import require_form
from intertwine.errors import InvalidSetting, MethodNotApplicable
from intertwine.groups import SO, SU, Group, S, SO13p
from intertwine.nn import BiLinear, gated, uniform_rep
from intertwine.reps import Rep, Scalar, T, V
from jax.extend.core import jaxprs_in_params


def spanned(layer: BiLinear, x: np.ndarray, count: int) -> np.ndarray:
    """Return the images of points x, a row for each draw of random weights."""
    rng = np.random.default_rng(5)
    weights = {name: rng.standard_normal((count, *w.shape)) for name, w in layer.weights.items()}
    images = jax.jit(jax.vmap(lambda w: layer.maps.apply(w, jnp.asarray(x))))(weights)
    return np.asarray(images).reshape(count, -1)


def rank(rows: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(rows, tol=1e-9 * np.linalg.norm(rows)))


# -- the paper's form, by its definition

#: So many copies of T(p, q), and so on.
Tensors = Sequence[tuple[int, tuple[int, int]]]


def as_rep(tensors: Tensors, group: Group) -> Rep:
    return sum((n * T(*pq) for n, pq in tensors), start=0 * Scalar)(group)


def copies_in(x: np.ndarray, tensors: Tensors, d: int) -> list[tuple[tuple[int, int], np.ndarray]]:
    """Return each copy of each tensor in a batch of vectors."""
    found, at = [], 0
    for n, pq in tensors:
        for _ in range(n):
            found.append((pq, x[:, at : at + d ** sum(pq)]))
            at += d ** sum(pq)
    return found


def papers_maps(x: np.ndarray, rep_in: Tensors, rep_out: Tensors, group: Group) -> np.ndarray:
    """W(x)x for each parameter of W(x) being 1 and all others 0.

    W has a block for every pair of tensors. Its axes are those of T(p, q) ⊗ T(p', q')*; brought
    into the order V … V V* … V*, it is a combination of the copies of that tensor in x.
    """
    d, orthogonal, rows = group.d, group.is_orthogonal, []
    inputs = copies_in(x, rep_in, d)
    starts = np.cumsum([0, *(n * d ** sum(pq) for n, pq in rep_out)])
    for t, (n_out, (p, q)) in enumerate(rep_out):
        for o in range(n_out):
            for (pi, qi), source in inputs:
                axes = [0] * p + [1] * q + [1] * pi + [0] * qi  # 1 is a dual one
                kind = (len(axes), 0) if orthogonal else (axes.count(0), axes.count(1))
                order = np.argsort(axes, kind="stable") if not orthogonal else np.arange(len(axes))
                if not axes:
                    continue  # products with scalars are left out
                same = [k for pq, k in inputs if pq == kind][: d ** len(axes)]
                for k in same:
                    slots = k.reshape(-1, *[d] * len(axes))
                    block = slots.transpose(0, *(np.argsort(order) + 1))
                    block = block.reshape(len(x), d ** (p + q), d ** (pi + qi))
                    y = np.zeros((len(x), starts[-1]), dtype=x.dtype)
                    at = starts[t] + o * d ** (p + q)
                    y[:, at : at + d ** (p + q)] = np.einsum("boi,bi->bo", block, source)
                    rows.append(y.ravel())
    return np.array(rows)


@pytest.mark.parametrize(
    ("group", "rep_in", "rep_out"),
    [
        (SO(3), [(2, (0, 0)), (2, (1, 0)), (1, (2, 0))], [(1, (0, 0)), (1, (1, 0)), (1, (2, 0))]),
        (SO13p(), [(2, (1, 0)), (1, (0, 1)), (1, (1, 1))], [(1, (0, 0)), (1, (0, 1)), (1, (1, 1))]),
        (S(3), [(5, (1, 0)), (1, (2, 0))], [(1, (1, 0)), (1, (0, 0))]),
        (SU(2), [(2, (1, 0)), (1, (0, 1)), (1, (1, 1))], [(1, (0, 0)), (1, (1, 0)), (1, (1, 1))]),
        (NOT_REDUCTIVE["SE(2)"], [(2, (1, 0)), (1, (0, 1))], [(2, (0, 0)), (1, (1, 0))]),
    ],
    ids=["SO(3)", "SO13p", "S(3)", "SU(2)", "SE(2)"],
)
@pytest.mark.sampled(3)
def test_the_paper_form_spans_exactly_the_papers_maps(
    group: Group, rep_in: Tensors, rep_out: Tensors
) -> None:
    with double_precision() as dtype:
        layer = BiLinear(
            as_rep(rep_in, group), as_rep(rep_out, group), bilinear="paper", dtype=dtype
        )
        x = points(layer.rep_in, 30, is_complex=layer.maps.is_complex)
        theirs = papers_maps(x, rep_in, rep_out, group)
        ours = spanned(layer, x, len(theirs) + 3)
    assert sum(w.size for w in layer.weights.values()) == len(theirs)
    assert rank(ours) == rank(theirs) == rank(np.concatenate([ours, theirs]))


def test_three_layers_of_the_papers_size_have_the_papers_number_of_parameters() -> None:
    wide = gated(uniform_rep(384, SO(3)))
    layer = BiLinear(wide, wide, bilinear="paper")
    assert 3 * sum(w.size for w in layer.weights.values()) == 226_944


# -- the channelwise form


def equivariant_quadratic_maps(rep_in: Rep, rep_out: Rep) -> int:
    """Return their number: symmetric tensors in Hom(ρ ⊗ ρ, ρ'), without products of two scalars."""
    n = rep_in.size()
    maps = np.asarray((rep_in * rep_in >> rep_out).equivariant_basis().dense())
    tensors = maps.reshape(rep_out.size(), n, n, maps.shape[1])
    symmetric = rank((tensors + tensors.swapaxes(1, 2)).reshape(-1, maps.shape[1]))
    scalars, constants = (rep.equivariant_basis().rank for rep in (rep_in, rep_out))
    return symmetric - scalars * (scalars + 1) // 2 * constants


@pytest.mark.parametrize(
    "name",
    [
        *("SO(3)", "SO(2), of complex type", "quaternionic type", "SU(2)", "SO13p"),
        pytest.param("S(4)", marks=pytest.mark.slow),
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("O(3)", "U(2)", "Sp(2)", "Z(5)")),
        pytest.param("an oblique frame", marks=pytest.mark.slow),
        pytest.param("signed permutations", marks=pytest.mark.slow),
        pytest.param("a rep of the user's own", marks=pytest.mark.slow),
    ],
)
@pytest.mark.sampled(3)
def test_enough_channels_span_all_quadratic_maps_except_products_of_two_scalars(
    name: str,
) -> None:
    case = CASES[name]
    with double_precision() as dtype:
        layer = BiLinear(case.rep_in, case.rep_out, channels=64, dtype=dtype)
        expected = equivariant_quadratic_maps(case.rep_in, case.rep_out)
        x = points(case.rep_in, 40 + expected, is_complex=layer.maps.is_complex)
        assert rank(spanned(layer, x, expected + 10)) == expected


def test_fewer_channels_have_fewer_parameters() -> None:
    rep = 8 * Scalar + 8 * V
    sizes = [
        sum(w.size for w in BiLinear(rep, rep, SO(3), channels=c).weights.values())
        for c in (0, 1, 4, 16, 17)
    ]
    assert sizes[0] == 0 < sizes[1] < sizes[2] < sizes[3] == sizes[4]


# -- either form


@pytest.mark.slow
@pytest.mark.parametrize("form", ["channelwise", "paper"])
def test_no_array_of_shape_batch_out_in_is_built(form: Any) -> None:
    rep, batch = gated(uniform_rep(128, SO(3))), 7
    layer = BiLinear(rep, rep, bilinear=form)
    program = jax.make_jaxpr(jax.grad(lambda x: jnp.sum(layer(x) ** 2)))(
        jnp.ones((batch, rep.size()))
    )
    largest = max(np.prod(v.aval.shape) for v in variables(program.jaxpr))
    assert batch * rep.size() <= largest < batch * rep.size() ** 2 / 4


def variables(program: Any) -> list[Any]:
    """Return everything that a program computes, including nested programs."""
    found = []
    for equation in program.eqns:
        found += equation.outvars
        for inner in jaxprs_in_params(equation.params):
            found += variables(inner)
    return found


@pytest.mark.parametrize("form", ["channelwise", "paper"])
def test_layers_are_quadratic(form: Any) -> None:
    layer = BiLinear(2 * V + Scalar, V + T(2), SO(3), bilinear=form)
    x = points(layer.rep_in).astype(np.float32)
    np.testing.assert_allclose(layer(-3 * x), 9 * layer(x), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", ["channelwise", "paper"])
@pytest.mark.parametrize(
    ("rep_in", "rep_out"),
    [(V, V + 0 * T(2)), (3 * Scalar, 2 * Scalar), (0 * V, V), (V, 0 * V), (2 * Scalar, V)],
    ids=["V → V", "scalars", "from nothing", "to nothing", "scalars → V"],
)
def test_layers_without_products_are_zero(rep_in: Rep, rep_out: Rep, form: Any) -> None:
    group = SU(2) if rep_in == V else SO(3)
    layer = BiLinear(rep_in, rep_out, group, bilinear=form)
    assert layer.weights == {}
    y = layer(np.ones((4, layer.rep_in.size())))
    np.testing.assert_array_equal(y, np.zeros((4, layer.rep_out.size())))


def test_products_of_scalars_need_no_group() -> None:
    assert BiLinear(2 * Scalar, Scalar)(np.ones((3, 2))).shape == (3, 1)


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(InvalidSetting) as caught:
        require_form("tensor")
    assert str(caught.value) == 'bilinear is "channelwise" or "paper", not \'tensor\''
    with pytest.raises(InvalidSetting, match=r"reps of one group, and these have 2: use bilinear="):
        BiLinear(V(S(3)), V(SO(3)))
    with pytest.raises(InvalidSetting, match=r"channels is an integer from 0 on, not -1"):
        BiLinear(V, V, SO(3), channels=-1)
    with pytest.raises(MethodNotApplicable):
        BiLinear(V, V, NOT_REDUCTIVE["SE(2)"])


@pytest.mark.slow
def test_equal_arguments_share_their_maps() -> None:
    for form in ("channelwise", "paper"):
        first, second = (BiLinear(T(2) + V, V, SO(3), bilinear=form, key=k) for k in (0, 1))  # type: ignore[arg-type]
        assert first.maps is second.maps
        assert not eqx.tree_equal(first, second)
