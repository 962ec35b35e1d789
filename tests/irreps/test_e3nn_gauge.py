"""e3nn's bases: the action on spherical harmonics is the irrep's, and data can be exchanged."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest
from intertwine.errors import InvalidRep, InvalidSetting, MethodNotApplicable, TooLarge
from intertwine.groups import SO, SU, O, S
from intertwine.irreps import Irrep, SphericalHarmonics, decompose, e3nn_frame
from intertwine.reps import Alt, Rep, Sym, V, parse
from scipy.linalg import block_diag

POINT = np.array([0.3, -1.1, 0.7])


@pytest.mark.parametrize("name", [f"{degree}{parity}" for degree in range(4) for parity in "eo"])
def test_elements_of_o3_act_as_on_spherical_harmonics(name: str) -> None:
    irrep, degree = Irrep(name, O(3)), int(name[0])
    change, harmonics = irrep.to_e3nn(), SphericalHarmonics(degree)
    assert change.dtype == np.float64
    np.testing.assert_allclose(change @ change.T, np.eye(2 * degree + 1), atol=1e-13)
    for g in (*O(3).samples(2, seed=3), -np.eye(3)):
        image = change @ np.asarray(irrep.rho(g)) @ change.T
        is_natural = (name[1] == "e") == (degree % 2 == 0)
        sign = 1.0 if is_natural else np.linalg.det(g)
        np.testing.assert_allclose(
            image @ harmonics(POINT), sign * harmonics(g @ POINT), atol=1e-11
        )


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_powers_of_a_vector_are_positive_multiples_of_harmonics(degree: int) -> None:
    irrep = Irrep(f"l={degree}", SO(3))
    power = reduce(np.kron, [POINT] * degree)
    parts = decompose((V**degree)(SO(3))).to_irreps(power[:, None])
    ratios = irrep.to_e3nn() @ parts[irrep][0, :, 0] / SphericalHarmonics(degree)(POINT)
    np.testing.assert_allclose(ratios, ratios[0])
    assert ratios[0] > 0.1


@pytest.mark.slow
def test_large_degrees() -> None:
    irrep, g = Irrep("l=12", SO(3)), SO(3).sample(2)
    image = irrep.to_e3nn() @ np.asarray(irrep.rho(g)) @ irrep.to_e3nn().T
    harmonics, unit = SphericalHarmonics(12), POINT / np.linalg.norm(POINT)
    np.testing.assert_allclose(image @ harmonics(unit), harmonics(g @ unit), atol=1e-8)


def test_integral_spins_are_those_of_rotations() -> None:
    irrep = Irrep("j=2", SU(2))
    change = irrep.to_e3nn()
    np.testing.assert_allclose(change @ change.conj().T, np.eye(5), atol=1e-13)
    g = SU(2).sample(1)
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    turn = np.einsum("iab,bc,jcd,da->ij", pauli, g, pauli, g.conj().T).real / 2
    image = change @ np.asarray(irrep.rho(g)) @ change.conj().T
    harmonics = SphericalHarmonics(2)
    np.testing.assert_allclose(image @ harmonics(POINT), harmonics(turn @ POINT), atol=1e-11)


@pytest.mark.parametrize(
    ("irrep", "text"),
    [(("j=1/2", SU(2)), "half-integral"), (("[2, 1]", S(3)), "e3nn has irreps of SO")],
    ids=["spin", "symmetric group"],
)
def test_others_have_no_such_basis(irrep: tuple[str, SU], text: str) -> None:
    with pytest.raises(MethodNotApplicable, match=text):
        Irrep(*irrep).to_e3nn()


def e3nn_matrix(irreps: str, g: Any) -> Any:
    """D(g) of e3nn's text for an element of O(3), by the values of harmonics at many points."""
    points = np.random.default_rng(0).standard_normal((40, 3))
    blocks = []
    for block in irreps.split("+"):
        count, _, name = block.partition("x")
        degree, is_even = int(name[:-1]), name[-1] == "e"
        harmonics = SphericalHarmonics(degree)
        before, after = (np.stack([harmonics(p) for p in q]) for q in (points, points @ g.T))
        natural = np.linalg.lstsq(before, after, rcond=None)[0].T
        sign = 1.0 if is_even == (degree % 2 == 0) else np.linalg.det(g)
        blocks += [sign * natural] * int(count)
    return block_diag(*blocks)


