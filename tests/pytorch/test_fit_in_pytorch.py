"""`fit` of modules of PyTorch: the promises of training, and what PyTorch has of its own."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from helpers.crashing_fits import Crash, crash_at
from helpers.example_training import lengths, pairs
from helpers.program import python
from intertwine import nn
from intertwine.errors import FormatError, InvalidSetting, NonFiniteLoss
from intertwine.groups import SO, U
from intertwine.reps import Scalar, V
from intertwine.training import (
    Event,
    Trained,
    evaluate,
    fit,
    mean_squared_error,
    model_equivariance_error,
)

torch = pytest.importorskip("torch")
modules = pytest.importorskip("intertwine.torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

FILE = "checkpoint.safetensors"


def small(n: int = 3, m: int = 2, *, seed: int = 0, dtype: Any = None, dropout: float = 0) -> Any:
    """Return a network with one hidden layer, without other random numbers than its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [torch.nn.Linear(n, 16), torch.nn.Tanh(), torch.nn.Dropout(dropout)]
        return torch.nn.Sequential(*layers, torch.nn.Linear(16, m)).to(dtype)


def equivariant(framework: str) -> Any:
    """Return the same network in one of the two libraries, in double precision."""
    reps = (3 * Scalar + 2 * V, V, SO(3))
    if framework == "torch":
        return modules.EMLP(*reps, ch=16, num_layers=1, dtype=torch.float64)
    with jax.enable_x64(True):
        return nn.EMLP(*reps, ch=16, num_layers=1, dtype="float64")


class Vectors:
    """Data for these networks."""

    def __init__(self, n: int, seed: int = 0) -> None:
        self.X = np.random.default_rng(seed).standard_normal((n, 9))
        self.Y = self.X[:, :1] * self.X[:, 3:6] + self.X[:, 6:]
        self.rep_in, self.rep_out, self.symmetry = 3 * Scalar + 2 * V, V, SO(3)


def same(a: Any, b: Any) -> bool:
    one, other = a.state_dict(), b.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def rows(trained: Trained) -> list[dict[str, Any]]:
    return [{**row, "seconds": 0} for row in trained.history.to_json()]


def assert_same(a: Trained, b: Trained) -> None:
    """Assert that two results are equal bit for bit, except for the clock."""
    assert rows(a) == rows(b)
    assert same(a.model, b.model)
    assert same(a.best, b.best)
    assert (a.best_epoch, a.stopped) == (b.best_epoch, b.stopped)


