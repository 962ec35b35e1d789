"""Attacks on the check of bases from elsewhere. It accepts what a solve returns, and no less."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.complex_groups import Q8, Phase, Rotations
from helpers.example_reps import MIXED, build, trees
from helpers.oblique_groups import NOT_REDUCTIVE, REDUCTIVE, conjugate, random_frame
from helpers.support import CASES, METHODS, Case, run_python
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.bases import (
    ApproximateCertificate,
    Basis,
    DenseStorage,
    Intertwiners,
    KroneckerStorage,
    Orbits,
    Permuted,
    Storage,
    Sum,
    Transform,
    from_bytes,
    to_bytes,
)
from intertwine.errors import AmbiguousRank, FormatError, MethodNotApplicable, SolveError, Unproven
from intertwine.groups import SO, SU, Group, O, S, U, Z, parse_group
from intertwine.invariants import solve
from intertwine.invariants.arrivals import certified, require_sound
from intertwine.operators import Permutation
from intertwine.reps import Rep, T, V, canonical, parse

Matrix = np.ndarray[Any, Any]
BOTH = pytest.mark.parametrize("is_trusted", [False, True], ids=["unsigned", "signed"])


def form(rep: Rep) -> Rep:
    return canonical(rep).rep


def solved(rep: Rep, **options: Any) -> Basis:
    return solve(form(rep), store=False, **options)


def basis_of(storage: Storage, like: Basis) -> Basis:
    """The storage as a basis, with a certificate of its shape: what a liar would send."""
    size, rank = storage.shape
    return Basis(storage, dataclasses.replace(like.certificate, size=size, rank=rank))


def dense(matrix: Matrix, like: Basis) -> Basis:
    return basis_of(DenseStorage(matrix), like)


def is_accepted(rep: Rep, basis: Basis, **options: Any) -> bool:
    """Whether it is accepted; a refusal is a `SolveError`, and nothing is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            require_sound(form(rep), basis, **options)
        except SolveError:
            return False
    return True


def without_a_column(storage: Storage) -> Storage:
    """The storage of the same structure without one column; of rank 0 it stays as it is."""
    if isinstance(storage, Sum):
        blocks = list(storage.blocks)
        for i, (multiplicity, block) in enumerate(blocks):
            if block.shape[1]:
                blocks[i] = (multiplicity, without_a_column(block))
                break
        return Sum(blocks)
    if isinstance(storage, KroneckerStorage):
        first, *others = storage.factors
        return KroneckerStorage([without_a_column(first), *others])
    rank = storage.shape[1]
    if isinstance(storage, Orbits) and rank:
        labels = np.where(storage.labels == rank - 1, -1, storage.labels)
        return Orbits(labels, storage.signs, rank - 1)
    return DenseStorage(np.asarray(storage.apply(np.eye(rank)[:, : rank - 1])))


def test_a_column_is_taken_out() -> None:
    """Otherwise the tests below would show nothing."""
    for text in ("V(SO(3))**2*V(S(3)) + V(S(3))**2", "V(SO(3))**6", "V(S(3))**3"):
        basis = solved(parse(text))
        fewer = without_a_column(basis.storage)
        assert 0 < fewer.shape[1] < basis.rank
        assert fewer.shape[0] == basis.shape[0]


# -- the law: what a solve returns is accepted, and nothing less


def assert_law(rep: Rep, basis: Basis) -> None:
    arrived = from_bytes(to_bytes(basis))
    require_sound(form(rep), arrived, is_trusted=True)
    require_sound(form(rep), arrived)
    if basis.rank:
        fewer = basis_of(without_a_column(arrived.storage), arrived)
        assert not is_accepted(rep, fewer)
        # a trusted sender vouches for the number of columns, and for nothing else
        assert is_accepted(rep, fewer, is_trusted=True)


