"""Finding a basis: its certificate, how it is assembled, its progress, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.oracle import (
    act,
    assert_proven,
    examine,
    lie_generators,
    null_space,
    projector_distance,
    spectral_norm,
)
from helpers.support import BACKENDS, METHODS, run_python
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from intertwine.bases import Basis, Certificate
from intertwine.errors import MethodNotApplicable, NotConcrete, TooLarge, Unavailable, UnknownMethod
from intertwine.groups import SL, SO, SU, C, D, Group, O, S, SO13p, Trivial, U, Z, parse_group
from intertwine.invariants import Progress, solve
from intertwine.reps import Base, Rep, Scalar, T, V, basis_key, canonical, parse, read_rep
from intertwine_cache import Store

MIXED = "2*V(Z(3))*V(S(4))+V(O(3))**2"


# -- the certificate


@pytest.mark.parametrize(
    ("group", "text", "method"),
    [
        ("SO(3)", "T(4)", "svd"),
        ("SO(3)", "T(4)", "krylov"),
        ("O(3)", "T(4)", "krylov"),
        ("S(4)", "T(3)", "orbits"),
        ("D(4)", "T(4)", "orbits"),
        ("SU(3)", "T(3)", "krylov"),
        ("SO13p", "T(2,1)*V.T", "svd"),
        ("D(5)", "T(4)+3V*V.T+V0", "auto"),
    ],
)
def test_the_certificate_bounds_the_errors_of_the_basis(group: str, text: str, method: str) -> None:
    rep = parse(text)(parse_group(group))
    basis = solve(rep, method=method)
    certificate, evidence = basis.certificate, examine(rep, basis)
    rounding = 1e-15 * rep.size()
    assert evidence.residual <= certificate.residual + rounding
    assert evidence.orthonormality <= certificate.orthonormality + rounding
    assert certificate.residual <= 1e-10
    assert certificate.orthonormality <= 1e-10
    assert (certificate.size, certificate.rank) == basis.shape
    assert certificate.gap > 1e8
    assert certificate.seconds > 0
    assert certificate.version


def test_the_certificate_has_a_residual_for_each_generator_of_each_group() -> None:
    rep = parse(MIXED)
    certificate = rep.equivariant_basis().certificate
    groups = [Z(3), S(4), O(3)]
    assert {name: len(values) for name, values in certificate.residuals.items()} == {
        group.digest: len(group.lie_generators) + len(group.group_generators) for group in groups
    }
    assert certificate.residual == max(max(values) for values in certificate.residuals.values())


def test_an_assembled_basis_keeps_the_certificate_of_every_part() -> None:
    certificate = parse(MIXED).equivariant_basis().certificate
    assert set(certificate.parts) == {"V(Z(3))", "V(S(4))", "V²(O(3))"}
    assert certificate.method in {"orbits+svd", "svd+orbits"}
    parts = certificate.parts.values()
    assert certificate.residual == max(part.residual for part in parts)
    assert certificate.gap == min(part.gap for part in parts)
    assert {(p.size, p.rank) for p in parts} == {(3, 1), (4, 1), (9, 1)}
    assert Certificate.from_json(certificate.to_json()) == certificate


def test_parts_of_equal_names_are_all_kept() -> None:
    class Turned(Rep):
        """A rep of a user's own, whose name does not tell which one it is."""

        def __init__(self, order: int, G: Any) -> None:
            self.order, self.G = order, G

        def size(self) -> int:
            return 2

        def rho(self, M: Any) -> Any:
            return np.linalg.matrix_power(np.asarray(M), self.order)

        def __repr__(self) -> str:
            return "R"

    basis = (Turned(1, SO(2)) ** 2 + Turned(2, SO(2)) + Turned(3, SO(2))).equivariant_basis()
    parts = basis.certificate.parts
    assert set(parts) >= {"R", "R, 2"}
    assert sum(part.size for part in parts.values()) == basis.shape[0] == 8
    assert sum(part.rank for part in parts.values()) == basis.shape[1] == 2