class TestOneFitForBothLibraries:
    @pytest.mark.parametrize(
        ("more", "theirs", "ours"),
        [
            (
                {"schedule": "warmup cosine", "validation": Vectors(30, 2), "augment": True},
                None,
                None,
            ),
            (
                {"loss": "mae", "learning_rate": 0.01, "microbatch_size": 7},
                functools.partial(optax.adamw, weight_decay=0.1),
                functools.partial(torch.optim.AdamW, weight_decay=0.1),
            ),
        ],
        ids=["adam, schedule, augmentation", "adamw, mae, microbatches"],
    )
    def test_histories_agree_to_rounding(self, more: Any, theirs: Any, ours: Any) -> None:
        how: Any = {"test": Vectors(20, 1), "epochs": 4, "batch_size": 20, "seed": 3, **more}
        one, other = (
            fit(equivariant(framework), Vectors(50), optimizer=optimizer, **how)
            for framework, optimizer in (("jax", theirs), ("torch", ours))
        )
        for name in ("train_loss", "test_loss", "validation_loss", "learning_rate"):
            expected = one.history.column(name)
            np.testing.assert_allclose(other.history.column(name), expected, rtol=1e-9)
        assert one.best_epoch == other.best_epoch

    def test_gradients_of_complex_weights_agree(self) -> None:
        X = np.random.default_rng(0).standard_normal((20, 4)) + 1j
        how: Any = {"epochs": 3, "batch_size": 10, "learning_rate": 1e-3}
        with jax.enable_x64(True):
            theirs = nn.Linear(2 * V, V, U(2), dtype="float64")
            expected = fit(theirs, (X, X[:, :2]), optimizer=optax.sgd, **how)
        ours = modules.Linear(2 * V, V, U(2), dtype=torch.float64)
        found = fit(ours, (X, X[:, :2]), optimizer=torch.optim.SGD, **how)
        losses = (one.history.column("train_loss") for one in (found, expected))
        np.testing.assert_allclose(*losses, rtol=1e-9)

    @pytest.mark.parametrize("form", ["labels", "column", "probabilities"])
    def test_cross_entropies_agree(self, form: str) -> None:
        X = np.random.default_rng(0).standard_normal((40, 3))
        labels = (X[:, 0] > 0).astype(np.int32)
        Y = {"labels": labels, "column": labels[:, None], "probabilities": np.eye(2)[labels]}[form]
        model = small()
        weight, bias = (one.detach().numpy() for one in model[3].parameters())

        def theirs(x: Any) -> Any:
            first = model[0].weight.detach().numpy(), model[0].bias.detach().numpy()
            return jax.numpy.tanh(x @ first[0].T + first[1]) @ weight.T + bias

        expected = evaluate(theirs, (X, Y), "cross-entropy")
        assert evaluate(model, (X, Y), "cross-entropy") == pytest.approx(expected, rel=1e-5)
        trained = fit(model, (X, Y), loss="cross-entropy", epochs=60, learning_rate=0.05)
        assert trained.history[-1].train_loss < 0.2 * expected

    def test_neither_jax_nor_the_extra_for_networks_is_needed(self, tmp_path: Path) -> None:
        program = f"""
            import sys
            sys.modules.update(dict.fromkeys(("jax", "jaxlib", "equinox", "optax", "flax")))
            from intertwine.datasets import Inertia
            from intertwine.torch import EMLP
            from intertwine.training import evaluate, fit, model_equivariance_error
            data = Inertia(30)
            model = EMLP(data.rep_in, data.rep_out, data.symmetry, ch=16, num_layers=1)
            how = dict(test=Inertia(10, seed=1), augment=True, checkpoint={str(tmp_path)!r})
            trained = fit(model, data, epochs=2, **how)
            again = fit(model, data, epochs=3, schedule=lambda step: 3e-3, **how)
            assert len(again.history) == 3
            assert evaluate(again.model, data, "mae") > 0
            assert model_equivariance_error(again.model, data) < 1e-5
            try:
                fit(lambda x: x, data)
            except ModuleNotFoundError as error:
                print(error)
        """
        lines = [line.removeprefix(" " * 12) for line in program.splitlines()]
        said = "intertwine.nn needs JAX, Equinox and optax: pip install 'intertwine[nn]'"
        assert python("\n".join(lines)).startswith(said)