@pytest.mark.parametrize(
    "c", [pytest.param(c, id=str(c)) for c in CASES if c.size <= 4_100 and c.rank <= 1_000]
)
@pytest.mark.sampled(10)
def test_every_basis_of_the_catalogue_is_accepted_and_with_a_column_missing_refused(
    c: Case,
) -> None:
    rep = c.build()
    assert_law(rep, solved(rep))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("c", [pytest.param(c, id=str(c)) for c in CASES if c.size <= 300])
@pytest.mark.sampled(24)
def test_the_bases_of_every_method_are_accepted(c: Case, method: str) -> None:
    rep = c.build()
    try:
        basis = solved(rep, method=method)
    except MethodNotApplicable:
        return
    assert_law(rep, basis)


@settings(deadline=None, max_examples=60)
@given(trees(MIXED, largest=60))
@pytest.mark.slow
def test_bases_of_any_expression_over_several_groups_are_accepted(tree: Any) -> None:
    rep = build(tree)
    if rep.is_concrete:
        assert_law(rep, solved(rep))


@pytest.mark.sampled(8)
@pytest.mark.parametrize("text", ["T(1,1)+T(2)", "T(2,1)"])
@pytest.mark.parametrize("name", [*REDUCTIVE, *NOT_REDUCTIVE])
def test_groups_of_every_kind(name: str, text: str) -> None:
    rep = parse(text)({**REDUCTIVE, **NOT_REDUCTIVE}[name])
    basis = solved(rep)
    if name == "a boost and a parity":  # cosh(0.7) is not rational: nothing is counted
        assert is_accepted(rep, basis, is_trusted=True)
        assert not is_accepted(rep, basis)
    else:
        assert_law(rep, basis)


@pytest.mark.parametrize(
    "rep",
    [
        V(SO(3)),  # of rank 0
        V(SO(2)) + V**0,
        parse("0V")(SO(3)),
        parse("3V**0 + V")(SO(3)),
        (V**2)(Group(d=3)),  # without generators
        (V**2 * V.T + V.T)(SU(2)),
        T(2, 2)(U(2)),
        T(4)(Q8),
        (Rotations() ** 2)(SU(2)),
        (Rotations() ** 3 + V * V.T)(SU(2)),
        T(2)(parse_group("Z(3)")) * T(2)(SU(2)),
    ],
    ids=repr,
)
def test_small_complex_and_user_defined_reps(rep: Rep) -> None:
    assert_law(rep, solved(rep))


def test_a_real_group_with_complex_images() -> None:
    rep = (Phase() * Phase().T)(SO(2))
    basis = solved(rep)
    assert basis.rank == 1
    assert is_accepted(rep, basis)
    assert not is_accepted(rep, dense(np.array([[2j]]), basis), is_trusted=True)


@pytest.mark.parametrize("condition", [10.0, 1e3, 1e6])
@pytest.mark.parametrize("name", ["SO(3)", "O(3)", "SL(2)", "S(3)", "SO11p()"])
def test_oblique_frames(name: str, condition: float) -> None:
    """Irrational entries: none is counted, and a signature decides."""
    group = parse_group(name)
    rep = (V**2)(conjugate(group, random_frame(group.d, condition, np.random.default_rng(5))))
    try:
        basis = solved(rep)
    except SolveError:  # no solve decides the rank in this frame
        assert condition >= 1e3
        return
    assert is_accepted(rep, basis, is_trusted=True)
    if basis.rank:
        turned = np.linalg.qr(basis.dense() + 1e-4 * np.eye(*basis.shape))[0]
        assert not is_accepted(rep, dense(turned, basis), is_trusted=True)


@BOTH
def test_a_rational_oblique_frame(is_trusted: bool) -> None:
    shear = np.array([[1.0, 2, 0], [0, 1, 3], [0, 0, 1]])
    rep = (V**4)(conjugate(SO(3), shear))
    basis = solved(rep)
    require_sound(form(rep), basis, is_trusted=is_trusted)
    assert_law(rep, basis)


# -- columns that are wrong