def test_a_basis_found_in_one_piece_has_no_parts() -> None:
    assert T(2)(SO(3)).equivariant_basis().certificate.parts == {}


@pytest.mark.parametrize("method", ["svd", "krylov"])
@pytest.mark.parametrize("rep", [T(1)(SO(3)), T(2)(Trivial(3))], ids=["none", "all"])
def test_the_gap_is_infinite_without_two_kinds_of_singular_values(rep: Rep, method: str) -> None:
    basis = rep.equivariant_basis(method=method)
    assert basis.rank in (0, rep.size())
    assert basis.certificate.gap == math.inf
    assert basis.certificate.to_json()["gap"] is None


def test_only_iterative_methods_count_iterations() -> None:
    rep = T(4)(SO(3))
    counts = {m: rep.equivariant_basis(method=m).certificate.iterations for m in ("svd", "krylov")}
    assert counts["svd"] == 0
    assert 0 < counts["krylov"] < 100


@pytest.mark.slow
@pytest.mark.parametrize("method", ["svd", "krylov"])
def test_the_device_is_named(method: str) -> None:
    rep = T(2)(SO(3))
    numpy = rep.equivariant_basis(method=method, backend="numpy", device="cpu").certificate
    assert (numpy.backend, numpy.device) == ("numpy", "cpu")
    jax = rep.equivariant_basis(method=method, backend="jax", device="cpu:0").certificate
    assert (jax.backend, jax.device) == ("jax", "cpu:0")


def test_a_solve_on_jax_leaves_its_settings_alone() -> None:
    import jax

    before = jax.config.jax_enable_x64
    basis = T(3)(SO(3)).equivariant_basis(method="svd", backend="jax")
    assert basis.dtype == np.float64
    assert jax.config.jax_enable_x64 == before


# -- assembled from parts


def _texts(*groups: str) -> st.SearchStrategy[str]:
    """Reps over these groups, as text."""
    bases = st.sampled_from([f"V({group})" for group in groups])
    leaves = st.one_of(bases, bases.map(lambda text: f"{text}*"), st.just("V0"))

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        binary = st.tuples(inner, st.sampled_from(["+", "*", ">>"]), inner)
        return st.one_of(
            binary.map(lambda parts: "({}){}({})".format(*parts)),
            st.tuples(st.integers(0, 3), inner).map(lambda parts: "{}*({})".format(*parts)),
            inner.map(lambda text: f"({text}).T"),
            inner.map(lambda text: f"({text})**2"),
        )

    return st.recursive(leaves, grow, max_leaves=5)


def _small(text: str, largest: int = 100) -> Rep:
    rep = parse(text)
    assume(rep.size() <= largest)
    return rep


def _assert_as_if_whole(rep: Rep, basis: Basis) -> None:
    whole = null_space(rep)
    assert basis.shape == whole.shape
    assert projector_distance(basis, whole) <= 1e-10


@settings(deadline=None, max_examples=25)
@given(_texts("SO(2)", "S(3)", "SL(2)", "C(4)"))
def test_an_assembled_basis_spans_that_of_the_whole_rep(text: str) -> None:
    rep = _small(text)
    basis = rep.equivariant_basis()
    _assert_as_if_whole(rep, basis)
    assert_proven(examine(rep, basis))


@settings(deadline=None, max_examples=25)
@given(_texts("SU(2)", "S(3)", "U(1)"))
def test_complex_groups_are_assembled_alike(text: str) -> None:
    rep = _small(text)
    _assert_as_if_whole(rep, rep.equivariant_basis())


@settings(deadline=None, max_examples=25)
@given(_texts("SO(3)", "D(3)", "Z(2)"), st.sampled_from(["svd", "krylov"]))
def test_a_method_by_name_assembles_alike(text: str, method: str) -> None:
    rep = _small(text)
    _assert_as_if_whole(rep, rep.equivariant_basis(method=method))


