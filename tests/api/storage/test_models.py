from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from helpers.example_models import bytes_only
from intertwine_api.storage.database import Database
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models, Version
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.job import Limits, NewJob
from intertwine_api.work.queue import Queue


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path / "objects")


@pytest.fixture
def models(database: Database, objects: FolderObjects) -> Models:
    return Models(database, objects)


def code(act: Callable[..., Any], *arguments: Any) -> str:
    """The code of the problem in which an act ends."""
    with pytest.raises(ProblemError) as caught:
        act(*arguments)
    return caught.value.problem.code


def publish(models: Models, name: str, content: bytes = b"w", job: str | None = None) -> Version:
    return models.publish(name, "ada", job, bytes_only(content))


def test_published_models_are_found(models: Models, objects: FolderObjects) -> None:
    published = models.publish("inertia", "ada", "job1", bytes_only(b"weights"))
    found = models.get("inertia", 1)
    assert found == published == models.get("inertia")
    assert (found.name, found.version, found.owner, found.job) == ("inertia", 1, "ada", "job1")
    assert found.config == {"model_sha256": "0" * 64, "note": "V⁰"}
    assert found.metrics == {"test_loss": 0.25, "epochs": 3}
    assert (found.equivariance_error, found.is_equivariant) == (3e-8, True)
    assert found.provenance == {"seed": 0}
    path = objects.path(found.weights)
    assert path is not None
    assert path.read_bytes() == b"weights"
    assert found.bytes == 7


def test_versions_are_counted_and_the_newest_is_meant(models: Models) -> None:
    numbers = [publish(models, "inertia", bytes([i])).version for i in range(3)]
    assert numbers == [1, 2, 3]
    assert models.get("inertia").version == 3
    assert models.get("inertia", 2).version == 2
    assert publish(models, "other").version == 1


def test_a_job_publishes_once_however_often_it_asks(models: Models) -> None:
    first = publish(models, "inertia", b"1", job="job1")
    assert publish(models, "inertia", b"2", job="job1") == first
    assert publish(models, "inertia", b"2", job="job2").version == 2
    assert models.model("inertia").versions == 2


def test_a_name_belongs_to_its_first_publisher(models: Models) -> None:
    publish(models, "inertia")
    assert code(models.publish, "inertia", "bob", None, bytes_only(b"b")) == "name-taken"
    assert code(models.require_free, "inertia", "bob") == "name-taken"
    models.require_free("inertia", "ada")
    models.require_free("free", "bob")
    models.delete("inertia")
    assert models.publish("inertia", "bob", None, bytes_only(b"b")).owner == "bob"


def test_invalid_names_are_refused(models: Models) -> None:
    too_long = "x" * 129
    for name in ("", ".hidden", "a/b", "a b", "a:b", "ä", "-x", "x\n", too_long, "..", "a\0b"):
        assert code(publish, models, name) == "invalid-request"
        assert code(models.require_free, name, "ada") == "invalid-request"
        assert code(models.get, name) == "not-found"


def test_valid_names_are_accepted(models: Models) -> None:
    for name in ("x", "0", "Inertia_SO3.v2-final", "x" * 128):
        publish(models, name)
        assert models.get(name).name == name


def test_unknown_models_are_not_found(models: Models) -> None:
    publish(models, "inertia")
    for act in (models.get, models.model, models.versions, models.delete):
        assert code(act, "other") == "not-found"
    for act in (models.get, models.delete):
        assert code(act, "inertia", 2) == "not-found"


def test_models_come_in_pages_in_the_order_of_their_names(models: Models) -> None:
    for name in ("c", "a", "e", "b", "d"):
        publish(models, name)
    publish(models, "b", b"new")
    seen, after = [], ""
    while True:
        page, following = models.page(after, limit=2)
        seen += page
        if following is None:
            break
        after = following
    assert [model.name for model in seen] == ["a", "b", "c", "d", "e"]
    assert [model.versions for model in seen] == [1, 2, 1, 1, 1]
    assert seen[1].newest == models.get("b", 2)
    assert models.page("e") == ([], None)


