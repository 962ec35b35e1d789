"""`intertwine admin`: a running service is backed up, restored elsewhere, and verified."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pytest
from helpers.databases import Databases
from helpers.example_jobs import soon
from helpers.program import Ended, environment, intertwine
from helpers.service import ServiceProcess, running_service, service_process
from intertwine_api.client import Client
from intertwine_api.storage import tables
from intertwine_api.storage.database import Database
from sqlalchemy import update

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


def test_garbage_is_collected_beside_a_running_service_and_by_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    solve = {"kind": "solve", "rep": "V**2", "group": "SO(3)"}
    with running_service(data, jobs="1", workers="1") as client:
        jobs = [client.post("/v1/jobs", json={**solve, "name": n}).json()["id"] for n in "ab"]
        soon(lambda: all(_state(client, job) == "succeeded" for job in jobs))
        kept = client.post("/v1/jobs", json={**solve, "rep": "V**3"}).json()["id"]
        soon(lambda: _state(client, kept) == "succeeded")
        _end_earlier(data, jobs, days=3)
        assert admin(data, "gc", "--json").json["removed"]["jobs"] == {"number": 0, "bytes": 0}
        old = environment(INTERTWINE_KEEP_JOBS_DAYS="2")
        shown = intertwine("admin", "gc", "--dry-run", "--json", "--data", data, env=old)
        assert shown.json["dry_run"]
        assert shown.json["removed"]["jobs"]["number"] == 2
        assert shown.json["removed"]["jobs"]["bytes"] > 0
        assert _state(client, jobs[0]) == "succeeded"
        ended = intertwine("admin", "gc", "--data", data, env=old)
        assert ended.code == 0, ended.err
        header, *rows = (line.split() for line in ended.out.splitlines())
        assert header == ["DELETED", "NUMBER", "BYTES"]
        assert rows[1][:2] == ["jobs", "2"]
        assert [client.get(f"/v1/jobs/{job}").status_code for job in jobs] == [404, 404]
        assert [path.name for path in (data / "jobs").iterdir()] == [kept]
        lines = map(json.loads, (data / "audit.jsonl").read_text().splitlines())
        deleted = [line for line in lines if line["message"] == "job deleted"]
        assert {line["id"] for line in deleted} == set(jobs)
        assert deleted[0]["by"].endswith("with the command line")
    _end_earlier(data, [kept], days=3)
    with running_service(data, jobs="0", workers="1", keep_jobs_days="2") as client:
        soon(lambda: client.get(f"/v1/jobs/{kept}").status_code == 404)
        soon(lambda: not list((data / "jobs").iterdir()))


def _state(client: httpx.Client, job: str) -> str:
    return str(client.get(f"/v1/jobs/{job}").json()["state"])


def _end_earlier(data: Path, jobs: list[str], days: float) -> None:
    """Let jobs have ended so many days earlier."""
    database = Database(f"sqlite:///{data / 'intertwine.db'}")
    with database.write() as connection:
        earlier = update(tables.jobs).where(tables.jobs.c.id.in_(jobs))
        connection.execute(earlier.values(ended=tables.jobs.c.ended - days * 86_400))
    database.close()


def test_garbage_of_another_services_folder_is_not_collected(tmp_path: Path) -> None:
    for name in ("one", "other"):
        with running_service(tmp_path / name, jobs="0", workers="1"):
            pass
    url = f"sqlite:///{tmp_path / 'one' / 'intertwine.db'}"
    ended = intertwine("admin", "gc", "--database", url, "--data", tmp_path / "other")
    assert ended.code == 2
    assert "belongs to another database" in ended.err


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


def test_a_service_moves_from_its_folder_into_a_bucket(
    tmp_path: Path, s3: dict[str, str], bucket: str
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    env = environment(INTERTWINE_OBJECTS=bucket, **s3)

    def in_bucket(*arguments: str | Path) -> Ended:
        return intertwine(*arguments, env=env)

    samples = tmp_path / "samples.npz"
    np.savez(samples, X=np.ones((5, 3)), Y=np.ones((5, 1)))
    content, sent = samples.read_bytes(), {"content-type": "application/zip"}
    with running_service(old, jobs="0", workers="1") as client:
        dataset = client.post("/v1/datasets", content=content, headers=sent).json()["id"]
    refused = in_bucket("serve", "--data", old, "--port", "0")
    assert refused.code == 2, refused.err
    assert "intertwine admin restore" in refused.err
    assert "Traceback" not in refused.err
    assert admin(old, "backup", tmp_path / "backup").code == 0
    restored = in_bucket("admin", "restore", tmp_path / "backup", "--data", new)
    assert restored.code == 0, restored.err
    assert in_bucket("admin", "verify", "--data", new).out == "everything is in order\n"
    assert in_bucket("admin", "gc", "--data", new).code == 0
    with running_service(new, jobs="0", workers="1", objects=bucket) as client:
        assert client.get(f"/v1/blobs/{dataset}").status_code == 200
        assert not (new / "objects").exists()
    forgotten = admin(new, "gc")
    assert forgotten.code == 2
    assert f"are in {bucket}: set INTERTWINE_OBJECTS" in forgotten.err
    checks = json.loads(in_bucket("doctor", "--json").out)["checks"]
    (found,) = (check for check in checks if check["check"] == "objects")
    assert found["ok"], found
    assert found["found"] == f"{bucket} answers"
    secret = intertwine(
        "serve", "--data", new, env=environment(INTERTWINE_OBJECTS="s3://me:hidden@lab/x")
    )
    assert secret.code == 2
    assert "hidden" not in secret.err + secret.out
    assert "AWS_ACCESS_KEY_ID" in secret.err
