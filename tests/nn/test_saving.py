"""Saved models are the same elsewhere, and damaged ones are refused."""

from __future__ import annotations

import errno
import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from helpers.damage import damaged, damages
from helpers.example_networks import (
    CASES,
    OBLIQUE,
    QUATERNIONS,
    Turned,
    double_precision,
    images,
    points,
)
from helpers.laws import laws
from helpers.support import run_python
from hypothesis import given
from intertwine.errors import FormatError, InvalidRep, InvalidSetting
from intertwine.groups import SO, SU, Group, O, S, U
from intertwine.nn import (
    EMLP,
    MLP,
    BiLinear,
    Linear,
    Pointwise,
    Sequential,
    Standardize,
    bake,
    load,
    save,
)
from intertwine.nn.saving import JAX, from_config, to_config
from intertwine.reps import (
    Alt,
    Det,
    Indexed,
    Regular,
    Rep,
    Scalar,
    Schur,
    Sign,
    Sub,
    Sym,
    T,
    V,
    basis_key,
)
from intertwine.saving.model_files import digest_of
from intertwine.saving.reader import decode
from intertwine.saving.writer import encode

ROTATIONS = SO(3)
OWN = Turned(2, SO(2))
MODELS: dict[str, Callable[[], Any]] = {
    "in irreps": lambda: EMLP(Scalar + 2 * V, T(2), SO(3), 24, 1),
    "quaternionic": lambda: EMLP(2 * V, V, QUATERNIONS, 5 * V + 4 * Scalar, 1),
    "a group of one's own": lambda: EMLP(V, V, OBLIQUE, 16, 1),
    "complex": lambda: EMLP(2 * V, V + T(1, 1), SU(2), 12, 1),
    "the paper's": lambda: EMLP(2 * V, V, SO(3), 4 * V + 4 * Scalar, 1, bilinear="paper"),
    "several groups": lambda: Linear(*_reps("several groups")),
    "not reductive": lambda: Linear(*_reps("not reductive")),
    "standardized": lambda: Standardize(Linear(2 * V, V, SO(3)), (0, 2, 0, 1 / 3)),
    "standardized by complex numbers": lambda: Standardize(
        Linear(V + Scalar, V + Scalar, SU(2)), ([0, 0, 1j], 2)
    ),
    "plain": lambda: MLP(V, V, U(2), 8, 1),
    "baked": lambda: bake(EMLP(2 * V, V, SO(3), 16, 1)),
    "one after another": lambda: Sequential(Linear(2 * V, V, SO(3)), Linear(V, T(2), SO(3))),
    "a large rep": lambda: Linear(40 * V + T(4), V, SO(3)),
    "irreps": lambda: Linear(*_reps("irreps of the catalogue")),
    "functors": lambda: Linear(
        Sym(2, V) + Schur([2, 1], V) + Sign, Indexed(V, "ij=-ji") + Alt(2, V) * Det(V), O(3)
    ),
    "a rep by generators": lambda: Linear(2 * regular(), regular() + V(S(3))),
    "pointwise": lambda: Pointwise(3 * Scalar, "gelu"),
    "of size 0": lambda: Linear(0 * V, V, SO(3)),
}  # fmt: skip


def regular() -> Rep:
    return Rep.from_generators(S(3), Regular(S(3)).generators.discrete, name="Elements")


