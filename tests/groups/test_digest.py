"""The digest of a group: its identity in every process, and in every storage of its generators."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from helpers.laws import laws
from helpers.support import run_python
from hypothesis import given
from hypothesis import strategies as st
from intertwine.groups import SO, C, D, Group, O, S, SO13p, Sp, Trivial, U, Z
from intertwine.groups.digest import matrix_parts
from intertwine.operators import Permutation

GROUPS = [
    *(Trivial(1), Trivial(2), SO(2), SO(3), SO(4), O(3), C(3), C(4), C(5), D(3), D(4)),
    *(S(3), S(4), Z(3), Z(4), SO13p(), Sp(1), U(1), U(2), Z(2) * Z(3), Z(3) * Z(2)),
]


def matrix_bytes(matrix: Any) -> bytes:
    return b"".join(matrix_parts(matrix))


def test_different_groups_have_different_digests() -> None:
    for left, right in itertools.combinations(GROUPS, 2):
        assert left.digest != right.digest, (left, right)


def test_the_kind_of_a_generator_counts() -> None:
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    assert Group(lie_algebra=[turn]).digest != Group(discrete_generators=[turn]).digest


@laws
@given(
    st.integers(1, 5),
    st.integers(0, 999),
    st.sampled_from([1e-20, 1e-3, 1.0, 3.0, 1e15]),
    st.booleans(),
)
def test_noise_in_the_last_bits_of_nice_numbers_does_not_count(
    n: int, seed: int, scale: float, is_complex: bool
) -> None:
    """Entries are whole and half numbers, roots and cosines: what people write."""
    rng = np.random.default_rng(seed)
    nice = np.array(
        [0, 1, -1, 0.5, 0.25, 2, np.sqrt(2), np.sqrt(3) / 2, np.cos(2 * np.pi / 5), 1 / 3]
    )
    matrix = scale * rng.choice(nice, (n, n))
    if is_complex:
        matrix = matrix + 1j * scale * rng.choice(nice, (n, n))
    noise = 1 + rng.uniform(-4e-16, 4e-16, (n, n))
    shifted = matrix * noise + scale * rng.uniform(-1e-16, 1e-16, (n, n))
    largest = np.abs(matrix).max()
    if largest == 0:
        return
    assert matrix_bytes(matrix) == matrix_bytes(shifted)
    assert matrix_bytes(matrix) != matrix_bytes(matrix * (1 + 1e-9))
    changed = matrix.copy()
    changed[0, 0] += 1e-9 * largest
    assert matrix_bytes(matrix) != matrix_bytes(changed)


def test_negative_zero_is_zero() -> None:
    assert matrix_bytes(np.array([[-0.0, 1.0]])) == matrix_bytes(np.array([[0.0, 1.0]]))
    left, right = np.array([[1.0, complex(0.0, -0.0)]]), np.array([[1.0, 0j]])
    assert matrix_bytes(left) == matrix_bytes(right)


@laws
@given(st.permutations(range(5)), st.lists(st.sampled_from([-1, 1]), min_size=5, max_size=5))
def test_a_permutation_has_the_bytes_of_its_matrix(indices: list[int], signs: list[int]) -> None:
    P = Permutation(indices, signs)
    assert matrix_bytes(P) == matrix_bytes(np.asarray(P))
    assert matrix_bytes(P) == matrix_bytes(np.asarray(P) + 0j)


def test_the_digest_does_not_depend_on_the_memory_layout() -> None:
    matrix = np.arange(9.0).reshape(3, 3)
    assert matrix_bytes(matrix) == matrix_bytes(np.asfortranarray(matrix))
    assert matrix_bytes(matrix) == matrix_bytes(np.stack([matrix, matrix], axis=1)[:, 0])


def test_digests_are_the_same_in_every_process() -> None:
    program = """
    from intertwine.groups import parse_group
    names = ["SO(3)", "C(7)", "D(5)", "SO13p()", "RubiksCube()", "U(2)", "Z(3)*S(4)", "SU(3)"]
    answer([parse_group(name).digest for name in names])
    """
    outcomes = [
        run_python(program, env={"PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": threads}).value
        for seed, threads in (("1", "1"), ("2", "2"))
    ]
    assert outcomes[0] == outcomes[1]
    assert len(set(outcomes[0])) == 8
    assert all(len(digest) == 64 for digest in outcomes[0])
