"""Groups of every kind, also in oblique frames."""

from __future__ import annotations

import numpy as np
from intertwine.groups import Group, parse_group
from intertwine.operators import dense
from scipy.linalg import expm


def matrices(generators: tuple[object, ...], d: int) -> np.ndarray:
    return np.array([np.asarray(dense(g)) for g in generators]).reshape(-1, d, d)


def lie(group: Group) -> np.ndarray:
    return matrices(group.lie_generators, group.d)


def discrete(group: Group) -> np.ndarray:
    return matrices(group.group_generators, group.d)


def unit(d: int, i: int, j: int) -> np.ndarray:
    return np.outer(np.eye(d)[i], np.eye(d)[j])


def as_real(group: Group) -> Group:
    """A complex group on the real space of twice the size."""

    def real(x: np.ndarray) -> np.ndarray:
        return np.block([[x.real, -x.imag], [x.imag, x.real]])

    size = 2 * group.d
    return Group(lie_algebra=[real(x) for x in lie(group)], d=size)


COSH, SINH = np.cosh(0.7), np.sinh(0.7)
REDUCTIVE = {
    **{
        name: parse_group(name)
        for name in (
            *("SO(2)", "SO(3)", "O(3)", "SO(4)", "C(4)", "D(3)", "D(5)", "S(4)", "Z(5)", "Cube()"),
            *("SO13p()", "O13()", "SO11p()", "O11()", "Sp(1)", "Sp(2)", "SL(2)", "SL(3)", "GL(2)"),
            *("SU(2)", "SU(3)", "U(2)", "Scaling(3)"),
        )
    },
    "SU(2) on ℝ⁴": as_real(parse_group("SU(2)")),
    "SU(3) on ℝ⁶": as_real(parse_group("SU(3)")),
    "SL(2,ℤ)": Group(discrete_generators=[[[0.0, -1], [1, 0]], [[1.0, 1], [0, 1]]]),
    "a boost and a parity": Group(
        discrete_generators=[[[COSH, SINH], [SINH, COSH]], np.diag([1.0, -1])]
    ),
}
NOT_REDUCTIVE = {
    "upper triangular": Group(lie_algebra=[unit(2, 0, 0), unit(2, 0, 1), unit(2, 1, 1)]),
    "SE(2)": Group(lie_algebra=[unit(3, 0, 1) - unit(3, 1, 0), unit(3, 0, 2), unit(3, 1, 2)]),
    "Heisenberg": Group(lie_algebra=[unit(3, 0, 1), unit(3, 1, 2)]),
    "Galilei": Group(
        lie_algebra=[
            *(unit(4, 0, 1) - unit(4, 1, 0), unit(4, 0, 2), unit(4, 1, 2)),
            *(unit(4, 0, 3), unit(4, 1, 3), unit(4, 2, 3)),
        ]
    ),
    "a shear": Group(discrete_generators=[[[1.0, 1], [0, 1]]]),
}


def random_frame(
    d: int, condition: float, rng: np.random.Generator, is_complex: bool = False
) -> np.ndarray:
    """An invertible matrix of a condition."""

    def unitary() -> np.ndarray:
        x = rng.standard_normal((d, d))
        return np.linalg.qr(x + 1j * rng.standard_normal((d, d)) if is_complex else x)[0]

    logs = rng.uniform(0, 1, d)
    logs[0], logs[-1] = 0, 1
    return (unitary() * condition**logs) @ unitary()


def conjugate(group: Group, s: np.ndarray) -> Group:
    """S⁻¹GS."""
    inverse = np.linalg.inv(s)
    return Group(
        lie_algebra=inverse @ lie(group) @ s,
        discrete_generators=inverse @ discrete(group) @ s,
        d=group.d,
    )


def redundantly(group: Group, rng: np.random.Generator) -> Group:
    """The same group, with elements of its connected part among and within the discrete ones."""
    found = lie(group)
    if not len(found):
        return group
    element = expm(np.tensordot(0.5 * rng.standard_normal(len(found)), found, (0, 0)))
    return Group(
        lie_algebra=found,
        discrete_generators=[element, *(h @ element for h in discrete(group))],
        d=group.d,
    )
