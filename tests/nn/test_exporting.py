"""Exported models run without intertwine."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from helpers.example_networks import images, points
from helpers.support import run_python
from intertwine.errors import InvalidRep, InvalidSetting, Unavailable
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


class Own(eqx.Module):
    """A user's module for one vector, with a layer of ours, two arguments, and dropout."""

    inner: Linear
    dropout: eqx.nn.Dropout
    last: eqx.nn.Linear

    def __init__(self) -> None:
        self.inner = Linear(2 * V, V + Scalar, SO(3))
        self.dropout = eqx.nn.Dropout(0.5)
        self.last = eqx.nn.Linear(4, 2, key=jax.random.key(0))

    def __call__(self, x: Any, q: Any) -> Any:
        return self.last(self.dropout(self.inner(x))) * q


def test_a_module_of_ones_own_takes_an_example(tmp_path: Path) -> None:
    x, q = np.ones((4, 6), np.float32), np.arange(4, dtype=np.float32)[:, None]
    blob = export(eqx.filter_vmap(Own()), tmp_path / "model.bin", example=(x, q))
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [blob]
    program = jax.export.deserialize(bytearray(blob))
    wanted = jax.vmap(eqx.nn.inference_mode(Own()))(x, q)
    np.testing.assert_allclose(program.call(x, q), wanted, rtol=1e-5)
    assert program.call(x[:2], q[:2]).shape == (2, 2)


@pytest.mark.parametrize(
    ("example", "found"),
    [
        (3.0, "()"),
        ((), "no array"),
        (np.ones((1, 6)), "(1, 6)"),
        ((np.ones((3, 6)), np.ones((2, 1))), "(3, 6), (2, 1)"),
    ],
)
def test_an_example_is_a_batch(example: Any, found: str) -> None:
    with pytest.raises(InvalidRep) as caught:
        export(Own(), example=example)
    assert str(caught.value) == (
        f"an example is an array with a batch of at least two inputs as its first axis, or a tuple "
        f"of such arrays with one batch; found {found}"
    )


def test_objects_without_a_rep_are_refused() -> None:
    with pytest.raises(InvalidRep, match=r"^5 cannot be exported: give a model with rep_in$"):
        export(5)
    with pytest.raises(InvalidRep) as caught:
        export(Own())
    assert str(caught.value) == (
        "a model of class Own cannot be exported: give a model with rep_in, or example=x, a batch "
        "of its inputs"
    )


@pytest.mark.parametrize(
    ("name", "package", "message"),
    [
        (
            "model.bin",
            "flatbuffers",
            "a StableHLO program needs the package flatbuffers: pip install 'intertwine[nn]'",
        ),
        (
            "model.onnx",
            "torch",
            "the format .onnx needs the package torch: pip install torch, as pytorch.org says for "
            "your machine",
        ),
    ],
)
def test_missing_packages_are_named_with_their_extra(
    name: str, package: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Unavailable) as caught:
        export(models()["without weights"], tmp_path / name)
    assert str(caught.value) == message
    assert not [*tmp_path.iterdir()]


def test_platforms_are_for_stablehlo(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidSetting, match=r"platforms=\('cuda',\) is for StableHLO: \.pt2 files"
    ):
        export(models()["in irreps"], tmp_path / "model.pt2", platforms=("cuda",))
