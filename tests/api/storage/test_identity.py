"""A database and a data folder know that they are one service's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.databases import Databases
from intertwine.errors import InvalidSetting
from intertwine_api.storage.bucket import Bucket
from intertwine_api.storage.database import Database
from intertwine_api.storage.datasets import Datasets
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.identity import (
    FILE,
    adopt,
    database_id,
    folder_id,
    require_same_service,
)
from intertwine_api.storage.objects import open_objects
from intertwine_api.storage.tables import identity
from safetensors.numpy import save_file


def same_service(database: Database, home: Path) -> str:
    return require_same_service(database, home, FolderObjects(home / "objects"))


def adopted(database: Database, home: Path) -> str:
    return adopt(database, home, FolderObjects(home / "objects"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def other(databases: Databases, database_kind: str) -> Iterator[Database]:
    """A second database, with all tables and no rows."""
    with databases.migrated(database_kind) as url:
        database = Database(url)
        yield database
        database.close()


def upload(database: Database, home: Path, seed: int = 0) -> str:
    """Upload a dataset, and return its digest."""
    X = np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32)
    home.mkdir(exist_ok=True)
    file = home / "upload"
    save_file({"X": X, "Y": X}, file)
    return Datasets(database, FolderObjects(home / "objects")).add("ada", file).id


def test_the_first_start_marks_both_and_later_starts_find_the_same(
    database: Database, home: Path
) -> None:
    name = same_service(database, home)
    assert len(name) == 32
    assert folder_id(home) == database_id(database) == name
    assert same_service(database, home) == name
    assert [path.name for path in home.iterdir()] == [FILE]


def test_another_folder_is_refused_whether_or_not_it_is_a_services(
    database: Database, other: Database, home: Path, tmp_path: Path
) -> None:
    same_service(database, home)
    with pytest.raises(InvalidSetting, match=r"it has no identity\.json\. Mount its volume"):
        same_service(database, tmp_path / "unmounted")
    assert not (tmp_path / "unmounted").exists()
    same_service(other, tmp_path / "others")
    with pytest.raises(InvalidSetting, match="belongs to another database"):
        same_service(database, tmp_path / "others")
    with pytest.raises(InvalidSetting, match="intertwine admin adopt"):
        same_service(other, home)


def test_a_folder_that_has_moved_is_recognised(
    database: Database, home: Path, tmp_path: Path
) -> None:
    name = same_service(database, home)
    shutil.move(home, tmp_path / "moved")
    assert same_service(database, tmp_path / "moved") == name


@pytest.mark.parametrize("folders", [1, 4])
def test_of_many_hosts_that_start_at_once_only_those_with_one_folder_go_on(
    database: Database, tmp_path: Path, folders: int
) -> None:
    def start(number: int) -> str | None:
        try:
            return same_service(database, tmp_path / str(number % folders))
        except InvalidSetting:
            return None

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(start, range(8)))
    name = database_id(database)
    assert set(found) <= {name, None}
    assert found.count(name) >= 8 // folders if folders == 1 else name in found
    right = [number for number in range(folders) if folder_id(tmp_path / str(number)) == name]
    assert len(right) == 1
    assert {number % folders for number, it in enumerate(found) if it} == {right[0]}


class TestFromBeforeThereWereIds:
    def test_a_folder_that_has_the_databases_objects_is_its_own(
        self, database: Database, home: Path
    ) -> None:
        upload(database, home)
        assert same_service(database, home) == folder_id(home)

    def test_a_folder_without_any_of_them_is_refused(
        self, database: Database, home: Path, tmp_path: Path
    ) -> None:
        upload(database, home)
        with pytest.raises(InvalidSetting, match="refers to 1 datasets and weights, and the folde"):
            same_service(database, tmp_path / "unmounted")
        assert database_id(database) is None

    def test_an_object_that_is_lost_does_not_stop_the_service(
        self, database: Database, home: Path
    ) -> None:
        lost, _ = upload(database, home), upload(database, home, seed=1)
        FolderObjects(home / "objects").remove(lost)
        same_service(database, home)

    def test_an_empty_database_is_not_that_of_a_folder_with_contents(
        self, database: Database, other: Database, home: Path
    ) -> None:
        upload(database, home)
        with pytest.raises(InvalidSetting, match="and the database is empty"):
            same_service(other, home)
        same_service(database, home)
        with pytest.raises(InvalidSetting, match="and the database is empty"):
            same_service(other, home)

    def test_a_dump_without_an_id_is_recognised_by_its_objects(
        self, database: Database, home: Path
    ) -> None:
        upload(database, home)
        name = same_service(database, home)
        with database.write() as connection:
            connection.execute(identity.delete())
        assert same_service(database, home) == name

    def test_both_are_marked_after_a_crash_between_the_two(
        self, database: Database, home: Path
    ) -> None:
        name = same_service(database, home)
        with database.write() as connection:
            connection.execute(identity.delete())
        assert same_service(database, home) == name


def test_adopting_gives_both_a_new_id(database: Database, home: Path, tmp_path: Path) -> None:
    upload(database, home)
    name = same_service(database, home)
    new = adopted(database, tmp_path / "new")
    assert new != name
    assert same_service(database, tmp_path / "new") == new
    with pytest.raises(InvalidSetting, match="belongs to another database"):
        same_service(database, home)


def test_a_damaged_file_is_refused(database: Database, home: Path) -> None:
    same_service(database, home)
    for content in (b"", b"\xff", b"[]", b'{"format": "intertwine-data", "version": 2, "id": "a"}'):
        (home / FILE).write_bytes(content)
        with pytest.raises(InvalidSetting, match=r"identity\.json is damaged"):
            same_service(database, home)


class TestABucket:
    def test_hosts_with_folders_of_their_own_are_one_service(
        self, database: Database, bucket: str, tmp_path: Path
    ) -> None:
        homes = [tmp_path / str(number) for number in range(4)]

        def start(home: Path) -> str:
            return require_same_service(database, home, open_objects(bucket, home))

        with ThreadPoolExecutor(4) as threads:
            names = set(threads.map(start, homes))
        assert len(names) == 1
        assert {database_id(database), *map(folder_id, homes)} == names
        content = Bucket(bucket).get(FILE)
        assert content is not None
        assert json.loads(content)["id"] in names
        assert start(tmp_path / "later") in names

    def test_the_bucket_of_another_service_is_refused(
        self, database: Database, other: Database, bucket: str, home: Path, tmp_path: Path
    ) -> None:
        require_same_service(other, tmp_path / "others", open_objects(bucket, tmp_path / "others"))
        objects = open_objects(bucket, home)
        same_service(database, home)
        with pytest.raises(InvalidSetting, match=r"belongs to another database .* INTERTWINE_OBJ"):
            require_same_service(database, home, objects)

    def test_the_bucket_of_another_service_without_objects_is_refused_by_a_new_one(
        self, database: Database, other: Database, bucket: str, home: Path, tmp_path: Path
    ) -> None:
        # each would delete the objects of the other, which its own database does not refer to
        require_same_service(other, tmp_path / "others", open_objects(bucket, tmp_path / "others"))
        with pytest.raises(InvalidSetting, match=r"another database .* of the database is none"):
            require_same_service(database, home, open_objects(bucket, home))
        assert database_id(database) is None

    def test_of_two_new_services_that_start_at_once_one_gets_the_bucket(
        self, database: Database, other: Database, bucket: str, home: Path, tmp_path: Path
    ) -> None:
        def start(own: Database, folder: Path) -> str:
            try:
                return require_same_service(own, folder, open_objects(bucket, folder))
            except InvalidSetting as error:
                return str(error)

        with ThreadPoolExecutor(2) as threads:
            ends = list(threads.map(start, (database, other), (home, tmp_path / "others")))
        assert sorted("belongs to another database" in end for end in ends) == [False, True]

    @pytest.mark.parametrize("content", [b"", b"{}", b"[" * 10_000, b" " * 2**25])
    def test_a_damaged_identity_is_refused(
        self, database: Database, bucket: str, home: Path, content: bytes
    ) -> None:
        Bucket(bucket).put(FILE, content)
        with pytest.raises(InvalidSetting, match=r"identity\.json is damaged"):
            require_same_service(database, home, open_objects(bucket, home))

    def test_the_folder_of_another_service_is_refused(
        self, database: Database, other: Database, bucket: str, home: Path
    ) -> None:
        same_service(other, home)
        with pytest.raises(InvalidSetting, match=f"data folder {home} belongs to another database"):
            require_same_service(database, home, open_objects(bucket, home))

    def test_a_service_with_objects_in_its_folder_does_not_start_with_an_empty_bucket(
        self, database: Database, bucket: str, home: Path, tmp_path: Path
    ) -> None:
        same_service(database, home)
        upload(database, home)
        with pytest.raises(InvalidSetting, match=r"is empty, .*intertwine admin restore"):
            require_same_service(database, home, open_objects(bucket, home))
        assert Bucket(bucket).get(FILE) is None
        same_service(database, home)  # without the bucket it goes on

    def test_a_service_without_objects_may_get_an_empty_bucket(
        self, database: Database, bucket: str, home: Path
    ) -> None:
        name = same_service(database, home)
        assert require_same_service(database, home, open_objects(bucket, home)) == name

    def test_a_bucket_with_other_objects_is_refused(
        self, database: Database, bucket: str, home: Path
    ) -> None:
        same_service(database, home)
        objects = open_objects(bucket, home)
        objects.put_bytes(b"of another service")
        with pytest.raises(InvalidSetting, match=r"it has objects and no identity\.json"):
            require_same_service(database, home, objects)

    def test_the_bucket_is_not_forgotten(self, database: Database, bucket: str, home: Path) -> None:
        require_same_service(database, home, open_objects(bucket, home))
        with pytest.raises(InvalidSetting, match=f"are in {bucket}: set INTERTWINE_OBJECTS"):
            same_service(database, home)
        with pytest.raises(InvalidSetting, match="or a bucket, INTERTWINE_OBJECTS"):
            same_service(database, home.with_name("another host"))

    def test_an_adopted_bucket_gets_the_new_id(
        self, database: Database, bucket: str, home: Path, tmp_path: Path
    ) -> None:
        same_service(database, tmp_path / "lost")
        upload(database, tmp_path / "lost")
        objects = open_objects(bucket, home)
        name = adopt(database, home, objects)
        assert require_same_service(database, home, objects) == name
