"""A backup taken at any moment restores a service that is whole."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from helpers.databases import Databases, postgresql_programs
from helpers.example_jobs import GENEROUS
from helpers.example_models import bytes_only
from helpers.example_stores import flip
from intertwine.errors import FormatError, InvalidSetting, NotFound
from intertwine_api.storage.backup import Backup, back_up, restore, verify_objects
from intertwine_api.storage.bucket import Bucket
from intertwine_api.storage.database import Database
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.identity import require_same_service
from intertwine_api.storage.models import Models
from intertwine_api.storage.objects import open_objects
from intertwine_api.storage.quota import UploadedWeights
from intertwine_api.work.job import NewJob
from intertwine_api.work.queue import Queue
from intertwine_cache import Keyring


class Lab:
    """The data of a service: a database with models and jobs, objects, and folders of jobs."""

    def __init__(self, database: Database, data: Path) -> None:
        self.database, self.data = database, data
        self.objects = FolderObjects(data / "objects")
        self.models, self.queue = Models(database, self.objects), Queue(database)

    def publish(self, number: int) -> str:
        """Publish a model; return the digest of its weights."""
        trained = bytes_only(b"weights %d" % number)
        return self.models.publish(f"model-{number}", "alice", None, trained).weights

    def submit(self, number: int) -> str:
        """Submit a job with a log; return its id."""
        job, _ = self.queue.submit(NewJob("train", "alice", {"number": number}, GENEROUS))
        log = self.data / "jobs" / job.id / "log"
        log.parent.mkdir(parents=True)
        log.write_text(f"epoch {number}\n")
        return job.id

    def faults(self) -> list[str]:
        return list(verify_objects(self.database, self.objects))


@pytest.fixture
def lab(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("PATH", f"{postgresql_programs()}{os.pathsep}{os.environ['PATH']}")
    return Lab(database, tmp_path / "data")


Restored = Callable[[Path], Lab]


@pytest.fixture
def restored(databases: Databases, database_kind: str, tmp_path: Path) -> Iterator[Restored]:
    """Restores a backup into a new folder and a new database."""
    with databases.empty(database_kind) as url:
        database = Database(url)

        def into_new(backup: Path) -> Lab:
            new = FolderObjects(tmp_path / "restored" / "objects")
            restore(backup, database, tmp_path / "restored", new)
            return Lab(database, tmp_path / "restored")

        yield into_new
        database.close()


def test_all_that_cannot_be_computed_again_is_restored(
    lab: Lab, restored: Restored, tmp_path: Path
) -> None:
    weights, job = lab.publish(1), lab.submit(1)
    (tmp_path / "uploaded").write_bytes(b"weights 1")
    UploadedWeights(lab.database, lab.objects).add("alice", tmp_path / "uploaded")
    public_key = Keyring(lab.data / "signing-key").public_key
    backup = back_up(lab.database, lab.data, lab.objects, tmp_path / "backup")
    assert not backup.missing
    shutil.rmtree(lab.data)
    new = restored(tmp_path / "backup")
    assert new.models.get("model-1", 1).weights == weights
    found = new.objects.path(weights)
    assert found is not None
    assert found.read_bytes() == b"weights 1"
    assert new.queue.get(job).request == {"number": 1}
    assert (new.data / "jobs" / job / "log").read_text() == "epoch 1\n"
    assert UploadedWeights(new.database, new.objects).is_of("alice", weights)
    assert Keyring(new.data / "signing-key").public_key == public_key
    assert new.faults() == []
    new.publish(2)  # it can be written to


@contextmanager
def writing(lab: Lab) -> Iterator[None]:
    """Publish, replace and delete models, and submit jobs, until the block ends."""
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            lab.publish(number)
            lab.submit(number)
            if number % 3 == 2:
                lab.models.delete(f"model-{number - 1}", None)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()


def test_each_of_many_backups_under_writes_is_whole(
    lab: Lab, databases: Databases, database_kind: str, tmp_path: Path
) -> None:
    """Copies of the files of a database that is being written to are corrupt: 14 of 14 were."""
    with writing(lab):
        made = [tmp_path / f"backup-{number}" for number in range(7)]
        for target in made:
            assert not back_up(lab.database, lab.data, lab.objects, target).missing
    for target in made:
        with databases.empty(database_kind) as url:
            database = Database(url)
            home = tmp_path / f"restored-{target.name}"
            restore(target, database, home, FolderObjects(home / "objects"))
            new = Lab(database, tmp_path / f"restored-{target.name}")
            assert new.faults() == []
            for model in new.models.page("", 200)[0]:
                assert new.objects.path(new.models.get(model.name, 1).weights) is not None
            if database.is_sqlite:
                with database.read() as connection:
                    check = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
                assert check == "ok"
            database.close()


class TestRefusals:
    def test_a_backup_without_its_last_file_is_not_complete(
        self, lab: Lab, restored: Restored, tmp_path: Path
    ) -> None:
        back_up(lab.database, lab.data, lab.objects, tmp_path / "backup")
        (tmp_path / "backup" / "backup.json").unlink()
        with pytest.raises(NotFound, match="not a complete backup"):
            restored(tmp_path / "backup")

    @pytest.mark.parametrize("spoil", [flip, Path.unlink], ids=["changed", "missing"])
    def test_a_damaged_file_is_found_before_anything_is_restored(
        self, lab: Lab, restored: Restored, tmp_path: Path, spoil: Callable[[Path], None]
    ) -> None:
        lab.publish(1)
        backup = back_up(lab.database, lab.data, lab.objects, tmp_path / "backup")
        for name in backup.files:
            copy = tmp_path / f"copy-{name.replace('/', '-')}"
            shutil.copytree(tmp_path / "backup", copy)
            spoil(copy / name)
            with pytest.raises(FormatError, match=f"{name} (has changed|is missing)"):
                restored(copy)
        assert not (tmp_path / "restored").exists()

    @pytest.mark.parametrize(
        "name", ["../database.sqlite", "/etc/passwd", "jobs/../../x", ""], ids=repr
    )
    def test_a_file_outside_the_backup_is_refused(self, tmp_path: Path, name: str) -> None:
        document = Backup("sqlite", "0001", 0.0, {name: (0, "")}).to_json()
        (tmp_path / "backup.json").write_text(json.dumps(document))
        with pytest.raises(FormatError, match="outside the backup"):
            Backup.read(tmp_path)

    @pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"format": 1}', "[" * 10**5])
    def test_another_document_is_refused(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "backup.json").write_text(content)
        with pytest.raises(FormatError):
            Backup.read(tmp_path)

    def test_nothing_is_overwritten(self, lab: Lab, tmp_path: Path) -> None:
        lab.publish(1)
        back_up(lab.database, lab.data, lab.objects, tmp_path / "backup")
        with pytest.raises(InvalidSetting, match="backup is not empty"):
            back_up(lab.database, lab.data, lab.objects, tmp_path / "backup")
        with pytest.raises(InvalidSetting, match="objects is not empty"):
            restore(tmp_path / "backup", lab.database, lab.data, lab.objects)
        other = FolderObjects(tmp_path / "other" / "objects")
        with pytest.raises(InvalidSetting, match="is not empty: restore into an empty one"):
            restore(tmp_path / "backup", lab.database, tmp_path / "other", other)

    @pytest.mark.parametrize("part", ["-wal", "-shm", "-journal"])
    def test_a_log_of_the_database_of_before_is_not_replayed(
        self, tmp_path: Path, part: str
    ) -> None:
        database = Database(f"sqlite:///{tmp_path / 'old' / 'intertwine.db'}")
        database.migrate()
        old = FolderObjects(tmp_path / "old" / "objects")
        back_up(database, tmp_path / "old", old, tmp_path / "backup")
        database.close()
        new = tmp_path / "new"
        new.mkdir()
        (new / f"intertwine.db{part}").write_bytes(b"of another database")
        another = Database(f"sqlite:///{new / 'intertwine.db'}")
        with pytest.raises(InvalidSetting, match="is not empty"):
            restore(tmp_path / "backup", another, new, FolderObjects(new / "objects"))

    def test_a_backup_of_another_kind_of_database(self, lab: Lab, tmp_path: Path) -> None:
        back_up(lab.database, lab.data, lab.objects, tmp_path / "backup")
        other = "postgresql://nowhere/x" if lab.database.is_sqlite else f"sqlite:///{tmp_path}/x"
        empty = FolderObjects(tmp_path / "other" / "objects")
        with pytest.raises(InvalidSetting, match="give a database of"):
            restore(tmp_path / "backup", Database(other), tmp_path / "other", empty)

    def test_a_failed_backup_leaves_nothing(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path}/none.db")
        none = FolderObjects(tmp_path / "objects")
        with pytest.raises(NotFound, match="there is no database"):
            back_up(database, tmp_path, none, tmp_path / "backups" / "one")
        assert list((tmp_path / "backups").iterdir()) == []
        assert not (tmp_path / "none.db").exists()


class TestLostObjects:
    def test_a_backup_has_all_the_rest_and_names_them(self, lab: Lab, tmp_path: Path) -> None:
        lost, kept = lab.publish(1), lab.publish(2)
        lab.objects.remove(lost)
        assert lab.faults() == [f"the object {lost}, which the database refers to, is missing"]
        backup = back_up(lab.database, lab.data, lab.objects, tmp_path / "backup")
        assert backup.missing == (lost,)
        assert f"objects/{kept}" in backup.files

    def test_damaged_ones_are_found(self, lab: Lab) -> None:
        weights = lab.publish(1)
        path = lab.objects.path(weights)
        assert path is not None
        flip(path)
        assert any("its bytes do not have its digest" in fault for fault in lab.faults())


def test_others_cannot_read_it(lab: Lab, tmp_path: Path) -> None:
    back_up(lab.database, lab.data, lab.objects, tmp_path / "backup")
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700


def test_the_copy_of_sqlite_is_one_file(tmp_path: Path, databases: Databases) -> None:
    with databases.migrated("sqlite") as url:
        database = Database(url)
        none = FolderObjects(tmp_path / "data" / "objects")
        back_up(database, tmp_path / "data", none, tmp_path / "backup")
        database.close()
    assert sorted(path.name for path in (tmp_path / "backup").iterdir()) == [
        "backup.json",
        "database.sqlite",
        "objects",
    ]
    with closing(sqlite3.connect(tmp_path / "backup" / "database.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


class TestABucket:
    def test_a_backup_of_a_folder_is_restored_into_a_bucket_and_back(
        self, lab: Lab, databases: Databases, database_kind: str, bucket: str, tmp_path: Path
    ) -> None:
        weights = lab.publish(1)
        back_up(lab.database, lab.data, lab.objects, tmp_path / "first")
        with databases.empty(database_kind) as url, databases.empty(database_kind) as other_url:
            database, home = Database(url), tmp_path / "moved"
            objects = open_objects(bucket, home)
            restore(tmp_path / "first", database, home, objects)
            assert not (home / "objects").exists()
            assert objects.has(weights)
            assert list(verify_objects(database, objects)) == []
            elsewhere = open_objects(bucket, tmp_path / "elsewhere")
            assert require_same_service(database, tmp_path / "elsewhere", elsewhere)
            Models(database, elsewhere).publish("more", "alice", None, bytes_only(b"more"))
            with pytest.raises(InvalidSetting, match=f"{bucket} is not empty: name another"):
                restore(tmp_path / "first", database, tmp_path / "other", objects)
            backup = back_up(database, home, objects, tmp_path / "second")
            assert not backup.missing
            assert sum(name.startswith("objects/") for name in backup.files) == 2
            again, other = Database(other_url), tmp_path / "folder"
            restore(tmp_path / "second", again, other, FolderObjects(other / "objects"))
            assert require_same_service(again, other, FolderObjects(other / "objects"))
            assert FolderObjects(other / "objects").has(weights)
            database.close()
            again.close()

    def test_the_bucket_of_a_service_that_has_no_objects_yet_is_refused(
        self, lab: Lab, databases: Databases, database_kind: str, bucket: str, tmp_path: Path
    ) -> None:
        back_up(lab.database, lab.data, lab.objects, tmp_path / "backup")
        theirs = open_objects(bucket, tmp_path / "theirs")
        name = require_same_service(lab.database, tmp_path / "theirs", theirs)
        with databases.empty(database_kind) as url:
            database = Database(url)
            with pytest.raises(InvalidSetting, match=f"{bucket} is not empty: name another"):
                restore(tmp_path / "backup", database, tmp_path / "new", theirs)
            database.close()
        assert require_same_service(lab.database, tmp_path / "theirs", theirs) == name

    def test_lost_and_damaged_objects_are_found(
        self, database: Database, bucket: str, tmp_path: Path
    ) -> None:
        objects = open_objects(bucket, tmp_path)
        models = Models(database, objects)
        lost, damaged = (
            models.publish("model", "alice", None, bytes_only(text)).weights
            for text in (b"lost", b"damaged")
        )
        objects.remove(lost)
        path = f"objects/{damaged[:2]}/{damaged}"
        Bucket(bucket).put(path, b"something else")
        assert sorted(verify_objects(database, objects)) == [
            f"{bucket}/{path}: its bytes do not have its digest",
            f"the object {lost}, which the database refers to, is missing",
        ]
