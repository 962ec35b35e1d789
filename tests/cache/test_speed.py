"""A second process has a basis of 100 MB at once, because nothing of it is copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from example_bases import certificate_for
from intertwine.bases import Basis, Dense
from intertwine.bases.store import obtain
from intertwine.groups import SO
from intertwine.reps import T, basis_key
from intertwine_cache import Store
from support import run_python

ATTEMPTS = 8  # on a machine that does something else as well, the fastest is the one that counts
SECOND_PROCESS = """
    import sys, time
    from intertwine.groups import SO
    from intertwine.reps import T
    rep = T(8)(SO(4))
    imported()
    started = time.perf_counter()
    basis = rep.equivariant_basis()
    seconds = time.perf_counter() - started
    answer([seconds, basis.cached, list(basis.shape), float(basis.storage.matrix[-1, -1])])
"""


@pytest.mark.slow
def test_a_basis_of_100_megabytes_is_there_in_a_moment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Solving it takes minutes; a matrix of its shape stands in for it, under its key."""
    store, rep = Store(tmp_path), T(8)(SO(4))
    matrix = np.random.default_rng(0).standard_normal((rep.size(), 196))
    matrix *= np.sqrt(196) / np.linalg.norm(matrix)  # as long as a basis is
    assert matrix.nbytes > 10**8
    basis = Basis(Dense(matrix), certificate_for(Dense(matrix)))
    obtain(store, basis_key(rep), {}, lambda: basis)

    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}

    def second_process() -> tuple[float, int]:
        done = run_python(SECOND_PROCESS, env={"INTERTWINE_CACHE": str(tmp_path), **compiled})
        assert done.status == 0, done.stderr
        assert done.value[1:] == [True, list(matrix.shape), float(matrix[-1, -1])]
        return done.value[0], done.grown_bytes

    hashed, mapped = [], []
    for _ in range(ATTEMPTS):
        shutil.rmtree(tmp_path / "v1" / "checked")
        hashed.append(second_process())
        mapped.append(second_process())
        if min(hashed)[0] < 0.3 and min(mapped)[0] < 0.05:
            break
    with capsys.disabled():
        print(
            f"\n100 MB in a second process: {min(hashed)[0] * 1e3:.0f} ms with its digest checked, "
            f"{min(mapped)[0] * 1e3:.0f} ms where it was checked before"
        )
    assert min(hashed)[0] < 0.3
    assert min(mapped)[0] < 0.05
    assert all(grown < 50 * 10**6 for _, grown in mapped)