class TestModel:
    def test_the_given_model_does_not_change(self) -> None:
        model = small()
        before = {name: one.clone() for name, one in model.state_dict().items()}
        trained = fit(model, pairs(), epochs=3, test=pairs(9), callback=lambda event: False)
        assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
        assert all(one.grad is None and one.requires_grad for one in model.parameters())
        assert model.training
        assert not same(trained.model, model)
        assert isinstance(trained.model, torch.nn.Sequential)

    def test_steps_are_in_training_mode_and_losses_in_eval_mode(self) -> None:
        seen: dict[bool, set[int]] = {True: set(), False: set()}

        class Watched(torch.nn.Linear):
            def forward(self, x: Any) -> Any:
                seen[self.training].add(len(x))
                return super().forward(x)

        trained = fit(Watched(3, 2).eval(), pairs(64), test=pairs(9), epochs=2)
        assert seen == {True: {64}, False: {9}}
        assert not trained.model.training

    def test_statistics_of_a_batch_normalisation_are_weights(self, tmp_path: Path) -> None:
        model = torch.nn.Sequential(torch.nn.BatchNorm1d(3), small())

        def run(**more: Any) -> Trained:
            return fit(model, pairs(), epochs=6, batch_size=16, test=pairs(20), **more)

        whole = run()
        assert int(whole.model[0].num_batches_tracked) == 24
        with pytest.raises(Crash):
            run(checkpoint=tmp_path, checkpoint_every=2, callback=crash_at(5))
        assert_same(run(checkpoint=tmp_path, checkpoint_every=2), whole)

    def test_only_parameters_that_require_gradients_are_trained(self) -> None:
        model = small()
        model[0].requires_grad_(False)
        trained = fit(model, pairs(), epochs=2).model
        assert torch.equal(trained[0].weight, model[0].weight)
        assert not torch.equal(trained[3].weight, model[3].weight)
        assert [one.requires_grad for one in trained.parameters()] == [False, False, True, True]
        with pytest.raises(InvalidSetting) as caught:
            fit(model.requires_grad_(False), pairs())
        assert str(caught.value) == (
            "Sequential has no weights: only parameters that require gradients are trained"
        )

    def test_shared_parameters_stay_shared(self) -> None:
        layer = torch.nn.Linear(3, 3)
        trained = fit(torch.nn.Sequential(layer, layer), (pairs()[0], pairs()[0]), epochs=1).model
        assert trained[0].weight is trained[1].weight

    def test_a_model_of_forces_is_fitted_and_measured(self) -> None:
        class Force(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.energy = small(3, 1)

            def forward(self, x: Any) -> Any:
                x = x.detach().requires_grad_()
                (force,) = torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)
                return -force

        X, _ = pairs()
        with torch.no_grad():
            trained = fit(Force(), (X, -2 * X), test=(X, -2 * X), epochs=100, learning_rate=0.02)
            assert trained.history[-1].test_loss < 0.5 * trained.history[0].test_loss
            assert evaluate(trained.model, (X, -2 * X)) == trained.test_loss

    def test_weights_of_both_precisions_and_complex_ones(self) -> None:
        X, _ = pairs()
        for dtype in (torch.float32, torch.float64, torch.complex64):
            layer = torch.nn.Linear(3, 2, dtype=dtype)
            target = (2j if dtype.is_complex else 2) * X[:, :2]
            trained = fit(layer, (X, target), epochs=300, learning_rate=0.05)
            assert trained.model.weight.dtype == dtype
            assert trained.history[-1].train_loss < 1e-3

    def test_tensors_are_data(self) -> None:
        X, Y = pairs()
        given = torch.from_numpy(X).requires_grad_(), torch.from_numpy(Y)
        assert_same(fit(small(), given, epochs=2), fit(small(), (X, Y), epochs=2))

    def test_an_equivariant_network_stays_equivariant(self) -> None:
        trained = fit(equivariant("torch"), Vectors(40), epochs=2)
        assert model_equivariance_error(trained.model, Vectors(40)) < 1e-13
        assert model_equivariance_error(small(3, 1), lengths()) > 0.01


class TestRandomNumbers:
    def test_a_fit_depends_on_its_seed_and_leaves_the_generators_alone(self) -> None:
        def run(seed: int) -> Trained:
            return fit(small(dropout=0.5), pairs(), epochs=3, batch_size=16, seed=seed)

        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        a = run(0)
        assert torch.equal(torch.rand(3), expected)
        torch.manual_seed(6)
        assert_same(run(0), a)
        assert rows(run(1)) != rows(a)

    def test_evaluation_does_not_change_the_fit(self) -> None:
        def run(**looks: Any) -> Trained:
            return fit(small(dropout=0.5), pairs(), epochs=7, batch_size=16, **looks)

        plain = run()
        for looks in ({"test": pairs(9), "evaluate_every": 3}, {"callback": lambda event: None}):
            found = run(**looks)
            assert same(found.model, plain.model)
            assert [row.train_loss for row in found.history] == [
                row.train_loss for row in plain.history
            ]


def assert_resumes(run: Callable[..., Trained], folder: Path) -> None:
    """Assert that a fit that crashes after three epochs resumes with the same result."""
    with pytest.raises(Crash):
        run(checkpoint=folder, checkpoint_every=1, callback=crash_at(3))
    assert_same(run(checkpoint=folder, checkpoint_every=1), run())


