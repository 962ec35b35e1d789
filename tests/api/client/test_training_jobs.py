"""A training from the data to the model, by way of a real service."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from helpers.service import running_service
from intertwine.datasets import Inertia
from intertwine.errors import IntertwineError, InvalidRep, NonFiniteLoss
from intertwine.groups import SO, S
from intertwine.nn import MLP
from intertwine.reps import Regular, Rep, V
from intertwine.training import History
from intertwine_api.client import Client, Job
from intertwine_api.client.errors import JobFailed, ServiceError

pytestmark = pytest.mark.slow  # real processes, or networks that are compiled

DATA = Inertia(60)
SMALL = {"type": "MLP", "ch": 8, "num_layers": 1}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("trainings") / "data"
    with running_service(folder) as http, Client(str(http.base_url)) as lab:
        yield lab


@pytest.fixture(scope="module")
def job(lab: Client) -> Job:
    """A training that has succeeded."""
    return lab.train(SMALL, DATA, name="small", epochs=4, labels=["tests"]).wait(120)


def test_the_model_comes_back_and_is_the_one_there(lab: Client, job: Job) -> None:
    model = job.result()
    there = lab.model("small")
    assert (there.version, there.document["job"]) == (1, job.id)
    x = Inertia(5, seed=1).X
    assert np.allclose(there(x), np.asarray(model(x)), rtol=1e-4, atol=1e-4)
    assert there.document["provenance"]


def test_its_losses_are_known_by_epoch(job: Job) -> None:
    history = job.history()
    assert isinstance(history, History)
    assert [row.epoch for row in history] == [1, 2, 3, 4]
    assert job.document["result"]["test_loss"] == history[-1].test_loss
    assert [row["epoch"] for row in job.metrics(points=2)] == [1, 4]


def test_its_events_tell_the_same_losses(job: Job) -> None:
    told = {row["epoch"] for e in job.events() if e.type == "metrics" for row in e.data["rows"]}
    assert told == {1, 2, 3, 4}


def test_it_shows_what_came_of_it(job: Job) -> None:
    shown = job._repr_html_()
    assert "<td>small, version 1</td>" in shown
    assert "test loss" in repr(job)


def test_the_data_are_kept_once(lab: Client, job: Job) -> None:
    (kept,) = lab.datasets()
    assert (kept.samples, kept.digest) == (60, job.document["request"]["dataset"])
    again = lab.upload(DATA, name="inertia")
    assert again.digest == kept.digest
    assert [data.name for data in lab.datasets()] == ["inertia"]


def test_a_model_of_one_s_own_is_trained_on(lab: Client, job: Job) -> None:
    model = job.result()
    following = lab.train(model, DATA, name="small", epochs=1, learning_rate=1e-9)
    further = following.result(120)
    assert following.document["result"]["version"] == 2
    x = Inertia(5, seed=1).X
    assert np.allclose(np.asarray(further(x)), np.asarray(model(x)), rtol=1e-3, atol=1e-3)


def test_under_one_key_it_is_one_job(lab: Client) -> None:
    given = {"epochs": 1, "idempotency_key": "mine"}
    first, second = (lab.train(SMALL, {"name": "Inertia", "size": 20}, **given) for _ in range(2))
    assert first.id == second.id
    with pytest.raises(ServiceError) as caught:
        lab.train(SMALL, {"name": "Inertia", "size": 21}, **given)
    assert caught.value.code == "idempotency-conflict"
    first.cancel()


def test_a_loss_that_explodes_fails_the_job(lab: Client) -> None:
    huge = DATA.X * np.float32(1e25)
    reps = {"rep_in": DATA.rep_in, "rep_out": DATA.rep_out, "group": DATA.symmetry}
    job = lab.train(SMALL, huge, DATA.Y, **reps, standardize=False, epochs=1)
    with pytest.raises(JobFailed) as caught:
        job.result(120)
    assert caught.value.code == NonFiniteLoss.code
    assert "finite" in str(caught.value)


@pytest.mark.parametrize("uploaded", [False, True])
def test_a_group_is_that_of_the_model_wherever_the_data_are(lab: Client, uploaded: bool) -> None:
    data = lab.upload(Inertia(20)) if uploaded else {"name": "Inertia", "size": 20}
    job = lab.train(SMALL, data, group="O(3)", epochs=1)
    assert job.document["request"]["model"]["group"] == "O(3)"
    job.cancel()
    job = lab.train(SMALL, data, rep_out="V**2", epochs=1)
    assert job.document["request"]["model"]["group"] == "SO(3)"
    job.cancel()


def test_a_dataset_may_have_a_group_alone(lab: Client) -> None:
    X = np.eye(3)
    assert lab.upload(X, X, group=SO(3)).document["group"] == "SO(3)"


def test_what_cannot_be_trained_is_refused_before_it_waits(lab: Client) -> None:
    with pytest.raises((IntertwineError, ServiceError), match="size"):
        lab.train({**SMALL, "rep_in": "V"}, DATA, name="wrong")
    assert lab.jobs(label="wrong") == []


def test_networks_have_reps_by_generators(lab: Client) -> None:
    images = Regular(S(3)).generators.discrete
    elements = Rep.from_generators(S(3), images, name="Elements")
    model = MLP(elements, V(S(3)), S(3), ch=8, num_layers=1)
    assert "Elements" in repr(model)
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 6)), rng.standard_normal((40, 3))
    found = lab.train(model, X, Y, epochs=1).wait(240).result()
    assert found.rep_in == elements
    with pytest.raises(InvalidRep, match="omit it, and give a network that has it"):
        lab.train({"type": "EMLP"}, X, Y, rep_in=elements, rep_out=V, group=S(3), epochs=2)
