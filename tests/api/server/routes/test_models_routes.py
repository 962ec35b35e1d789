"""The addresses of models, with models that are in the service's folder before it starts."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import jax
import numpy as np
import pytest
from helpers.example_models import small_model, trained
from helpers.patience import PATIENCE, in_one_of, quickest, seconds_of
from helpers.service import metric, problem, running_service
from intertwine.groups import SU
from intertwine.nn.saving import from_config
from intertwine.reps import V
from intertwine_api.storage.database import Database
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.keys import Keys
from intertwine_api.storage.models import Models
from intertwine_api.wire.safetensors_body import SAFETENSORS
from safetensors.numpy import load, save

X = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
BINARY = {"content-type": SAFETENSORS}


@pytest.fixture(scope="module")
def inertia() -> Any:
    return small_model(key=1)


@pytest.fixture(scope="module")
def spinor() -> Any:
    return small_model(key=2, rep_in=V, rep_out=V, group=SU(2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, inertia: Any, spinor: Any) -> Path:
    """The folder of a service that has models."""
    folder = tmp_path_factory.mktemp("models") / "data"
    with Registry(folder) as models:
        models.publish("inertia", "local", "job1", trained(small_model(key=0)))
        models.publish("inertia", "local", "job2", trained(inertia))
        models.publish("spinor", "ada", None, trained(spinor))
    return folder


class Registry:
    """The registry in a service's folder, for as long as a test looks into it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Models:
        self._database = Database(f"sqlite:///{self._folder / 'intertwine.db'}")
        self._database.migrate()
        return Models(self._database, FolderObjects(self._folder / "objects"))

    def __exit__(self, *_: object) -> None:
        self._database.close()


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with running_service(folder, batch_rows="4", forward_rows="100", jobs="0") as client:
        yield client


def forward(
    client: httpx.Client, inputs: Any, name: str = "inertia", **more: Any
) -> httpx.Response:
    return client.post(f"/v1/models/{name}:forward", json={"inputs": inputs, **more})


def expected(model: Any, x: Any) -> Any:
    return jax.jit(model)(x)


def test_models_are_listed_with_their_newest_versions(client: httpx.Client) -> None:
    page = client.get("/v1/models").json()
    assert [(m["name"], m["owner"], m["versions"]) for m in page["data"]] == [
        ("inertia", "local", 2),
        ("spinor", "ada", 1),
    ]
    assert page["data"][0]["newest"]["version"] == 2
    assert (page["has_more"], page["next"]) == (False, None)
    first = client.get("/v1/models", params={"limit": 1}).json()
    assert (first["has_more"], first["next"]) == (True, "inertia")
    rest = client.get("/v1/models", params={"after": "inertia"}).json()
    assert [m["name"] for m in rest["data"]] == ["spinor"]


def test_a_model_says_whose_it_is_and_where_its_versions_are(client: httpx.Client) -> None:
    model = client.get("/v1/models/inertia").json()
    versions = client.get(model["links"]["versions"]).json()["data"]
    assert [version["version"] for version in versions] == [2, 1]
    assert versions[0] == model["newest"]
    assert "config" not in versions[0]
    page = client.get(model["links"]["versions"], params={"limit": 1}).json()
    assert (page["has_more"], page["next"]) == (True, 2)
    rest = client.get(model["links"]["versions"], params={"before": 2}).json()
    assert [version["version"] for version in rest["data"]] == [1]


def test_a_version_has_all_that_makes_the_model_anew(client: httpx.Client, inertia: Any) -> None:
    version = client.get("/v1/models/inertia/versions/2").json()
    blob = client.get(version["links"]["weights"]).content
    again = from_config(version["config"], blob)
    np.testing.assert_array_equal(expected(again, X), expected(inertia, X))
    assert version["metrics"] == {"test_loss": 0.25, "epochs": 3}
    assert (version["equivariance_error"], version["is_equivariant"]) == (3e-8, True)
    assert version["provenance"] == {"seed": 0}
    assert version["job"] == "job2"
    assert version["created"].endswith("Z")
    assert version["bytes"] == len(blob)


