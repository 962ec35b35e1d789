"""Models saved in PyTorch or in JAX are the same in the other."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from helpers.damage import each_damage
from helpers.example_networks import Turned
from helpers.program import python
from intertwine import nn
from intertwine.errors import FormatError, InvalidRep
from intertwine.groups import SE, SO, S, U
from intertwine.reps import Scalar, V
from intertwine.saving.reader import decode
from intertwine.saving.writer import encode

torch = pytest.importorskip("torch")
modules = pytest.importorskip("intertwine.torch")
saving = pytest.importorskip("intertwine.torch.saving")
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

#: Every class of modules, on each kind of maps.
MODELS: dict[str, Callable[..., Any]] = {
    "EMLP in irreps": lambda kit, **o: kit.EMLP(
        2 * Scalar + 2 * V, V**2 + Scalar, SO(3), ch=16, num_layers=2, **o
    ),
    "EMLP of complex irreps": lambda kit, **o: kit.EMLP(
        2 * V + V.T, V, U(2), ch=12, num_layers=1, **o
    ),
    "EMLP of the paper": lambda kit, **o: kit.EMLP(
        2 * V, V, SO(3), ch=8, num_layers=1, bilinear="paper", **o
    ),
    "EMLP of the paper, complex": lambda kit, **o: kit.EMLP(
        2 * V, V, U(2), ch=6, num_layers=1, bilinear="paper", **o
    ),
    "Linear by bases": lambda kit, **o: kit.Linear(3 * V, V, SE(2), **o),
    "EMLPBlock": lambda kit, **o: kit.EMLPBlock(2 * V, V + Scalar, SO(3), **o),
    "MLP": lambda kit, **o: kit.MLP(2 * V, V, SO(3), ch=16, **o),
    "complex MLP": lambda kit, **o: kit.MLP(V, V, U(2), ch=16, num_layers=1, **o),
    "BiLinear": lambda kit, **o: kit.BiLinear(2 * V, V**2, SO(3), **o),
    "BiLinear without weights": lambda kit, **o: kit.BiLinear(2 * V, V, S(1) * SO(2), **o),
    "Linear of size 0": lambda kit, **o: kit.Linear(0 * V, V + Scalar, SO(3), **o),
    "Linear by equal indices": lambda kit, **o: kit.Linear(2 * V + V**2, V, S(5), **o),
    "Sequential": lambda kit, **o: kit.Sequential(
        kit.Linear(2 * V, V, S(3), **o), kit.Pointwise(V(S(3)), "gelu")
    ),
    "gates": lambda kit, **o: kit.Sequential(
        kit.Linear(2 * V, nn.gated((V + Scalar)(SO(3))), SO(3), **o),
        kit.GatedNonlinearity(V + Scalar, SO(3)),
    ),
    "Standardize": lambda kit, **o: kit.Standardize(
        kit.Linear(2 * V, V, SO(3), **o), (0, 2, 0, 1 / 3)
    ),
    "complex Standardize": lambda kit, **o: kit.Standardize(
        kit.Linear(V + Scalar, V + Scalar, U(2), **o), ([0, 0, 1j], 2)
    ),
}
ROUNDING = {"float32": 1e-6, "float64": 1e-13}
"""Of outputs, relative to the largest."""

each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())


def in_jax(make: Callable[..., Any], dtype: str, key: int = 1) -> Any:
    with warnings.catch_warnings(action="ignore"):
        return make(nn, key=key, dtype=dtype)


def in_pytorch(make: Callable[..., Any], dtype: str, key: int = 1) -> Any:
    with warnings.catch_warnings(action="ignore"):
        return make(modules, key=key, dtype=getattr(torch, dtype))


def images(model: Any, dtype: str) -> Any:
    """The images of random vectors, as an array of NumPy."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, model.rep_in.size())).astype(dtype)
    if isinstance(model, torch.nn.Module):
        return model(torch.from_numpy(x)).detach().numpy()
    return np.asarray(model(x))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "float64") for name in MODELS), ("EMLP in irreps", "float32"), ("MLP", "float32")],
)
def test_files_of_each_are_read_by_both(name: str, dtype: str, tmp_path: Path) -> None:
    with jax.enable_x64(True):
        saved = {nn: in_jax(MODELS[name], dtype), modules: in_pytorch(MODELS[name], dtype)}
        for kit, model in saved.items():
            kit.save(model, tmp_path / kit.__name__)
        wanted = images(saved[nn], dtype)
        for kit, model in saved.items():
            for folder in tmp_path.iterdir():
                loaded = kit.load(folder)
                found = images(loaded, dtype)
                assert found.dtype == images(model, dtype).dtype
                assert np.abs(found - wanted).max() <= ROUNDING[dtype] * np.abs(wanted).max()
                assert (loaded.rep_in, loaded.rep_out) == (model.rep_in, model.rep_out)


