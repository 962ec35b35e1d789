"""A second process maps a basis of 100 MB: nothing of it is copied. (How fast that is says
benchmarks/store.py.)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.example_bases import certificate_for
from helpers.support import run_python
from intertwine.bases import Basis, Dense
from intertwine.bases.store import obtain
from intertwine.groups import SO
from intertwine.reps import T, basis_key
from intertwine_cache import Store

SECOND_PROCESS = """
    from intertwine.groups import SO
    from intertwine.reps import T
    rep = T(8)(SO(4))
    imported()
    basis = rep.equivariant_basis()
    answer([basis.cached, list(basis.shape), float(basis.storage.matrix[-1, -1])])
"""


@pytest.mark.slow
def test_a_basis_of_100_megabytes_is_not_copied(tmp_path: Path) -> None:
    """Solving it takes minutes; a matrix of its shape stands in for it, under its key."""
    store, rep = Store(tmp_path), T(8)(SO(4))
    matrix = np.random.default_rng(0).standard_normal((rep.size(), 196))
    matrix *= np.sqrt(196) / np.linalg.norm(matrix)  # as long as a basis is
    assert matrix.nbytes > 10**8
    basis = Basis(Dense(matrix), certificate_for(Dense(matrix)))
    obtain(store, basis_key(rep), {}, lambda: basis)

    for _ in ("whose digest is checked", "which was checked before"):
        done = run_python(SECOND_PROCESS, env={"INTERTWINE_CACHE": str(tmp_path)})
        assert done.status == 0, done.stderr
        assert done.value == [store.name, list(matrix.shape), float(matrix[-1, -1])]
    assert done.grown_bytes < 50 * 10**6
