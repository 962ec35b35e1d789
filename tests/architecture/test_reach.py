"""What a network can represent is a theorem, and does not depend on its width."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from helpers.complex_groups import COMPLEX, Q8, Phase, Rotations
from helpers.derivatives import by_numpy, network, possible, spanned
from helpers.example_networks import Determinant, irreps
from intertwine.errors import InvalidRep, ReachWarning
from intertwine.groups import SO, SU, C, D, Group, O, S, SO13p, Sp, U, Z
from intertwine.irreps import decompose
from intertwine.nn import EMLP, Standardize, load, save
from intertwine.nn.emlp import limits_of
from intertwine.reps import Rep, Scalar, V
from intertwine.reps.syntax import groups_of

pytestmark = pytest.mark.slow  # many networks are compiled

P = Determinant()
SHEARS = Group(lie_algebra=[[[0.0, 1.0], [0.0, 0.0]]])
TURNED = V(SO(3)) * V(S(2))
GROUPS = (
    *(SO(2), SO(3), SO(4), O(2), O(3), SO13p(), Sp(1), SU(2), U(1), U(2)),
    *(S(3), S(4), C(4), Z(5), D(4), D(5), Z(3) * S(2)),
)
SIGNED = (O(2), O(3), S(3), S(4), D(4), D(5))


def _random_rep(rng: np.random.Generator, group: Group, limit: int) -> Rep:
    pieces = [V, V.T, V**2]
    pieces += [Scalar] if not group.is_complex else []  # numbers that are real, whatever the group
    pieces += [P] if group in SIGNED else []
    while True:
        terms = [
            int(rng.integers(1, 4)) * pieces[int(rng.integers(len(pieces)))]
            for _ in range(int(rng.integers(1, 4)))
        ]
        rep: Rep = sum(terms[1:], start=terms[0])
        if rep(group).size() <= limit:
            return rep


def _is_complete(seed: int, *, bilinear: Any, widest: int) -> None:
    """Check that a random network has all of Hom(in, out) and Hom(Sym² in, out), or is refused."""
    rng = np.random.default_rng(seed)
    group = GROUPS[int(rng.integers(len(GROUPS)))]
    rep_in = _random_rep(rng, group, 6 if group.is_complex else 12)
    rep_out = _random_rep(rng, group, 9)
    ch, layers = int(rng.integers(4, widest + 1)), int(rng.integers(1, 4))
    allowed = possible(rep_in(group), rep_out(group))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReachWarning)  # of higher derivatives
        try:
            model = network(
                rep_in, rep_out, group, ch=ch, num_layers=layers, bilinear=bilinear, key=seed
            )
        except InvalidRep:
            assert allowed == (0, 0)
            return
    samples = int(1.3 * max(allowed)) + 5
    assert spanned(model, samples) == allowed, (group, rep_in, rep_out, ch, layers)


def _trivial(group: Group) -> Rep:
    return next(iter(decompose(Scalar, group=group).multiplicities))


class TestRealMatricesOverComplexGroups:
    """Irreps and reps with real matrices, in networks over complex numbers."""

    @pytest.mark.parametrize("bilinear", ["channelwise", "paper"])
    @pytest.mark.parametrize("name", COMPLEX)
    @pytest.mark.sampled(7)
    def test_the_trivial_irrep_is_a_scalar(self, name: str, bilinear: Any) -> None:
        group = COMPLEX[name]
        trivial = _trivial(group)
        cases = [(V(group), trivial), (trivial, Scalar)]
        if group.d < 3:
            cases += [(V(group), V(group) + trivial)]
        for rep_in, rep_out in cases:
            model = network(rep_in, rep_out, group, ch=8, bilinear=bilinear)
            allowed = possible(rep_in, rep_out)
            assert spanned(model, int(1.3 * max(allowed)) + 5) == allowed

    def test_signs_and_custom_reps_have_all_maps(self) -> None:
        sign = [*decompose(V(Q8) ** 2).multiplicities][1]
        real = Rotations()(SU(2))
        for rep_in, rep_out, group in (
            (V(Q8), sign, Q8),
            (sign, Scalar + sign, Q8),
            (V(SU(2)), real, SU(2)),
            (V(SU(2)) + real, real + Scalar, SU(2)),
            (Phase()(SO(2)), V(SO(2)) + Scalar, SO(2)),
        ):
            model = network(rep_in, rep_out, group, ch=8)
            allowed = possible(rep_in, rep_out)
            assert spanned(model, int(1.3 * max(allowed)) + 5) == allowed

    def test_real_inputs_have_invariants(self) -> None:
        real = Rotations()(SU(2))
        model = EMLP(real, Scalar, SU(2), ch=8)
        x = np.random.default_rng(0).standard_normal((4, 3))
        g = SU(2).samples(1)[0]
        y = np.asarray(model(x))
        np.testing.assert_allclose(np.asarray(model(x @ real.rho(g).T)), y, atol=1e-5)
        assert np.abs(np.asarray(model(2 * x)) - y).min() > 1e-3


class TestRandomNetworks:
    @pytest.mark.parametrize("seed", range(25))
    @pytest.mark.sampled(6)
    def test_in_irreps(self, seed: int) -> None:
        _is_complete(seed, bilinear="channelwise", widest=128)

    @pytest.mark.parametrize("seed", range(3))
    def test_of_the_paper(self, seed: int) -> None:
        _is_complete(seed, bilinear="paper", widest=48)

    @pytest.mark.parametrize("first", range(1000, 1460, 20))
    def test_many_in_irreps(self, first: int) -> None:
        for seed in range(first, first + 20):
            _is_complete(seed, bilinear="channelwise", widest=128)

    @pytest.mark.parametrize("first", range(2000, 2040, 5))
    def test_many_of_the_paper(self, first: int) -> None:
        for seed in range(first, first + 5):
            _is_complete(seed, bilinear="paper", widest=48)


class TestParts:
    """Which parts of an output exist, and what they depend on."""

    @pytest.mark.parametrize("ch", [8 * V**2, *range(24, 57, 8)], ids=repr)
    def test_layers_have_the_named_irreps_and_those_the_output_needs(self, ch: Any) -> None:
        model = network(5 * Scalar + 5 * V, V**2, SO(3), ch=ch, num_layers=2)
        y = _images(model).reshape(-1, 3, 3)
        traceless = (y + y.swapaxes(1, 2)) / 2 - np.einsum("bii,jk->bjk", y, np.eye(3)) / 3
        for part in (np.einsum("bii->b", y), traceless, y - y.swapaxes(1, 2)):
            assert np.std(part, axis=0).max() > 0.02

    def test_every_width_has_a_linear_part(self) -> None:
        for ch in (4, 16, 100, 128):
            model = network(2 * V + P, P, O(3), ch=ch)
            assert spanned(model, 6)[0] == 1

    def test_an_odd_output_needs_three_factors(self) -> None:
        """det(v₁, v₂, v₃) is the pseudo-scalar of least degree."""
        for form in ("channelwise", "paper"):
            model = network(3 * V, P, O(3), ch=16, num_layers=2, bilinear=form)
            x = np.random.default_rng(0).standard_normal((40, 9))
            y, odd = np.split(_call(model, np.concatenate([x, -x])), 2)
            assert np.std(y) > 1e-5
            np.testing.assert_allclose(odd, -y, atol=1e-12)

    @pytest.mark.parametrize("ch", [4, 8, 32, 64, 128, 384])
    @pytest.mark.parametrize("layers", [2, 3])
    def test_a_sign_is_seen_at_every_width(self, ch: int, layers: int) -> None:
        model = network(3 * V + P, Scalar, O(3), ch=ch, num_layers=layers)
        x = np.random.default_rng(0).standard_normal((40, 10))
        y, turned = by_numpy(model, x), by_numpy(model, x * np.array([1] * 9 + [-1]))
        assert np.abs(turned - y).max() > 1e-4 * np.abs(y).max()

    @pytest.mark.parametrize("layers", [1, 2])
    @pytest.mark.parametrize(
        ("rep_in", "rep_out"),
        [
            (V(SO(3)) * V(S(2)), 2 * V(SO(3)) * V(S(2)) + V(SO(3))),
            (V(SO(2)) + V(S(3)), V(SO(2)) * V(S(3)) + Scalar),
            (V(SHEARS) + V(SHEARS).T, V(SHEARS) ** 2 + Scalar),
        ],
        ids=["product", "sum", "not reductive"],
    )
    @pytest.mark.sampled(3)
    def test_reps_that_are_not_sums_of_irreps(self, rep_in: Rep, rep_out: Rep, layers: int) -> None:
        group = next(iter(groups_of(rep_in)))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = network(rep_in, rep_out, group, ch=16, num_layers=layers)
        allowed = possible(rep_in, rep_out)
        assert spanned(model, int(1.3 * max(allowed)) + 5) == allowed

    def test_products_that_are_not_searched_cause_a_warning(self) -> None:
        with pytest.warns(ReachWarning, match="may not represent every product of two parts"):
            EMLP(30 * V(SO(3)) + V(S(2)), V(SO(3)) ** 2, SO(3), ch=8, num_layers=1)

    def test_few_copies_suffice_in_the_paper_form(self) -> None:
        """v × v is zero, and a hidden layer of one vector has no other product."""
        sign = next(irrep for irrep in irreps((V**2)(S(3))) if irrep.name == "W1_b7cde6")
        model = network(V, sign, S(3), ch=4, num_layers=2, bilinear="paper")
        assert np.std(_call(model, np.random.default_rng(0).standard_normal((40, 3)))) > 0.1
        with pytest.raises(InvalidRep, match=r"is constant: .* num_layers=2"):
            EMLP(V, sign, S(3), ch=4, num_layers=1, bilinear="paper")

    def test_warnings_are_kept_as_limits(self, tmp_path: Path) -> None:
        with pytest.warns(ReachWarning) as warned:
            model = EMLP(V**2, V**2, O(3), ch=8 * Scalar + 8 * V, num_layers=1)
        assert model.limits == tuple(str(one.message) for one in warned)
        save(model, tmp_path)
        assert load(tmp_path).limits == model.limits
        assert limits_of(Standardize(model, (0.0, 1.0, 0.0, 1.0))) == [*model.limits]

    def test_the_paper_form_learns_what_its_own_products_do_not_reach(self) -> None:
        hidden = 16 * (Scalar + V + P + P * V)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = network(3 * V, P, O(3), ch=[hidden, hidden], bilinear="paper")
        x = np.random.default_rng(0).standard_normal((40, 9))
        with jax.enable_x64(True):
            gradient = jax.jit(jax.grad(lambda m: (m(x) ** 2).sum()))(model)
            assert np.std(_call(model, x)) > 1e-6
            leaves = jax.tree_util.tree_leaves(gradient)
            assert max(np.abs(leaf).max() for leaf in leaves if leaf.size) > 1e-6


@pytest.mark.parametrize(
    "ch",
    [28, *(pytest.param(ch, marks=pytest.mark.slow) for ch in (4, 6, 7, 8, 9, 10, 11, 26, 27, 29))],
)
def test_the_cross_product_is_learned_at_every_width(ch: int) -> None:
    model = EMLP(2 * V, V, SO(3), ch=ch, num_layers=3)
    x = np.random.default_rng(0).standard_normal((1000, 6)).astype(np.float32)
    y = np.cross(x[:, :3], x[:, 3:])
    loss = _trained(model, x, y)
    assert loss < 1e-2 * np.mean(y**2)


def _trained(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Return the mean square error after a thousand steps on all data."""
    import equinox as eqx

    optimiser = optax.adam(1e-2)

    @eqx.filter_jit
    def fitted(model: Any) -> Any:
        weights, rest = eqx.partition(model, eqx.is_inexact_array)

        def error(weights: Any) -> Any:
            return jax.numpy.mean((eqx.combine(weights, rest)(x) - y) ** 2)

        def step(state: Any, _: Any) -> Any:
            weights, moments = state
            loss, gradient = jax.value_and_grad(error)(weights)
            change, moments = optimiser.update(gradient, moments)
            return (optax.apply_updates(weights, change), moments), loss

        return jax.lax.scan(step, (weights, optimiser.init(weights)), None, 1000)[1][-1]

    return float(fitted(model))