@settings(deadline=None, max_examples=25)
@given(_texts("SO(2)", "S(3)", "C(3)"))
def test_a_rep_and_its_canonical_form_share_their_invariants(text: str) -> None:
    rep = _small(text)
    form = canonical(rep)
    moved = form.permutation @ rep.equivariant_basis().dense()
    assert projector_distance(moved, form.rep.equivariant_basis()) <= 1e-10


def test_every_different_product_is_solved_once() -> None:
    stages: list[str] = []
    rep = ((V + V.T) ** 2 + 7 * V * V.T + V.T * V)(SL(2))
    basis = rep.equivariant_basis(method="svd", progress=lambda p: stages.append(p.stage))
    assert set(basis.certificate.parts) == {"V²(SL(2))", "(V⊗V*)(SL(2))", "(V*²)(SL(2))"}
    assert len(stages) == 3 * len(SL(2).lie_generators)
    assert basis.rank == 1 + 10 + 1


def test_a_product_over_two_groups_has_the_product_of_the_ranks() -> None:
    rep = V(SO(3)) ** 2 * V(S(4)) ** 2 * V(SO(3)) ** 2
    assert rep.equivariant_basis().rank == 3 * 2
    assert_proven(examine(rep, rep.equivariant_basis()))


def test_many_copies_cost_as_much_as_one() -> None:
    rep = (1_000_000 * (V >> V))(SO(3))
    basis = rep.equivariant_basis()
    assert basis.shape == (9_000_000, 1_000_000)
    assert basis.nbytes < 10_000


@pytest.mark.parametrize("method", ["auto", *METHODS])
@pytest.mark.parametrize(
    ("rep", "shape"),
    [
        ((0 * V)(S(3)), (0, 0)),
        (((0 * V) >> V)(S(3)), (0, 0)),
        ((V >> 0 * V)(S(3)), (0, 0)),
        (Scalar, (1, 1)),
        ((5 * Scalar)(S(3)), (5, 5)),
        (T(0)(S(3)), (1, 1)),
    ],
    ids=["0", "0 to V", "V to 0", "scalar", "scalars", "T(0)"],
)
def test_the_smallest_reps_are_solved_too(rep: Rep, shape: tuple[int, int], method: str) -> None:
    basis = rep.equivariant_basis(method=method)
    assert basis.shape == basis.dense().shape == basis.sparse().shape == shape
    assert np.array_equal(basis.dense(), np.eye(*shape))


@pytest.mark.parametrize("method", METHODS)
def test_a_basis_without_columns_works_in_every_form(method: str) -> None:
    rep = T(1)(C(4))
    basis = rep.equivariant_basis(method=method)
    assert basis.shape == basis.dense().shape == basis.sparse().shape == (2, 0)
    assert np.array_equal(basis.project(np.ones(2)), np.zeros(2))
    assert (basis @ np.zeros(0)).shape == (2,)
    assert (basis.T @ np.ones(2)).shape == (0,)


# -- complex groups


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", ["svd", "krylov"])
def test_ranks_of_complex_groups_are_complex_dimensions(method: str, backend: str) -> None:
    basis = T(1, 1)(U(2)).equivariant_basis(method=method, backend=backend)
    assert basis.shape == (4, 1)
    assert basis.dtype == np.complex128
    assert np.allclose(basis.projector.dense(), np.outer(np.eye(2), np.eye(2)) / 2)


def test_a_unitary_group_preserves_no_bilinear_form() -> None:
    assert T(2)(U(2)).equivariant_basis().rank == 0
    assert T(2)(SU(2)).equivariant_basis().rank == 1


def test_a_complex_discrete_group_is_solved() -> None:
    quarter = Group(discrete_generators=[1j * np.eye(2)])
    assert T(4)(quarter).equivariant_basis().rank == 16
    assert T(2)(quarter).equivariant_basis().rank == 0
    assert T(1, 1)(quarter).equivariant_basis().rank == 4


def test_real_and_complex_groups_mix() -> None:
    rep = (V >> V)(U(2)) * V(S(3)) ** 2
    basis = rep.equivariant_basis()
    assert basis.shape == (36, 2)
    assert_proven(examine(rep, basis))


