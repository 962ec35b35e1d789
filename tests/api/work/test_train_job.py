"""A training as a job: it is told, kept, published, and goes on where an attempt was lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from helpers.documents import ROOT
from helpers.example_models import bytes_only
from helpers.example_queues import let_time_pass, refused
from helpers.example_stores import run_with_mounts
from helpers.example_trainings import a_request, lengths
from intertwine.errors import NonFiniteLoss
from intertwine.nn.saving import from_config
from intertwine.training import checkpoint_policy
from intertwine.training.recipe import reporter
from intertwine.training.recipe.description import TrainRequest
from intertwine.training.recipe.validation import complete_request
from intertwine_api.storage.database import Database
from intertwine_api.storage.datasets import Datasets
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models
from intertwine_api.work.events import Events
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.job import Job, Limits, NewJob
from intertwine_api.work.job_kind import JobContext, Stopped
from intertwine_api.work.job_metrics import JobMetrics
from intertwine_api.work.queue import Fenced, Queue
from intertwine_api.work.train_job import run
from intertwine_cache import Store

pytestmark = pytest.mark.slow  # real processes, or networks that are compiled

LIMITS = Limits(seconds=600, memory=4 * 10**9)


@pytest.fixture(autouse=True, scope="module")
def compiled_with_few_optimizations() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def _restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings tell every epoch, and are kept after every epoch."""
    monkeypatch.setattr(reporter, "_INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint_policy, "_FIRST", 0.0)
    monkeypatch.setattr(checkpoint_policy, "_SHARE", 0.0)


class Host:
    """Runs jobs in this process, one attempt at a time."""

    def __init__(self, database: Database, home: Path) -> None:
        self.database, self.home = database, home
        self.queue, self.objects = Queue(database), FolderObjects(home / "objects")
        self.models = Models(database, self.objects)
        self.told: list[Mapping[str, Any]] = []
        self.saved: list[int] = []

    def takes(self, request: TrainRequest, owner: str = "ada") -> Job:
        facts = Datasets(self.database, self.objects).info(request.dataset, owner)
        checked = complete_request(
            request, facts, self.objects.path, thoroughly=False
        )  # as a service does
        document = checked.model_dump(mode="json", exclude_unset=True)
        self.queue.submit(NewJob("train", owner, document, LIMITS))
        return self.takes_again()

    def takes_again(self) -> Job:
        let_time_pass(self.database)
        job = self.queue.claim("here", 1000)
        assert job is not None
        return self.queue.begin(job.id, job.attempt)

    def runs(
        self,
        job: Job,
        ends_at: int | None = None,
        meanwhile: Callable[[], None] = lambda: None,
        check: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """One attempt; cancelled when it tells of an epoch, or something happens before it ends."""

        def checked() -> None:
            check()
            epoch = self.told[-1].get("epoch", 0)
            if ends_at is not None and epoch >= ends_at:
                raise Stopped("for a test")

        result = run(
            job,
            JobContext(
                home=self.home,
                files=JobFolder.of(self.home, job.id),
                database=self.database,
                queue=self.queue,
                metrics=JobMetrics(self.database),
                objects=self.objects,
                store=Store(self.home / "cache"),
                report=lambda progress: self.told.append(dict(progress)),
                saved=self.saved.append,
                check=checked,
                take_checkpoint=lambda: JobFolder.of(self.home, job.id).take_checkpoint(
                    job.attempt
                ),
            ),
        )
        meanwhile()
        ended = self.queue.succeed(job.id, job.attempt, result)
        assert ended.result is not None
        return dict(ended.result)

    def metrics(self, job: Job) -> list[dict[str, Any]]:
        return JobMetrics(self.database).rows(job.id)


#: Trains on a small disk, which another file fills at epoch 3, and again when there is room.
_ON_A_SMALL_DISK = """
import json, shutil
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import jax
from helpers.databases import Databases
from helpers.example_trainings import a_request
from intertwine.training import checkpoint_policy
from intertwine.training.recipe import reporter
from intertwine_api.storage.database import Database
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.failures import from_exception
from test_train_job import Host
jax.config.update("jax_disable_most_optimizations", True)
checkpoint_policy._FIRST = checkpoint_policy._SHARE = reporter._INTERVAL = 0.0
home = Path(sys.argv[1]) / "data"
home.mkdir()
mount("-t", "tmpfs", "-o", "size=150m", "tmpfs", home)
filler = home / "filler"

class Filled(Host):
    def fill(self):
        if self.told[-1].get("epoch") == 3 and not filler.exists():
            filler.write_bytes(bytes(shutil.disk_usage(home).free - 40 * 2**20))

with Databases().migrated("sqlite") as url:
    host = Filled(Database(url), home)
    job = host.takes(a_request())
    path = home / "jobs" / job.id / "checkpoint" / "attempt-1" / "checkpoint.safetensors"
    try:
        host.runs(job, check=host.fill)
        problem = None
    except ProblemError as error:
        problem = from_exception(error, job.limits)
        host.queue.fail(job.id, job.attempt, problem)
    free = shutil.disk_usage(home).free
    left = [file.name for file in path.parent.iterdir()]
    filler.unlink()
    host.told.clear()
    host.queue.retry(job.id, 9)
    result = host.runs(host.takes_again())
    epochs = [row["epoch"] for row in host.told if "epoch" in row]
print(json.dumps([problem and problem.model_dump(), free, left, epochs, result["epochs"]]))
"""


def test_a_checkpoint_leaves_the_reserve_of_a_small_disk_free(tmp_path: Path) -> None:
    folders = ROOT / "tests", Path(__file__).parent
    done = run_with_mounts(_ON_A_SMALL_DISK, tmp_path, *folders)
    assert done.stdout, done.stderr
    problem, free, left, epochs, all_epochs = json.loads(done.stdout)
    assert problem["code"] == "disk-full"
    assert re.fullmatch(
        r"only [\d,]+ bytes are free on the disk, and a checkpoint of [\d,]+ bytes would use the "
        r"reserve of the database and the logs: free some of the disk, and retry the job, which "
        r"resumes from its last checkpoint",
        problem["detail"],
    )
    assert free > 39 * 2**20
    assert left == ["checkpoint.safetensors"]
    assert epochs[0] == 3  # it resumes after the second epoch
    assert epochs[-1] == all_epochs == 6


def publish(host: Host, name: str, owner: str) -> None:
    host.models.publish(name, owner, None, bytes_only(b"weights"))


@pytest.fixture
def host(database: Database, tmp_path: Path) -> Host:
    return Host(database, tmp_path)


@pytest.mark.usefixtures("_restless")
class TestATraining:
    def test_its_model_is_published_and_its_course_is_told(self, host: Host) -> None:
        job = host.takes(a_request(), owner="ada")
        result = host.runs(job)
        version = host.models.get("small")
        assert (result["model"], result["version"]) == ("small", 1)
        assert (version.owner, version.job) == ("ada", job.id)
        assert version.is_equivariant
        assert result["is_equivariant"]
        assert version.equivariance_error == result["equivariance_error"] < 1e-6
        assert version.metrics["test_loss"] == result["test_loss"] > 0
        assert (result["epochs"], version.metrics["epochs"]) == (6, 6)
        assert result["seconds"] > 0
        rows = host.metrics(job)
        assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
        assert rows[-1]["train_loss"] == result["train_loss"]
        assert rows[-1]["test_loss"] == pytest.approx(result["test_loss"])
        heard = [e for e in Events(host.database).after(job.id) if e.type == "metrics"]
        assert [row["epoch"] for event in heard for row in event.data["rows"]] == [1, 2, 3, 4, 5, 6]

    def test_what_its_network_cannot_represent_is_said_from_the_start(self, host: Host) -> None:
        result = host.runs(host.takes(a_request(model={"ch": "8V0+8V"})))
        (said,) = result["warnings"]
        assert "1 × W5_72e3b4 do not depend on the input" in said
        assert host.models.get("small").metrics["warnings"] == [said]
        with_it = [told for told in host.told if "warnings" in told]
        assert with_it[0]["stage"] == "building and compiling the model"
        assert all(told["warnings"] == [said] for told in with_it)
        assert [told for told in host.told if "warnings" not in told][-1] == host.told[1]

    def test_it_says_how_far_it_is_and_how_long_it_will_take(self, host: Host) -> None:
        host.runs(host.takes(a_request()))
        stages = list(dict.fromkeys(told["stage"] for told in host.told))
        before = ["reading the samples", "building and compiling the model"]
        assert stages == [*before, "training", "keeping the model"]
        training = [told for told in host.told if told["stage"] == "training"]
        assert [told["epoch"] for told in training] == [1, 2, 3, 4, 5, 6]
        assert training[0]["eta_seconds"] is None
        assert training[-2]["eta_seconds"] > 0 == training[-1]["eta_seconds"]
        assert training[2]["fraction"] == 0.5
        assert training[2]["train_loss"] > 0 < training[2]["test_loss"]

    def test_the_model_can_be_called(self, host: Host) -> None:
        host.runs(host.takes(a_request()))
        version = host.models.get("small")
        path = host.objects.path(version.weights)
        assert path is not None
        model = from_config(version.config, path.read_bytes())
        assert model(np.ones((2, 20), np.float32)).shape == (2, 9)

    def test_without_a_name_it_has_one_of_the_job(self, host: Host) -> None:
        job = host.takes(a_request(name=None))
        assert host.runs(job)["model"] == f"job-{job.id}"

    def test_an_attempt_that_is_lost_is_gone_on_with_to_the_same_weights(self, host: Host) -> None:
        host.runs(host.takes(a_request(name="undisturbed")))
        job = host.takes(a_request(name="disturbed"))
        with pytest.raises(Stopped):
            host.runs(job, ends_at=4)
        assert host.saved[-3:] == [1, 2, 3]
        assert list(JobFolder.of(host.home, job.id).checkpoint.rglob("*.safetensors"))
        host.queue.lose(job.id, job.attempt, "the process is gone")
        again = host.takes_again()
        host.told.clear()
        result = host.runs(again)
        assert (again.id, again.attempt) == (job.id, 2)
        first = next(told for told in host.told if told.get("epoch"))
        assert first["epoch"] == 4  # what came before was kept
        assert [row["epoch"] for row in host.metrics(job)] == [1, 2, 3, 4, 5, 6]
        assert result["version"] == 1
        undisturbed, disturbed = (host.models.get(n) for n in ("undisturbed", "disturbed"))
        assert disturbed.weights == undisturbed.weights

    def test_one_that_is_no_longer_the_jobs_publishes_nothing(self, host: Host) -> None:
        job = host.takes(a_request())
        host.queue.lose(job.id, job.attempt, "so it seemed")
        with pytest.raises(Fenced):
            host.runs(job)
        with refused("not-found"):
            host.models.get("small")

    def test_a_name_that_was_taken_meanwhile(self, host: Host) -> None:
        job = host.takes(a_request())
        result = host.runs(job, meanwhile=lambda: publish(host, "small", "bob"))
        assert result["model"] == f"job-{job.id}"
        assert host.models.get(f"job-{job.id}").owner == "ada"
        assert host.models.model("small").owner == "bob"


class TestSamplesThatWereSent:
    def send(self, host: Host, folder: Path, rep_in: str = "V", group: str | None = "SO(3)") -> str:
        X, Y = lengths()
        np.savez(folder / "samples.npz", X=X, Y=Y)
        datasets = Datasets(host.database, host.objects)
        return datasets.add("ada", folder / "samples.npz", "", rep_in, "V0", group).id

    def test_they_are_trained_on(self, host: Host, tmp_path: Path) -> None:
        digest = self.send(host, tmp_path)
        host.runs(host.takes(a_request(dataset=digest)))
        version = host.models.get("small")
        assert version.provenance["data"] == {"digest": digest}
        assert version.provenance["model"]["group"] == "SO(3)"

    @pytest.mark.slow
    def test_their_rep_may_be_made_of_another(self, host: Host, tmp_path: Path) -> None:
        digest = self.send(host, tmp_path, "Alt(2, V)")
        host.runs(host.takes(a_request(dataset=digest)))
        assert host.models.get("small").provenance["model"]["rep_in"] == "Alt(2, V)"

    def test_a_saved_model_goes_on_with_them(self, host: Host, tmp_path: Path) -> None:
        digest = self.send(host, tmp_path)
        host.runs(host.takes(a_request(dataset=digest)))
        first = host.models.get("small")
        saved = {"config": dict(first.config), "weights": first.weights}
        host.runs(host.takes(a_request(dataset=digest, model=saved)))
        second = host.models.get("small")
        assert second.version == 2
        assert second.provenance["model"] == {"weights": first.weights}
        assert second.metrics["train_loss"] < first.metrics["train_loss"]

    def test_they_are_trained_on_although_the_dataset_was_deleted(
        self, host: Host, tmp_path: Path
    ) -> None:
        digest = self.send(host, tmp_path)
        job = host.takes(a_request(dataset=digest))
        Datasets(host.database, host.objects).delete(digest, "ada")
        assert host.runs(job)["test_loss"] > 0
        provenance = host.models.get("small").provenance
        assert provenance["data"] == {"digest": digest}
        assert provenance["model"]["group"] == "SO(3)"

    def test_what_is_said_of_them_later_changes_nothing(self, host: Host, tmp_path: Path) -> None:
        digest = self.send(host, tmp_path, "V(SO(3))", None)
        job = host.takes(a_request(dataset=digest))
        assert self.send(host, tmp_path, "V", "O(3)") == digest
        host.runs(job)
        described = host.models.get("small").provenance["model"]
        assert described["rep_in"] == "V(SO(3))"
        assert "group" not in described

    def test_samples_that_are_gone(self, host: Host, tmp_path: Path) -> None:
        digest = self.send(host, tmp_path)
        host.objects.remove(digest)
        with refused("not-found"):
            host.runs(host.takes(a_request(dataset=digest)))


class TestWhatEndsIt:
    def test_a_name_that_is_another_s_is_told_before_it_is_trained(self, host: Host) -> None:
        publish(host, "small", "bob")
        with refused("name-taken"):
            host.runs(host.takes(a_request()))
        assert host.told == []

    def test_a_loss_that_is_not_finite(self, host: Host, tmp_path: Path) -> None:
        X, Y = lengths()
        np.savez(tmp_path / "huge.npz", X=1e15 * X, Y=1e30 * Y)
        datasets = Datasets(host.database, host.objects)
        digest = datasets.add("ada", tmp_path / "huge.npz", "", "V", "V0", "SO(3)").id
        job = host.takes(a_request(dataset=digest, training={"standardize": False}))
        with pytest.raises(NonFiniteLoss):
            host.runs(job)
        with refused("not-found"):
            host.models.get("small")
