"""A group from its generators, however they are given; its subclasses, and its identity."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from helpers.laws import laws
from helpers.support import run_python
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import InvalidGroup
from intertwine.groups import SO, C, Group, S, SO13p, Trivial, Z, parse_group
from intertwine.groups import D as OurD
from intertwine.operators import Kronecker, LinearOperator, Permutation
from intertwine.reps import T, V

TURN = np.array([[0.0, -1.0], [1.0, 0.0]])


class LazyPerm(LinearOperator):
    """As EMLP's page on new groups writes it."""

    def __init__(self, perm: Any) -> None:
        self.perm = perm
        self.shape = (len(perm), len(perm))

    def _matmat(self, V: Any) -> Any:
        return V[self.perm]

    def _matvec(self, V: Any) -> Any:
        return V[self.perm]

    def _adjoint(self) -> LinearOperator:
        return LazyPerm(np.argsort(self.perm))


# -- how generators are given

SHIFT = [2, 0, 1]
SHIFT_MATRIX = np.eye(3)[SHIFT]
SHIFTS = {
    "a permutation as a list": [SHIFT],
    "a permutation as a tuple": (tuple(SHIFT),),
    "a permutation as an array": [np.array(SHIFT)],
    "permutations as an array of two axes": np.array([SHIFT]),
    "permutations of small integers": np.array([SHIFT], dtype=np.uint8),
    "a `Permutation`": [Permutation(SHIFT)],
    "a matrix": [SHIFT_MATRIX],
    "an array of matrices": SHIFT_MATRIX[None],
    "a matrix of integers": SHIFT_MATRIX[None].astype(int),
    "a matrix of truth values": SHIFT_MATRIX[None].astype(bool),
    "a matrix of complex numbers without imaginary parts": SHIFT_MATRIX[None] + 0j,
    "nested lists": [SHIFT_MATRIX.tolist()],
    "a matrix of JAX": jnp.asarray(SHIFT_MATRIX)[None],
    "a matrix of SymPy": [sympy.Matrix(SHIFT_MATRIX.astype(int))],
    "an immutable one": [sympy.ImmutableMatrix(SHIFT_MATRIX.astype(int))],
    "an operator of the user's own": [LazyPerm(np.array(SHIFT))],
    "a composed operator": [Kronecker([Permutation(SHIFT), np.eye(1)])],
    "a generator expression": (p for p in [SHIFT]),
}


@pytest.mark.parametrize("name", SHIFTS)
def test_a_discrete_generator_may_be_given_as(name: str) -> None:
    G = Group(discrete_generators=SHIFTS[name])
    assert G.d == 3
    assert Z(3) == G
    assert hash(G) == hash(Z(3))
    assert G.is_orthogonal
    assert G.is_permutation
    assert not G.is_complex
    (h,) = G.group_generators
    np.testing.assert_array_equal(np.asarray(h), SHIFT_MATRIX)
    (given_back,) = G.discrete_generators
    np.testing.assert_array_equal(np.asarray(given_back), SHIFT_MATRIX)
    assert V(G).equivariant_basis().shape == (3, 1)


TURNS = {
    "an array of matrices": TURN[None],
    "a list of matrices": [TURN],
    "of integers": TURN[None].astype(int),
    "nested lists": [TURN.tolist()],
    "a matrix of JAX": jnp.asarray(TURN)[None],
    "a matrix of SymPy": [sympy.Matrix([[0, -1], [1, 0]])],
    "an operator": [Kronecker([TURN, np.eye(1)])],
}


@pytest.mark.parametrize("name", TURNS)
def test_a_lie_generator_may_be_given_as(name: str) -> None:
    G = Group(lie_algebra=TURNS[name])
    assert G.d == 2
    assert G.is_orthogonal
    assert not G.is_permutation
    (A,) = G.lie_generators
    np.testing.assert_array_equal(np.asarray(A), TURN)
    assert (V(G) >> V(G)).equivariant_basis().shape == (4, 2)


