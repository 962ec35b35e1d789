"""The spectral norm, of small matrices and of large ones; orthonormal rows of a span."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.groups import SE, SO, SU, Galilei, Group, Heisenberg, Poincare, Sp
from intertwine.groups.lie_span import LieSpan, orthonormal_rows, spectral_norm
from intertwine.invariants import solve
from intertwine.reps import T, V


@pytest.mark.parametrize("n", [3, 401])
@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e150])
@pytest.mark.parametrize("is_complex", [False, True])
def test_the_spectral_norm_is_the_largest_singular_value(
    n: int, scale: float, is_complex: bool
) -> None:
    rng = np.random.default_rng(n)
    matrix = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if is_complex else 0)
    turned = np.linalg.qr(matrix)[0]
    values = np.linspace(0, 7, n)
    found = spectral_norm(scale * (turned * values) @ turned.conj().T)
    assert abs(found / scale - 7) < 1e-8
    assert (
        abs(spectral_norm(turned - turned.conj().T) - np.linalg.norm(turned - turned.conj().T, 2))
        < 1e-8
    )
    assert spectral_norm(turned) == spectral_norm(turned)
    assert spectral_norm(np.zeros((n, n))) == 0


# -- many generators, which are factorised instead


@pytest.mark.parametrize("are_complex", [False, True])
def test_rows_are_orthonormalised_with_their_coefficients(are_complex: bool) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((5, 9)) + 1j * are_complex * rng.standard_normal((5, 9))
    rows = rows if are_complex else rows.real
    found = orthonormal_rows(rows, 1e-6)
    assert found is not None
    basis, inverse = found
    np.testing.assert_allclose(basis @ basis.conj().T, np.eye(5), atol=1e-14)
    np.testing.assert_allclose(inverse @ rows, basis, atol=1e-13)


@pytest.mark.parametrize("error", [0.0, 1e-14, 1e-9])
def test_rows_that_may_depend_on_each_other_are_left_to_their_singular_values(
    error: float,
) -> None:
    rows = np.random.default_rng(0).standard_normal((5, 9))
    rows[4] = rows[0] - rows[3] + error * rows[4]
    assert orthonormal_rows(rows, 1e-6) is None
    assert orthonormal_rows(np.zeros((2, 9)), 1e-6) is None
    assert orthonormal_rows(np.ones((2, 1)), 1e-6) is None


@pytest.mark.parametrize("are_complex", [False, True])
def test_orthogonal_rows_are_only_scaled(
    are_complex: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((9, 9)) + 1j * are_complex * rng.standard_normal((9, 9))
    rows = np.linalg.qr(matrix if are_complex else matrix.real)[0][:5]
    lengths = np.array([1.0, 2.0, 0.5, 3.0, 1.0])
    monkeypatch.setattr(np.linalg, "qr", _not_needed)
    found = orthonormal_rows(lengths[:, None] * rows, 1e-6)
    assert found is not None
    np.testing.assert_allclose(found[0], rows, atol=1e-15)
    np.testing.assert_allclose(found[1], np.diag(1 / lengths), atol=1e-15)
    monkeypatch.undo()
    assert orthonormal_rows((lengths * [1e-7, 1, 1, 1, 1])[:, None] * rows, 1e-6) is None


def _not_needed(*arguments: object, **options: object) -> None:
    raise AssertionError("a factorisation that is not needed")


def test_many_generators_have_the_basis_of_their_singular_values() -> None:
    """SO(15) has 105 generators: its basis is that of fixed matrices either way."""
    frame = np.linalg.qr(np.random.default_rng(1).standard_normal((15, 15)))[0]
    group = Group(lie_algebra=(frame * 2 ** np.linspace(0, 1, 15)) @ SO(15).lie_algebra)
    span = LieSpan(group)
    factorised = span.combinations(1e-12, 1e-7) @ span.rows
    is_closed = span.is_closed_under_adjoints
    other = LieSpan(group)
    other.__dict__["_orthonormal"] = None
    np.testing.assert_allclose(other.combinations(1e-12, 1e-7) @ other.rows, factorised, atol=1e-11)
    assert other.is_closed_under_adjoints == is_closed


# -- good frames


def mixed(group: Group, seed: int) -> Group:
    """The same Lie algebra in an orthogonal frame, by an ill-conditioned basis."""
    rng = np.random.default_rng(seed)
    frame = np.linalg.qr(rng.standard_normal((group.d, group.d)))[0]
    given = frame @ np.array([np.asarray(a) for a in group.lie_generators]) @ frame.T
    left, right = (np.linalg.qr(rng.standard_normal([len(given)] * 2))[0] for _ in range(2))
    coefficients = (left * np.geomspace(1, 1e-3, len(given))) @ right
    return Group(lie_algebra=np.tensordot(coefficients, given, 1))


@pytest.mark.parametrize("group", [SE(3), Galilei(3), Poincare(), Heisenberg(2), SU(3)], ids=str)
def test_a_good_frame_is_seen_in_any_basis_of_the_span(group: Group) -> None:
    assert LieSpan(group).has_good_frame
    assert all(LieSpan(mixed(group, seed)).has_good_frame for seed in range(3))


@pytest.mark.parametrize("group", [SO(3), SE(3), Sp(2), SO(1, 3)], ids=str)
def test_an_oblique_frame_is_seen(group: Group) -> None:
    rng = np.random.default_rng(2)
    frame = np.eye(group.d) + 0.3 * rng.standard_normal((group.d, group.d))
    turned = [frame @ np.asarray(a) @ np.linalg.inv(frame) for a in group.lie_generators]
    assert not LieSpan(Group(lie_algebra=turned)).has_good_frame


def oblique(group: Group, condition: float = 3.0) -> Group:
    rng = np.random.default_rng(3)
    u, _, vh = np.linalg.svd(rng.standard_normal((group.d, group.d)))
    frame = (u * np.geomspace(1, condition, group.d)) @ vh
    algebra = np.array([np.asarray(a) for a in group.lie_generators])
    return Group(lie_algebra=frame @ algebra @ np.linalg.inv(frame))


@pytest.mark.parametrize("group", [SO(15), SU(11), SE(14)], ids=str)
def test_one_random_element_shows_that_many_generators_have_an_oblique_frame(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 105 to 120 generators, a span is not decomposed to see this."""
    turned = oblique(group)
    span, other = LieSpan(turned), LieSpan(turned)
    other.__dict__["_orthonormal"] = None
    assert span.norms
    monkeypatch.setattr(np.linalg, "lstsq", _not_needed)
    monkeypatch.setattr(np.linalg, "svd", _not_needed)
    assert not span.is_closed_under_adjoints
    assert not span.has_good_frame
    monkeypatch.undo()
    assert not other.is_closed_under_adjoints
    assert not other.has_good_frame


