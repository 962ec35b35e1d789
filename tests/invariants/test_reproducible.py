"""The same request gives the same answer in every process, whatever its hash seed and threads.

`make processors` compares more, under every kernel of BLAS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.oracle import projector_distance
from helpers.support import run_python

#: (group, rep): every method, mixed groups, sums that must be sorted, a complex group.
REQUESTS = [
    ("SO(3)", "V**2*V.T+5V0"),
    ("SO(3)", "T(5)"),
    ("SO13p", "V.T*V+V*V.T+(V+V.T+V0)**2"),
    ("SU(3)", "T(2,2)+T(3)"),
    ("S(4)", "T(3)+V>>2V"),
    ("D(4)", "T(4)"),
    ("D(5)", "T(4)"),
    ("Z(3)*S(4)", "T(2)+T(1)"),
    (None, "2*V(Z(3))*V(S(4))+V(O(3))**2 >> 2*V(Z(3))*V(S(4))+V(O(3))**2"),
    (None, "V(SO(3))*V(S(3))*V(U(2))*V(SO(3))*V(U(2)).T*V(S(3))+V(C(5))**4"),
]

_SOLVE_ALL = """
import sys
import numpy as np
from intertwine.groups import parse_group
from intertwine.reps import Rep, basis_key, canonical, parse

class Doubled(Rep):
    def __init__(self, name):
        self.name = name
    def rho(self, M):
        return np.kron(np.asarray(M), np.asarray(M))

folder, requests = sys.argv[1], json.loads(sys.argv[2])
reps = [parse(t) if g is None else parse(t)(parse_group(g)) for g, t in requests]
reps.append((Doubled("two") * parse("V") + Doubled("one") + Doubled("two"))(parse_group("SO(3)")))
said = []
for number, rep in enumerate(reps):
    basis = rep.equivariant_basis()
    np.save(f"{folder}/{number}.npy", basis.dense())
    said.append({
        "rank": basis.rank,
        "method": basis.certificate.method,
        "key": basis_key(rep),
        "key of a method": basis_key(rep, "svd", "jax"),
        "canonical": repr(canonical(rep).rep),
        "order": canonical(rep).permutation.indices.tolist(),
        "parts": list(basis.certificate.parts),
        "groups": list(basis.certificate.residuals),
    })
answer(said)
"""


def _solve_all(folder: Path, **env: str) -> list[dict[str, Any]]:
    import json

    folder.mkdir()
    done = run_python(_SOLVE_ALL, str(folder), json.dumps(REQUESTS), env=env)
    assert done.status == 0, done.stderr
    said: list[dict[str, Any]] = done.value
    assert len(said) == len(REQUESTS) + 1
    return said


def _threads(count: int) -> dict[str, str]:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    return dict.fromkeys(names, str(count))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("reproducible") / "first"
    return folder, _solve_all(folder, PYTHONHASHSEED="0", **_threads(1))


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({"PYTHONHASHSEED": "1", **_threads(2)}, id="two threads"),
        pytest.param(
            {"PYTHONHASHSEED": "4294967295", **_threads(4)},
            id="four threads",
            marks=pytest.mark.slow,
        ),
        pytest.param({"PYTHONHASHSEED": "random", **_threads(1)}, id="a random hash seed"),
        # the kernels of another processor round differently
        pytest.param({"OPENBLAS_CORETYPE": "Nehalem", **_threads(1)}, id="other kernels"),
    ],
)
def test_every_process_gives_the_same_answer(
    env: dict[str, str], first: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    folder, said = first
    assert _solve_all(tmp_path / "again", **env) == said
    for number in range(len(said)):
        before = np.load(folder / f"{number}.npy")
        after = np.load(tmp_path / "again" / f"{number}.npy")
        assert projector_distance(before, after) <= 1e-10


def test_the_answers_do_differ_between_requests(
    first: tuple[Path, list[dict[str, Any]]],
) -> None:
    _, said = first
    assert len({answer["key"] for answer in said}) == len(said)
    assert len({answer["canonical"] for answer in said}) == len(said)
    assert all(answer["key"] != answer["key of a method"] for answer in said)


def test_a_second_solve_in_one_process_gives_the_same_matrix() -> None:
    from intertwine.groups import SO
    from intertwine.reps import T

    rep = T(6)(SO(3))
    np.random.seed(1)  # nobody else's random numbers enter, or are used up
    state = np.random.get_state()[1].copy()
    one = rep.equivariant_basis(method="krylov").dense()
    assert np.array_equal(np.random.get_state()[1], state)
    np.random.seed(2)
    two = rep.equivariant_basis(method="krylov").dense()
    assert np.array_equal(one, two)
