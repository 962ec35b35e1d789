"""`intertwine train`: a training in a file, done here or at a service."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.documents import ROOT, blocks
from helpers.example_trainings import lengths
from helpers.patience import PATIENCE
from helpers.program import PROGRAM, Ended, environment, intertwine, python
from helpers.service import running_service
from intertwine.nn import load
from intertwine.training.recipe.config import Config

pytestmark = pytest.mark.slow  # real processes, or networks that are compiled

EXAMPLE = ROOT / "examples" / "inertia.toml"
PNG = b"\x89PNG\r\n\x1a\n"
HASTE = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}

CONFIG = """
name = "lengths"
dataset = "data/samples.npz"
model = { group = "SO(3)", rep_in = "V", rep_out = "V0", ch = 8, num_layers = 1 }
training = { epochs = 5, batch_size = 16 }
"""

#: The program where nothing but the extra client is installed.
WITHOUT_EXTRAS = """
import sys
for name in ("fastapi", "starlette", "uvicorn", "pydantic_settings", "sqlalchemy",
             "alembic", "jax", "jaxlib", "equinox", "optax", "matplotlib"):
    sys.modules[name] = None  # which is how Python is told that there is none
from intertwine_api.cli.program import main
sys.exit(main(sys.argv[1:]))
"""

#: The program where the service is not installed: the extra nn alone.
WITHOUT_SERVICE = """
import sys
for name in ("fastapi", "starlette", "uvicorn", "pydantic_settings", "sqlalchemy", "alembic",
             "httpx", "prometheus_client", "psutil"):
    sys.modules[name] = None