def test_exact_entries_are_rounded_once_and_correctly() -> None:
    third = sympy.Matrix(
        [[sympy.cos(2 * sympy.pi / 3), -sympy.sqrt(3) / 2], [sympy.sqrt(3) / 2, -sympy.S.Half]]
    )
    G = Group(discrete_generators=[third])
    expected = [[-0.5, -0.8660254037844386], [0.8660254037844386, -0.5]]
    np.testing.assert_array_equal(G.discrete_generators[0], expected)
    assert Group(discrete_generators=[np.linalg.inv(C(3).discrete_generators[0])]) == G
    tiny = sympy.Matrix([[1, 0], [sympy.sqrt(2) - sympy.Rational(141421356, 10**8), 1]])
    cancelled = Group(discrete_generators=[tiny]).discrete_generators[0, 1, 0]
    assert cancelled == float(sympy.N(tiny[1, 0], 40))  # digits that floats would have lost


def test_exact_entries_may_be_complex() -> None:
    G = Group(lie_algebra=[sympy.Matrix([[sympy.I / 3, 0], [0, -sympy.I / 3]])])
    assert G.is_complex
    np.testing.assert_allclose(G.lie_algebra[0], np.diag([1j / 3, -1j / 3]), rtol=1e-16)


def test_an_operator_in_single_precision_gives_generators_in_double() -> None:
    """An operator may be written in JAX, whose arrays are float32 unless one says otherwise."""

    class Turn(LinearOperator):
        shape = (2, 2)

        def __init__(self, angle: float) -> None:
            self.angle = angle

        def _matmat(self, X: Any) -> Any:
            c, s = jnp.cos(self.angle), jnp.sin(self.angle)
            return jnp.array([[c, s], [-s, c]]) @ X

        def _adjoint(self) -> LinearOperator:
            return Turn(-self.angle)

    G = Group(discrete_generators=[Turn(2 * np.pi / 3)])
    assert G.is_orthogonal
    assert C(3) == G
    assert np.asarray(G.group_generators[0]).dtype == np.float64


def test_what_was_given_is_copied() -> None:
    matrix = TURN.copy()
    G = Group(lie_algebra=[matrix])
    matrix[0, 1] = 7
    np.testing.assert_array_equal(G.lie_algebra[0], TURN)


def test_generators_cannot_be_changed_in_place() -> None:
    for G in (SO(3), C(3)):
        array = G.lie_algebra if len(G.lie_algebra) else G.discrete_generators
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0, 0] = 7
        for generator in (*G.lie_generators, *G.group_generators):
            with pytest.raises(ValueError, match="read-only"):
                generator[0, 0] = 7


def test_absent_generators_are_empty_arrays_of_the_right_shape() -> None:
    assert SO(3).discrete_generators.shape == (0, 3, 3)
    assert C(5).lie_algebra.shape == (0, 2, 2)
    assert Trivial(4).lie_algebra.shape == Trivial(4).discrete_generators.shape == (0, 4, 4)
    assert SO(3).lie_algebra.shape == (3, 3, 3)


def test_matrices_come_back_as_an_array_and_permutations_as_a_list() -> None:
    assert isinstance(C(5).discrete_generators, np.ndarray)
    assert isinstance(S(4).discrete_generators, list)
    assert len(S(4).discrete_generators) == 3


# -- subclasses, as on EMLP's pages


class Alt(Group):
    """The alternating group, as EMLP's page on new groups writes it."""

    def __init__(self, n: int) -> None:
        assert n > 2
        self.discrete_generators = np.zeros((n - 2, n, n)) + np.eye(n)
        for i in range(n - 2):
            ids = (0, 1, i + 2)
            permed_ids = np.roll(ids, 1)
            self.discrete_generators[i, ids] = self.discrete_generators[i, permed_ids]
        super().__init__(n)


class AltFast(Group):
    """The same with lazy permutations."""

    def __init__(self, n: int) -> None:
        perms = np.zeros((n - 2, n)).astype(int) + np.arange(n)[None]
        for i in range(n - 2):
            ids = (0, 1, i + 2)
            permed_ids = np.roll(ids, 1)
            perms[i, ids] = perms[i, permed_ids]
        self.discrete_generators = [LazyPerm(perm) for perm in perms]
        super().__init__(n)


