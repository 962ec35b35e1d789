"""`intertwine admin`: a running service is backed up, restored elsewhere, and verified."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from helpers.databases import Databases
from helpers.program import Ended, environment, intertwine
from helpers.service import ServiceProcess, service_process
from intertwine_api.client import Client

pytestmark = pytest.mark.slow  # real processes


def admin(data: Path, *arguments: str | Path) -> Ended:
    return intertwine("admin", *arguments, "--data", data)


def test_a_running_service_is_restored_from_its_backup(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data", jobs="1", workers="1")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 3)).astype(np.float32)
    description = {"type": "EMLP", "ch": 8, "num_layers": 1}
    reps = {"rep_in": "V", "rep_out": "V0", "group": "SO(3)"}
    with Client(service.start()) as lab:
        Y = np.linalg.norm(X, axis=1, keepdims=True)
        job = lab.train(description, X, Y, name="norm", epochs=2, **reps)
        expected = job.result(timeout=240)(X)
        ended = admin(tmp_path / "data", "backup", tmp_path / "backup", "--json")
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["missing"] == 0
        assert json.loads(ended.out)["objects"] >= 2  # the dataset and the weights
    service.kill()

    ended = admin(tmp_path / "new", "restore", tmp_path / "backup")
    assert ended.code == 0, ended.err
    assert admin(tmp_path / "new", "verify").out == "everything is in order\n"
    restored = ServiceProcess(tmp_path / "new", jobs="0", workers="1")
    with Client(restored.start()) as lab:
        [same] = lab.jobs()
        assert (same.id, same.state) == (job.id, "succeeded")
        assert same.logs() == (tmp_path / "data" / "jobs" / job.id / "log").read_text()
        np.testing.assert_allclose(lab.model("norm")(X), expected, rtol=1e-5, atol=1e-6)
        assert len(lab.datasets()) == 1
    restored.end()


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    ended = admin(tmp_path / "none", "backup", tmp_path / "backup")
    assert ended.code == 2
    assert "name the folder of the data with --data" in ended.err
    assert not (tmp_path / "none").exists()
    assert intertwine("keys", "create", "alice", "--data", tmp_path / "data").code == 0
    assert admin(tmp_path / "data", "backup", tmp_path / "backup").code == 0
    again = admin(tmp_path / "data", "backup", tmp_path / "backup")
    assert again.code == 2
    assert "give a new folder for each backup" in again.err
    ended = admin(tmp_path / "data", "restore", tmp_path / "backup")
    assert ended.code == 2
    assert "restore into an empty one" in ended.err
    ended = admin(tmp_path / "new", "restore", tmp_path)
    assert ended.code == 2
    assert "it is not a complete backup" in ended.err


def test_a_service_with_another_ones_data_folder_does_not_start(
    databases: Databases, tmp_path: Path
) -> None:
    with databases.empty("postgresql") as url:
        with service_process(tmp_path / "data", database=url, jobs="0", workers="1"):
            for command in ("serve", "worker"):
                start = (command, "--database", url, "--data", tmp_path / "unmounted")
                ended = intertwine(*start, env=environment(INTERTWINE_PORT="0"))
                assert ended.code == 2, ended.err
                assert "Mount its volume, or name the right folder with --data" in ended.err
                assert not (tmp_path / "unmounted" / "identity.json").exists()
        ended = admin(tmp_path / "new", "adopt", "--database", url, "--json")
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["data"] == str(tmp_path / "new")
        with service_process(tmp_path / "new", database=url, jobs="0", workers="1"):
            pass
        ended = intertwine("serve", "--port", "0", "--database", url, "--data", tmp_path / "data")
        assert ended.code == 2
        assert "belongs to another database than postgresql" in ended.err


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert intertwine("keys", "create", "alice", "--data", data).code == 0
    assert admin(data, "backup", tmp_path / "backup").code == 0
    assert admin(data, "upgrade", "--check").code == 0
    with closing(sqlite3.connect(data / "intertwine.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num='9999', intertwine='7.1.0'")
    before = (data / "intertwine.db").read_bytes()
    for command in (("admin", "upgrade", "--check"), ("admin", "upgrade"), ("serve",), ("worker",)):
        ended = intertwine(*command, "--data", data, env=environment(INTERTWINE_PORT="0"))
        assert ended.code == 2, ended.err
        assert "of version 9999, written by Intertwine 7.1.0" in ended.err
        assert "stop the service and restore a backup" in ended.err
    assert (data / "intertwine.db").read_bytes() == before

    document = json.loads((tmp_path / "backup" / "backup.json").read_text())
    (tmp_path / "backup" / "backup.json").write_text(json.dumps({**document, "schema": "9999"}))
    ended = admin(tmp_path / "new", "restore", tmp_path / "backup")
    assert ended.code == 2
    assert "install the Intertwine that made it, or a newer one" in ended.err
    assert not (tmp_path / "new" / "intertwine.db").exists()


def test_an_upgrade_without_a_database_says_what_to_name(tmp_path: Path) -> None:
    ended = admin(tmp_path / "none", "upgrade")
    assert ended.code == 2
    assert "name the folder of the data with --data" in ended.err
    assert not (tmp_path / "none").exists()
