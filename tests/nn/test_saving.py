"""Saved models are the same elsewhere, and damaged ones are refused."""

from __future__ import annotations

import json
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
from intertwine.groups import SO, SU, O, S, U
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
        assert str(caught.value) == "a model cannot be saved with equinox.nn._mlp.MLP"


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
