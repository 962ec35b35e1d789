"""The key of a basis: the same for the same request, everywhere; different for different ones."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from helpers.example_reps import Tree, build, shuffled, trees
from helpers.laws import laws
from helpers.support import run_python
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import NotConcrete
from intertwine.groups import SO, C, Group, O, S, SO11p, SO13p, Z
from intertwine.reps import Rep, Scalar, V, basis_key, canonical, parse


class Twist(Rep):
    """ρ(R) = Rⁿ for rotations of the plane."""

    def __init__(self, n: int) -> None:
        self.n = n

    def rho(self, M: Any) -> Any:
        return np.linalg.matrix_power(M, self.n)


def test_a_key_is_a_sha256_in_hexadecimal() -> None:
    key = basis_key(V(SO(3)))
    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")


@laws
@given(trees(), st.lists(st.booleans(), max_size=12))
def test_the_order_of_writing_plays_no_part(tree: Tree, flips: list[bool]) -> None:
    for G in (SO(2), SO11p(), S(2)):
        assert basis_key(build(tree)(G)) == basis_key(build(shuffled(tree, flips))(G))


@laws
@given(trees(), trees())
def test_keys_tell_canonical_forms_apart(a: Tree, b: Tree) -> None:
    x, y = build(a)(SO11p()), build(b)(SO11p())
    assert (basis_key(x) == basis_key(y)) == (canonical(x).rep == canonical(y).rep)


DIFFERENT = [
    V(SO(3)),
    V(O(3)),
    V(SO(2)),
    V(S(3)),
    V(Z(3)),
    V(SO13p()),
    V(SO13p()).T,
    V(SO(3)) ** 2,
    2 * V(SO(3)),
    V(SO(3)) + 1,
    V(SO(3)) * V(S(3)),
    Scalar,
    2 * Scalar,
    0 * V,
    Twist(1)(SO(2)),
    Twist(2)(SO(2)),
    Twist(3)(SO(2)),
    Twist(2)(SO(2)) * V(SO(2)),
    Twist(2)(SO(2)) * Twist(3)(SO(2)),
    Twist(2)(SO(2)) + Twist(3)(SO(2)),
]


@pytest.mark.slow
def test_different_requests_have_different_keys() -> None:
    for left, right in itertools.combinations(DIFFERENT, 2):
        assert basis_key(left) != basis_key(right), (left, right)


def test_names_play_no_part() -> None:
    rotations = SO(3).lie_algebra
    named = Group(lie_algebra=rotations, name="turns")
    assert basis_key(V(named) ** 2) == basis_key(V(SO(3)) ** 2)

    class Renamed(Twist):
        def __str__(self) -> str:
            return "another name"

    assert basis_key(Renamed(2)(SO(2)) * V(SO(2))) == basis_key(Twist(2)(SO(2)) * V(SO(2)))


def test_the_storage_of_a_generator_plays_no_part() -> None:
    matrices = Group(discrete_generators=np.array([np.asarray(h) for h in S(3).group_generators]))
    assert basis_key(V(matrices) ** 2) == basis_key(V(S(3)) ** 2)


def test_last_bits_play_no_part() -> None:
    """cos(π/2) is 6e-17 and means zero; so do last bits in the images of the user's own rep."""
    exact = Group(discrete_generators=[[[0.0, 1.0], [-1.0, 0.0]]])
    assert basis_key(V(C(4)) ** 2) == basis_key(V(exact) ** 2)

    class Trembling(Twist):
        def rho(self, M: Any) -> Any:
            return super().rho(M) * (1 + 2e-16)

    assert basis_key(Trembling(2)(C(3))) == basis_key(Twist(2)(C(3)))


def test_what_a_user_wrote_counts_by_the_images_of_the_generators() -> None:
    class ByHand(Rep):
        def rho(self, M: Any) -> Any:
            return M @ M

    assert basis_key(ByHand()(SO(2)) + 1) == basis_key(Twist(2)(SO(2)) + 1)


def test_a_request_that_names_a_method_or_a_backend_has_a_key_of_its_own() -> None:
    rep = V(SO(3)) ** 2
    requests = list(itertools.product(("auto", "svd", "krylov"), ("auto", "numpy", "jax")))
    keys = {basis_key(rep, method=m, backend=b) for m, b in requests}
    assert len(keys) == len(requests)
    assert basis_key(rep, method="auto", backend="auto") == basis_key(rep)


@pytest.mark.parametrize("rep", [V, V * V(SO(3)), Twist(2), Twist(2) * Twist(3)], ids=str)
def test_without_a_group_there_is_no_key(rep: Rep) -> None:
    """Its generators are part of a key; two requests that lack them would share one."""
    with pytest.raises(NotConcrete):
        basis_key(rep)


def test_keys_do_not_change_from_release_to_release() -> None:
    """A lab's cache lives on them: a new format needs a new `FORMAT_VERSION`, and new keys here."""
    assert [basis_key(parse(text)) for text in ("V²(S(3))", "5V0", "V(SO13p)*V(SO13p)*")] == [
        "6900d09491e86d358e58a3762fa0c98db9412b5fd52631b3ae6c91d0985a3d07",
        "0088523a52860ccd665e6b2c9b9bd41a804fe3e317f2ee55819493e00a080b1b",
        "4a0edcfa7e1dab8a6ae57008145f86eca5bdbc539673aee124afcd9653c413cc",
    ]


PROGRAM = """
import hashlib
import numpy as np
from intertwine.groups import SO
from intertwine.reps import Rep, V, basis_key, canonical, parse

class Twist(Rep):
    def __init__(self, n):
        self.n = n
    def rho(self, M):
        return np.linalg.matrix_power(M, self.n)

texts = [
    "(V*V*+V**2+5)(SO13p)",
    "V(SO(3))*V(S(4))**2+V(Z(3))*V(SO13p)*+V(S(4))*V(SO(3))",
    "(V(O(3))+V(Z(2))+V(Sp(1))+V(U(2))*+3)**2",
]
names = {"A": Twist(1)(SO(2)), "B": Twist(2)(SO(2)), "C": Twist(3)(SO(2))}
reps = [parse(text) for text in texts]
reps += [parse(text, names=names) for text in ("A*B*C+C*A+B.T", "(B+A+C)**2*V(SO(2))")]
found = []
for rep in reps:
    form = canonical(rep)
    indices = hashlib.sha256(form.permutation.indices.tobytes()).hexdigest()
    found.append([basis_key(rep), str(rep), repr(rep), str(form.rep), indices])
answer(found)
"""


@pytest.mark.slow
def test_keys_texts_and_permutations_are_the_same_in_every_process() -> None:
    outcomes = []
    for seed, threads in (("0", "1"), ("1", "2"), ("4242", "1")):
        env = {"PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": threads}
        finished = run_python(PROGRAM, env=env)
        assert finished.status == 0, finished.stderr
        outcomes.append(finished.value)
    assert outcomes[0] == outcomes[1] == outcomes[2]
