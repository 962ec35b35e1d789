"""What the service wrote before it was put into layers is read as it was.

`written_before_layers.zip` has the folder of a service of commit 6e11de5, and in `documents.json`
what that service answered: jobs with their events, metrics and logs, a dataset, models, bases, and
the token of a key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.archives import unpacked
from helpers.service import ServiceProcess
from intertwine_api.client import Client
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys

ARCHIVE = Path(__file__).parent / "written_before_layers.zip"
DESCRIPTION = {"type": "EMLP", "ch": 8, "num_layers": 1}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, dict[str, Any]]]:
    """A service of today with the folder of then, but for its key; and what was answered then."""
    folder = tmp_path_factory.mktemp("before")
    documents = unpacked(ARCHIVE, folder)
    with sqlite3.connect(folder / "data/intertwine.db") as connection:
        connection.execute("DELETE FROM api_keys")
    connection.close()
    service = ServiceProcess(folder / "data", jobs="0", workers="1")
    with Client(service.start()) as lab:
        yield lab, documents
    service.end()


Before = tuple[Client, dict[str, Any]]


def test_jobs_are_as_they_were(before: Before) -> None:
    lab, then = before
    assert [job.document for job in lab.jobs(limit=None)] == then["jobs"]


def test_so_are_the_events_losses_and_log_of_one(before: Before) -> None:
    lab, then = before
    [job] = [job for job in lab.jobs(limit=None) if job.name == "norm"]
    assert job.metrics() == then["metrics"]
    assert job.logs() == then["logs"]
    events = [{"seq": e.seq, "type": e.type, "data": dict(e.data)} for e in job.events()]
    assert events == then["events"]


def test_models_and_datasets_are_as_they_were(before: Before) -> None:
    lab, then = before
    models = [{**document, "framework": "jax", "has_weights": True} for document in then["models"]]
    assert [model.refresh().document for model in lab.models()] == models
    assert [dataset.document for dataset in lab.datasets()] == then["datasets"]


def test_a_model_answers_as_it_did(before: Before) -> None:
    lab, then = before
    outputs = lab.model("norm")(np.ones((2, 3), np.float32))
    np.testing.assert_allclose(outputs, then["forward"], rtol=1e-5)


def test_a_request_is_known_by_its_idempotency_key(before: Before) -> None:
    lab, _ = before
    [dataset], [job] = lab.datasets(), [job for job in lab.jobs(limit=None) if job.name == "norm"]
    again = lab.train(
        DESCRIPTION, dataset, name="norm", epochs=4, labels="fixture", idempotency_key="k1"
    )
    assert again.id == job.id


def test_bases_come_from_the_store(before: Before) -> None:
    lab, then = before
    assert len(then["bases"]["data"]) > 2
    for document in then["bases"]["data"]:
        basis = lab.basis(document["canonical"], document["group"])
        assert basis.cached
        assert basis.shape == (document["size"], document["rank"])


def test_a_key_is_still_known(tmp_path: Path) -> None:
    documents = unpacked(ARCHIVE, tmp_path)
    database = Database(f"sqlite:///{tmp_path / 'data/intertwine.db'}")
    database.migrate()
    key = Keys(database).find(documents["token"])
    assert key is not None
    assert key.owner == "alice"
    assert Keys(database).find(documents["token"] + "x") is None
    database.close()