REP: Rep = (V**4)(SO(3))
TENSORS = [
    pytest.param(REP, id="SO(3)"),
    pytest.param(T(6)(SO(3)), id="SO(3), factored"),
    pytest.param(T(2, 2)(parse_group("SO13p()")), id="Lorentz"),
    pytest.param(T(2, 2)(SU(2)), id="SU(2)"),
    pytest.param(T(4)(O(3)), id="O(3)"),
    pytest.param(T(3)(S(4)), id="S(4)"),
    pytest.param(T(4)(parse_group("C(5)")), id="C(5)"),
]


def a_column_too_many(q: Matrix) -> Matrix:
    rng = np.random.default_rng(0)
    more = rng.standard_normal((len(q), 1))
    more = more - q @ (q.conj().T @ more)
    return np.concatenate([q, more / np.linalg.norm(more)], axis=1)


def a_column_replaced(q: Matrix) -> Matrix:
    return a_column_too_many(q)[:, 1:]


def a_column_twice(q: Matrix) -> Matrix:
    return np.concatenate([q[:, :1], q[:, :1], q[:, 2:]], axis=1)


def a_column_scaled(q: Matrix) -> Matrix:
    return np.concatenate([q[:, :1] * (1 + 1e-8), q[:, 1:]], axis=1)


def a_zero(q: Matrix) -> Matrix:
    return np.concatenate([0 * q[:, :1], q[:, 1:]], axis=1)


def not_a_number(q: Matrix) -> Matrix:
    spoilt = np.array(q)
    spoilt[-1, -1] = np.nan
    return spoilt


def infinite(q: Matrix) -> Matrix:
    spoilt = np.array(q)
    spoilt[0, 0] = np.inf
    return spoilt


def other_rows(q: Matrix) -> Matrix:
    return np.roll(q, 1, axis=0)


WRONG: list[Callable[[Matrix], Matrix]] = [
    *(a_column_too_many, a_column_replaced, a_column_twice, a_column_scaled, a_zero),
    *(not_a_number, infinite, other_rows),
]


@pytest.mark.sampled(8)
@pytest.mark.parametrize("rep", TENSORS)
@pytest.mark.parametrize("spoil", WRONG, ids=lambda spoil: spoil.__name__)
@BOTH
def test_wrong_columns_are_refused(
    rep: Rep, spoil: Callable[[Matrix], Matrix], is_trusted: bool
) -> None:
    basis = solved(rep)
    q = np.asarray(basis.dense())
    assert is_accepted(rep, dense(q, basis), is_trusted=is_trusted)
    assert not is_accepted(rep, dense(spoil(q), basis), is_trusted=is_trusted)


@pytest.mark.parametrize("rep", TENSORS)
@pytest.mark.parametrize("size", [1e-1, 1e-6, 1e-8, 1e-10, 1e-11])
@BOTH
def test_columns_with_small_errors_are_refused(rep: Rep, size: float, is_trusted: bool) -> None:
    """Orthonormal to rounding, and turned out of the invariants by a small angle."""
    basis = solved(rep)
    q = np.asarray(basis.dense())
    rng = np.random.default_rng(3)
    error = rng.standard_normal((len(q), 1))
    error -= (q @ (q.conj().T @ error)).real
    turned = np.array(q)
    turned[:, :1] += size * error / np.linalg.norm(error)
    turned = np.linalg.qr(turned)[0]
    assert not is_accepted(rep, dense(turned, basis), is_trusted=is_trusted)


@pytest.mark.parametrize("rep", TENSORS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=8)
def test_another_gauge_is_accepted(rep: Rep, seed: int) -> None:
    basis = solved(rep)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((basis.rank,) * 2))[0]
    assert is_accepted(rep, dense(np.asarray(basis.dense()) @ turn, basis))


@pytest.mark.parametrize("rep", TENSORS)
def test_no_columns_are_refused_where_there_are_invariants(rep: Rep) -> None:
    basis = solved(rep)
    assert not is_accepted(rep, dense(np.zeros((basis.shape[0], 0)), basis))