def test_versions_come_in_pages_with_the_newest_first(models: Models) -> None:
    for i in range(5):
        publish(models, "inertia", bytes([i]))
    first, before = models.versions("inertia", limit=3)
    rest, end = models.versions("inertia", before, limit=3)
    assert [version.version for version in first + rest] == [5, 4, 3, 2, 1]
    assert (before, end) == (3, None)


def test_version_numbers_are_not_reused(models: Models) -> None:
    publish(models, "inertia", b"1")
    publish(models, "inertia", b"2")
    models.delete("inertia", 2)
    assert models.get("inertia").version == 1
    assert publish(models, "inertia", b"3").version == 3
    models.delete("inertia", 1)
    models.delete("inertia", 3)
    assert (models.model("inertia").versions, models.model("inertia").newest) == (0, None)
    assert code(models.get, "inertia") == "not-found"
    assert publish(models, "inertia", b"4").version == 4


def test_weights_are_deleted_with_their_last_version(
    models: Models, objects: FolderObjects
) -> None:
    shared = publish(models, "one", b"shared").weights
    own = publish(models, "one", b"own").weights
    publish(models, "two", b"shared")
    models.delete("one")
    assert objects.path(own) is None
    assert objects.path(shared) is not None
    models.delete("two", 1)
    assert objects.path(shared) is None


def test_weights_that_a_queued_job_needs_are_kept(
    models: Models, objects: FolderObjects, database: Database
) -> None:
    weights = publish(models, "inertia").weights
    queue = Queue(database)
    request = {"model": {"config": {}, "weights": weights}}
    job, _ = queue.submit(NewJob("train", "ada", request, Limits(60, 10**9)))
    models.delete("inertia")
    assert objects.path(weights) is not None
    publish(models, "inertia")
    queue.cancel(job.id, "for a test")
    models.delete("inertia")
    assert objects.path(weights) is None


def test_publishers_at_once_count_without_gap_or_repeat(
    database_url: str, database: Database, objects: FolderObjects
) -> None:
    def publisher(i: int) -> list[int]:
        own = Database(database_url)
        try:
            models = Models(own, objects)
            return [
                models.publish("inertia", "ada", f"{i}-{k // 2}", bytes_only(b"%d" % k)).version
                for k in range(8)  # each job twice
            ]
        finally:
            own.close()

    with ThreadPoolExecutor(8) as threads:
        numbers = [number for found in threads.map(publisher, range(8)) for number in found]
    assert sorted(numbers) == sorted(2 * list(range(1, 33)))
    assert Models(database, objects).model("inertia").versions == 32


def test_new_owners_at_once_get_a_name_only_once(
    database_url: str, database: Database, objects: FolderObjects
) -> None:
    def publisher(i: int) -> str:
        own = Database(database_url)
        try:
            Models(own, objects).publish("inertia", f"owner{i}", None, bytes_only(b"w"))
        except ProblemError as error:
            return error.problem.code
        finally:
            own.close()
        return f"owner{i}"

    with ThreadPoolExecutor(6) as threads:
        found = sorted(threads.map(publisher, range(6)))
    assert found == ["name-taken"] * 5 + [Models(database, objects).model("inertia").owner]


def test_weights_published_while_the_same_are_deleted_are_there(
    database_url: str, database: Database, objects: FolderObjects
) -> None:
    def come_and_go(i: int) -> None:
        own = Database(database_url)
        models = Models(own, objects)
        try:
            for _ in range(6):
                publish(models, f"model{i}", b"the same")
                path = objects.path(models.get(f"model{i}").weights)
                assert path is not None
                assert path.exists()
                models.delete(f"model{i}")
        finally:
            own.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(come_and_go, range(4)))
    assert Models(database, objects).page() == ([], None)