#: Irreps beside each other, and widths at which they once met in scalars alone.
TURNING = {
    "SO(3), a matrix and a vector": (V + V**2, Scalar, SO(3), (27, 32, 40, 56)),
    "O(3), a matrix and a vector": (V + V**2, Scalar, O(3), (33, 40, 46)),
    "to a vector": (V + V**2, V, SO(3), (32,)),
}


class TestTurns:
    """Networks see how parts of the input are turned relative to each other: an element of the
    group that moves one part alone changes the output.
    """

    @pytest.mark.parametrize("layers", [2, 3])
    @pytest.mark.parametrize(("name", "ch"), [(n, ch) for n in TURNING for ch in TURNING[n][3]])
    @pytest.mark.sampled(3)
    def test_a_symmetric_matrix_and_a_vector(self, name: str, ch: int, layers: int) -> None:
        rep_in, rep_out, group, _ = TURNING[name]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = network(rep_in, rep_out, group, ch=ch, num_layers=layers)
        d = group.d
        rng = np.random.default_rng(0)
        vectors, matrices = rng.standard_normal((9, d)), rng.standard_normal((9, d, d))
        matrices += matrices.swapaxes(1, 2)
        q = group.samples(1)[0]
        plain, turned = (
            by_numpy(model, np.concatenate([vectors, m.reshape(9, -1)], axis=1))
            for m in (matrices, q @ matrices @ q.T)
        )
        invariant = [np.linalg.norm(y, axis=1) if d == y.shape[1] else y for y in (plain, turned)]
        assert np.abs(invariant[1] - invariant[0]).max() > 1e-6 * np.abs(plain).max()

    def test_too_few_layers_cause_a_warning(self) -> None:
        found = {irrep.name: irrep for power in (1, 2, 3) for irrep in irreps((V**power)(D(6)))}
        signs, plane = (found["W1_85c476"], found["W1_fc2a33"]), found["W2_a63084"]
        rep = plane + 2 * signs[0] + 2 * signs[1]
        said = _said(rep, Scalar, D(6), ch=90, num_layers=2)
        assert "the network ignores how the input's parts" in said
        assert "num_layers=3" in said
        assert not _said(rep, Scalar, D(6), ch=90, num_layers=3)