@pytest.mark.parametrize("stretch", [1e4, 1e8, 1e10])
@BOTH
def test_a_vector_is_no_invariant_because_the_generator_is_large(
    stretch: float, is_trusted: bool
) -> None:
    """Relative to ‖h‖ it is hardly moved."""
    rep = V(Group(discrete_generators=[np.diag([stretch, 1.0, 2.0])]))
    like = solved(V(SO(3)))
    assert is_accepted(rep, dense(np.eye(3)[:, 1:2], like), is_trusted=is_trusted)
    for wrong in (0, 2):
        moved = dense(np.eye(3)[:, [wrong]], like)
        assert not is_accepted(rep, moved, is_trusted=is_trusted)


@pytest.mark.parametrize("condition", [1e2, 1e4, 3e5])
@BOTH
def test_a_vector_is_no_invariant_because_the_frame_is_oblique(
    condition: float, is_trusted: bool
) -> None:
    """A rotation in this frame moves e₁ by 1/condition² of its norm."""
    turn = np.zeros((3, 3))
    turn[0, 1], turn[1, 0] = condition, -1 / condition
    rep, like = V(Group(lie_algebra=[turn])), solved(V(SO(3)))
    assert not is_accepted(rep, dense(np.eye(3)[:, :1], like), is_trusted=is_trusted)


def test_nothing_is_counted_where_no_solve_decides() -> None:
    rep, like = (V**2)(Group(discrete_generators=[np.diag([1e10, 1.0, 2.0])])), solved(V(SO(3)))
    with pytest.raises(AmbiguousRank):
        solved(rep)
    right = dense(np.eye(9)[:, 4:5], like)
    with pytest.raises(SolveError, match="the condition of its generators is 1"):
        require_sound(form(rep), right)
    assert is_accepted(rep, right, is_trusted=True)


# -- bases of something else


@pytest.mark.parametrize(
    ("rep", "other"),
    [
        (T(3)(SO(3)), T(3)(O(3))),  # of a larger group: fewer
        (T(3)(O(3)), T(3)(SO(3))),  # of a smaller one: more
        (T(2)(S(4)), T(2)(Z(4))),
        (T(2)(Z(4)), T(2)(S(4))),
        (T(4)(SO(4)), T(4)(parse_group("SO13p()"))),
        (T(2, 2)(SU(2)), T(4)(SO(2))),
        (V(SO(3)) * V(SO(3)) + V(SO(3)), parse("V(SO(3)) * V(S(3)) + V(S(3))")),
        (V(S(3)) ** 2 * V(SO(3)) ** 2, V(Z(3)) ** 2 * V(SO(3)) ** 2),
        (T(2)(SO(3)) * 2, T(2)(SO(3)) + T(2)(O(3))),
        (T(1, 1)(parse_group("SL(2)")), T(2)(parse_group("SL(2)"))),
        ((V + V**2)(S(3)), (V**2 + V)(Z(3))),
    ],
    ids=repr,
)
def test_a_basis_of_another_rep_of_the_same_size_is_refused(rep: Rep, other: Rep) -> None:
    own, theirs = solved(rep), solved(other)
    assert own.shape[0] == theirs.shape[0]
    assert is_accepted(rep, own)
    assert not is_accepted(rep, theirs)


@BOTH
def test_more_invariants_than_the_group_has_are_refused_from_anyone(is_trusted: bool) -> None:
    theirs = solved(T(3)(SO(3)))
    assert theirs.rank > solved(T(3)(O(3))).rank
    assert not is_accepted(T(3)(O(3)), theirs, is_trusted=is_trusted)


@BOTH
def test_rows_in_the_order_as_written_are_refused(is_trusted: bool) -> None:
    """A store keeps the order of the canonical rep, which these rows are not in."""
    rep = (V**2 * V.T + V)(parse_group("SL(3)")) + T(3)(parse_group("SL(3)"))
    basis = solved(rep)
    order = np.random.default_rng(0).permutation(basis.shape[0])
    shuffled = basis_of(Permuted(order, basis.storage), basis)
    assert not is_accepted(rep, shuffled, is_trusted=is_trusted)


# -- storages that lie


