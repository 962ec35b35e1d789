"""The same request gives the same answer in every process, whatever its hash seed and threads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import projector_distance
from processors import available_kernels
from support import run_python

TESTS = Path(__file__).resolve().parent.parent

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

#: Reps whose irreps, and sparse bases, are compared.
DECOMPOSED = [
    ("SO(3)", "V**3"),
    ("O(3)", "V**3"),
    ("SO13p", "V**2*V.T"),
    ("U(2)", "V*V.T*V+V.T"),
    ("SU(3)", "V*V.T*V"),
    ("Sp(1)", "V**3"),
    ("S(5)", "V**3"),
    ("D(6)", "V**3"),
    ("Cube", "V**2"),
]
SPARSE = [
    ("SO(3)", "V**2>>V**2"),
    ("U(2)", "V*V.T>>V*V.T"),
    ("SO13p", "V*V.T>>V*V.T"),
    ("S(4)", "V**2>>V"),
    ("D(4)", "T(4)"),
]

_SOLVE_ALL = """
import sys
import numpy as np
from finite_groups import small_groups
from intertwine.groups import O13, SO, Group, parse_group
from intertwine.irreps import decompose
from intertwine.reps import Rep, V, basis_key, canonical, parse
from intertwine.vis import sparsify_basis
from oblique_groups import conjugate, random_frame
from rounded_groups import mapped, to_digits

class Doubled(Rep):
    def __init__(self, name):
        self.name = name
    def rho(self, M):
        return np.kron(np.asarray(M), np.asarray(M))

folder, requests = sys.argv[1], json.loads(sys.argv[2])
reps = [parse(t) if g is None else parse(t)(parse_group(g)) for g, t in requests["solved"]]
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

def frame(d):
    return random_frame(d, 3.0, np.random.default_rng(d))

charges = [1, 4, 18, 31, 34, 38, 39, 43, 51, 53, 56, 57]
clock = np.diag(np.exp(2j * np.pi / 5 * np.arange(5)))
groups = {
    "charges": Group(lie_algebra=[np.diag(1j * np.array(charges))]),
    "shift and clock": Group(discrete_generators=[np.roll(np.eye(5), 1, axis=0), clock]),
    "H3 by its elements": Group(discrete_generators=small_groups()["H3"][::-1]),
    "B3 in a frame": conjugate(Group(discrete_generators=small_groups()["B3"]), frame(3)),
    "SO(4) in a frame": conjugate(SO(4), frame(4)),
    "O(1,3) in a frame": conjugate(O13(), frame(4)),
    "a turn times 1,000": Group(discrete_generators=[1000 * np.array([[0.6, -0.8], [0.8, 0.6]])]),
    "a copy": SO(3).copies(2)[1],
}
rounded = mapped(Group(discrete_generators=small_groups()["A2"][1:]), to_digits(6))
decomposed = [(f"{t} of {g}", parse(t)(parse_group(g))) for g, t in requests["decomposed"]]
decomposed += [(name, (V + V**2)(group)) for name, group in groups.items()]
said_of_irreps, matrices = {}, {}
for name, rep in decomposed:
    found = decompose(rep, store=False)
    said_of_irreps[name] = [
        [irrep.name, irrep.type, m] for irrep, m in found.multiplicities.items()
    ]
    matrices[name] = found.matrix()
sparse = {
    f"{t} of {g}": sparsify_basis(parse(t)(parse_group(g))) for g, t in requests["sparse"]
}
np.savez(f"{folder}/irreps.npz", **matrices)
np.savez(f"{folder}/sparse.npz", **sparse)
answer({
    "solved": said,
    "irreps": said_of_irreps,
    # matrices in a frame are products, rounded on each processor in its own way
    "keys": {
        name: basis_key(V(group)) for name, group in groups.items() if "frame" not in name
    },
    "refined": basis_key(V(rounded.refined())),
})
"""


def _solve_all(folder: Path, **env: str) -> dict[str, Any]:
    import json

    folder.mkdir()
    requests = {"solved": REQUESTS, "decomposed": DECOMPOSED, "sparse": SPARSE}
    paths = {"PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    done = run_python(_SOLVE_ALL, str(folder), json.dumps(requests), env={**paths, **env})
    assert done.status == 0, done.stderr
    said: dict[str, Any] = done.value
    assert len(said["solved"]) == len(REQUESTS) + 1
    return said


def _threads(count: int) -> dict[str, str]:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    return dict.fromkeys(names, str(count))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
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
        *(
            pytest.param(
                {"OPENBLAS_CORETYPE": kernel, **_threads(count)},
                id=f"{kernel}, {count} threads",
                marks=pytest.mark.slow,
            )
            for kernel in available_kernels()
            for count in (1, 2)
        ),
    ],
)
def test_every_process_gives_the_same_answer(
    env: dict[str, str], first: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, said = first
    again = tmp_path / "again"
    assert _solve_all(again, **env) == said
    for number in range(len(said["solved"])):
        before, after = np.load(folder / f"{number}.npy"), np.load(again / f"{number}.npy")
        assert projector_distance(before, after) <= 1e-10
    for name in ("irreps.npz", "sparse.npz"):  # not their spans alone: their very columns
        before, after = np.load(folder / name), np.load(again / name)
        assert before.files == after.files
        for key in before.files:
            np.testing.assert_allclose(after[key], before[key], atol=1e-6, err_msg=key)


def test_the_answers_do_differ_between_requests(first: tuple[Path, dict[str, Any]]) -> None:
    solved = first[1]["solved"]
    assert len({answer["key"] for answer in solved}) == len(solved)
    assert len({answer["canonical"] for answer in solved}) == len(solved)
    assert all(answer["key"] != answer["key of a method"] for answer in solved)


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