def test_a_real_group_written_in_complex_numbers_has_the_same_invariants() -> None:
    real = SO(3)
    written = Group(lie_algebra=[1j * a for a in lie_generators(real)])  # of SO(3, ℂ)
    basis = T(3)(written).equivariant_basis()
    assert projector_distance(basis, T(3)(real).equivariant_basis()) <= 1e-10


# -- a rep of the user's own


class _Square(Rep):
    """V ⊗ V, by rho alone."""

    def rho(self, M: Any) -> Any:
        square = M[:, None, :, None] * M[None, :, None, :]
        return square.reshape(len(M) ** 2, -1)


class _Determinant(Rep):
    """The scalar det g."""

    def rho(self, M: Any) -> Any:
        return (M[0, 0] * M[1, 1] - M[0, 1] * M[1, 0]).reshape(1, 1)


def test_a_user_defined_rep_is_solved_like_the_equal_built_in_one() -> None:
    own = _Square()(SO(3))
    basis = own.equivariant_basis()
    assert projector_distance(basis, T(2)(SO(3)).equivariant_basis()) <= 1e-10
    product = _Square()(SO(3)) * T(2)(SO(3))
    assert projector_distance(product.equivariant_basis(), T(4)(SO(3)).equivariant_basis()) <= 1e-10
    assert_proven(examine(product, product.equivariant_basis()))


@pytest.mark.parametrize("method", ["svd", "krylov"])
def test_a_rep_of_the_users_own_that_is_no_tensor_is_solved(method: str) -> None:
    areas = (_Determinant() >> T(2))(parse_group("O(2)"))
    basis = areas.equivariant_basis(method=method)
    assert basis.shape == (4, 1)
    assert np.allclose(np.abs(basis.dense().ravel()), [0, 0.5**0.5, 0.5**0.5, 0])
    assert (_Determinant() >> T(2))(SL(2)).equivariant_basis(method=method).rank == 1
    assert (_Determinant() >> T(2))(parse_group("GL(2)")).equivariant_basis().rank == 1


class _Mixed(Rep):
    """Copies of V ⊗ V and of V, for d = 2, in a random frame: orthogonal, or of condition 10."""

    def __init__(self, copies: int, condition: float) -> None:
        self.copies, n = copies, 6 * copies
        u, _, vh = np.linalg.svd(np.random.default_rng(6).standard_normal((n, n)))
        self.frame = (u * np.geomspace(1, condition, n)) @ vh
        self.back = np.linalg.inv(self.frame)

    def rho(self, M: Any) -> Any:
        squares, vectors = (np.kron(np.eye(self.copies), part) for part in (np.kron(M, M), M))
        m = len(squares)
        return (
            self.frame[:, :m] @ squares @ self.back[:m]
            + self.frame[:, m:] @ vectors @ self.back[m:]
        )


@pytest.mark.parametrize("group", ["SO(2)", "O(2)", "SL(2)", "D(5)", "SU(2)"])
@pytest.mark.parametrize("condition", [1.0, 10.0])
def test_the_invariants_of_a_large_dense_slot(group: str, condition: float) -> None:
    """Its constraints are multiplied into one matrix, which must not lose digits."""
    rep = _Mixed(12, condition)(parse_group(group))
    found, expected = (rep.equivariant_basis(method=m, store=False) for m in ("krylov", "svd"))
    assert projector_distance(found, expected) <= 1e-10
    assert found.certificate.residual <= 1e-12


# -- progress


@pytest.mark.parametrize(
    ("rep", "method"),
    [
        (T(3)(SO(4)), "svd"),
        (T(6)(SO(4)), "krylov"),
        (T(8)(SO(2)), "krylov"),
        (T(4)(S(4)), "krylov"),
        (T(3)(S(4)), "orbits"),
    ],
    ids=["svd", "krylov", "krylov of many rounds", "krylov on a finite group", "orbits"],
)
def test_progress_reports_words_and_fractions(rep: Rep, method: str) -> None:
    told: list[Progress] = []
    rep.equivariant_basis(method=method, progress=told.append)
    assert told
    assert all(p.stage.startswith(method) for p in told)
    assert all(0 <= p.fraction <= 1 for p in told)