class TestWarnings:
    """A network that cannot reach something warns, and says what would."""

    def test_a_hidden_rep_without_parts_of_the_output(self) -> None:
        said = _said(V**2 + V, V**2, O(3), ch=8 * Scalar + 8 * V, num_layers=2)
        axial, tensor = (i.name for i in irreps((V**2)(O(3))) if i.size() > 1)
        assert f"of the 9 outputs, the parts that transform as 1 × {axial}, 1 × {tensor} do" in said
        assert "Give an integer ch, such as ch=32, which adds the irreps and products that" in said
        assert f"(hidden reps that you name need the irreps {axial}, {tensor})" in said
        assert not _said(V**2 + V, V**2, O(3), ch=4, num_layers=2)

    def test_the_warning_points_to_the_callers_line(self) -> None:
        with pytest.warns(ReachWarning) as warned:
            EMLP(V**2, V**2, O(3), ch=8 * Scalar + 8 * V, num_layers=2)
        assert {one.filename.endswith("test_reach.py") for one in warned} == {True}  # no library

    def test_a_hidden_rep_that_cuts_a_linear_map(self) -> None:
        *_, tensor = irreps(V(SO(3)) ** 2)
        first, second = 8 * Scalar + 8 * V + 8 * tensor, 8 * Scalar + 8 * tensor
        said = _said(2 * V, V, SO(3), ch=[first, second, 24])
        assert "no linear map takes the input's parts 2 × W3_fe01a0 to the output: a hidden" in said

    def test_a_product_that_a_hidden_rep_loses(self) -> None:
        *_, tensor = irreps(V(SO(3)) ** 2)
        said = _said(2 * V + tensor, Scalar, SO(3), ch=[8 * V, 8 * Scalar + 8 * V])
        assert f"do not reach the output: {tensor.name} ⊗ {tensor.name} → Scalar. " in said

    def test_a_sign_that_more_layers_see(self) -> None:
        said = _said(3 * V + P, Scalar, O(3), ch=32, num_layers=1)
        assert re.search(
            r"multiplying the input's parts 1 × W1_\w+ by −1 leaves the output as", said
        )
        assert "num_layers=2" in said
        assert not _said(3 * V + P, Scalar, O(3), ch=32, num_layers=2)

    def test_products_too_large_to_be_decomposed(self) -> None:
        assert not _said(2 * V, V, SO(20), ch=32)  # all rotations: there is nothing else
        said = _said(V, V, S(20), ch=32)
        assert re.search(
            r"may not reach the output: W19_\w+ ⊗ W19_\w+ of 361 dimensions. Products", said
        )

    @pytest.mark.parametrize(
        ("rep_in", "rep_out", "ch", "expected"),
        [
            (TURNED, 2 * TURNED + V(SO(3)), 8 * V(SO(3)), "pass on 2 of the 3 linear maps"),
            (TURNED, V(SO(3)) * TURNED, 8 * TURNED, "pass on 4 of 12 quadratic maps"),
            (TURNED, V(SO(3)) * TURNED, [16, 8 * TURNED], "pass on 4 of 12 quadratic maps"),
            (V(SHEARS) + V(SHEARS).T, V(SHEARS) ** 2 + Scalar, 8 * V, "pass on 20 of 32 quadratic"),
        ],
        ids=["linear", "quadratic", "of the second layer", "not reductive"],
    )
    @pytest.mark.sampled(4)
    def test_hidden_tensors_that_pass_on_too_little(
        self, rep_in: Rep, rep_out: Rep, ch: Any, expected: str
    ) -> None:
        group = next(iter(groups_of(rep_in)))
        said = _said(rep_in, rep_out, group, ch=ch)
        assert f"the hidden reps that you name {expected}" in said
        enough = 4 * (rep_in + rep_out)  # what the warning says would do
        assert not _said(rep_in, rep_out, group, ch=enough)

    def test_advice_for_an_integer_ch_was_tried(self) -> None:
        """A vector and its double angle under Z(5): an invariant needs a product of five."""
        [double] = [irrep for irrep in irreps((V**2)(Z(5))) if irrep.name == "W2_8a4aca"]
        said = _said(2 * double, Scalar, Z(5), ch=[3 * double + 2 * Scalar, 20, 2 * V**2])
        depth = int(found[1]) if (found := re.search(r"num_layers=(\d+)", said)) else 3
        width = int(re.search(r"such as ch=(\d+)", said)[1])  # type: ignore[index]
        assert not _said(2 * double, Scalar, Z(5), ch=width, num_layers=depth)

    def test_a_constant_network_is_refused_with_advice(self) -> None:
        with pytest.raises(InvalidRep, match=r"need the irreps .*Scalar") as refused:
            EMLP(V**2, Scalar, SO(3), ch=8 * V)
        assert "such as ch=24" in str(refused.value)
        assert not _said(V**2, Scalar, SO(3), ch=24)
        with pytest.raises(InvalidRep, match="num_layers=2"):
            EMLP(3 * V, P, O(3), ch=16, num_layers=1)

    @pytest.mark.parametrize("layers", [1, 2, 3])
    def test_changes_that_no_function_sees_cause_no_warning(self, layers: int) -> None:
        """Invariants of two vectors are even in both together, under rotations too."""
        assert not _said(2 * V, Scalar, SO(3), ch=16, num_layers=layers)


def _said(*arguments: Any, **settings: Any) -> str:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        EMLP(*arguments, **settings)
    return "\n".join(str(one.message) for one in warned)


def _images(model: EMLP) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((64, model.rep_in.size()))
    return by_numpy(model, x)


def _call(model: EMLP, x: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(model(x))
