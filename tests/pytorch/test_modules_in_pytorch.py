"""Layers and networks as modules of PyTorch: those of `intertwine.nn`, and what PyTorch does with
modules.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from helpers.program import python
from intertwine import nn
from intertwine.errors import InvalidRep, InvalidSetting, NotEquivariant
from intertwine.groups import SE, SO, D, Group, Lorentz, S, U
from intertwine.reps import Rep, Scalar, V

torch = pytest.importorskip("torch")
modules = pytest.importorskip("intertwine.torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

#: Groups of each kind of maps: irreps, complex irreps, patterns of equal indices, and bases.
CASES: dict[str, tuple[Group, Rep, Rep]] = {
    "SO(3)": (SO(3), 2 * Scalar + 2 * V + V**2, V**2 + Scalar),
    "Lorentz": (Lorentz(), 4 * V, V + Scalar),
    "U(2)": (U(2), 2 * V + V.T, V),
    "D(5)": (D(5), 3 * V, V + V**2),
    "S(5)": (S(5), 2 * V + V**2, V**2 + V),
    "SE(2)": (SE(2), 3 * V, V),
}
MAKERS: dict[str, Callable[..., Any]] = {
    "Linear": lambda kit, G, a, b, **o: kit.Linear(a, b, G, **o),
    "BiLinear": lambda kit, G, a, b, **o: kit.BiLinear(a, b, G, bilinear="paper", **o),
    "EMLPBlock": lambda kit, G, a, b, **o: kit.EMLPBlock(a, b, G, bilinear="paper", **o),
    "EMLP": lambda kit, G, a, b, **o: kit.EMLP(a, b, G, ch=20, num_layers=2, **o),
    "EMLP, paper": lambda kit, G, a, b, **o: kit.EMLP(
        a, b, G, ch=20, num_layers=1, bilinear="paper", **o
    ),
    "MLP": lambda kit, G, a, b, **o: kit.MLP(a, b, G, ch=20, **o),
}

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
each_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def vectors(rep: Rep, is_complex: bool, count: int = 4) -> Any:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, rep.size()))
    return x + 1j * rng.standard_normal(x.shape) if is_complex else x


@pytest.fixture
def network() -> Any:
    return modules.EMLP(2 * Scalar + 2 * V, V, SO(3), ch=12, num_layers=1)


@pytest.fixture
def x(network: Any) -> Any:
    return torch.from_numpy(vectors(network.rep_in, is_complex=False)).float()


@each_case
@each_maker
def test_the_same_key_gives_the_function_of_the_jax_layer(
    case: tuple[Group, Rep, Rep], make: Callable[..., Any]
) -> None:
    group, rep_in, rep_out = case
    with jax.enable_x64(True), warnings.catch_warnings(action="ignore"):
        theirs = make(nn, group, rep_in, rep_out, key=3, dtype="float64")
        ours = make(modules, group, rep_in, rep_out, key=3, dtype=torch.float64)
        x = vectors(ours.rep_in, is_complex=group == U(2))
        wanted = np.asarray(theirs(x))
    found = ours(torch.from_numpy(x)).detach().numpy()
    assert (ours.rep_in, ours.rep_out) == (theirs.rep_in, theirs.rep_out)
    assert np.allclose(found, wanted, rtol=0, atol=1e-12 * max(1, np.abs(wanted).max()))


@each_maker
@pytest.mark.parametrize("kit", [nn, modules], ids=["JAX", "PyTorch"])
def test_arrays_of_the_other_library_are_refused(kit: Any, make: Callable[..., Any]) -> None:
    other = jax.numpy.ones((2, 6)) if kit is modules else torch.ones(2, 6)
    layer = make(kit, SO(3), 2 * V, V)
    with pytest.raises(InvalidRep, match=r"of (PyTorch|JAX), and the model"):
        layer(other)
    assert layer(np.asarray(other)).shape == (2, 3)


@each_case
def test_networks_are_equivariant(case: tuple[Group, Rep, Rep]) -> None:
    group, rep_in, rep_out = case
    with warnings.catch_warnings(action="ignore"):
        network = modules.EMLP(rep_in, rep_out, group, ch=20, num_layers=2, dtype=torch.float64)
    x = torch.from_numpy(vectors(network.rep_in, is_complex=group == U(2)))
    g = group.sample(1)
    before = x @ torch.from_numpy(np.array(network.rep_in.rho_dense(g))).to(x.dtype).T
    behind = torch.from_numpy(np.array(network.rep_out.rho_dense(g)))
    y = network(x).detach()
    wanted = y @ behind.to(y.dtype).T
    assert torch.allclose(network(before), wanted, atol=1e-10 * float(wanted.abs().max()))


def test_jax_is_not_needed() -> None:
    script = (
        "import sys, torch\n"
        "from intertwine.groups import SO\n"
        "from intertwine.reps import V\n"
        "from intertwine.torch import EMLP\n"
        "EMLP(2 * V, V, SO(3), ch=8, num_layers=1)(torch.ones(2, 6)).sum().backward()\n"
        "print('jax' in sys.modules)"
    )
    assert python(script).strip() == "False"


def test_a_state_is_restored_and_copied(network: Any, x: Any) -> None:
    other = modules.EMLP(2 * Scalar + 2 * V, V, SO(3), ch=12, num_layers=1, key=1)
    assert not torch.equal(other(x), network(x))
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(x), network(x))
    copied = copy.deepcopy(network)
    with torch.no_grad():
        for weight in copied.parameters():
            weight.zero_()
    assert not torch.equal(copied(x), network(x))


def test_training_lowers_the_loss(network: Any, x: Any) -> None:
    y = network.rep_out.size() * x[:, 2:5]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = (network(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_forces_have_gradients(network: Any, x: Any) -> None:
    x.requires_grad_()
    (force,) = torch.autograd.grad(network(x).square().sum(), x, create_graph=True)
    force.square().sum().backward()
    used = [weight for weight in network.parameters() if weight.numel()]
    assert all(torch.isfinite(weight.grad).all() for weight in used)


def test_an_ensemble_is_one_call(x: Any) -> None:
    from torch.func import functional_call, stack_module_state, vmap

    ensemble = [
        modules.EMLP(2 * Scalar + 2 * V, V, SO(3), ch=12, num_layers=1, key=k) for k in range(3)
    ]
    parameters, buffers = stack_module_state(ensemble)

    def call(parameters: Any, buffers: Any) -> Any:
        return functional_call(ensemble[0], (parameters, buffers), (x,))

    found = vmap(call)(parameters, buffers)
    wanted = torch.stack([each(x) for each in ensemble])
    assert torch.allclose(found, wanted, atol=1e-5)


def test_gradients_of_single_vectors(network: Any, x: Any) -> None:
    from torch.func import jacrev, vmap

    found = vmap(jacrev(network))(x)
    assert found.shape == (4, 3, 8)
    step = torch.zeros(8)
    step[2] = 1e-3
    wanted = (network(x + step) - network(x - step)) / 2e-3
    assert torch.allclose(found[:, :, 2], wanted, atol=1e-3)


def test_compiled_modules_are_one_program_each(tmp_path: Path) -> None:
    """In a process of its own, since TorchDynamo does not follow the type checks of tests."""
    script = (
        "import sys, torch\n"
        "from intertwine.groups import SO, S\n"
        "from intertwine.reps import Scalar, V\n"
        "from intertwine.torch import *\n"
        "rep = 2 * V(SO(3)) + Scalar\n"
        "modules = [\n"
        "    Linear(rep, V + V**2, SO(3)), Linear(2 * V, V**2, S(5)), BiLinear(rep, rep, SO(3)),\n"
        "    GatedNonlinearity(rep), Pointwise(V, 'swish', S(5)),\n"
        "    EMLP(rep, V, SO(3), ch=12, num_layers=1), MLP(rep, V, SO(3), ch=12),\n"
        "    EMLP(rep, V, SO(3), ch=12, num_layers=1, bilinear='paper'),\n"
        "]\n"
        "for module in modules:\n"
        "    x = torch.randn(6, module.rep_in.size())\n"
        "    compiled = torch.compile(module, fullgraph=True, backend='aot_eager')\n"
        "    y = compiled(x)\n"
        "    assert torch.allclose(y, module(x), atol=1e-5), module\n"
        "    if any(weight.numel() for weight in module.parameters()):\n"
        "        y.square().sum().backward()\n"
        "        assert all(w.grad is not None for w in module.parameters() if w.numel()), module\n"
        "    program = torch.export.export(module, (x,), strict=True)\n"
        "    operations = [node.target for node in program.graph.nodes]\n"
        "    assert 'intertwine' not in str(operations), module\n"
        "save(compiled, sys.argv[1])\n"
        "assert torch.allclose(load(sys.argv[1])(x), y, atol=1e-5)\n"
        "print('compiled')"
    )
    assert python(script, str(tmp_path)).strip() == "compiled"


def test_compiled_networks_are_found_on_disk_by_the_names_of_their_operations() -> None:
    """The names are those of the network's content, in each process. PyTorch refuses to keep
    programs with operations that it does not know. Transforms look into operations without names.
    """
    script = (
        "import torch\n"
        "from intertwine.groups import SO\n"
        "from intertwine.reps import V\n"
        "from intertwine.torch import EMLP\n"
        "from torch._functorch._aot_autograd.autograd_cache import check_cacheable\n"
        "found = []\n"
        "def backend(program, inputs):\n"
        "    check_cacheable(program)\n"
        "    found.append([node.target for node in program.graph.nodes if node.op[:4] == 'call'])\n"
        "    return program.forward\n"
        "for ch, key in ((12, 0), (12, 1), (14, 0)):\n"
        "    model, x = EMLP(2 * V, V, SO(3), ch=ch, num_layers=1, key=key), torch.ones(5, 6)\n"
        "    y = torch.compile(model, backend=backend, fullgraph=True)(x)\n"
        "    assert torch.allclose(y, model(x), atol=1e-5)\n"
        "first, second, other = (str(operations) for operations in found)\n"
        "assert first == second != other\n"
        "assert 'OpOverload' in first\n"
        "def transformed(program, inputs):\n"
        "    assert 'OpOverload' not in str([node.target for node in program.graph.nodes])\n"
        "    return program.forward\n"
        "slopes = torch.func.vmap(torch.func.jacrev(model))\n"
        "same = torch.compile(slopes, backend=transformed, fullgraph=True)(x)\n"
        "assert torch.allclose(same, slopes(x), atol=1e-5)\n"
        "print(first, other)"
    )
    found = python(script)
    assert "intertwine" in found
    assert python(script) == found


def test_an_exported_network_takes_any_batch(network: Any, x: Any) -> None:
    batch = {0: torch.export.Dim("batch", min=2)}
    program = torch.export.export(network, (x,), dynamic_shapes=(batch,)).module()
    for count in (2, 7):
        rows = x[:1].expand(count, -1)
        assert torch.allclose(program(rows), network(rows), atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "error"),
    [("float64", 1e-13), ("float32", 1e-4), ("bfloat16", 0.3), ("float16", 0.05)],
)
def test_a_network_computes_in_the_precision_of_its_weights(dtype: str, error: float) -> None:
    kind = getattr(torch, dtype)
    exact, network = (
        modules.EMLP(2 * V, V, SO(3), ch=12, num_layers=1, dtype=each)
        for each in (torch.float64, kind)
    )
    x = torch.from_numpy(vectors(network.rep_in, is_complex=False))
    found = network(x.to(kind))
    assert found.dtype == kind
    assert torch.allclose(found.double(), exact(x), atol=error)


def test_batches_have_any_shape(network: Any, x: Any) -> None:
    assert torch.allclose(network(x[0]), network(x)[0], atol=1e-6)
    assert network(x.reshape(2, 2, 8)).shape == (2, 2, 3)
    assert network(x[:0]).shape == (0, 3)


def test_vectors_of_size_0_have_images() -> None:
    empty = modules.Linear(0 * V, V + Scalar, SO(3))
    torch.nn.init.ones_(empty.bias)
    _, bias = empty.matrix()
    for axes in ((), (3,), (2, 3), (0,)):
        assert torch.equal(empty(torch.zeros(*axes, 0)), bias.expand(*axes, 4))
    gates = modules.GatedNonlinearity(0 * V, SO(3))
    assert gates(torch.zeros(3, 0)).shape == (3, 0)


def test_the_dense_matrix_of_a_linear_layer() -> None:
    layer = modules.Linear(2 * V + Scalar, V + Scalar, SO(3), dtype=torch.float64)
    torch.nn.init.normal_(layer.bias)
    W, b = layer.matrix()
    x = torch.from_numpy(vectors(layer.rep_in, is_complex=False))
    assert torch.allclose(x @ W.T + b, layer(x))


def test_statistics_are_buffers(network: Any, x: Any) -> None:
    ones = np.ones(8)
    scale = np.array([2.0, 3.0, *[0.5] * 6])
    model = modules.Standardize(network, (0 * ones, scale, np.zeros(3), 4 * np.ones(3)))
    assert torch.allclose(model(x), 4 * network(x / torch.from_numpy(scale).float()), atol=1e-5)
    assert {"scale_in", "shift_out"} <= set(model.state_dict())
    with pytest.raises(NotEquivariant, match="scales"):
        modules.Standardize(network, (0 * ones, np.arange(1.0, 9.0)))


def test_pointwise_functions_are_those_of_jax() -> None:
    x = np.linspace(-3, 3, 8).reshape(2, 4)
    for name in ("swish", "relu", "gelu", "sigmoid", "softplus", "tanh"):
        ours = modules.Pointwise(V, name, S(4))(torch.from_numpy(x))
        assert np.allclose(ours, np.asarray(nn.Pointwise(V, name, S(4))(x)), atol=1e-6), name
    with pytest.raises(NotEquivariant, match="take GatedNonlinearity"):
        modules.Pointwise(V, "relu", SO(3))
    with pytest.raises(InvalidSetting, match="unknown function 'sine'"):
        modules.Pointwise(V, "sine", S(4))


def test_layers_of_ones_own_are_chained() -> None:
    wide = modules.gated(2 * V(SO(3)) + Scalar)
    model = modules.Sequential(
        modules.Linear(3 * V(SO(3)), wide),
        modules.GatedNonlinearity(2 * V(SO(3)) + Scalar),
        modules.Linear(2 * V(SO(3)) + Scalar, V(SO(3))),
    )
    assert model(torch.ones(5, 9)).shape == (5, 3)
    with pytest.raises(InvalidRep, match="gives"):
        modules.Sequential(model, modules.Linear(2 * V(SO(3)), V(SO(3))))
    with pytest.raises(NotEquivariant, match="no rep_in"):
        modules.Sequential(model, torch.nn.ReLU())


def test_wrong_inputs_are_refused(network: Any) -> None:
    with pytest.raises(InvalidRep, match="has size 8, and the input has the shape"):
        network(torch.ones(3, 7))
    with pytest.raises(InvalidSetting, match="not int32"):
        modules.Linear(V(SO(3)), V(SO(3)), dtype=torch.int32)
    with pytest.raises(InvalidSetting, match="not bfloat16"):
        modules.Linear(V(U(2)), V(U(2)), dtype=torch.bfloat16)