from intertwine_api.cli.program import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A config beside its samples, seen from another folder."""
    X, Y = lengths()
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "samples.npz", X=X, Y=Y)
    (tmp_path / "lengths.toml").write_text(CONFIG)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def train(folder: Path, *arguments: str | Path) -> Ended:
    elsewhere = folder / "elsewhere"
    return intertwine("train", folder / "lengths.toml", *arguments, cwd=elsewhere, env=HASTE)


class TestHere:
    def test_it_needs_no_part_of_the_service(self, folder: Path) -> None:
        config, output = str(folder / "lengths.toml"), folder / "trained"
        said = python(WITHOUT_SERVICE, "train", config, "-o", str(output))
        assert said.startswith("test loss ")
        assert load(output)(lengths()[0]).shape == (30, 1)

    def test_it_leaves_a_model_that_can_be_loaded(self, folder: Path) -> None:
        ended = train(folder, "--set", "training.epochs=4", "--json")
        assert (ended.code, ended.err) == (0, "")
        told = ended.json
        assert told["output"] == "lengths"
        assert (told["epochs"], told["is_equivariant"]) == (4, True)
        assert told["equivariance_error"] < 1e-6
        output = folder / "elsewhere" / "lengths"
        X, _ = lengths()
        assert load(output)(X).shape == (30, 1)
        assert (output / "losses.png").read_bytes().startswith(PNG)
        record = json.loads((output / "training.json").read_text())
        assert record["test_loss"] == told["test_loss"]
        assert [row["epoch"] for row in record["history"]] == [1, 2, 3, 4]
        assert record["provenance"]["data"]["digest"]
        assert not (output / "checkpoint").exists()

    @pytest.mark.slow
    def test_it_warns_of_a_limited_network(self, folder: Path) -> None:
        asked = """
            dataset = {name = "Inertia", size = 30}
            model = {type = "EMLP", ch = "8V0+8V", num_layers = 1}
            training = {epochs = 1}
        """
        (folder / "narrow.toml").write_text(textwrap.dedent(asked))
        ended = intertwine("train", folder / "narrow.toml", "--json", cwd=folder, env=HASTE)
        assert ended.code == 0
        assert ended.err == "".join(
            f"intertwine: warning: {said}\n" for said in ended.json["warnings"]
        )
        assert "hidden reps that you name need the irreps W5_72e3b4" in ended.err

    @pytest.mark.slow
    def test_it_prints_the_results(self, folder: Path) -> None:
        ended = train(folder, "--set", "model.type=MLP", "-o", folder / "plain")
        assert ended.code == 0
        first, second = ended.out.splitlines()
        assert first.startswith("test loss ")
        assert first.endswith("(NOT equivariant)")
        assert second.startswith("5 epochs in ")
        assert second.endswith(f"it is in {folder / 'plain'}")

    @pytest.mark.slow
    def test_an_interrupted_training_resumes(self, folder: Path) -> None:
        command = [PROGRAM, "train", folder / "lengths.toml", "--set", "training.epochs=200000"]
        checkpoint = folder / "lengths" / "checkpoint" / "checkpoint.safetensors"
        for _ in range(2):
            running = subprocess.Popen(
                command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
            )
            before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            give_up = time.monotonic() + PATIENCE
            while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
                assert time.monotonic() < give_up, "nothing was kept"
                assert running.poll() is None
                time.sleep(0.05)
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=PATIENCE)
            assert (running.returncode, said) == (130, "interrupted\n")

    @pytest.mark.slow
    def test_a_non_finite_loss_is_a_failure(self, folder: Path) -> None:
        X, Y = lengths()
        np.savez(folder / "data" / "samples.npz", X=1e15 * X, Y=1e30 * Y)
        ended = train(folder, "--set", "training.standardize=false")
        assert ended.code == 1
        assert ended.err.startswith("intertwine: the loss is ")
        assert "Traceback" not in ended.err


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["--set", "training.epoch=5"], "training.epoch: Extra inputs are not permitted"),
            (["--set", "training.epochs=many"], "training.epochs: Input should be a valid integer"),
            (["--set", "training"], "'training' changes nothing: say it as training.epochs=5"),
            (["--set", "name.x=5"], "name.x cannot be set: name is 'lengths', and no table"),
            (["--set", "dataset=nothing.npz"], "nothing.npz"),
            (["--set", "dataset=" + "0" * 64], "is at a service: train there, with --remote"),
            (["--set", "dataset.name=MNIST"], "dataset is 'data/samples.npz', and no table"),
            (["--set", "model.rep_in=2V"], "has size 6, and the inputs have 3 numbers a sample"),
            (["--set", "model.group=SO("], "expected"),
            (["--set", "kind=solve"], "kind is 'solve', and this trains: leave it out"),
            (["--remote", "http://127.0.0.1:80x"], "is not the address of a service"),
            (["--watch"], "name it with --remote"),
            (["--set", "framework=keras"], "there is no framework 'keras': give one of jax, torch"),
            (["-o", "../lengths.toml"], "exists and is not a folder"),
        ],
        ids=str,
    )
    def test_it_is_said_in_a_line(
        self,
        folder: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        arguments: list[str],
        reason: str,
    ) -> None:
        from intertwine_api.cli.program import main

        monkeypatch.chdir(folder / "elsewhere")
        assert main(["train", str(folder / "lengths.toml"), *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("intertwine: ")
        assert reason in err
        assert list((folder / "elsewhere").iterdir()) == []

    def test_a_framework_that_is_not_installed(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from intertwine_api.cli.program import main

        monkeypatch.chdir(folder / "elsewhere")
        monkeypatch.setitem(sys.modules, "torch", None)
        assert main(["train", str(folder / "lengths.toml"), "--framework", "torch"]) == 2
        assert capsys.readouterr().err == (
            "intertwine: models of PyTorch need packages that are not installed here (torch): "
            "pip install 'intertwine[torch]', or use JAX: --framework jax\n"
        )

    @pytest.mark.parametrize(
        "text", ["nothing =", "\x00", "a = [" * 5000], ids=["half", "nul", "deep"]
    )
    def test_invalid_toml(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
    ) -> None:
        from intertwine_api.cli.program import main

        (tmp_path / "bad.toml").write_text(text)
        assert main(["train", str(tmp_path / "bad.toml")]) == 2
        assert "is no TOML" in capsys.readouterr().err

    def test_an_unreachable_service(self, folder: Path) -> None:
        ended = train(folder, "--remote", "http://127.0.0.1:1", "--set", "dataset=" + "0" * 64)
        assert ended.code == 3
        assert "Traceback" not in ended.err


class TestTheExample:
    def test_it_can_be_read(self) -> None:
        request = Config.read(EXAMPLE).request()
        assert (request.name, request.training.epochs) == ("inertia", 500)

    def test_so_can_the_one_on_the_page_of_the_command_line(self, tmp_path: Path) -> None:
        page = blocks(ROOT / "docs" / "command-line.md")
        (text,) = (block.text for block in page if block.text.startswith("name = "))
        (tmp_path / "page.toml").write_text(text)
        asked, example = (Config.read(path).request() for path in (tmp_path / "page.toml", EXAMPLE))
        assert asked == example

    def test_set_overrides_the_file(self) -> None:
        changes = ["training.epochs=7", "model.ch=[8, 16]", "model.num_layers=2", "name=other"]
        request = Config.read(EXAMPLE, [*changes, "training.early_stopping.patience=3"]).request()
        assert (request.name, request.training.epochs) == ("other", 7)
        assert request.training.early_stopping is not None
        assert request.training.early_stopping.patience == 3


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running_service(tmp_path_factory.mktemp("train") / "data") as http:
        yield http


@pytest.mark.slow
class TestAtAService:
    def test_a_job_is_submitted(self, folder: Path, http: httpx.Client) -> None:
        ended = train(folder, "--remote", str(http.base_url), "--json")
        assert (ended.code, ended.err) == (0, "")
        told: dict[str, Any] = ended.json
        assert (told["name"], told["kind"]) == ("lengths", "train")
        assert http.get(f"/v1/jobs/{told['id']}").json()["request"]["training"]["epochs"] == 5

    @pytest.mark.parametrize("watch", [[], ["--watch"]], ids=["handed in", "watched"])
    def test_it_needs_only_the_extra_client(
        self, folder: Path, http: httpx.Client, watch: list[str]
    ) -> None:
        said = python(
            WITHOUT_EXTRAS,
            *("train", str(folder / "lengths.toml"), "-o", str(folder / "brought")),
            *("--remote", str(http.base_url), *watch),
        )
        assert said.startswith("test loss " if watch else "job ")
        if watch:
            X, _ = lengths()
            assert load(folder / "brought")(X).shape == (30, 1)

    def test_the_service_checks_what_the_file_says(self, folder: Path, http: httpx.Client) -> None:
        ended = train(folder, "--remote", str(http.base_url), "--set", "training.epoch=5")
        assert (ended.code, ended.out) == (2, "")
        assert "epoch" in ended.err
        ended = train(folder, "--remote", str(http.base_url), "--set", "training.epochs=nan")
        assert ended.err.startswith("intertwine: training.epochs is nan, which cannot be sent")

    def test_watch_downloads_the_model(self, folder: Path, http: httpx.Client) -> None:
        ended = train(folder, "--remote", str(http.base_url), "--watch", "-o", folder / "brought")
        assert ended.code == 0, ended.err
        assert "(as rounding makes)" in ended.out
        X, _ = lengths()
        assert load(folder / "brought")(X).shape == (30, 1)
        assert (folder / "brought" / "losses.png").read_bytes().startswith(PNG)

    def test_a_job_that_fails_is_a_failure(self, folder: Path, http: httpx.Client) -> None:
        X, Y = lengths()
        np.savez(folder / "data" / "samples.npz", X=1e15 * X, Y=1e30 * Y)
        ended = train(
            folder, "--remote", str(http.base_url), "--watch", "--set", "training.standardize=false"
        )
        assert ended.code == 1
        assert "Traceback" not in ended.err
        shutil.rmtree(folder / "elsewhere")