class TestCheckpoints:
    @pytest.mark.parametrize(
        "more",
        [
            {},
            {"optimizer": functools.partial(torch.optim.SGD, momentum=0.9), "batch_size": 10},
            {"optimizer": functools.partial(torch.optim.AdamW, amsgrad=True), "augment": SO(3)},
            {"optimizer": torch.optim.NAdam, "patience": 50, "evaluate_every": 3},
            {"optimizer": torch.optim.Rprop, "loss": "mae"},
        ],
        ids=["adam", "momentum", "amsgrad, augmented", "nadam, best", "rprop"],
    )
    def test_an_interrupted_fit_resumes_with_the_same_result(
        self, tmp_path: Path, more: Any
    ) -> None:
        def run(**kept: Any) -> Trained:
            how: Any = {"epochs": 9, "batch_size": 16, "schedule": "cosine", **more, **kept}
            return fit(small(3, 1, dropout=0.2), lengths(), test=lengths(9), **how)

        whole = run()
        for epoch in (6, 9):
            with pytest.raises(Crash):
                run(checkpoint=tmp_path, checkpoint_every=3, callback=crash_at(epoch))
        assert_same(run(checkpoint=tmp_path, checkpoint_every=3), whole)
        assert_same(run(checkpoint=tmp_path, checkpoint_every=3), whole)  # nothing is left to do

    @pytest.mark.parametrize("dtype", ["float64", "complex64", "complex128"])
    def test_weights_of_every_kind_are_saved_exactly(self, tmp_path: Path, dtype: str) -> None:
        layer = torch.nn.Linear(3, 2, dtype=getattr(torch, dtype))

        def run(**kept: Any) -> Trained:
            return fit(layer, pairs(), epochs=4, batch_size=16, validation=pairs(9), **kept)

        assert_resumes(run, tmp_path)

    def test_complex_weights_of_size_0_are_saved(self, tmp_path: Path) -> None:
        model = modules.EMLP(2 * V, V, U(2), ch=8, num_layers=1)
        assert any(weight.numel() == 0 for weight in model.parameters())
        X = np.random.default_rng(0).standard_normal((20, 4)) + 0j

        def run(**kept: Any) -> Trained:
            return fit(model, (X, X[:, :2]), epochs=3, **kept)

        with pytest.raises(Crash):
            run(checkpoint=tmp_path, checkpoint_every=1, callback=crash_at(2))
        assert_same(run(checkpoint=tmp_path, checkpoint_every=1), run())

    def test_numbers_that_an_optimiser_counts_in_its_groups_are_saved(self, tmp_path: Path) -> None:
        class Slower(torch.optim.SGD):
            """Halves its own steps."""

            def step(self, closure: Any = None) -> None:
                for group in self.param_groups:
                    group["halvings"] = group.get("halvings", 0) + 1
                    group["lr"] *= 0.5 ** group["halvings"]
                super().step()

        def run(**kept: Any) -> Trained:
            return fit(small(), pairs(), epochs=4, optimizer=Slower, learning_rate=0.1, **kept)

        assert_resumes(run, tmp_path)

    def test_states_that_a_file_cannot_hold_are_refused(self, tmp_path: Path) -> None:
        class Labelled(torch.optim.SGD):
            def step(self, closure: Any = None) -> None:
                super().step()
                self.state[self.param_groups[0]["params"][0]]["label"] = "text"

        fit(small(), pairs(), epochs=1, optimizer=Labelled)
        with pytest.raises(InvalidSetting, match=r"keeps a str as its 0\.label, which a check"):
            fit(small(), pairs(), epochs=1, optimizer=Labelled, checkpoint=tmp_path)

    @pytest.mark.parametrize(
        ("model", "more", "complaint"),
        [
            (small(seed=1), {}, "the initial weights differ"),
            (small(dtype=torch.float64), {}, "weights is float32.* there and float64.* here"),
            (small(dropout=0.5), {}, r"model is .*Sequential \(\w+\) there and .*Sequential"),
            (small(), {"optimizer": torch.optim.AdamW}, "optimizer is .*Adam there and .*AdamW"),
            (small(), {"seed": 1}, "seed is 0 there and 1 here"),
        ],
        ids=["weights", "precision", "model", "optimizer", "seed"],
    )
    def test_the_checkpoint_of_another_fit_is_refused(
        self, tmp_path: Path, model: Any, more: Any, complaint: str
    ) -> None:
        fit(small(), pairs(), epochs=1, checkpoint=tmp_path)
        with pytest.raises(InvalidSetting, match=complaint):
            fit(model, pairs(), epochs=1, checkpoint=tmp_path, **more)

    def test_the_checkpoint_of_another_library_is_refused(self, tmp_path: Path) -> None:
        for framework in ("jax", "torch"):
            fit(equivariant(framework), Vectors(20), epochs=1, checkpoint=tmp_path / framework)
        with pytest.raises(InvalidSetting, match=r"model is intertwine\.nn\.emlp\.EMLP .* there"):
            fit(equivariant("torch"), Vectors(20), epochs=1, checkpoint=tmp_path / "jax")

    def test_a_damaged_file_is_refused(self, tmp_path: Path) -> None:
        fit(small(), pairs(), epochs=1, checkpoint=tmp_path)
        path = tmp_path / FILE
        blob = path.read_bytes()
        path.write_bytes(blob[:-3] + bytes([blob[-3] ^ 1]) + blob[-2:])
        with pytest.raises(FormatError, match=f"{FILE} cannot be read: .* Delete it to start"):
            fit(small(), pairs(), epochs=1, checkpoint=tmp_path)