@BOTH
def test_structures_that_no_solve_returns_are_refused(is_trusted: bool) -> None:
    rep = parse("V(SO(3))**2*V(S(3)) + 2V(S(3))**2")
    basis = solved(rep)
    whole = basis.storage
    assert isinstance(whole, Sum)
    multiplicities, parts = zip(*whole.blocks, strict=True)
    (product,) = (part for part in parts if isinstance(part, KroneckerStorage))
    written_out = {
        id(part): DenseStorage(np.asarray(part.apply(np.eye(part.shape[1])))) for part in parts
    }

    def sum_of(change: Callable[[Storage], Storage]) -> Storage:
        return Sum([(m, change(part)) for m, part in whole.blocks])

    wrong: list[Storage] = [
        DenseStorage(np.asarray(basis.dense())),
        Permuted(np.arange(len(basis)), whole),
        KroneckerStorage([whole]),
        Sum([(1, whole)]),
        Sum([(1, part) for m, part in whole.blocks for _ in range(m)]),
        Sum(whole.blocks[::-1]),
        Sum(whole.blocks[:1]),
        Sum([]),
        Sum([*whole.blocks, (1, Sum([]))]),
        sum_of(lambda part: written_out[id(part)] if part is product else part),
        sum_of(lambda part: Sum([(1, part)])),
        sum_of(lambda part: Permuted(np.arange(part.shape[0]), part)),
        sum_of(lambda part: KroneckerStorage([part])),
        sum_of(lambda part: KroneckerStorage([part, DenseStorage(np.eye(1))])),
    ]
    assert set(multiplicities) == {1, 2}
    assert is_accepted(rep, basis, is_trusted=is_trusted)
    for storage in wrong:
        assert not is_accepted(rep, basis_of(storage, basis), is_trusted=is_trusted), storage


@BOTH
def test_one_wrong_factor_hides_behind_no_other(is_trusted: bool) -> None:
    """Not even behind one without columns, which makes the whole basis empty."""
    rep = parse("V(SO(3)) * V(S(3))")
    basis = solved(rep)
    assert basis.rank == 0
    assert isinstance(basis.storage, KroneckerStorage)
    factors = list(basis.storage.factors)
    (place,) = (i for i, factor in enumerate(factors) if factor.shape[1])
    factors[place] = DenseStorage(np.eye(3)[:, :1])
    forged = basis_of(KroneckerStorage(factors), basis)
    assert forged.rank == 0
    assert not is_accepted(rep, forged, is_trusted=is_trusted)


@BOTH
def test_orbits_with_false_labels_or_signs_are_refused(is_trusted: bool) -> None:
    rep = T(2)(parse_group("C(4)"))
    basis = solved(rep)
    orbits = basis.storage
    assert isinstance(orbits, Orbits)
    assert orbits.signs is not None
    assert sorted(orbits.signs[orbits.labels == orbits.labels[1]]) == [-1, 1]
    other, outside, vanishing = (np.array(orbits.labels) for _ in range(3))
    other[1], outside[1], vanishing[1] = orbits.labels[0], 9, -1
    flipped = np.array(orbits.signs)
    flipped[1] *= -1
    for labels, signs in (
        (other, orbits.signs),
        (outside, orbits.signs),
        (vanishing, orbits.signs),
        (orbits.labels, flipped),
        (orbits.labels, None),
        (orbits.labels, 3 * orbits.signs),
        (orbits.labels, 0 * orbits.signs),
    ):
        forged = basis_of(Orbits(labels, signs, basis.rank), basis)
        try:
            arrived = from_bytes(to_bytes(forged))
        except FormatError:
            continue
        assert not is_accepted(rep, arrived, is_trusted=is_trusted)


@BOTH
def test_two_orbits_taken_for_one_are_refused_if_nobody_signed(is_trusted: bool) -> None:
    rep = T(2)(S(4))
    basis = solved(rep)
    assert basis.rank == 2
    joined = basis_of(Orbits(np.zeros(16, dtype=np.int32), None, 1), basis)
    assert is_accepted(rep, joined, is_trusted=is_trusted) is is_trusted