def test_a_callback_can_stop_a_solve() -> None:
    class Stop(Exception):
        pass

    def stop(progress: Progress) -> None:
        raise Stop

    with pytest.raises(Stop):
        T(4)(SO(3)).equivariant_basis(progress=stop)


def test_no_bar_is_drawn_where_no_one_looks(capfd: pytest.CaptureFixture[str]) -> None:
    T(4)(SO(3)).equivariant_basis()
    T(4)(SO(3)).equivariant_basis(progress=False)
    assert capfd.readouterr() == ("", "")


# -- what is refused


def test_an_unknown_method_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownMethod, match="unknown method 'guess'; there are auto, ") as caught:
        T(2)(SO(3)).equivariant_basis(method="guess")
    assert all(method in str(caught.value) for method in METHODS)


def test_an_unknown_backend_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownMethod, match="unknown backend 'torch'; there are auto, numpy, jax"):
        T(2)(SO(3)).equivariant_basis(backend="torch")


@pytest.mark.parametrize("rep", [(0 * V)(SO(3)), Scalar, T(2)(S(3))], ids=str)
@pytest.mark.parametrize("option", ["method", "backend"])
def test_what_is_unknown_is_refused_for_the_smallest_reps_too(rep: Rep, option: str) -> None:
    with pytest.raises(UnknownMethod):
        rep.equivariant_basis(**{option: "nonsense"})


@pytest.mark.parametrize("device", ["gpu", "tpu:7", "cpu:7", "cpu:-1", "cpu:x", "nonsense", ""])
@pytest.mark.parametrize("backend", ["jax", "numpy"])
def test_a_device_that_is_not_here_is_refused(backend: str, device: str) -> None:
    import jax

    if device == "gpu" and backend == "jax" and jax.default_backend() != "cpu":
        pytest.skip("there is a GPU here")
    with pytest.raises(Unavailable, match=r"cpu|CPU"):
        T(2)(SO(3)).equivariant_basis(backend=backend, device=device)


def test_a_rep_without_its_group_is_refused() -> None:
    with pytest.raises(NotConcrete, match=r"V² has no group yet"):
        (V**2).equivariant_basis()


@pytest.mark.parametrize(
    "rep", [(T(2) + 5)(SO(3)), V(S(3)) * V(SO(3)) ** 2, T(2)(D(3))], ids=["sum", "mixed", "D(3)"]
)
def test_orbits_is_refused_where_any_part_does_not_permute(rep: Rep) -> None:
    with pytest.raises(MethodNotApplicable, match="'orbits' needs generators that permute"):
        rep.equivariant_basis(method="orbits")


@pytest.mark.parametrize("method", ["auto", *METHODS])
@pytest.mark.parametrize(
    "rep", ["T(12)(SO(10))", "T(12)(Z(10))", "(V**12+10V)(S(10))", "1000000000000V(S(4))"]
)
def test_a_trillion_dimensions_are_refused(rep: str, method: str) -> None:
    with pytest.raises(TooLarge, match=r"has \d,000,000,000,\d{3} dimensions; at most"):
        parse(rep).equivariant_basis(method=method)


def test_what_is_too_large_is_refused_before_memory_is_taken() -> None:
    done = run_python(
        """
        import time
        from intertwine.errors import TooLarge
        from intertwine.reps import parse
        import intertwine.invariants, intertwine.groups
        imported()
        refused, started = 0, time.process_time()
        for text in ["T(12)(SO(10))", "T(12)(S(10))", "T(11)(SO(10))", "T(31)(S(2))"]:
            for method in ["auto", "svd", "krylov"]:
                try:
                    parse(text).equivariant_basis(method=method, backend="numpy")
                except TooLarge:
                    refused += 1
        answer([refused, time.process_time() - started])
        """
    )
    assert done.status == 0, done.stderr
    refused, seconds = done.value
    assert refused == 12
    assert seconds < 2
    assert done.grown_bytes < 50 * 10**6


