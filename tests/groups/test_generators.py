"""The forms in which generators are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from intertwine.errors import InvalidGroup, TooLarge
from intertwine.groups import SO, Group, S, Z, limited_entries
from intertwine.operators import Permutation
from intertwine.reps import V
from sympy.combinatorics import Permutation as sympy_permutation

SPARSE = [
    scipy.sparse.csr_matrix,
    scipy.sparse.csc_array,
    scipy.sparse.coo_array,
    scipy.sparse.lil_matrix,
    scipy.sparse.dok_array,
    scipy.sparse.bsr_matrix,
]


@pytest.mark.parametrize("form", SPARSE, ids=lambda form: form.__name__)
def test_sparse_matrices_are_generators(form: Any) -> None:
    assert Group(lie_algebra=[form(A) for A in SO(3).lie_algebra]) == SO(3)
    flip = np.diag([-1.0, 2.0])
    assert Group(discrete_generators=[form(flip)]) == Group(discrete_generators=[flip])
    matrices = [np.asarray(h) for h in S(4).group_generators]
    group = Group(discrete_generators=[form(matrix) for matrix in matrices])
    assert group == S(4)
    assert all(isinstance(h, Permutation) for h in group.group_generators)
    assert (V(group) ** 2).equivariant_basis().rank == 2


def test_permutations_of_sympy_are_generators() -> None:
    cycle, swap = sympy_permutation([1, 2, 3, 0]), sympy_permutation([1, 0, 2, 3])
    group = Group(discrete_generators=[cycle, swap])
    assert group == Group(discrete_generators=[[1, 2, 3, 0], [1, 0, 2, 3]])
    assert (V(group) ** 2).equivariant_basis().rank == 2


def test_a_sparse_permutation_of_many_coordinates_is_never_made_dense() -> None:
    shift = scipy.sparse.eye_array(100_000, format="csr")[np.roll(np.arange(100_000), 1)]
    assert Group(discrete_generators=[shift]) == Z(100_000)
    with pytest.raises(TooLarge, match="a discrete generator of shape"):
        Group(discrete_generators=[2 * shift])


def test_a_sparse_matrix_that_only_looks_like_a_permutation_is_singular() -> None:
    with pytest.raises(InvalidGroup, match="singular"):
        Group(discrete_generators=[scipy.sparse.csr_array([[1.0, 0.0], [1.0, 0.0]])])


@pytest.mark.parametrize(
    "form", [tuple, list, np.array, lambda p: np.array(p, dtype=np.int8), Permutation]
)
def test_a_permutation_is_a_list_of_its_images(form: Any) -> None:
    assert Group(discrete_generators=[form([1, 2, 0])]).d == 3


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32, object, complex])
def test_matrices_of_any_dtype_are_generators(dtype: Any) -> None:
    swap = np.array([[0, 1], [1, 0]], dtype=dtype)
    assert Group(discrete_generators=[swap]) == S(2)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a permutation as a Lie generator": (
        {"lie_algebra": [[1, 2, 0]]},
        r"A permutation is a discrete generator: discrete_generators=\[\[1, 2, 0\]\]",
    ),
    "a permutation that is not in a list": (
        {"discrete_generators": [1, 2, 0]},
        r"write discrete_generators=\[\[1, 2, 0\]\] for one permutation",
    ),
    "the same as a Lie generator": (
        {"lie_algebra": (1, 2, 0)},
        r"write discrete_generators=\[\[1, 2, 0\]\] for one permutation",
    ),
    "indices from one": (
        {"discrete_generators": [[2, 3, 1]]},
        r"Indices count from 0: write \[1, 2, 0\]",
    ),
    "a negative index": ({"discrete_generators": [[-1, 0, 1]]}, "is not a permutation"),
    "an index twice": ({"discrete_generators": [[0, 0, 1]]}, "is not a permutation"),
    "a cycle": ({"discrete_generators": [[(0, 1, 2)]]}, r"such as \[1, 2, 0\], not in cycles"),
    "cycles of several lengths": (
        {"discrete_generators": [[(0, 1, 2), (3, 4)]]},
        r"such as \[1, 2, 0\], not in cycles",
    ),
    "a sparse matrix that is not in a list": (
        {"lie_algebra": scipy.sparse.eye_array(2, format="csr")},
        r"write \[generator\] for one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_errors_say_what_to_write(case: str) -> None:
    arguments, message = REFUSED[case]
    with pytest.raises(InvalidGroup, match=message):
        Group(**arguments)


class OfArguments(Group):
    """As EMLP's groups print: by the arguments that `__new__` remembers."""

    def __init__(self, n: int) -> None:
        self.lie_algebra = SO(n).lie_algebra
        super().__init__(n)

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.args}"


class OfItsOwn(Group):
    """Its text reads an attribute that is set last."""

    def __init__(self, n: int) -> None:
        super().__init__(lie_algebra=SO(n).lie_algebra)
        self.order = n

    def __repr__(self) -> str:
        return f"Mine<{self.order}>"


def test_a_repr_may_read_the_arguments_and_what_is_set_last() -> None:
    assert repr(OfArguments(3)) == "OfArguments(3,)"
    assert repr(OfItsOwn(3)) == "Mine<3>"
    for G in (OfArguments(3), OfItsOwn(3)):
        assert (V(G) ** 2).equivariant_basis().rank == 1
        assert repr(G.numbered(1)) == f"{G!r}#1"


def test_the_groups_of_a_block_may_be_limited() -> None:
    with limited_entries(100):
        for build in (lambda: SO(5), lambda: Z(101), lambda: S(11), lambda: Group(d=3) * SO(5)):
            with pytest.raises(TooLarge, match="at most 100 are built here"):
                build()
        assert SO(3).d == 3
        with limited_entries(10**9), pytest.raises(TooLarge, match="at most 10,000,000 are built"):
            S(10_000)
    assert SO(5).d == 5