@each_model
def test_a_loaded_module_is_as_a_new_one(make: Callable[..., Any]) -> None:
    new = in_pytorch(make, "float64")
    other = saving.from_config(*saving.to_config(in_pytorch(make, "float64", key=2)))
    assert repr(other) == repr(new)
    assert [name for name, _ in other.named_parameters()] == [n for n, _ in new.named_parameters()]
    other.load_state_dict(new.state_dict())
    assert np.array_equal(images(other, "float64"), images(new, "float64"))
    assert all(weight.requires_grad for weight in other.parameters())


@each_model
def test_a_loaded_model_is_written_again(make: Callable[..., Any]) -> None:
    with jax.enable_x64(True):
        config, blob = nn.saving.to_config(in_jax(make, "float64"))
    again, weights = saving.to_config(saving.from_config(config, blob))
    assert (again["model"], weights) == (config["model"], blob)
    assert (config["framework"], again["framework"]) == ("jax", "torch")
    assert "torch" in again["written_with"]
    assert not {"jax", "equinox"} & {*again["written_with"]}


def test_files_from_before_there_were_two_frameworks() -> None:
    model = MODELS["Sequential"](nn)
    config, blob = nn.saving.to_config(model)
    del config["framework"]
    found = images(saving.from_config(config, blob), "float32")
    assert np.allclose(found, images(model, "float32"), atol=1e-6)


def test_layers_of_jax_alone_are_refused(tmp_path: Path) -> None:
    nn.save(nn.Parallel(nn.Linear(V, V, SO(3)), nn.Linear(V, V, SO(3))), tmp_path)
    with pytest.raises(FormatError) as caught:
        modules.load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds no complete model: intertwine.torch has no 'Parallel': if intertwine.nn "
        f"has it, load the model with intertwine.nn.load"
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_refused_and_leaves_nothing(dtype: str, tmp_path: Path) -> None:
    model = in_pytorch(MODELS["MLP"], dtype)
    with pytest.raises(InvalidRep, match=f"has dtype {dtype}, which cannot be saved: use float32,"):
        modules.save(model, tmp_path / "model")
    assert not [*tmp_path.iterdir()]
    modules.save(model.float(), tmp_path / "model")
    assert np.array_equal(
        images(modules.load(tmp_path / "model"), "float32"), images(model, "float32")
    )


def test_custom_reps_are_given_by_name(tmp_path: Path) -> None:
    own = Turned(2, SO(2))
    model = modules.Linear(2 * own, own)
    modules.save(model, tmp_path, names={"R": own})
    for kit in (nn, modules):
        with pytest.raises(FormatError, match=r"the custom rep 'R': give it as names=\{'R'"):
            kit.load(tmp_path)
        again = kit.load(tmp_path, names={"R": own})
        assert np.allclose(images(again, "float32"), images(model, "float32"), atol=1e-6)


def test_other_modules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRep, match=r"cannot be saved with torch.nn.modules.linear.Linear"):
        modules.save(torch.nn.Linear(3, 3), tmp_path / "a")
    with pytest.raises(InvalidRep, match=r"cannot be saved with intertwine.nn.linear.Linear"):
        modules.save(nn.Linear(V, V, SO(3)), tmp_path / "a")
    assert not [*tmp_path.iterdir()]