@BOTH
def test_orbits_for_a_group_that_permutes_nothing(is_trusted: bool) -> None:
    """Orbits are what they are: here one vector, that the group moves."""
    rep = T(2)(SO(3))
    forged = basis_of(Orbits(np.zeros(9, dtype=np.int32), None, 1), solved(rep))
    assert not is_accepted(rep, forged, is_trusted=is_trusted)


@BOTH
def test_complex_columns_of_a_real_rep_are_refused(is_trusted: bool) -> None:
    """They span the same, and networks would have complex weights."""
    basis = solved(REP)
    turned = np.asarray(basis.dense()) * np.exp(1j)
    assert not is_accepted(REP, dense(turned, basis), is_trusted=is_trusted)


def factored() -> tuple[Rep, Basis, Intertwiners]:
    rep = T(6)(SO(3))
    basis = solved(rep, method="irreps")
    assert isinstance(basis.storage, Intertwiners)
    return rep, basis, basis.storage


def changed(transform: Transform, change: Callable[[Matrix], Matrix]) -> Transform:
    """With another last step."""
    *steps, last = transform.steps
    (irrep, target) = next((i, t) for i, by in last.items() for t in by)
    new = {i: dict(by) for i, by in last.items()}
    new[irrep][target] = change(np.array(new[irrep][target]))
    return Transform(transform.sizes, [*steps, new])


@BOTH
def test_intertwiners_with_false_maps_are_refused(is_trusted: bool) -> None:
    rep, basis, storage = factored()
    assert is_accepted(rep, basis, is_trusted=is_trusted)

    def turned(maps: Matrix) -> Matrix:
        return np.asarray(maps[..., ::-1])

    for change in (lambda m: 1.0001 * m, lambda m: -m, turned, lambda m: np.nan * m, np.zeros_like):
        left = changed(storage.left, change)
        forged = basis_of(Intertwiners(left, storage.right, storage.endomorphisms), basis)
        if change(np.ones(1))[0] != -1:  # a sign is another gauge
            assert not is_accepted(rep, forged, is_trusted=is_trusted)


@BOTH
def test_intertwiners_with_false_endomorphisms_are_refused(is_trusted: bool) -> None:
    rep, basis, storage = factored()
    rng = np.random.default_rng(0)
    for change in (
        lambda units: 1.001 * units,
        lambda units: np.linalg.qr(rng.standard_normal(units.shape))[0],
        lambda units: np.repeat(units, 2, axis=0),
        lambda units: np.repeat(units, 5_000, axis=0),
    ):
        units = {irrep: change(e) for irrep, e in storage.endomorphisms.items()}
        forged = basis_of(Intertwiners(storage.left, storage.right, units), basis)
        assert not is_accepted(rep, forged, is_trusted=is_trusted)


def test_intertwiners_without_an_irrep_are_refused_if_nobody_signed() -> None:
    rep, basis, storage = factored()
    units = dict(list(storage.endomorphisms.items())[1:])
    fewer = basis_of(Intertwiners(storage.left, storage.right, units), basis)
    assert fewer.rank < basis.rank
    assert not is_accepted(rep, fewer)