def test_a_version_whose_weights_are_lost_says_so_and_what_to_do(
    client: httpx.Client, folder: Path
) -> None:
    with Registry(folder) as models:
        version = models.publish("lost", "local", None, trained(small_model(key=5)))
    addresses = ("/v1/models/lost", "/v1/models/lost/versions", "/v1/models/lost/versions/1")

    def have_weights() -> list[bool]:
        model, page, one = (client.get(address).json() for address in addresses)
        return [each["has_weights"] for each in (model["newest"], *page["data"], one)]

    assert have_weights() == [True] * 3
    for path in (folder / "objects").rglob(f"*{version.weights}*"):
        path.unlink()  # as a disk might lose it
    assert have_weights() == [False] * 3
    lost = problem(forward(client, X.tolist(), "lost"), 410, "gone")
    assert "restore them from a backup, train the model again" in lost["detail"]
    problem(client.get(f"/v1/blobs/{version.weights}"), 404, "not-found")
    assert client.delete("/v1/models/lost").status_code == 204


def test_vectors_as_json_are_answered_by_vectors(client: httpx.Client, inertia: Any) -> None:
    counted = {"route": "/v1/models/{name}:forward", "status": "200"}
    before = metric(client, "intertwine_requests_total", **counted)
    answer = forward(client, X.tolist())
    assert metric(client, "intertwine_requests_total", **counted) == before + 1
    assert answer.headers["Intertwine-Model"] == "inertia/2"
    found = answer.json()
    assert list(found) == ["outputs"]
    np.testing.assert_allclose(found["outputs"], expected(inertia, X), rtol=1e-4, atol=1e-6)


def test_one_vector_is_answered_by_one(client: httpx.Client) -> None:
    several = forward(client, X.tolist()).json()["outputs"]
    one = forward(client, X[1].tolist()).json()["outputs"]
    np.testing.assert_allclose(one, several[1], rtol=1e-4, atol=1e-6)
    assert forward(client, []).json() == {"outputs": []}


def test_an_older_version_is_called_by_its_number(client: httpx.Client) -> None:
    older = client.post("/v1/models/inertia:forward?version=1", json={"inputs": X.tolist()})
    assert older.headers["Intertwine-Model"] == "inertia/1"
    assert older.json() != forward(client, X.tolist()).json()


def test_arrays_as_safetensors_are_answered_so(client: httpx.Client, inertia: Any) -> None:
    answer = client.post("/v1/models/inertia:forward", content=save({"x": X}), headers=BINARY)
    assert answer.headers["content-type"] == SAFETENSORS
    assert answer.headers["Intertwine-Model"] == "inertia/2"
    y = load(answer.content)["y"]
    assert (y.dtype, y.shape) == (np.float32, (3, 3))
    np.testing.assert_allclose(y, expected(inertia, X), rtol=1e-4, atol=1e-6)


def test_complex_vectors_have_two_parts(client: httpx.Client, spinor: Any) -> None:
    x = np.array([[1 + 2j, 3 - 1j]], np.complex64)
    y = expected(spinor, x)
    found = forward(client, x.real.tolist(), "spinor", imaginary=x.imag.tolist()).json()
    np.testing.assert_allclose(found["outputs"], y.real, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["imaginary"], y.imag, rtol=1e-4, atol=1e-6)
    pairs = np.stack([x.real, x.imag], axis=-1)
    body = client.post("/v1/models/spinor:forward", content=save({"x": pairs}), headers=BINARY)
    binary = load(body.content)["y"]
    np.testing.assert_allclose(binary[..., 0] + 1j * binary[..., 1], y, rtol=1e-4, atol=1e-6)


def test_a_large_request_is_answered_like_small_ones(client: httpx.Client) -> None:
    x = np.random.default_rng(2).normal(size=(100, 8))
    found = np.array(forward(client, x.tolist()).json()["outputs"])
    for i in (0, 50, 99):
        one = forward(client, x[i].tolist()).json()["outputs"]
        np.testing.assert_allclose(found[i], one, rtol=1e-4, atol=1e-6)