def test_a_module_on_a_view_is_written_whole(tmp_path: Path) -> None:
    model = in_pytorch(MODELS["MLP"], "float32")
    wanted = images(model, "float32")
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.data = weight.T.contiguous().T  # not in the order of its entries
    modules.save(model, tmp_path)
    assert np.allclose(images(modules.load(tmp_path), "float32"), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("absent", "kit"), [("jax", "intertwine.torch"), ("torch", "intertwine.nn")]
)
def test_neither_needs_the_other(absent: str, kit: str, tmp_path: Path) -> None:
    model = MODELS["Sequential"](nn)
    nn.save(model, tmp_path / "jax")
    modules.save(MODELS["Sequential"](modules), tmp_path / "torch")
    script = (
        "import sys\n"
        f"sys.modules[{absent!r}] = None  # any import of it fails\n"
        "from pathlib import Path\n"
        f"from {kit} import load, save\n"
        "folder = Path(sys.argv[1])\n"
        "for name in ('jax', 'torch'):\n"
        "    save(load(folder / name), folder / 'again')\n"
        "    print(load(folder / 'again').rep_out)\n"
    )
    assert python(script, str(tmp_path)).split() == 2 * [str(model.rep_out)]


def net(key: int = 0, width: int = 4) -> Any:
    """A user's own module, with layers, other parameters and buffers."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = modules.Linear(2 * V, V, SO(3), key=key)
            self.rest = torch.nn.ModuleList([modules.EMLP(V, V, SO(3), ch=8, num_layers=1)])
            self.norm = torch.nn.BatchNorm1d(3)
            self.head = torch.nn.Linear(3, width)
            torch.nn.init.constant_(self.norm.running_mean, key)
            torch.nn.init.constant_(self.head.weight, 0.1 + key)

        def forward(self, x: Any) -> Any:
            return self.head(self.norm(self.rest[0](self.first(x))))

    return Net().eval()


class TestOwnModules:
    X = torch.arange(12.0).reshape(2, 6)

    def test_layers_and_tensors_are_put_into_another(self, tmp_path: Path) -> None:
        model, other = net(1), net(2)
        other.first.bias.requires_grad_(False)
        other.rest.train()
        modules.save(model, tmp_path)
        before = other(self.X)
        again = modules.load(tmp_path, like=other)
        assert torch.equal(again(self.X), model(self.X))
        assert torch.equal(other(self.X), before)
        assert not torch.equal(before, model(self.X))
        frozen = [name for name, weight in again.named_parameters() if not weight.requires_grad]
        assert frozen == ["first.bias"]
        assert (again.training, again.first.training, again.rest[0].training) == (0, 0, 1)
        assert [*again.state_dict()] == [*model.state_dict()]

    def test_another_structure_is_refused(self, tmp_path: Path) -> None:
        modules.save(net(), tmp_path)
        with pytest.raises(FormatError) as caught:
            modules.load(tmp_path, like=net(width=5))
        assert str(caught.value) == (
            f"{tmp_path} holds no model that fits `like`: head.weight is float32 of shape (4, 3) "
            f"in the file, and float32 of shape (5, 3) in `like`: make it with the arguments of "
            f"the saved model"
        )
        with pytest.raises(
            FormatError, match="the model is a module of your own, 'Net', and the f"
        ):
            modules.load(tmp_path)
        with pytest.raises(InvalidRep, match=r"Net, a module of your own, in this way: use intert"):
            saving.to_config(net())

    def test_layers_are_on_the_device_of_the_other(self, tmp_path: Path) -> None:
        model = modules.Linear(V, V, SO(3))
        modules.save(model, tmp_path)
        again = modules.load(tmp_path, like=copy.deepcopy(model).to("meta"))
        assert all(one.is_meta for one in again.parameters())

    def test_layers_stay_the_objects_that_others_refer_to(self, tmp_path: Path) -> None:
        class Twice(torch.nn.Module):
            """Calls its layer through a wrapper of torch.compile, and through a list."""

            def __init__(self, key: int) -> None:
                super().__init__()
                layer = modules.Linear(2 * V, V, SO(3), key=key)
                self.compiled = torch.compile(layer, disable=True)
                self.listed = [layer]

            def forward(self, x: Any) -> Any:
                return torch.stack([self.compiled(x), self.listed[0](x)])

        model = Twice(1)
        modules.save(model, tmp_path)
        again = modules.load(tmp_path, like=Twice(2))
        assert torch.equal(again(self.X), model(self.X))

    @pytest.mark.parametrize("part", ["first", "head.weight"])
    def test_parts_that_are_one_have_one_value(self, part: str, tmp_path: Path) -> None:
        def pair(*, is_one: bool) -> Any:
            both = torch.nn.ModuleDict({"a": net(1), "b": net(2)})
            if is_one and part == "first":
                both["b"].first = both["a"].first
            elif is_one:
                both["b"].head.weight = both["a"].head.weight
            return both

        def is_one(both: Any) -> bool:
            a, b = both["a"], both["b"]
            return a.first is b.first or a.head.weight is b.head.weight

        modules.save(pair(is_one=True), tmp_path / "one")
        modules.save(pair(is_one=False), tmp_path / "two")
        assert is_one(modules.load(tmp_path / "one", like=pair(is_one=True)))
        assert not is_one(modules.load(tmp_path / "one", like=pair(is_one=False)))
        with pytest.raises(FormatError, match=f"a.{part} and b.{part} are one in `like`, and"):
            modules.load(tmp_path / "two", like=pair(is_one=True))

    def test_states_of_modules(self, tmp_path: Path) -> None:
        class Counter(torch.nn.Module):
            def __init__(self, state: Any) -> None:
                super().__init__()
                self.layer, self.state = modules.Linear(V, V, SO(3)), state

            def get_extra_state(self) -> Any:
                return self.state

            def set_extra_state(self, state: Any) -> None:
                self.state = state

        modules.save(Counter(torch.tensor([3])), tmp_path)
        assert modules.load(tmp_path, like=Counter(torch.tensor([4]))).state.tolist() == [3]
        with pytest.raises(
            InvalidRep, match=r"_extra_state in the state_dict of a Counter is a di"
        ):
            modules.save(Counter({"steps": 3}), tmp_path / "a")
        assert not (tmp_path / "a").exists()

    def test_weights_without_numbers_are_refused(self, tmp_path: Path) -> None:
        layer = modules.Linear(V, V, SO(3))
        lazy = torch.nn.Sequential(layer, torch.nn.LazyLinear(2))
        for model in (lazy, copy.deepcopy(layer).to("meta")):
            with pytest.raises(InvalidRep, match="has weights without numbers"):
                modules.save(model, tmp_path / "a")
        assert not [*tmp_path.iterdir()]

    def test_inside_a_layer(self, tmp_path: Path) -> None:
        def standardized(key: int) -> Any:
            inner = net(key)
            inner.rep_in, inner.rep_out = inner.first.rep_in, (4 * Scalar)(SO(3))
            return modules.Standardize(inner, (0, 1 + key))

        model = standardized(1)
        modules.save(model, tmp_path)
        assert torch.equal(modules.load(tmp_path, like=standardized(2))(self.X), model(self.X))

    def test_a_module_of_the_same_parts_in_jax(self, tmp_path: Path) -> None:
        class Pair(eqx.Module):
            first: Any
            head: Any

        class PairInPyTorch(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.first = modules.Linear(2 * V, V, SO(3), key=5)
                self.head = torch.nn.Linear(3, 4)

        theirs = Pair(nn.Linear(2 * V, V, SO(3)), eqx.nn.Linear(3, 4, key=jax.random.key(0)))
        nn.save(theirs, tmp_path)
        ours = modules.load(tmp_path, like=PairInPyTorch())
        x = np.arange(6, dtype=np.float32)
        found = ours.head(ours.first(torch.from_numpy(x))).detach().numpy()
        assert np.allclose(found, theirs.head(theirs.first(x)), atol=1e-5)


TREE, ARRAYS = encode(
    saving.TORCH,
    modules.Sequential(
        modules.Linear(V, V, SO(3)), modules.EMLPBlock(V, V, SO(3), bilinear="paper")
    ),
)


def test_any_tree_is_decoded_or_raises_an_intertwine_error() -> None:
    """Without Hypothesis, which would read the sources of PyTorch, as if they were ours."""
    refused = 0
    for tree in each_damage(TREE):
        try:
            assert isinstance(decode(saving.TORCH, tree, ARRAYS), torch.nn.Module)
        except FormatError:
            refused += 1
    assert refused > 300


def test_shared_layers_may_be_apart_in_the_file(tmp_path: Path) -> None:
    one, two = (modules.Linear(V, V, SO(3), key=key) for key in (1, 2))
    modules.save(modules.Sequential(one, two), tmp_path)
    again = modules.load(tmp_path, like=modules.Sequential(one, one))
    x = torch.arange(3.0)
    assert torch.equal(again(x), two(one(x)))


def test_a_missing_tensor_is_refused() -> None:
    for name in ARRAYS:
        with pytest.raises(FormatError):
            decode(
                saving.TORCH, copy.deepcopy(TREE), {n: a for n, a in ARRAYS.items() if n != name}
            )
