"""Modules of PyTorch as files that run without intertwine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from helpers.program import python
from intertwine import nn
from intertwine.errors import (
    FormatError,
    InvalidRep,
    MethodNotApplicable,
    TooLarge,
    Unavailable,
    UnknownMethod,
)
from intertwine.groups import SE, SO, S, U
from intertwine.reps import Scalar, V

torch = pytest.importorskip("torch")
modules = pytest.importorskip("intertwine.torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
exporting = pytest.importorskip("intertwine.torch.exporting")
onnx_file = pytest.importorskip("intertwine.torch.onnx_file")
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")


@pytest.fixture(scope="module")
def network() -> Any:
    return modules.EMLP(2 * Scalar + 2 * V, V, SO(3), ch=16, num_layers=1)


class Own(torch.nn.Module):
    """A user's module with a layer of ours, several arguments, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = modules.Linear(2 * V, 3 * V, SO(3))
        self.dropout = torch.nn.Dropout(0.5)
        self.last = torch.nn.Linear(3, 1)

    def forward(self, positions: Any, charges: Any) -> Any:
        lengths = self.inner(positions).unflatten(-1, (3, 3)).square().sum(-1)
        return self.last(self.dropout(lengths)) * charges, lengths.argmax(-1)


class Applied(torch.nn.Module):
    """A function as a module with a rep."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.rep_in, self.function = V(SO(3)), function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def inputs(model: Any, count: int, dtype: Any) -> Any:
    torch.manual_seed(0)
    return torch.randn(count, model.rep_in.size(), dtype=dtype)


def by_onnx(blob: bytes, *arrays: Any) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(blob, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return session.run(None, {n: a.numpy() for n, a in zip(names, arrays, strict=True)})


def test_both_kinds_of_files_run_without_intertwine(network: Any, tmp_path: Path) -> None:
    x = inputs(network, 9, torch.float32)
    np.save(tmp_path / "x.npy", x.numpy())
    for name in ("model.onnx", "model.pt2"):
        assert modules.export(network, tmp_path / name) == (tmp_path / name).read_bytes()
    script = (
        "import sys, numpy as np, onnxruntime, torch\n"
        "folder = sys.argv[1]\n"
        "x = np.load(folder + '/x.npy')\n"
        "session = onnxruntime.InferenceSession(folder + '/model.onnx')\n"
        "[y] = session.run(None, {'x': x})\n"
        "np.save(folder + '/onnx.npy', y)\n"
        "y = torch.export.load(folder + '/model.pt2').module()(torch.from_numpy(x))\n"
        "np.save(folder + '/pt2.npy', y.detach().numpy())\n"
        "print([name for name in sys.modules if name.startswith('intertwine')])"
    )
    assert python(script, str(tmp_path)).strip() == "[]"
    wanted = network(x).detach().numpy()
    for name in ("onnx", "pt2"):
        assert np.abs(np.load(tmp_path / f"{name}.npy") - wanted).max() <= 1e-5
    from torch.export.passes import move_to_device_pass

    program = torch.export.load(tmp_path / "model.pt2")
    moved = move_to_device_pass(program, "meta").module()(x.to("meta"))
    assert (moved.device.type, moved.shape) == ("meta", wanted.shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_onnx_file_has_standard_operations_and_any_batch(dtype: Any, tmp_path: Path) -> None:
    model = modules.Standardize(
        modules.Linear(2 * V + Scalar, V + 2 * Scalar, SO(3), dtype=dtype), (0, 2, 0, 3)
    )
    blob = modules.export(model, tmp_path / "model.onnx")
    found = onnx.load_from_string(blob)
    assert [(each.domain, each.version) for each in found.opset_import] == [("", 18)]
    assert not found.functions
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(str(dtype).removeprefix("torch.")))
    shapes = {}
    for value in (*found.graph.input, *found.graph.output):
        tensor = value.type.tensor_type
        assert tensor.elem_type == kind
        shapes[value.name] = [each.dim_param or each.dim_value for each in tensor.shape.dim]
    assert shapes == {"x": ["batch", 7], "y": ["batch", 5]}
    for count in (1, 2, 300):
        x = inputs(model, count, dtype)
        wanted = model(x).detach().numpy()
        assert np.abs(by_onnx(blob, x)[0] - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize(
    "make",
    [
        lambda: modules.Linear(V, V**2, S(3)),
        lambda: modules.Linear(V, V, SE(2)),
        lambda: modules.GatedNonlinearity(V + Scalar, SO(3)),
    ],
    ids=["equal indices", "a basis", "gates"],
)
def test_every_kind_of_layer_is_exported(make: Any, tmp_path: Path) -> None:
    model = make()
    x = inputs(model, 3, torch.float32)
    wanted = model(x).detach()
    [found] = by_onnx(modules.export(model, tmp_path / "model.onnx"), x)
    assert np.abs(found - wanted.numpy()).max() <= 1e-5 * wanted.abs().max()
    modules.export(model, tmp_path / "model.pt2")
    found = torch.export.load(tmp_path / "model.pt2").module()(x)
    assert torch.allclose(found, wanted, atol=1e-6)


def test_a_module_of_ones_own_takes_an_example(tmp_path: Path) -> None:
    model = Own()
    example = torch.randn(4, 6), torch.ones(4, 1)
    blob = modules.export(model, tmp_path / "model.onnx", example=example)
    assert model.training
    assert [each.name for each in onnx.load_from_string(blob).graph.output] == ["y0", "y1"]
    model.eval()
    for one, other in zip(by_onnx(blob, *example), model(*example), strict=True):
        np.testing.assert_allclose(one, other.detach().numpy(), rtol=0, atol=1e-5)
    secret = 0x5EC2E7  # of an example, which the file must not contain
    tagged = torch.full((2, 6), float(secret)), torch.ones(2, 1)
    blob = modules.export(model, tmp_path / "model.pt2", example=tagged)
    assert np.full(6, secret, np.float32).tobytes() not in blob


COMPLEX = (
    "ONNX computes with real numbers, and the model has inputs or weights of complex64: export it "
    "to a .pt2 file instead"
)
HALF = (
    "onnxruntime does not check a model with inputs or weights of bfloat16: convert it with "
    "model.float(), or export it to a .pt2 file instead"
)


@pytest.mark.parametrize(
    ("make", "dtype", "tolerance", "refusal"),
    [
        (lambda: modules.Linear(V, V, U(2)), torch.complex64, 1e-6, COMPLEX),
        (lambda: modules.MLP(V, V, U(2)), torch.complex64, 1e-6, COMPLEX),
        (lambda: modules.Linear(V, V, SO(3), dtype=torch.bfloat16), torch.bfloat16, 0, HALF),
    ],
    ids=["complex Linear", "complex MLP", "Linear in half precision"],
)
def test_numbers_that_only_pt2_files_have(
    make: Any, dtype: Any, tolerance: float, refusal: str, tmp_path: Path
) -> None:
    model = make()
    modules.export(model, tmp_path / "model.pt2")
    x = inputs(model, 3, dtype)
    found = torch.export.load(tmp_path / "model.pt2").module()(x)
    assert found.dtype == dtype
    assert torch.allclose(found, model(x), rtol=10 * tolerance, atol=tolerance)
    with pytest.raises(MethodNotApplicable) as caught:
        modules.export(model, tmp_path / "model.onnx")
    assert str(caught.value) == refusal


def with_32_bit_indices(x: Any) -> Any:
    return x[:, torch.tensor([2, 0], dtype=torch.int32)]


def with_an_operation_of_ones_own(x: Any) -> Any:
    return torch.onnx.ops.symbolic("mine::Twice", [x], dtype=x.dtype, shape=x.shape, version=1)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda x: x + torch.rand_like(x), FormatError, "Look for random numbers in the model"),
        (
            lambda x: torch.linalg.svdvals(x[:, :, None]),
            MethodNotApplicable,
            "as ONNX .*svd.*: export it to a",
        ),
        (with_32_bit_indices, FormatError, "ONNX that is not valid .*int32.*: export it to a"),
        (with_an_operation_of_ones_own, MethodNotApplicable, "ONNX has no operation mine.Twice"),
        (lambda x: x.sum(0), InvalidRep, r"returns the shape \(3,\) for 1 inputs"),
        (lambda x: {"y": x}, InvalidRep, "this one returns dict$"),
    ],
    ids=["random", "not in ONNX", "not valid", "an operation of one's own", "no batch", "a dict"],
)
def test_programs_that_would_be_wrong_are_not_written(
    function: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"an older model")
    with pytest.raises(error, match=message):
        modules.export(Applied(function), file)
    assert [*tmp_path.iterdir()] == [file]
    assert file.read_bytes() == b"an older model"


def test_outputs_of_another_kind_are_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def other(blob: bytes) -> Any:
        return lambda x: [np.zeros((len(x[0]), 2))]

    monkeypatch.setattr(exporting, "onnx_session", other)
    with pytest.raises(FormatError) as caught:
        modules.export(Applied(torch.tanh), tmp_path / "model.onnx")
    assert str(caught.value) == (
        "the exported program returns float64 of shape (1, 2) where the model returns float32 of "
        "shape (1, 3): nothing was written"
    )
    assert not [*tmp_path.iterdir()]


def test_compiled_modules_are_exported(tmp_path: Path) -> None:
    model = modules.Linear(2 * V, V, SO(3))
    modules.export(torch.compile(model), tmp_path / "model.pt2")
    x = inputs(model, 3, torch.float32)
    found = torch.export.load(tmp_path / "model.pt2").module()(x)
    assert torch.equal(found, model(x))


def test_an_opset_that_pytorch_does_not_write_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(onnx_file, "OPSET", 7)
    with pytest.raises(FormatError, match=r"of the opsets \{'': 18\}, not 7: export it to a"):
        modules.export(Applied(torch.tanh), tmp_path / "model.onnx")
    assert not [*tmp_path.iterdir()]


def test_arguments_are_checked_before_any_work(
    network: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(error: type[Exception], message: str, model: Any, name: str, **options: Any) -> None:
        with pytest.raises(error) as caught:
            modules.export(model, name, **options)
        assert message in str(caught.value)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.export, "export", None)
    endings = "models of PyTorch are exported to files that end in .onnx or .pt2"
    refuse(UnknownMethod, f"'model.bin' ends in '.bin': {endings}", network, "model.bin")
    refuse(InvalidRep, "5 cannot be exported: give a torch.nn.Module", 5, "model.pt2")
    own = "a model of class Own cannot be exported: give a model with rep_in, or example=x"
    refuse(InvalidRep, own, Own(), "model.pt2")
    refuse(InvalidRep, "found (1, 6)", Own(), "model.pt2", example=torch.ones(1, 6))
    with monkeypatch.context() as changed:
        changed.setattr(onnx_file, "_LARGEST_FILE", 100)
        refuse(TooLarge, "and an ONNX file at most 100: export", network, "model.onnx")
    with monkeypatch.context() as changed:
        for name in ("onnxscript", "onnxruntime"):
            changed.setitem(sys.modules, name, None)
        missing = "the format .onnx needs the packages onnxscript, onnxruntime: pip install"
        refuse(Unavailable, f"{missing} 'intertwine[onnx]'", network, "model.onnx")
    assert not [*tmp_path.iterdir()]


def test_models_of_jax_are_exported_by_pytorch(tmp_path: Path) -> None:
    model = nn.Standardize(nn.Linear(2 * V, V + V**2, SO(3)), (0, 2, 0, 3))
    blob = nn.export(model, tmp_path / "model.onnx")
    x = np.random.default_rng(0).standard_normal((9, 6)).astype(np.float32)
    wanted = np.asarray(model(x))
    [found] = by_onnx(blob, torch.from_numpy(x))
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
    with jax.enable_x64(True):
        layer = nn.Linear(2 * V, V, SO(3), dtype="float64")
    nn.export(layer, tmp_path / "layer.pt2")  # in float64, though JAX has it disabled again
    program = torch.export.load(tmp_path / "layer.pt2").module()
    found = program(torch.from_numpy(x).double()).detach().numpy()
    with jax.enable_x64(True):
        wanted = np.asarray(layer(x.astype(np.float64)))
    assert found.dtype == wanted.dtype == np.float64
    assert np.abs(found - wanted).max() <= 1e-12


def test_models_of_jax_that_pytorch_lacks_are_refused(network: Any, tmp_path: Path) -> None:
    remedy = "export it as StableHLO, to a file with another ending"
    energy = nn.EMLPH(2 * V, Scalar, SO(3), ch=16, num_layers=1)
    with pytest.raises(FormatError) as caught:
        nn.export(energy, tmp_path / "model.onnx")
    assert str(caught.value) == f"intertwine.torch has no 'EMLPH': {remedy}"
    own = eqx.nn.Linear(3, 3, key=jax.random.key(0))
    with pytest.raises(InvalidRep) as refused:
        nn.export(own, tmp_path / "model.pt2", example=np.ones((2, 3)))
    assert str(refused.value) == (
        f"PyTorch writes .pt2 files, and has no model of class Linear: give a model of "
        f"intertwine.nn, or {remedy}"
    )
    with pytest.raises(InvalidRep, match=r"PyTorch: call intertwine\.torch\.export$"):
        nn.export(network, tmp_path / "model.onnx")
    assert not [*tmp_path.iterdir()]
