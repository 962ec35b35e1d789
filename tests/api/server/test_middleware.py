"""Request bodies in memory, with real sockets that send only half of them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from helpers.example_models import small_model, trained
from helpers.hostile import Hostile, PeakMemory, head, hostile_to, status
from helpers.service import UNKNOWN, ServiceProcess, problem, service_process
from intertwine_api.storage.database import Database
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.keys import Keys
from intertwine_api.storage.models import Models
from intertwine_api.wire.safetensors_body import SAFETENSORS
from safetensors.numpy import save

MB = 10**6
BODY = 20 * MB
DECLARED = {"content-type": SAFETENSORS, "content-length": str(BODY)}


class Keyed:
    """A service with a model, and a key for each of two owners and one without scopes for it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.process = ServiceProcess(folder / "data", jobs="0", workers="1", **settings)
        database = Database(f"sqlite:///{self.process.data}/intertwine.db")
        database.migrate()
        objects = FolderObjects(self.process.data / "objects")
        Models(database, objects).publish("inertia", "ada", None, trained(small_model(key=1)))
        scopes = {"ada": "models:forward", "bob": "models:forward", "eve": "bases:read"}
        self._tokens = {
            owner: Keys(database).create(owner, (scope,))[1] for owner, scope in scopes.items()
        }
        database.close()

    def key(self, owner: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._tokens[owner]}"}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    keyed = Keyed(
        tmp_path_factory.mktemp("middleware"),
        bodies_bytes=str(70 * MB),
        key_bodies_bytes=str(45 * MB),
    )
    with service_process(keyed.process.data, service=keyed.process):
        yield keyed


@pytest.mark.parametrize(
    ("path", "owner", "expected"),
    [
        ("/v1/models/unknown:forward", "ada", 404),
        ("/v1/models/inertia:forward?version=9", "ada", 404),
        ("/v1/models/inertia:forward", "eve", 403),
        ("/v1/models/inertia:forward", "", 401),
        (f"/v1/bases/{UNKNOWN}:project", "eve", 404),
    ],
    ids=["unknown model", "unknown version", "no scope", "no key", "unknown basis"],
)
def test_a_refusal_does_not_wait_for_the_body(
    keyed: Keyed, path: str, owner: str, expected: int
) -> None:
    with hostile_to(keyed.process.address) as hostile:
        headers = {**DECLARED, **(keyed.key(owner) if owner else {})}
        connection = hostile.connect()
        connection.sendall(head("POST", path, headers) + b"x" * MB)
        assert status(connection) == expected


def unfinished(hostile: Hostile, keyed: Keyed, owner: str, model: str) -> socket.socket:
    """Send a forward up to the last byte of its body."""
    connection = hostile.connect()
    headers = {**DECLARED, **keyed.key(owner)}
    connection.sendall(head("POST", f"/v1/models/{model}:forward", headers) + b"x" * (BODY - 1))
    return connection


@pytest.mark.slow
def test_unfinished_forwards_of_an_unknown_model_take_no_memory(keyed: Keyed) -> None:
    peak = PeakMemory(keyed.process.pid)
    with hostile_to(keyed.process.address) as hostile:
        for _ in range(20):
            unfinished(hostile, keyed, "ada", "unknown")
        peak.watch(1)
    assert peak.growth < 50 * MB  # of 400 MB that were sent


@pytest.mark.slow
def test_unfinished_bodies_are_bounded_for_a_key_and_for_all(keyed: Keyed) -> None:
    peak = PeakMemory(keyed.process.pid)
    address = f"{keyed.process.address}/v1/models/inertia:forward"
    with hostile_to(keyed.process.address) as hostile:
        for owner in ("ada", "ada", "bob"):
            unfinished(hostile, keyed, owner, "inertia")
        peak.watch(0.5)
        for owner in ("ada", "bob"):  # her third; his second, but the fourth of all
            refused = unfinished(hostile, keyed, owner, "inertia")
            refused.sendall(b"x")  # the answer comes when the body has been sent
            assert status(refused) == 429
        peak.watch(0.5)
        small = httpx.post(
            address, headers=keyed.key("bob"), json={"inputs": [0.5] * 8}, timeout=60
        )
        assert small.status_code == 200
    assert peak.growth < 2.5 * 70 * MB
    large = httpx.post(  # the bytes were returned when the connections ended
        address,
        headers={**keyed.key("ada"), "content-type": SAFETENSORS},
        content=save({"x": np.ones((4000, 1000))}),
        timeout=60,
    )
    assert problem(large, 422, "invalid-request")["detail"].startswith("the model takes vectors")