EXAMPLES: dict[str, tuple[Rep, str]] = {
    "vector": (V(O(3)), "1x1o"),
    "matrices": ((V**2)(O(3)), "1x0e+1x1e+1x2e"),
    "as written": (parse("2x2e+3x1o+1x0o")(O(3)), "2x2e+3x1o+1x0o"),
    "sum": ((V**2 + 2 + 2 * V)(O(3)), "1x0e+1x1e+1x2e+2x0e+2x1o"),
    "functors": ((Sym(3, V) + Alt(3, V))(O(3)), "1x1o+1x3o+1x0o"),
    "rotations": ((Irrep("l=3") + V**2)(SO(3)), "1x3e+1x0e+1x1e+1x2e"),
}
each = pytest.mark.parametrize("name", EXAMPLES)


@each
def test_frames_lead_to_the_matrices_of_e3nn(name: str) -> None:
    rep, irreps = EXAMPLES[name]
    frame = e3nn_frame(rep)
    assert frame.irreps == irreps
    assert repr(frame) == f"<{rep!r} in e3nn: {irreps}>"
    np.testing.assert_allclose(frame.matrix @ frame.matrix.T, np.eye(rep.size()), atol=1e-12)
    x = np.random.default_rng(1).standard_normal((2, rep.size()))
    np.testing.assert_allclose(frame.from_e3nn(frame.to_e3nn(x)), x, atol=1e-12)
    for g in rep.G.samples(2, seed=4):
        moved = frame.to_e3nn(x @ np.asarray(rep.rho_dense(g)).T)
        np.testing.assert_allclose(moved, frame.to_e3nn(x) @ e3nn_matrix(irreps, g).T, atol=1e-9)


@each
def test_decompositions_have_the_irreps_of_e3nn_in_its_order(name: str) -> None:
    rep, _ = EXAMPLES[name]
    found, own = decompose(rep, gauge="e3nn"), decompose(rep)
    assert dict(found.multiplicities) == dict(own.multiplicities)
    assert (found.gauge, own.gauge) == ("e3nn", "own")
    keys = [(int(i.e3nn_name[:-1]), i.e3nn_name) for i in found.multiplicities]
    assert [degree for degree, _ in keys] == sorted(degree for degree, _ in keys)
    matrix = found.matrix()
    for g in rep.G.samples(2, seed=5):
        image = e3nn_matrix(found.e3nn_irreps, g)
        np.testing.assert_allclose(np.asarray(rep.rho_dense(g)) @ matrix, matrix @ image, atol=1e-9)
    x = np.random.default_rng(2).standard_normal((rep.size(), 3))
    np.testing.assert_allclose(found.from_irreps(found.to_irreps(x)), x, atol=1e-12)


def test_parities_are_in_the_order_of_e3nn() -> None:
    rep = parse("1x1e+1x1o+1x0o+1x0e+1x2o+1x2e")(O(3))
    assert decompose(rep, gauge="e3nn").e3nn_irreps == "1x0e+1x0o+1x1o+1x1e+1x2e+1x2o"


def test_spins_have_frames_over_the_complex_numbers() -> None:
    frame = e3nn_frame(Irrep("j=1", SU(2)) ** 2)
    assert frame.irreps == "1x0e+1x1e+1x2e"
    np.testing.assert_allclose(frame.matrix @ frame.matrix.conj().T, np.eye(9), atol=1e-12)


def test_what_has_no_frame() -> None:
    with pytest.raises(MethodNotApplicable, match="half-integral"):
        e3nn_frame(V(SU(2)))
    with pytest.raises(MethodNotApplicable, match="is none of them"):
        decompose(V(S(3)), gauge="e3nn")
    with pytest.raises(MethodNotApplicable, match="2 groups"):
        e3nn_frame(V(SO(3)) * V(O(3)))
    with pytest.raises(InvalidSetting, match="the gauge is one of own, e3nn, not 'escnn'"):
        decompose(V(O(3)), gauge="escnn")
    with pytest.raises(TooLarge, match="19,683 dimensions"):
        e3nn_frame((V**9)(O(3)))
    with pytest.raises(InvalidRep, match="has size 3, and an array has the shape"):
        e3nn_frame(V(O(3))).to_e3nn(np.ones(4))