def _reps(name: str) -> tuple[Any, Any]:
    return CASES[name].rep_in, CASES[name].rep_out


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.sampled(3)
def test_a_loaded_model_has_the_same_outputs(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    save(model, tmp_path)
    x = points(model.rep_in, 4)
    again = load(tmp_path)
    np.testing.assert_allclose(images(again, x), images(model, x), rtol=1e-6, atol=1e-7)
    assert repr(again) == repr(model)
    assert (again.rep_in, again.rep_out) == (model.rep_in, model.rep_out)


def test_a_subspace_is_loaded_as_a_rep_by_generators(tmp_path: Path) -> None:
    part = Sub((V**2)(SO(3)), np.eye(3).reshape(9, 1), name="Trace")
    model = Linear(part, 2 * part)
    save(model, tmp_path)
    again = load(tmp_path)
    assert (str(again.rep_in), basis_key(again.rep_in)) == ("Trace", basis_key(part))
    np.testing.assert_allclose(again.matrix()[0], model.matrix()[0])
    assert load(tmp_path, names={"Trace": part}).rep_out.size() == 2


@pytest.mark.slow
def test_models_loaded_in_a_fresh_process_predict_the_same(tmp_path: Path) -> None:
    """EMLP's issue 8: a reloaded model predicts something else there."""
    models = {name: make() for name, make in MODELS.items() if name in _ELSEWHERE}
    for name, model in models.items():
        save(model, tmp_path / name)
        np.save(tmp_path / name / "x.npy", points(model.rep_in, 4))
    env = {
        "INTERTWINE_CACHE": str(tmp_path / "an empty cache"),
        "PYTHONHASHSEED": "7",
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2"),
    }
    ended = run_python(_PROGRAM, str(tmp_path), env=env)
    assert ended.status == 0, ended.stderr
    for name, model in models.items():
        y = images(model, points(model.rep_in, 4))
        there = np.array(ended.value[name])
        np.testing.assert_allclose(there[0], y.real, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(there[1], y.imag, rtol=1e-6, atol=1e-6)


_ELSEWHERE = ("in irreps", "a group of one's own", "complex", "several groups", "standardized")
_PROGRAM = """
import sys
from pathlib import Path
import jax
import numpy as np
from intertwine.irreps import decompose
from intertwine.groups import SO
from intertwine.nn import load
from intertwine.reps import T, V
decompose((T(3) + V)(SO(3)))  # other irreps are found first
found = {}
for folder in Path(sys.argv[1]).iterdir():
    if (folder / "config.json").exists():
        y = np.asarray(jax.jit(load(folder))(np.load(folder / "x.npy")))
        found[folder.name] = [y.real.tolist(), y.imag.tolist()]
answer(found)
"""


@pytest.mark.slow
def test_double_precision(tmp_path: Path) -> None:
    with double_precision() as dtype:
        model = EMLP(V, V, SO(3), 16, 1, dtype=dtype)
        save(model, tmp_path)
        again, x = load(tmp_path), points(model.rep_in, 3)
        assert again(x).dtype == np.float64
        np.testing.assert_allclose(images(again, x), images(model, x), rtol=1e-14)
    with pytest.raises(InvalidSetting, match="float64 is disabled in JAX: call"):
        load(tmp_path)  # and not quietly in float32


class TestOwnReps:
    def test_custom_reps_are_given_by_name(self, tmp_path: Path) -> None:
        model = Linear(2 * OWN, OWN)
        save(model, tmp_path, names={"R": OWN})
        x = points(model.rep_in, 3)
        np.testing.assert_array_equal(load(tmp_path, names={"R": OWN})(x), model(x))

    def test_custom_reps_without_a_name_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(
            InvalidRep, match=r"cannot be saved with .*: give it by name, as names="
        ):
            save(Linear(2 * OWN, OWN), tmp_path / "a")
        save(Linear(2 * OWN, OWN), tmp_path, names={"R": OWN})
        with pytest.raises(FormatError, match=r"the custom rep 'R': give it as names=\{'R'"):
            load(tmp_path)

    def test_unknown_layers_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRep, match="a model cannot be saved with"):
            save(jax.nn.relu, tmp_path)
        with pytest.raises(InvalidRep) as caught:
            save(eqx.nn.MLP(3, 3, 8, 1, key=jax.random.key(0)), tmp_path)
        assert str(caught.value) == (
            "a model cannot be saved with equinox.nn._mlp.MLP, which contains no layer of "
            "intertwine.nn"
        )


class TestFiles:
    def test_overwriting_leaves_one_file_of_weights(self, tmp_path: Path) -> None:
        for key in (0, 1):
            save(Linear(V, V, SO(3), key=key), tmp_path)
        assert len([*tmp_path.iterdir()]) == 2
        x = np.ones(3)
        np.testing.assert_array_equal(load(tmp_path)(x), Linear(V, V, SO(3), key=1)(x))

    def test_a_crash_between_the_files_leaves_the_old_model(self, tmp_path: Path) -> None:
        old, new = (Linear(V, V, SO(3), key=k) for k in (0, 1))
        save(old, tmp_path)
        config, blob = to_config(new)
        (tmp_path / config["weights"]).write_bytes(blob)  # and then the power went
        np.testing.assert_array_equal(load(tmp_path)(np.ones(3)), old(np.ones(3)))
        save(new, tmp_path)
        assert len([*tmp_path.iterdir()]) == 2

    def test_the_weights_are_a_plain_safetensors_file(self, tmp_path: Path) -> None:
        from safetensors.numpy import load_file

        model = Linear(V, V, SO(3))
        save(model, tmp_path)
        (path,) = tmp_path.glob("weights-*.safetensors")
        assert any(a.shape == (1, 1) for a in load_file(path).values())
        assert json.loads((tmp_path / "config.json").read_text())["weights"] == path.name

    def test_a_folder_without_a_model(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            load(tmp_path)


class Own(eqx.Module):
    """A user's own module: layers, other arrays, and a function."""

    first: Linear
    rest: list[Any]
    head: eqx.nn.Linear
    step: jax.Array
    function: Callable[..., Any]

    def __init__(self, key: int, width: int = 4, rep: Rep = V, group: Group = ROTATIONS) -> None:
        self.first = Linear(2 * V, rep, group, key=key)
        self.rest = [Linear(rep, V, group, key=key), {"scale": jax.numpy.full(3, float(key))}]
        self.head = eqx.nn.Linear(3, width, key=jax.random.key(key))
        self.step, self.function = jax.numpy.array(key), jax.nn.relu

    def __call__(self, x: Any) -> Any:
        layer, scale = self.rest
        return self.function(self.head(scale["scale"] * layer(self.first(x)))) + self.step


class TestOwnModules:
    def test_layers_and_arrays_are_put_into_another(self, tmp_path: Path) -> None:
        model, other, x = Own(1), Own(2), np.arange(6.0)
        save(model, tmp_path)
        again = load(tmp_path, like=other)
        assert type(again) is Own
        np.testing.assert_array_equal(again(x), model(x))
        np.testing.assert_array_equal(other(x), Own(2)(x))  # which is as it was

    def test_files_name_the_places(self, tmp_path: Path) -> None:
        save(Own(1), tmp_path)
        tree = json.loads((tmp_path / "config.json").read_text())["model"]
        paths = ["first", "rest.0", "rest.1.scale", "head.weight", "head.bias", "step"]
        assert (tree["own"], [path for path, _ in tree["parts"]]) == ("Own", paths)

    def test_inside_a_layer(self, tmp_path: Path) -> None:
        class Between(eqx.Module):
            inner: Any
            rep_in: Any = eqx.field(static=True)
            rep_out: Any = eqx.field(static=True)

            def __call__(self, x: Any, training: bool = False) -> Any:
                return self.inner(x)

        def make(key: int) -> Any:
            layer = Linear(V, V, SO(3), key=key)
            return Standardize(Between(layer, layer.rep_in, layer.rep_out), (0, 2 + key))

        save(make(1), tmp_path)
        x = np.arange(3.0)
        np.testing.assert_array_equal(load(tmp_path, like=make(2))(x), make(1)(x))
        with pytest.raises(FormatError, match="model is a module of your own, 'Between', and the"):
            load(tmp_path)

    @pytest.mark.parametrize(
        ("like", "said"),
        [
            (
                lambda: Own(1, width=5),
                "head.weight is float32 of shape (4, 3) in the file, and float32 of shape (5, 3) "
                "in `like`",
            ),
            (
                lambda: Own(1, rep=2 * V),
                "first.rep_out is V(SO(3)) in the file, and (2V)(SO(3)) in `like`",
            ),
            (
                lambda: Own(1, group=O(3)),
                "first.rep_in is (2V)(SO(3)) in the file, and (2V)(O(3)) in `like`",
            ),
            (
                lambda: eqx.tree_at(lambda m: m.step, Own(1), jax.numpy.array(1.0)),
                "step is int32 of shape () in the file, and float32 of shape () in `like`",
            ),
            (
                lambda: eqx.tree_at(lambda m: m.first, Own(1), BiLinear(2 * V, V, SO(3))),
                "first is of class Linear in the file, and of class BiLinear in `like`",
            ),
            (
                lambda: eqx.tree_at(lambda m: m.rest[1], Own(1), jax.nn.relu),
                "rest.1.scale is in the file, and not in `like`",
            ),
            (
                lambda: eqx.tree_at(lambda m: m.rest[1], Own(1), [np.ones(3)] * 2),
                "rest.1.0 is in `like`, and not in the file",
            ),
            (
                lambda: Linear(2 * V, V, SO(3)),
                "the model is a module of your own, 'Own', in the file, and of class Linear in "
                "`like`",
            ),
        ],
        ids=[
            *("shape", "rep", "group", "dtype", "class of a layer", "less", "more"),
            "a layer instead",
        ],
    )
    def test_another_structure_is_refused(
        self, like: Callable[[], Any], said: str, tmp_path: Path
    ) -> None:
        with warnings.catch_warnings(action="ignore"):
            given = like()
        save(Own(1), tmp_path)
        with pytest.raises(FormatError) as caught:
            load(tmp_path, like=given)
        assert str(caught.value) == (
            f"{tmp_path} holds no model that fits `like`: {said}: make it with the arguments of "
            f"the saved model"
        )

    def test_networks_are_compared_with_like_too(self, tmp_path: Path) -> None:
        save(EMLP(2 * V, V, SO(3), 16, 1), tmp_path)
        load(tmp_path, like=EMLP(2 * V, V, SO(3), 16, 1, key=5))
        with pytest.raises(FormatError, match=r"network.blocks is made of \['0'\] in the file"):
            load(tmp_path, like=EMLP(2 * V, V, SO(3), 16, 2))

    def test_the_file_alone_does_not_make_it(self, tmp_path: Path) -> None:
        save(Own(1), tmp_path)
        with pytest.raises(FormatError) as caught:
            load(tmp_path)
        assert str(caught.value) == (
            f"{tmp_path} holds no complete model: the model is a module of your own, 'Own', and "
            f"the file has only its layers and arrays: make one, and give it as like=…"
        )
        with pytest.raises(InvalidRep, match=r"Own, a module of your own, in this way: use intert"):
            to_config(Own(1))

    def test_two_parts_of_one_path_are_refused(self, tmp_path: Path) -> None:
        layer, array = Linear(V, V, SO(3)), np.ones(3)
        model = eqx.tree_at(lambda m: m.rest, Own(1), [{"a.b": layer, "a": {"b": array}}])
        with pytest.raises(InvalidRep, match=r"an? Own has two parts rest\.0\.a\.b: rename one"):
            save(model, tmp_path / "model")
        assert not [*tmp_path.iterdir()]


class TestRefusals:
    """What is refused, or cannot be written, leaves everything as it was."""

    MODEL = Linear(V, V, SO(3))

    def test_nothing_is_left_of_a_refused_model(self, tmp_path: Path) -> None:
        for model in (Linear(2 * OWN, OWN), eqx.nn.Linear(3, 3, key=jax.random.key(0)), 5):
            with pytest.raises(InvalidRep):
                save(model, tmp_path / "some" / "folder")
        assert not [*tmp_path.iterdir()]

    def test_a_file_in_the_place_of_the_folder_stays(self, tmp_path: Path) -> None:
        (tmp_path / "model").write_text("a file")
        with pytest.raises(FileExistsError):
            save(self.MODEL, tmp_path / "model")
        assert (tmp_path / "model").read_text() == "a file"

    @pytest.mark.parametrize("written", [0, 1], ids=["no file", "the weights"])
    def test_nothing_is_left_when_the_disk_is_full(
        self, written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, kept = tmp_path / "old", Linear(V, V, SO(3), key=3)
        save(kept, old)
        before = {path.name: path.read_bytes() for path in old.iterdir()}
        for folder in (old, tmp_path / "some" / "folder"):
            full = iter([None] * written)

            def sync(descriptor: int, full: Any = full) -> None:
                if next(full, self) is self:
                    raise OSError(errno.ENOSPC, "No space left on device")

            with monkeypatch.context() as patch:
                patch.setattr("intertwine.whole_files._sync_folder", lambda folder: None)
                patch.setattr("os.fsync", sync)
                with pytest.raises(OSError, match="No space left"):
                    save(self.MODEL, folder)
        assert [*tmp_path.iterdir()] == [old]
        assert {path.name: path.read_bytes() for path in old.iterdir()} == before


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        save(Linear(V + Scalar, V, SO(3)), tmp_path)
        return tmp_path

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda c: c.update(weights="../../etc/passwd"), "is not the name of a weights file"),
            (lambda c: c.update(weights=".."), "is not the name of a weights file"),
            (lambda c: c.update(weights="config.json"), "is not the name of a weights file"),
            (lambda c: c.update(weights=None), "is not the name of a weights file"),
            (lambda c: c.pop("weights"), "is not the name of a weights file"),
            (lambda c: c.update(weights=f"weights-{'0' * 16}.safetensors"), "is missing"),
            (lambda c: c.update(version=2), "expected intertwine-model version 1, found"),
            (lambda c: c.update(format="pickle"), "expected intertwine-model version 1, found"),
            (lambda c: c.update(sha256="0"), "the weights have the sha256"),
            (lambda c: c["model"].update({"class": "Popen"}), "was changed since it was written"),
            (lambda c: c.pop("model"), "was changed since it was written"),
        ],
        ids=[
            *("a path upwards", "the folder above", "another file", "no name", "no weights"),
            *("missing weights", "another version", "another format", "other weights"),
            *("another class", "no model"),
        ],
    )
    def test_an_edited_config(
        self, folder: Path, change: Callable[[dict[str, Any]], Any], said: str
    ) -> None:
        path = folder / "config.json"
        config = json.loads(path.read_text())
        change(config)
        path.write_text(json.dumps(config))
        with pytest.raises(FormatError, match=rf"holds no complete model: .*{said}"):
            load(folder)

    @pytest.mark.parametrize(
        "text",
        [b"", b"[]", b"5", b"null", b"{", b"\xff", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"],
        ids=lambda text: repr(text[:8]),
    )
    def test_a_config_of_another_kind(self, folder: Path, text: bytes) -> None:
        (folder / "config.json").write_bytes(text)
        with pytest.raises(FormatError):
            load(folder)

    def test_a_config_that_is_nested_too_deeply(self) -> None:
        config, blob = to_config(Linear(V, V, SO(3)))
        for _ in range(2000):
            config["model"] = [config["model"]]
        with pytest.raises(FormatError, match="the model in the config is nested too deeply"):
            from_config(config, blob)

    @pytest.mark.parametrize("keep", [0, 7, 100, -1])
    def test_truncated_weights(self, folder: Path, keep: int) -> None:
        (path,) = folder.glob("weights-*")
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(FormatError, match="the weights have the sha256"):
            load(folder)


TREE, ARRAYS = encode(JAX, Sequential(Linear(V, V, SO(3)), BiLinear(V, V, SO(3), bilinear="paper")))


@laws
@given(damages(TREE))
def test_any_tree_is_decoded_or_raises_an_intertwine_error(changes: Any) -> None:
    with suppress(FormatError):
        assert callable(decode(JAX, damaged(TREE, changes), ARRAYS))


def test_a_missing_tensor_is_refused() -> None:
    for name in ARRAYS:
        with pytest.raises(FormatError):
            decode(JAX, TREE, {n: a for n, a in ARRAYS.items() if n != name})


def test_weights_of_half_precision_are_refused(tmp_path: Path) -> None:
    layer = Linear(V, V, SO(3))
    with pytest.raises(
        InvalidRep, match=r"has dtype bfloat16, which cannot be saved: use float32,"
    ):
        save(eqx.tree_at(lambda m: m.bias, layer, layer.bias.astype("bfloat16")), tmp_path)
    assert not [*tmp_path.iterdir()]


class Flipped(Rep):
    """ρ(g) = det(g)^k g."""

    def __init__(self, k: int) -> None:
        self.k = k

    def rho(self, M: Any) -> Any:
        return np.linalg.det(M) ** self.k * M


class Mirrored(Rep):
    """ρ(g) = det(g) g, without arguments."""

    def rho(self, M: Any) -> Any:
        return np.linalg.det(M) * M


class TestNamesThatStandForTheSame:
    A, B = Flipped(0)(O(3)), Flipped(1)(O(3))

    @pytest.mark.slow
    def test_exchanged_reps_are_refused(self, tmp_path: Path) -> None:
        save(Linear(2 * self.A + self.B, self.B), tmp_path, names={"A": self.A, "B": self.B})
        assert load(tmp_path, names={"A": self.A, "B": self.B}).rep_out == self.B
        with pytest.raises(FormatError, match=r"the rep given as '[AB]' is not the one that was"):
            load(tmp_path, names={"A": self.B, "B": self.A})

    def test_a_rep_of_another_size_is_refused(self, tmp_path: Path) -> None:
        save(Linear(self.A, self.A), tmp_path, names={"A": self.A})
        with pytest.raises(FormatError, match="its size is 2, that of the saved one 3"):
            load(tmp_path, names={"A": Flipped(0)(O(2))})

    @pytest.mark.parametrize("again", [Mirrored, Mirrored(), Mirrored()(O(3))], ids=repr)
    @pytest.mark.parametrize("given", [Mirrored, Mirrored(), Mirrored()(O(3))], ids=repr)
    @pytest.mark.sampled(4)
    def test_a_class_and_a_rep_without_its_group_stand_for_it(
        self, given: Any, again: Any, tmp_path: Path
    ) -> None:
        model = Linear(V + Mirrored(), Mirrored(), O(3))
        save(model, tmp_path, names={"M": given})
        assert load(tmp_path, names={"M": again}).rep_out == model.rep_out

    @pytest.mark.slow
    def test_a_class_stands_for_several_reps_by_their_attributes(self, tmp_path: Path) -> None:
        model = Linear(self.A + 2 * self.B, self.B)
        save(model, tmp_path, names={"F": Flipped})
        assert load(tmp_path, names={"F": Flipped}).rep_in == model.rep_in

    def test_old_files_without_images_are_not_compared(self) -> None:
        config, blob = to_config(Linear(self.A, self.A), names={"A": self.A})
        text = json.dumps(config["model"])
        tree = _without(json.loads(text), ("images", "over", "state"))
        config = {**config, "model": tree, "model_sha256": digest_of(tree)}
        assert from_config(config, blob, names={"A": self.A}).rep_in == self.A


def _without(tree: Any, keys: tuple[str, ...]) -> Any:
    """Return a tree as it was written before named reps were recognised."""
    if isinstance(tree, dict):
        named = "name" in tree
        kept = {k: v for k, v in tree.items() if not (named and k in keys)}
        return {k: _without(v, keys) for k, v in kept.items()}
    return [_without(v, keys) for v in tree] if isinstance(tree, list) else tree
