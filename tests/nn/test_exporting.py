"""Exported models run without intertwine."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.example_networks import images, points
from helpers.support import run_python
from intertwine.errors import InvalidRep
from intertwine.groups import SO, SU, U
from intertwine.nn import EMLP, MLP, GatedNonlinearity, Linear, Standardize, export
from intertwine.reps import Scalar, V


@cache
def models() -> dict[str, Any]:
    return {
        "in irreps": EMLP(Scalar + 2 * V, V, SO(3), 12, 1),
        "complex": Standardize(Linear(V, 2 * V, SU(2)), (0, 2)),
        "plain, of a complex rep": MLP(V, V, U(2), 8, 1),
        "without weights": GatedNonlinearity(V, U(2)),
    }


@pytest.mark.slow
def test_a_program_gives_the_same_numbers_without_intertwine(tmp_path: Path) -> None:
    for name, model in models().items():
        export(model, tmp_path / name)
        np.save(tmp_path / f"{name}.npy", inputs(model))
    ended = run_python(_PROGRAM, str(tmp_path), *models())
    assert ended.status == 0, ended.stderr
    for name, model in models().items():
        y = images(model, inputs(model))
        for batch in ("5", "2"):
            there = np.array(ended.value[name][batch])
            tolerance = 1e-5 * np.abs(y).max()
            np.testing.assert_allclose(there[0] + 1j * there[1], y[: int(batch)], atol=tolerance)


def inputs(model: Any) -> np.ndarray:
    is_complex = model is not models()["in irreps"]
    x = points(model.rep_in, 5, is_complex=is_complex)
    return x.astype(np.complex64 if is_complex else np.float32)


_PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from jax import export
found = {}
for name in sys.argv[2:]:
    program = export.deserialize(bytearray((Path(sys.argv[1]) / name).read_bytes()))
    x = np.load(Path(sys.argv[1]) / f"{name}.npy")
    ys = {len(part): np.asarray(program.call(part)) for part in (x, x[:2])}
    found[name] = {n: [y.real.tolist(), y.imag.tolist()] for n, y in ys.items()}
assert not [module for module in sys.modules if module.startswith("intertwine")]
answer(found)
"""


def test_objects_other_than_models_are_refused() -> None:
    with pytest.raises(InvalidRep, match=r"^5 cannot be exported: give a model with rep_in$"):
        export(5)
