"""The database and the store of the first service are upgraded, and all of it works over HTTP.

`written_first.zip` has the data folder of a service of commit 1ef9f55, the first one with jobs,
datasets, models and keys, and in `documents.json` what it answered to alice, and the tokens of two
keys. It was made with that commit's code: `git worktree add` of it, its folders on PYTHONPATH, keys
by `intertwine keys create`, and its own client for a training, a solve as a job, a cancelled
training and two bases.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.archives import unpacked
from helpers.program import Ended, intertwine
from helpers.service import service_process
from intertwine_api.client import Client
from intertwine_api.storage.database import HEAD

pytestmark = pytest.mark.slow  # real processes

ARCHIVE = Path(__file__).parent / "written_first.zip"
DESCRIPTION = {"type": "EMLP", "ch": 8, "num_layers": 1}


def upgrade(folder: Path, *options: str) -> Ended:
    return intertwine("admin", "upgrade", *options, "--json", "--data", folder / "data")


First = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[First]:
    """The address of a service of today with the upgraded data of the first one; its answers."""
    folder = tmp_path_factory.mktemp("first")
    documents = unpacked(ARCHIVE, folder)
    ended = upgrade(folder)
    assert ended.code == 0, ended.err
    assert Path(json.loads(ended.out)["snapshot"]).is_file()
    with service_process(folder / "data", jobs="1", workers="1") as service:
        yield service.address, documents


@pytest.fixture
def lab(first: First) -> Iterator[Client]:
    with Client(first[0], first[1]["tokens"]["alice"]) as lab:
        yield lab


def test_a_check_finds_the_upgrade_and_changes_nothing(tmp_path: Path) -> None:
    unpacked(ARCHIVE, tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    ended = upgrade(tmp_path, "--check")
    assert ended.code == 1, ended.err
    found = json.loads(ended.out)
    assert (found["schema"], found["newest"], found["upgrade"]) == ("0001", HEAD, "due")
    assert (found["written_by"], found["snapshot"]) == ("not recorded", "none")
    assert found["steps"][0].startswith("0002: ")
    assert 0 < found["snapshot_bytes"] < found["free_bytes"]
    assert found["bases"] == found["bases_to_solve_anew"] == 5  # by the solver of then
    assert {file: file.read_bytes() for file in before} == before
    with sqlite3.connect(tmp_path / "data/intertwine.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            ("0001",)
        ]
    connection.close()
    assert upgrade(tmp_path).code == 0
    ended = upgrade(tmp_path, "--check")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["upgrade"] == "not needed"


def test_keys_are_valid_with_their_scopes(first: First) -> None:
    address, then = first
    with httpx.Client(base_url=address, timeout=60) as web:
        for name, jobs in (("alice", 3), ("root", 3)):
            token = {"authorization": f"Bearer {then['tokens'][name]}"}
            assert len(web.get("/v1/jobs", headers=token).json()["data"]) == jobs
        assert web.get("/v1/jobs").status_code == 401
        wrong = {"authorization": f"Bearer {then['tokens']['alice']}x"}
        assert web.get("/v1/jobs", headers=wrong).status_code == 401


def test_jobs_are_as_they_were(first: First, lab: Client) -> None:
    then = first[1]
    found = {job.id: job for job in lab.jobs(limit=None)}
    assert len(found) == len(then["jobs"]) == 3
    for document in then["jobs"]:
        now = found[document["id"]].document
        assert {name: now[name] for name in document} == document
    [norm] = [job for job in found.values() if job.name == "norm"]
    assert norm.logs() == then["logs"]
    epochs = [row["train_loss"] for row in norm.metrics()]
    assert epochs == [row["train_loss"] for row in then["metrics"]["data"]]


def test_datasets_and_models_are_as_they_were(first: First, lab: Client) -> None:
    then = first[1]
    assert [dataset.document for dataset in lab.datasets()] == then["datasets"]
    [before] = then["models"]
    [found] = lab.models()
    now = found.refresh().document
    assert {name: now[name] for name in before["newest"]} == before["newest"]
    assert now["has_weights"]


def test_a_model_answers_as_it_did(first: First, lab: Client) -> None:
    outputs = lab.model("norm")(np.ones((2, 3), np.float32))
    np.testing.assert_allclose(outputs, first[1]["forward"], rtol=1e-5)


def test_bases_have_their_keys_and_ranks(first: First, lab: Client) -> None:
    """An older solver has computed them: they are solved anew, and are in the store then."""
    bases = first[1]["bases"]
    assert len(bases) == 5
    for document in bases:
        basis = lab.basis(document["canonical"], document["group"])
        assert basis.shape == (document["size"], document["rank"])
        again = lab.basis(document["canonical"], document["group"])
        assert again.cached


def test_the_dataset_of_then_is_trained_on(lab: Client) -> None:
    [dataset] = lab.datasets()
    job = lab.train(DESCRIPTION, dataset, name="again", epochs=1)
    job.result(timeout=240)
    assert {model.name for model in lab.models()} == {"norm", "again"}