def test_many_generators_may_have_a_good_frame() -> None:
    """The 105 generators of SE(14) in an orthogonal frame: the rotations, and translations whose
    cubes vanish. Only the rotations are closed under adjoints.
    """
    rng = np.random.default_rng(5)
    frame = np.linalg.qr(rng.standard_normal((15, 15)))[0]
    algebra = np.array([np.asarray(a) for a in SE(14).lie_generators])
    span = LieSpan(Group(lie_algebra=frame @ algebra @ frame.T))
    assert span.has_good_frame
    assert not span.is_closed_under_adjoints
    rotations = LieSpan(Group(lie_algebra=frame @ np.asarray(SO(15).lie_algebra) @ frame.T))
    assert rotations.has_good_frame
    assert rotations.is_closed_under_adjoints


def test_a_solve_spans_each_group_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The span serves the choice of a method, the verdict on the group, and the solve; the
    straightened group has another span.
    """
    made: list[str] = []
    init = LieSpan.__init__

    def counted(self: LieSpan, group: Group) -> None:
        made.append(group.digest)
        init(self, group)

    monkeypatch.setattr(LieSpan, "__init__", counted)
    group = oblique(SO(12), 12.0)
    assert solve(T(2)(group), store=False).rank == 1
    assert group.digest in made
    assert len(made) == len(set(made)) == 2
    solve(V(group), store=False)
    assert len(made) > 2  # nothing is remembered after a solve