def test_the_memory_of_reordering_is_refused_too() -> None:
    # 3 · 10⁸ coordinates that only change places: the order itself would take gigabytes
    done = run_python(
        """
        import resource
        from intertwine.errors import TooLarge
        from intertwine.groups import SO
        from intertwine.reps import Scalar, V
        import intertwine.invariants
        imported()
        rep = (V + 999_999_990 * Scalar + V)(SO(3))
        resource.setrlimit(resource.RLIMIT_AS, (3 * 10**9, 3 * 10**9))  # of this process alone
        try:
            rep.equivariant_basis()
        except TooLarge as error:
            answer(str(error))
        """
    )
    assert done.status == 0, done.stderr
    assert "memory" in done.value
    assert done.grown_bytes < 50 * 10**6


# -- the invariants themselves


@pytest.mark.parametrize("method", ["svd", "krylov"])
def test_the_invariants_of_two_vectors_are_their_inner_product(method: str) -> None:
    basis = T(2)(SO(3)).equivariant_basis(method=method)
    assert np.allclose(np.abs(basis.dense()[:, 0]), np.eye(3).ravel() / 3**0.5)


def test_the_projector_fixes_invariants() -> None:
    rep = T(2, 2)(SO13p())
    basis = rep.equivariant_basis()
    v = basis.project(np.random.default_rng(0).standard_normal(256))
    for g in SO13p().samples(5, seed=3):
        assert spectral_norm(act(rep, {SO13p(): g}, v[:, None]) - v[:, None]) <= 1e-9 * (
            np.linalg.norm(g, 2) ** 4 * np.linalg.norm(v)
        )
    assert np.allclose(basis.project(v), v, atol=1e-12)


SOLVERS: dict[str, Callable[[Rep], Basis]] = {
    "solve": solve,
    "equivariant_basis": lambda rep: rep.equivariant_basis(),
    "symmetric_basis": lambda rep: rep.symmetric_basis(),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_there_are_three_names_for_a_solve(name: str) -> None:
    assert SOLVERS[name](T(2, 2)(SO13p())).shape == (256, 4)


class TestTheRequestInAStore:
    """A key does not tell its request, so that the entry of a solved basis has it."""

    @pytest.mark.parametrize(
        ("rep", "options"),
        [
            ((V**2 * V.T + 5)(SO(3)), {}),
            (V(SO(3)) * V(S(4)) + V(S(4)), {"method": "svd"}),
            ((V**2)(Group(lie_algebra=[[[0, 1 / 3], [-1 / 3, 0]]])), {"backend": "numpy"}),
            ((V**2)(Group(lie_algebra=[[[0, 1], [-1, 0]]])), {"tolerance": 1e-3}),
        ],
        ids=["one group", "two groups", "generators", "approximate"],
    )
    def test_has_the_key(self, tmp_path: Path, rep: Rep, options: dict[str, Any]) -> None:
        store = Store(tmp_path)
        solve(rep, store=store, **options)
        (manifest,) = store.manifests()
        request = dict(manifest.details["request"])
        read = read_rep(request.pop("rep"), request.pop("group", None))
        assert request == options
        assert basis_key(read, **request) == manifest.key

    def test_is_left_out_where_a_text_does_not_define_the_rep(self, tmp_path: Path) -> None:
        class Own(Base):
            def size(self) -> int:
                return 3

            def rho(self, M: Any) -> Any:
                return M

        large = Group(lie_algebra=[np.kron(np.eye(100), [[0.0, 1.0], [-1.0, 0.0]])])
        for number, rep in enumerate((Own(SO(3)), V(large))):
            store = Store(tmp_path / str(number))
            solve(rep, store=store)
            (manifest,) = store.manifests()
            assert "request" not in manifest.details