class Rotations(Group):
    """SO(n) as on the same page."""

    def __init__(self, n: int) -> None:
        self.lie_algebra = np.zeros(((n * (n - 1)) // 2, n, n))
        k = 0
        for i in range(n):
            for j in range(i):
                self.lie_algebra[k, i, j] = 1
                self.lie_algebra[k, j, i] = -1
                k += 1
        super().__init__(n)


class Orthogonal(Rotations):
    """O(n), which fills its own generators before those of SO(n)."""

    def __init__(self, n: int) -> None:
        self.discrete_generators = np.eye(n)[None]
        self.discrete_generators[0, 0, 0] = -1
        super().__init__(n)


class Cyclic(Group):
    def __init__(self, k: int) -> None:
        theta = 2 * np.pi / k
        self.discrete_generators = np.zeros((1, 2, 2))
        self.discrete_generators[0, :, :] = np.array(
            [[np.cos(theta), np.sin(theta)], [-np.sin(theta), np.cos(theta)]]
        )
        super().__init__(k)


class Dihedral(Cyclic):
    """D(k) as in EMLP's sources, which replaces the generators after `super().__init__`."""

    def __init__(self, k: int) -> None:
        super().__init__(k)
        self.discrete_generators = np.concatenate(
            (self.discrete_generators, np.array([[[-1, 0], [0, 1]]]))
        )


class Boosts(Group):
    """Generators on the class, filled in its body, and no __init__; as SO13p in EMLP's sources."""

    lie_algebra = np.zeros((6, 4, 4))
    lie_algebra[3:, 1:, 1:] = SO(3).lie_algebra
    for i in range(3):
        lie_algebra[i, 1 + i, 0] = lie_algebra[i, 0, 1 + i] = 1.0
    z_scale = np.array([0.3, 0.3, 0.3, 1, 1, 1])


class FullLorentz(Boosts):
    discrete_generators = np.eye(4)[None] + np.zeros((2, 1, 1))
    discrete_generators[0] *= -1
    discrete_generators[1, 0, 0] = -1


class Nothing(Group):
    def __init__(self, n: int) -> None:
        self.d = n
        super().__init__(n)


def test_subclasses_as_on_emlps_pages_are_the_groups_of_the_catalogue() -> None:
    from intertwine.groups import O13, O

    for n in (2, 3, 4, 5):
        assert Rotations(n) == SO(n)
        assert Orthogonal(n) == O(n)
        assert Dihedral(n) == OurD(n)
        assert Cyclic(n) == C(n)
        assert Nothing(n) == Trivial(n)
    assert Boosts() == SO13p()
    assert FullLorentz() == O13()


def test_the_alternating_group_of_emlps_page() -> None:
    assert Alt(5) == AltFast(5)
    assert AltFast(5).is_permutation
    assert T(5)(Alt(5)).equivariant_basis().shape == (3125, 63)
    assert T(5)(S(5)).equivariant_basis().shape == (3125, 52)


def test_generators_replaced_after_super_are_the_generators() -> None:
    G = Dihedral(4)
    assert len(G.group_generators) == 2
    assert G.d == 2
    assert G == OurD(4) != C(4)
    assert (V(G) >> V(G)).equivariant_basis().shape == (4, 1)


def test_generators_replaced_later_change_the_group_and_all_that_follows_from_it() -> None:
    G = Cyclic(4)
    digest, was_orthogonal = G.digest, G.is_orthogonal
    G.discrete_generators = np.diag([2.0, 1.0])[None]
    assert was_orthogonal
    assert not G.is_orthogonal
    assert G.digest != digest
    assert C(4) != G
    np.testing.assert_array_equal(G.group_generators[0], np.diag([2.0, 1.0]))


def test_bad_generators_replaced_later_are_refused_too() -> None:
    G = Cyclic(4)
    with pytest.raises(InvalidGroup, match="square"):
        G.discrete_generators = np.zeros((1, 2, 3))
    with pytest.raises(InvalidGroup, match="mixed sizes"):
        G.discrete_generators = np.eye(3)[None]


def test_subclasses_say_how_they_were_made() -> None:
    assert repr(Alt(5)) == "Alt(5)"
    assert repr(Boosts()) == "Boosts()"
    assert repr(Dihedral(7)) == "Dihedral(7)"
    assert repr(Group(discrete_generators=[SHIFT], name="shift")) == "shift"


def test_generators_on_the_class_are_not_shared_with_the_instance() -> None:
    G = Boosts()
    assert G.lie_algebra is not Boosts.lie_algebra
    G.lie_algebra = np.zeros((1, 4, 4))
    assert Boosts() == SO13p()


def test_keyword_arguments_go_before_the_class() -> None:
    assert Boosts(lie_algebra=SO13p().lie_algebra[:3]) != Boosts()
    assert len(Boosts(lie_algebra=SO13p().lie_algebra[:3]).lie_generators) == 3


# -- identity


def test_groups_are_equal_when_their_generators_are() -> None:
    assert SO(3) == SO(3)
    assert SO(3) != SO(4)
    assert Z(2) == S(2)
    assert SO(3) != "SO(3)"
    assert len({SO(3), SO(3), Rotations(3)}) == 1
    assert Group(lie_algebra=TURN[None], name="a") == Group(lie_algebra=TURN[None], name="b")
    assert Group(lie_algebra=TURN[None]) != Group(discrete_generators=TURN[None])
    assert Group(lie_algebra=TURN[None]) != Group(lie_algebra=2 * TURN[None])
    assert Trivial(2) != Trivial(3)


@laws
@given(st.lists(st.permutations(range(4)), min_size=1, max_size=3))
def test_a_permutation_and_its_matrix_are_one(permutations: list[Any]) -> None:
    as_permutations = Group(discrete_generators=permutations)
    as_matrices = Group(discrete_generators=[np.eye(4)[list(p)] for p in permutations])
    assert as_permutations == as_matrices
    assert as_permutations.digest == as_matrices.digest


@laws
@given(st.sampled_from(["SO(3)", "C(7)", "SO13p()", "D(5)"]), st.integers(0, 99))
def test_last_bits_do_not_tell_groups_apart(name: str, seed: int) -> None:
    G = parse_group(name)
    rng = np.random.default_rng(seed)

    def tremble(matrices: Any) -> Any:
        return matrices * (1 + 2e-16 * rng.choice([-1, 0, 1], size=matrices.shape))

    trembling = Group(
        lie_algebra=tremble(G.lie_algebra), discrete_generators=tremble(G.discrete_generators)
    )
    assert trembling == G


@pytest.mark.parametrize("G", [SO(3), S(4), SO13p(), Alt(4), Z(2) * C(3)], ids=repr)
def test_groups_survive_copying_and_pickling(G: Group) -> None:
    for other in (copy.copy(G), copy.deepcopy(G), pickle.loads(pickle.dumps(G))):
        assert other == G
        assert hash(other) == hash(G)
        assert repr(other) == repr(G)
        assert other.d == G.d
        np.testing.assert_array_equal(other.samples(2), G.samples(2))


# -- orthogonality


def test_orthogonality_is_read_off_the_generators() -> None:
    oblique = np.array([[1.0, 1.0], [0.0, 1.0]])
    assert Group(discrete_generators=[TURN]).is_orthogonal
    assert Group(lie_algebra=[TURN]).is_orthogonal
    assert Group(lie_algebra=[1e-9 * TURN]).is_orthogonal
    assert not Group(lie_algebra=[oblique @ TURN @ np.linalg.inv(oblique)]).is_orthogonal
    assert not Group(lie_algebra=[1e-9 * oblique @ TURN @ np.linalg.inv(oblique)]).is_orthogonal
    assert not Group(discrete_generators=[oblique]).is_orthogonal
    assert not Group(discrete_generators=[2 * np.eye(2)]).is_orthogonal
    assert not Group(lie_algebra=[np.diag([1j, -1j])]).is_orthogonal  # unitary, and not real
    assert Trivial(3).is_orthogonal
    assert Group(discrete_generators=[Permutation([1, 0], [1, -1])]).is_orthogonal
    assert not Group(discrete_generators=[Permutation([1, 0], [1, -1])]).is_permutation


# -- what is refused

NOT_FINITE = "a {} has entries that are not finite:\n{}"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a matrix that is not square": (
        {"lie_algebra": [np.zeros((2, 3))]},
        "a Lie algebra generator has shape (2, 3); it must be a square matrix",
    ),
    "a discrete one that is not": (
        {"discrete_generators": [np.zeros((2, 3))]},
        "a discrete generator has shape (2, 3); it must be a square matrix",
    ),
    "a matrix in place of a list of them": (
        {"lie_algebra": np.zeros((3, 3))},
        "a Lie algebra generator has shape (3,); it must be a square matrix",
    ),
    "an empty matrix": (
        {"lie_algebra": [np.zeros((0, 0))]},
        "a Lie algebra generator has shape (0, 0); it must be a square matrix",
    ),
    "rows of different lengths": (
        {"lie_algebra": [[[1, 2], [3]]]},
        "a Lie algebra generator is not a matrix: setting an array element with a sequence. The "
        "requested array has an inhomogeneous shape after 1 dimensions. The detected shape was "
        "(2,) + inhomogeneous part.",
    ),
    "not a number": (
        {"lie_algebra": [[[np.nan, 0.0], [0.0, 0.0]]]},
        NOT_FINITE.format("Lie algebra generator", "[[nan  0.]\n [ 0.  0.]]"),
    ),
    "infinity": (
        {"discrete_generators": [[[np.inf, 0.0], [0.0, 1.0]]]},
        NOT_FINITE.format("discrete generator", "[[inf  0.]\n [ 0.  1.]]"),
    ),
    "not a number in SymPy": (
        {"lie_algebra": [sympy.Matrix([[sympy.nan]])]},
        NOT_FINITE.format("Lie algebra generator", "[[nan+nanj]]"),
    ),
    "infinity in SymPy": (
        {"lie_algebra": [sympy.Matrix([[sympy.oo]])]},
        NOT_FINITE.format("Lie algebra generator", "[[inf+0.j]]"),
    ),
    "a symbol": (
        {"lie_algebra": [sympy.Matrix([[sympy.Symbol("x")]])]},
        "a Lie algebra generator has the entry x, which is not a number",
    ),
    "nothing as an entry": (
        {"lie_algebra": [[[None, 1], [1, 0]]]},
        "a Lie algebra generator has the entry None, which is not a number",
    ),
    "texts": (
        {"lie_algebra": [[["1", "0"], ["0", "1"]]]},
        "a Lie algebra generator has entries of type <U1; they must be numbers",
    ),
    "a text": (
        {"lie_algebra": "SO(3)"},
        "a Lie algebra generator has shape (); it must be a square matrix",
    ),
    "a number": (
        {"lie_algebra": 3},
        "generators are given as a sequence of square matrices, not as int",
    ),
    "an operator in place of a list": (
        {"discrete_generators": Permutation([1, 0])},
        "generators are given as a sequence of square matrices, not as Permutation",
    ),
    "a singular matrix": (
        {"discrete_generators": [[[1.0, 2.0], [0.0, 0.0]]]},
        "a discrete generator is singular (its singular values go from 2.24 to 0); group elements "
        "are invertible:\n[[1. 2.]\n [0. 0.]]",
    ),
    "zero": (
        {"discrete_generators": [np.zeros((2, 2))]},
        "a discrete generator is singular (its singular values go from 0 to 0); group elements "
        "are invertible:\n[[0. 0.]\n [0. 0.]]",
    ),
    "a singular operator": (
        {"discrete_generators": [Kronecker([np.diag([1.0, 0.0]), np.eye(1)])]},
        "a discrete generator is singular (its singular values go from 1 to 0); group elements "
        "are invertible:\n[[1. 0.]\n [0. 0.]]",
    ),
    "an operator with entries that are not finite": (
        {"lie_algebra": [Kronecker([np.full((1, 1), np.nan), np.eye(1)])]},
        NOT_FINITE.format("Lie algebra generator", "[[nan]]"),
    ),
    "mixed sizes": (
        {"lie_algebra": [np.zeros((2, 2)), np.zeros((3, 3))]},
        "the generators have mixed sizes [2, 3]; they act on one space",
    ),
    "mixed sizes of both kinds": (
        {"lie_algebra": [TURN], "discrete_generators": [SHIFT]},
        "the generators have mixed sizes [2, 3]; they act on one space",
    ),
    "another size than is said": (
        {"lie_algebra": [TURN], "d": 4},
        "the generators have mixed sizes [2, 4]; they act on one space",
    ),
    "no permutation": (
        {"discrete_generators": [[0, 0, 1]]},
        "a discrete generator with one axis is read as a permutation, but [0, 0, 1] is not a "
        "permutation of 0 … n − 1; a matrix has two axes, and generators are given as a list",
    ),
    "an empty permutation": (
        {"discrete_generators": [[]]},
        "a discrete generator has shape (0,); it must be a square matrix",
    ),
    "a matrix in place of a list of discrete ones": (
        {"discrete_generators": np.diag([1.0, 2.0])},
        "a discrete generator with one axis is read as a permutation, but array([1., 0.]) is not a "
        "permutation of 0 … n − 1; a matrix has two axes, and generators are given as a list",
    ),
    "a permutation in place of a list of them": (
        {"discrete_generators": [1, 2, 0]},
        "generators are given as a list, but [1, 2, 0] is a list of integers: write "
        "discrete_generators=[[1, 2, 0]] for one permutation",
    ),
    "nothing at all": ({}, "a group without generators needs its size: Group(d=3)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    arguments, message = REFUSED[name]
    with pytest.raises(InvalidGroup) as error:
        Group(**arguments)
    assert str(error.value) == message


def test_a_number_past_every_float_is_refused() -> None:
    for value in (10**400, sympy.Integer(10) ** 400):
        with pytest.raises(InvalidGroup, match=r"finite|float64"):
            Group(lie_algebra=[[[value]]])


def test_an_operator_that_is_not_square_is_refused() -> None:
    class Wide(LinearOperator):
        shape = (2, 3)

        def _matmat(self, X: Any) -> Any:
            return X[:2]

    with pytest.raises(InvalidGroup) as error:
        Group(discrete_generators=[Wide()])
    assert str(error.value) == ("a discrete generator has shape (2, 3); it must be a square matrix")


SIZES = """
from intertwine.errors import IntertwineError
from intertwine.groups import Group, Trivial
from intertwine.reps import V

outcomes = {}
for d in (-1, 0, 3.7, "3", True, 10**10, None):
    try:
        outcomes[repr(d)] = repr(Group(d=d))
    except IntertwineError as error:
        outcomes[repr(d)] = error.code
    except Exception as error:
        outcomes[repr(d)] = f"{type(error).__name__}: {error}"
answer(outcomes)
"""


def test_a_size_is_a_positive_integer() -> None:
    """In a fresh process: here every annotation is checked, and would complain first."""
    finished = run_python(SIZES)
    assert finished.status == 0, finished.stderr
    too_large = finished.value.pop(repr(10**10))
    assert too_large in ("invalid-group", "too-large") or too_large.startswith("<Group of size")
    assert set(finished.value.values()) == {"invalid-group"}, finished.value


def test_a_subclass_without_super_init_is_refused() -> None:
    class Forgetful(Group):
        def __init__(self) -> None:
            self.lie_algebra = TURN[None]

    with pytest.raises(InvalidGroup) as error:
        V(Forgetful())
    assert str(error.value) == "Forgetful does not call super().__init__(...) in its __init__"