@pytest.mark.parametrize("kind", ["uneven halves", "many copies", "a commutant of 1,000"])
@BOTH
def test_a_small_file_cannot_cost_much_memory(kind: str, is_trusted: bool) -> None:
    """A million dimensions: a matrix of that size squared would take 8 TB."""
    done = run_python(
        f"""
        import sys, time
        sys.path.insert(0, "tests")
        import numpy as np
        from helpers.support import ROOT
        from intertwine.bases import Basis, Certificate, Intertwiners, Transform
        from intertwine.errors import SolveError
        from intertwine.groups import Group
        from intertwine.invariants.arrivals import Unproven, certified, require_sound
        from intertwine.reps import T, V
        d, unit = 100, {{0: np.ones((1, 1, 1))}}
        one, many = np.ones((1, 1, 1, d)) / 10, np.ones((1000, 1, 1, d))
        short, long = (Transform([d] * k, [{{0: {{0: one}}}}] * k) for k in (1, 2))
        storage = {{
            "uneven halves": lambda: Intertwiners(
                Transform([], []), Transform([d] * 3, [{{0: {{0: one}}}}] * 3), unit
            ),
            "many copies": lambda: Intertwiners(
                short,
                Transform([d] * 2, [{{0: {{0: one, 1: many}}}}, {{0: {{0: one}}, 1: {{1: many}}}}]),
                unit,
            ),
            "a commutant of 1,000": lambda: Intertwiners(short, long, {{0: np.ones((1000, 1, 1))}}),
        }}[{kind!r}]()
        size, rank = storage.shape
        certificate = Certificate("irreps", "numpy", "cpu", size, rank, 0.0, 0.0, 1.0, 0, 0.0)
        turn = np.zeros((d, d))
        turn[0, 1], turn[1, 0] = -1, 1
        rep = (V**3)(Group(lie_algebra=[turn]))
        imported()
        begun = time.process_time()
        try:
            require_sound(rep, Basis(storage, certificate), is_trusted={is_trusted})
            refused = False
        except SolveError:
            refused = True
        answer([refused, time.process_time() - begun])
        """
    )
    assert done.status == 0, done.stderr
    refused, seconds = done.value
    assert refused
    assert seconds < 20
    assert done.grown_bytes < 10**9


# -- certificates


@BOTH
def test_claims_in_the_certificate_prove_nothing(is_trusted: bool) -> None:
    basis = solved(REP)
    fewer = without_a_column(basis.storage)
    claims = dataclasses.replace(
        basis.certificate, rank=fewer.shape[1], rank_bound=fewer.shape[1], residual=0.0
    )
    assert claims.is_proven
    assert is_accepted(REP, Basis(fewer, claims), is_trusted=is_trusted) is is_trusted


def test_an_approximate_basis_needs_a_signature_and_the_callers_tolerance() -> None:
    rng = np.random.default_rng(0)
    learned = [np.asarray(a) + 1e-3 * rng.standard_normal((3, 3)) for a in SO(3).lie_algebra]
    rep, tolerance = T(2)(Group(lie_algebra=learned)), 5e-3
    basis = solved(rep, tolerance=tolerance)
    assert basis.rank == 1
    assert is_accepted(rep, basis, is_trusted=True, tolerance=tolerance)
    assert not is_accepted(rep, basis, tolerance=tolerance)
    assert not is_accepted(rep, basis, is_trusted=True)
    assert not is_accepted(rep, basis, is_trusted=True, tolerance=1e-5)
    exact = dense(np.asarray(basis.dense()), solved(T(2)(SO(3))))
    assert not is_accepted(rep, exact, is_trusted=True, tolerance=tolerance)
    assert not is_accepted(rep, exact, is_trusted=True)
    moved = Basis(DenseStorage(np.eye(9)[:, 1:2]), basis.certificate)
    assert not is_accepted(rep, moved, is_trusted=True, tolerance=tolerance)


@BOTH
def test_an_approximate_certificate_loosens_no_exact_check(is_trusted: bool) -> None:
    basis = solved(REP)
    loose = ApproximateCertificate.of(basis.certificate, 0.9, (0.0,), (1.0,))
    moved = Basis(DenseStorage(np.eye(*basis.shape)), loose)
    assert not is_accepted(REP, moved, is_trusted=is_trusted)


# -- large ones


