"""A database and a data folder know that they are one service's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.databases import Databases
from intertwine.errors import InvalidSetting
from intertwine_api.storage.database import Database
from intertwine_api.storage.datasets import Datasets
from intertwine_api.storage.identity import (
    FILE,
    adopt,
    database_id,
    folder_id,
    require_same_service,
)
from intertwine_api.storage.objects import Objects
from intertwine_api.storage.tables import identity
from safetensors.numpy import save_file


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
    return Datasets(database, Objects(home / "objects")).add("ada", file).id


def test_the_first_start_marks_both_and_later_starts_find_the_same(
    database: Database, home: Path
) -> None:
    name = require_same_service(database, home)
    assert len(name) == 32
    assert folder_id(home) == database_id(database) == name
    assert require_same_service(database, home) == name
    assert [path.name for path in home.iterdir()] == [FILE]


def test_another_folder_is_refused_whether_or_not_it_is_a_services(
    database: Database, other: Database, home: Path, tmp_path: Path
) -> None:
    require_same_service(database, home)
    with pytest.raises(InvalidSetting, match=r"it has no identity\.json\. Mount its volume"):
        require_same_service(database, tmp_path / "unmounted")
    assert not (tmp_path / "unmounted").exists()
    require_same_service(other, tmp_path / "others")
    with pytest.raises(InvalidSetting, match="belongs to another database"):
        require_same_service(database, tmp_path / "others")
    with pytest.raises(InvalidSetting, match="intertwine admin adopt"):
        require_same_service(other, home)


def test_a_folder_that_has_moved_is_recognised(
    database: Database, home: Path, tmp_path: Path
) -> None:
    name = require_same_service(database, home)
    shutil.move(home, tmp_path / "moved")
    assert require_same_service(database, tmp_path / "moved") == name


@pytest.mark.parametrize("folders", [1, 4])
def test_of_many_hosts_that_start_at_once_only_those_with_one_folder_go_on(
    database: Database, tmp_path: Path, folders: int
) -> None:
    def start(number: int) -> str | None:
        try:
            return require_same_service(database, tmp_path / str(number % folders))
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
        assert require_same_service(database, home) == folder_id(home)

    def test_a_folder_without_any_of_them_is_refused(
        self, database: Database, home: Path, tmp_path: Path
    ) -> None:
        upload(database, home)
        with pytest.raises(InvalidSetting, match="refers to 1 datasets and weights, and the folde"):
            require_same_service(database, tmp_path / "unmounted")
        assert database_id(database) is None

    def test_an_object_that_is_lost_does_not_stop_the_service(
        self, database: Database, home: Path
    ) -> None:
        lost, _ = upload(database, home), upload(database, home, seed=1)
        Objects(home / "objects").remove(lost)
        require_same_service(database, home)

    def test_an_empty_database_is_not_that_of_a_folder_with_contents(
        self, database: Database, other: Database, home: Path
    ) -> None:
        upload(database, home)
        with pytest.raises(InvalidSetting, match="and the database is empty"):
            require_same_service(other, home)
        require_same_service(database, home)
        with pytest.raises(InvalidSetting, match="and the database is empty"):
            require_same_service(other, home)

    def test_a_dump_without_an_id_is_recognised_by_its_objects(
        self, database: Database, home: Path
    ) -> None:
        upload(database, home)
        name = require_same_service(database, home)
        with database.write() as connection:
            connection.execute(identity.delete())
        assert require_same_service(database, home) == name

    def test_both_are_marked_after_a_crash_between_the_two(
        self, database: Database, home: Path
    ) -> None:
        name = require_same_service(database, home)
        with database.write() as connection:
            connection.execute(identity.delete())
        assert require_same_service(database, home) == name


def test_adopting_gives_both_a_new_id(database: Database, home: Path, tmp_path: Path) -> None:
    upload(database, home)
    name = require_same_service(database, home)
    new = adopt(database, tmp_path / "new")
    assert new != name
    assert require_same_service(database, tmp_path / "new") == new
    with pytest.raises(InvalidSetting, match="belongs to another database"):
        require_same_service(database, home)


def test_a_damaged_file_is_refused(database: Database, home: Path) -> None:
    require_same_service(database, home)
    for content in (b"", b"\xff", b"[]", b'{"format": "intertwine-data", "version": 2, "id": "a"}'):
        (home / FILE).write_bytes(content)
        with pytest.raises(InvalidSetting, match=r"identity\.json is damaged"):
            require_same_service(database, home)