class TestIdentity:
    def test_equal_networks_have_one_identity_in_every_process(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = (
            "from intertwine.groups import SO\n"
            "from intertwine.reps import Scalar, V\n"
            "from intertwine.torch import EMLP, Standardize\n"
            "from intertwine.training.identity import identity_of\n"
            "import torch\n"
            "made = lambda s: Standardize(EMLP(2 * V, V, SO(3), ch=8, num_layers=1), (0, s))\n"
            "compiled = torch.compile(torch.nn.Dropout(0.5), backend='eager')\n"
            "print(*map(identity_of, (made(1), made(1), made(2), compiled)), sep='\\n')"
        )
        found = []
        for seed in ("1", "2"):
            monkeypatch.setenv("PYTHONHASHSEED", seed)
            found.append(python(program))
        assert found[0] == found[1]
        assert "Standardize (" in found[0]
        first, again, other, _ = found[0].splitlines()
        assert first == again != other


class TestOptimizers:
    ADVICE = (
        "give a class or function that is called with the parameters and lr, such as "
        "torch.optim.AdamW or functools.partial(torch.optim.AdamW, weight_decay=0.01)"
    )

    def test_groups_have_learning_rates_relative_to_that_of_the_schedule(self) -> None:
        def halved(parameters: Any, lr: float) -> Any:
            first, *rest = parameters
            groups = [{"params": [first], "lr": 0.0}, {"params": rest, "lr": lr}]
            return torch.optim.SGD(groups)

        trained = fit(small(), pairs(), optimizer=halved, epochs=2, learning_rate=0.1).model
        assert torch.equal(trained[0].weight, small()[0].weight)
        plain = fit(small(), pairs(), optimizer=torch.optim.SGD, epochs=1, learning_rate=0.1)
        again = fit(small(), pairs(), optimizer=halved, epochs=1, learning_rate=0.1).model
        assert torch.equal(again[3].weight, plain.model[3].weight)

    @pytest.mark.parametrize(
        ("optimizer", "said"),
        [
            ("adam", "adam is no optimizer of PyTorch: "),
            (
                torch.optim.Adam(small().parameters()),
                "the torch.optim.adam.Adam has parameters alre",
            ),
            (lambda parameters, lr: None, "<lambda> is no optimizer of PyTorch: "),
            (optax.adam, r"optax._src.alias.adam cannot be called with parameters and lr \("),
            (torch.optim.LBFGS, "LBFGS computes losses in its steps, which fit does not: "),
        ],
        ids=["text", "an instance", "nothing", "optax", "lbfgs"],
    )
    def test_others_are_refused(self, optimizer: Any, said: str) -> None:
        with pytest.raises(InvalidSetting, match=said) as caught:
            fit(small(), pairs(), optimizer=optimizer)
        assert str(caught.value).endswith(self.ADVICE)


@pytest.mark.parametrize(
    "loss", [torch.nn.MSELoss(), torch.nn.functional.mse_loss, optax.squared_error]
)
def test_losses_that_take_outputs_are_refused(loss: Any) -> None:
    advice = "inputs and targets: give loss=lambda model, x, y: f(model(x), y), where f is it"
    with pytest.raises(InvalidSetting, match=re.escape(advice)):
        fit(small(), pairs(), loss=loss)


def test_a_loss_of_outputs_becomes_one_of_the_model() -> None:
    squares = torch.nn.MSELoss()
    own = fit(small(), pairs(), epochs=2, loss=lambda model, x, y: squares(model(x), y))
    named = fit(small(), pairs(), epochs=2, loss="mse")
    assert own.history[-1].train_loss == pytest.approx(named.history[-1].train_loss)


class TestStopping:
    def test_a_callback_sees_models_that_stay_as_they_are(self) -> None:
        seen: list[Event] = []

        def watch(event: Event) -> Any:
            seen.append(event)
            return torch.tensor(event.epoch == 3).numpy()

        trained = fit(small(), pairs(), test=pairs(20), epochs=9, callback=watch)
        assert trained.stopped == "callback"
        for event, row in zip(seen, trained.history, strict=True):
            assert event.test_loss == row.test_loss == evaluate(event.model, pairs(20))

    def test_patience_keeps_the_best_model(self) -> None:
        X, Y = pairs(32)
        validation = (X, 0.3 * Y)
        trained = fit(
            small(), (X, Y), validation=validation, patience=5, epochs=3000, learning_rate=0.02
        )
        assert trained.stopped == "patience"
        assert len(trained.history) == trained.best_epoch + 5
        losses = [loss for _, loss in trained.history.column("validation_loss")]
        assert evaluate(trained.best, validation) == pytest.approx(min(losses))

    def test_a_diverging_fit_says_where_and_what_to_do(self) -> None:
        with pytest.raises(
            NonFiniteLoss, match=r"the loss is (inf|nan) in epoch \d+, batch .*rate"
        ):
            fit(
                torch.nn.Linear(3, 2),
                pairs(40),
                optimizer=torch.optim.SGD,
                learning_rate=50.0,
                batch_size=16,
            )

    def test_weights_that_overflow_before_the_loss_are_named(self) -> None:
        def loss(model: Any, x: Any, y: Any) -> Any:
            return mean_squared_error(model, x, y) + 0 * torch.sqrt(0 * model.bias).sum()

        with pytest.raises(NonFiniteLoss, match="weights were not finite before it"):
            fit(torch.nn.Linear(3, 2), pairs(), loss=loss, batch_size=16)
        with pytest.raises(NonFiniteLoss, match="weights are no longer finite after epoch 1"):
            fit(torch.nn.Linear(3, 2), pairs(), loss=loss, epochs=1)

    def test_buffers_may_be_infinite_from_the_start(self) -> None:
        model = small()
        model.register_buffer("mask", torch.tensor([0.0, -math.inf]))
        trained = fit(model, pairs(), epochs=2)
        assert trained.stopped == "all epochs"
        assert torch.equal(trained.model.mask, model.mask)

    @pytest.mark.parametrize(
        ("loss", "said"),
        [
            (lambda model, x, y: model(x) - y, r"returns torch.float32 of shape \(48, 2\): return"),
            (lambda model, x, y: 1j * model(x).sum(), "returns torch.complex64 of shape"),
            (lambda model, x, y: 1.0, "returns float: return a tensor"),
            (lambda model, x, y: model(x).sum().detach(), "does not depend on the weights"),
        ],
        ids=["a vector", "complex", "a number", "detached"],
    )
    def test_losses_that_have_no_gradient_are_refused(self, loss: Any, said: str) -> None:
        with pytest.raises(InvalidSetting, match=f"the loss {said}"):
            fit(small(), pairs(48), loss=loss)

    def test_labels_out_of_range_are_refused(self) -> None:
        labels = np.array([0, 1, 7, 0])
        with pytest.raises(InvalidSetting, match="the label in row 2 of the data is 7, and the"):
            fit(small(), (np.eye(4, 3), labels), loss="cross-entropy")


def test_the_record_has_settings_and_versions() -> None:
    record = fit(small(), pairs(), epochs=2, seed=5).record
    assert (record["seed"], record["epochs"], record["device"]) == (5, 2, "cpu")
    assert record["optimizer"] == "torch.optim.adam.Adam"
    assert record["torch"] == torch.__version__
    assert "jax" not in record


def test_a_compiled_module_is_fitted_in_compiled_form() -> None:
    programs: list[Any] = []

    def backend(program: Any, inputs: Any) -> Any:
        programs.append(program)
        return program.forward

    model = torch.compile(small(), backend=backend)
    trained, plain = fit(model, pairs(), epochs=2), fit(small(), pairs(), epochs=2)
    assert programs
    assert isinstance(trained.model, type(model))
    for a, b in zip(trained.history, plain.history, strict=True):
        assert math.isclose(a.train_loss, b.train_loss, rel_tol=1e-5)


def test_gradients_of_microbatches_are_those_of_the_batch() -> None:
    seen: set[int] = set()

    class Watched(torch.nn.Linear):
        def forward(self, x: Any) -> Any:
            seen.add(len(x))
            return super().forward(x)

    torch.manual_seed(0)
    model = Watched(3, 2, dtype=torch.float64)
    whole, parts = (fit(model, pairs(30), epochs=3, microbatch_size=n).history for n in (None, 7))
    assert seen == {30, 6}
    for a, b in zip(whole, parts, strict=True):
        assert math.isclose(a.train_loss, b.train_loss, rel_tol=1e-12)