@pytest.mark.parametrize("flaw", [None, "a column", "an entry", "a small entry"])
@pytest.mark.parametrize("seed", range(3))
def test_of_a_large_basis_random_sums_are_checked(flaw: str | None, seed: int) -> None:
    """T(8) of SO(3) has 91 columns in 6,561 dimensions."""
    rep = T(8)(SO(3))
    q = np.array(solved(rep).dense())
    if flaw == "a column":
        q = a_column_replaced(q)
    elif flaw is not None:
        q[np.abs(q).argmax() // q.shape[1], 50] += 1e-3 if flaw == "an entry" else 1e-8
    like = solved(rep)
    assert is_accepted(rep, dense(q, like), seed=seed) is (flaw is None)


def test_nobody_can_foresee_which_sums_are_checked() -> None:
    """A sender who knew the draw could send columns that are right in these sums alone."""
    rep = T(8)(SO(3))
    basis = solved(rep)
    q, draw = np.array(basis.dense()), np.random.default_rng(7)
    known = np.linalg.qr(draw.standard_normal((basis.rank, 4)))[0]
    free = np.linalg.qr(np.concatenate([known, np.eye(basis.rank)[:, :1]], axis=1))[0][:, 4:]
    wrong = a_column_too_many(q)[:, -1:]
    forged = dense(q - (q @ free) @ free.T + wrong @ free.T, basis)
    assert is_accepted(rep, forged, seed=7)
    assert not any(is_accepted(rep, forged) for _ in range(5))


@pytest.mark.slow
def test_a_million_dimensions_take_no_longer_than_their_solve() -> None:
    rep = (V**3)(S(100))
    begun = time.process_time()
    basis = solved(rep)
    middle = time.process_time()
    assert is_accepted(rep, basis)
    assert time.process_time() - middle < 3 * (middle - begun) + 1
    assert not is_accepted(rep, basis_of(without_a_column(basis.storage), basis))


def test_what_cannot_be_counted_is_refused_with_the_reason() -> None:
    frame = random_frame(3, 10.0, np.random.default_rng(0))
    rep = (V**4)(conjugate(SO(3), frame))
    basis = solved(rep)
    with pytest.raises(SolveError, match=r"no trusted key has signed it.*not proven.*rational"):
        require_sound(form(rep), basis)
    require_sound(form(rep), basis, is_trusted=True)


def test_a_permutation_rep_with_a_dense_basis_is_accepted() -> None:
    rep = T(3)(S(4))
    assert is_accepted(rep, solved(rep, method="svd"))


def test_orbits_are_counted_for_permutation_operators() -> None:
    """A group given by `Permutation` operators, as large groups are."""
    group = Group(discrete_generators=[Permutation(np.array([1, 2, 3, 0]))])
    assert_law((V**3)(group), solved((V**3)(group)))


# -- a certificate of what is measured here


@pytest.mark.parametrize("text", ["V(SO(3))**4", "V(S(3))**3+2V(S(3))", "2V(Z(3))*V(S(4))"])
def test_a_certificate_has_no_claim_of_the_sender(text: str) -> None:
    rep = parse(text)
    basis = solved(rep)
    claims = dataclasses.replace(
        basis.certificate,
        **{"method": "magic+svd", "residual": 0.0, "notes": ("trust me",), "version": "9"},
        **{"rank_bound": 99, "gap": 1e9, "iterations": 5, "parts": {}},
    )
    arrived = certified(form(rep), from_bytes(to_bytes(Basis(basis.storage, claims))))
    found = arrived.certificate
    assert np.array_equal(arrived.dense(), basis.dense())
    assert (found.method, (found.size, found.rank)) == ("svd", basis.shape)
    assert found.is_proven
    assert found.residual <= 1e-9
    assert found.residuals.keys() == basis.certificate.residuals.keys()
    assert found.notes == ("found elsewhere, and checked here",)
    assert from_bytes(to_bytes(arrived)).certificate == found


def test_what_cannot_be_counted_is_unproven_and_what_is_wrong_is_not() -> None:
    frame = random_frame(3, 10.0, np.random.default_rng(0))
    rep = (V**4)(conjugate(SO(3), frame))
    basis = solved(rep)
    with pytest.raises(Unproven):
        certified(form(rep), basis)
    with pytest.raises(SolveError, match="not invariant") as refused:
        certified(form(rep), dense(np.eye(81)[:, :3], basis))
    assert not isinstance(refused.value, Unproven)
    rep = REP
    basis = solved(rep)
    with pytest.raises(SolveError, match="there may be 3") as refused:
        certified(form(rep), basis_of(without_a_column(basis.storage), basis))
    assert not isinstance(refused.value, Unproven)