def test_callers_at_once_get_their_own_answers_and_share_batches(
    client: httpx.Client, inertia: Any
) -> None:
    x = np.random.default_rng(3).normal(size=(64, 8)).astype(np.float32)
    before = [metric(client, f"intertwine_forward_batch_rows_{w}") for w in ("sum", "count")]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda row: forward(client, row.tolist()), x))
    found = np.array([answer.json()["outputs"] for answer in answers])
    np.testing.assert_allclose(found, expected(inertia, x), rtol=1e-4, atol=1e-6)
    after = [metric(client, f"intertwine_forward_batch_rows_{w}") for w in ("sum", "count")]
    assert after[0] - before[0] == 64
    assert after[1] - before[1] <= 64


@pytest.mark.parametrize(
    ("body", "status", "code", "told"),
    [
        (b"{", 400, "malformed", "not JSON"),
        (b"{}", 422, "invalid-request", "inputs"),
        (b'{"inputs": [[1, 2], [3]]}', 422, "invalid-request", "differ in length"),
        (b'{"inputs": [["1"]]}', 422, "invalid-request", "numbers"),
        (b'{"inputs": [1, 2]}', 422, "invalid-request", "8 numbers"),
        (b'{"inputs": [[1, 2, 3, 4, 5, 6, 7, NaN]]}', 422, "invalid-request", "finite"),
        (b'{"inputs": [[1, 2, 3, 4, 5, 6, 7, 1e39]]}', 422, "invalid-request", "finite"),
        (json.dumps({"inputs": [[0] * 8] * 101}).encode(), 422, "too-large", "100"),
    ],
)
def test_what_it_cannot_take_is_a_problem(
    client: httpx.Client, body: bytes, status: int, code: str, told: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/models/inertia:forward", content=body, headers=headers)
    assert told in problem(answer, status, code)["detail"]


def test_a_body_that_is_no_safetensors_is_a_problem(client: httpx.Client) -> None:
    for content in (b"", b"\x80\x04pickled", save({"y": X})):
        answer = client.post("/v1/models/inertia:forward", content=content, headers=BINARY)
        problem(answer, 422, "format")


def test_what_is_not_there_is_not_found(client: httpx.Client) -> None:
    problem(forward(client, X.tolist(), "nothing"), 404, "not-found")
    for path in ("nothing", "nothing/versions", "nothing/versions/1", "inertia/versions/9"):
        problem(client.get(f"/v1/models/{path}"), 404, "not-found")
        if not path.endswith("versions"):
            problem(client.delete(f"/v1/models/{path}"), 404, "not-found")
    answer = client.post("/v1/models/inertia:forward?version=9", json={"inputs": X.tolist()})
    problem(answer, 404, "not-found")


@pytest.mark.parametrize("asked", ["0", "-1", "x", "", "1.0", "99999999999999999999", "²"])
def test_what_is_no_number_of_a_version_is_refused(client: httpx.Client, asked: str) -> None:
    answer = client.post(
        "/v1/models/inertia:forward", params={"version": asked}, json={"inputs": X.tolist()}
    )
    problem(answer, 422, "invalid-request")


@pytest.mark.parametrize("name", ["no%20pe", ".hidden", "n" * 129, "%C3%A4", "a%0A"])
def test_what_is_no_name_of_a_model_is_refused_alike_everywhere(
    client: httpx.Client, name: str
) -> None:
    for path in ("", "/versions", "/versions/1"):
        problem(client.get(f"/v1/models/{name}{path}"), 422, "invalid-request")
    problem(client.delete(f"/v1/models/{name}"), 422, "invalid-request")
    told = problem(forward(client, X.tolist(), name), 422, "invalid-request")["detail"]
    assert "is not a model name: use up to 128 ASCII letters, digits" in told
    problem(client.get("/v1/models", params={"after": unquote(name)}), 422, "invalid-request")


def test_the_wrong_method_is_told_which_is_right(client: httpx.Client) -> None:
    answer = client.put("/v1/models/inertia:forward")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


def test_a_new_version_answers_soon_and_a_deleted_one_no_more(
    client: httpx.Client, folder: Path, inertia: Any
) -> None:
    with Registry(folder) as models:
        models.publish("passing", "local", None, trained(small_model(key=0)))
        assert forward(client, X.tolist(), "passing").headers["Intertwine-Model"] == "passing/1"
        models.publish("passing", "local", None, trained(inertia))
        give_up = time.monotonic() + PATIENCE
        while forward(client, X.tolist(), "passing").headers["Intertwine-Model"] != "passing/2":
            assert time.monotonic() < give_up
            time.sleep(0.1)
    assert client.delete("/v1/models/passing/versions/2").status_code == 204
    assert forward(client, X.tolist(), "passing").headers["Intertwine-Model"] == "passing/1"
    assert client.delete("/v1/models/passing").status_code == 204
    problem(forward(client, X.tolist(), "passing"), 404, "not-found")
    problem(client.get("/v1/models/passing"), 404, "not-found")


def test_who_leaves_does_not_hold_up_the_others(client: httpx.Client, folder: Path) -> None:
    def leaves(key: int) -> bool:
        with Registry(folder) as models:
            models.publish(f"cold{key}", "local", None, trained(small_model(key=key)))
        try:  # for less time than it takes to load
            timeout = httpx.Timeout(60, read=0.02)
            sent = {"inputs": X.tolist()}
            client.post(f"/v1/models/cold{key}:forward", json=sent, timeout=timeout)
            return False  # this client was stopped until the answer was there
        except httpx.ReadTimeout:
            assert forward(client, X.tolist(), f"cold{key}").status_code == 200
            return True

    assert in_one_of([partial(leaves, key) for key in range(70, 75)])


def test_the_service_answers_while_a_model_is_loaded(client: httpx.Client, folder: Path) -> None:
    keys = itertools.count(80)

    def median() -> float:
        name = f"slow{(key := next(keys))}"
        with Registry(folder) as models:
            models.publish(name, "local", None, trained(small_model(key=key)))
        times = []
        with ThreadPoolExecutor(1) as thread:
            loading = thread.submit(forward, client, X.tolist(), name)
            while not loading.done():
                times.append(seconds_of(lambda: client.get("/healthz").raise_for_status()))
        assert loading.result().status_code == 200
        return float(np.median(times)) if times else math.inf

    assert quickest(median, 0.05) < 0.05


@pytest.mark.slow
def test_keys_may_call_and_delete_as_their_scopes_and_owners_say(
    tmp_path: Path, inertia: Any
) -> None:
    folder = tmp_path / "data"
    with Registry(folder) as models:
        models.publish("inertia", "ada", None, trained(inertia))
    database = Database(f"sqlite:///{folder / 'intertwine.db'}")
    keys = Keys(database)
    ada, caller, reader, bob = (
        {"authorization": f"Bearer {keys.create(owner, scopes)[1]}"}
        for owner, scopes in (
            ("ada", ("models:forward", "jobs:write")),
            ("eve", ("models:forward",)),
            ("eve", ("bases:read",)),
            ("bob", ("models:forward", "jobs:write")),
        )
    )
    database.close()
    here, body = "/v1/models/inertia", {"inputs": X.tolist()}
    with running_service(folder, batch_rows="4", jobs="0") as client:
        problem(client.post(f"{here}:forward", json=body), 401, "unauthorized")
        problem(client.post(f"{here}:forward", json=body, headers=reader), 403, "forbidden")
        assert client.post(f"{here}:forward", json=body, headers=caller).status_code == 200
        problem(client.get(here, headers=reader), 403, "forbidden")
        assert client.get(here, headers=caller).json()["owner"] == "ada"
        problem(client.delete(here, headers=caller), 403, "forbidden")
        assert (
            "belongs to ada"
            in problem(client.delete(here, headers=bob), 403, "forbidden")["detail"]
        )
        assert client.delete(here, headers=ada).status_code == 204


def test_the_documentation_says_how_a_model_is_called(client: httpx.Client) -> None:
    document: Mapping[str, Any] = client.get("/openapi.json").json()
    call = document["paths"]["/v1/models/{name}:forward"]["post"]
    assert {p["name"]: p["in"] for p in call["parameters"]} == {"name": "path", "version": "query"}
    assert set(call["requestBody"]["content"]) == {"application/json", SAFETENSORS}
    assert set(call["responses"]["200"]["content"]) == {"application/json", SAFETENSORS}
    listed = document["paths"]["/v1/models"]["get"]
    assert call["security"] == listed["security"]
    assert set(listed["responses"]) - {"200"} <= set(call["responses"])
