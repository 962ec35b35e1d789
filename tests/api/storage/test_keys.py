"""API keys: shown once, kept as a digest, good until they expire or are revoked."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers.databases import Databases, write_lock
from helpers.example_jobs import soon
from helpers.patience import in_one_of, quickest, seconds_of
from intertwine.errors import InvalidSetting
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import MOST_DAYS, Keys, expiry
from intertwine_api.storage.tables import keys as table
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.vocabulary import SCOPES
from sqlalchemy import delete, select, update


@pytest.fixture
def keys(database: Database) -> Iterator[Keys]:
    keys = Keys(database)
    yield keys
    keys.close()


def change(database: Database, **columns: Any) -> None:
    """Let time pass for every key."""
    with database.write() as connection:
        connection.execute(update(table).values(**columns))


class TestCreate:
    def test_shows_a_token_whose_secret_is_kept_nowhere(
        self, database: Database, keys: Keys
    ) -> None:
        key, token = keys.create("ada", ["jobs:write", "bases:read"])
        assert re.fullmatch(rf"itw_{key.id}_[A-Za-z0-9_-]{{43}}", token)
        assert (key.owner, key.scopes) == ("ada", ("bases:read", "jobs:write"))
        assert (key.expires, key.last_used, key.revoked) == (None, None, None)
        assert key.created == pytest.approx(time.time(), abs=30)
        secret = token.split("_", 2)[2]
        with database.read() as connection:
            row = connection.execute(select(table)).mappings().one()
        assert row["digest"] == hashlib.sha256(secret.encode()).hexdigest()
        assert secret not in str(dict(row))

    def test_makes_another_each_time(self, keys: Keys) -> None:
        made = [keys.create("ada", ["admin"]) for _ in range(20)]
        assert len({token for _, token in made}) == len({key.id for key, _ in made}) == 20

    @pytest.mark.parametrize("owner", ["", " ", "a b", "-a", "a" * 65, "ada\n", "χ", "a/b", "\0"])
    def test_refuses_what_is_no_name(self, keys: Keys, owner: str) -> None:
        with pytest.raises(InvalidSetting, match="1 to 64 letters"):
            keys.create(owner, ["admin"])

    @pytest.mark.parametrize("owner", ["ada", "ada.lovelace@uni-x.org", "a" * 64, "0"])
    def test_takes_what_is_one(self, keys: Keys, owner: str) -> None:
        assert keys.create(owner, SCOPES)[0].owner == owner

    def test_keeps_the_largest_priority(self, keys: Keys) -> None:
        made, token = keys.create("ada", ["jobs:write"], priority=7)
        found = keys.find(token)
        assert found is not None
        assert (made.priority, found.priority) == (7, 7)
        assert keys.create("ada", ["jobs:write"])[0].priority == 0
        with pytest.raises(InvalidSetting, match="cannot be 101: give a number from -100 to 100"):
            keys.create("ada", ["jobs:write"], priority=101)

    def test_refuses_scopes_that_are_not_there(self, keys: Keys) -> None:
        with pytest.raises(InvalidSetting, match="unknown scope 'jobs:all': the scopes are bases:"):
            keys.create("ada", ["jobs:write", "jobs:all"])
        with pytest.raises(InvalidSetting, match="has no scope"):
            keys.create("ada", [])
        assert not keys.any()

    @pytest.mark.parametrize("expires", [0.0, float("nan"), float("inf"), float("-inf")])
    def test_refuses_a_time_that_is_over_or_none(self, keys: Keys, expires: float) -> None:
        with pytest.raises(InvalidSetting, match="a time in the future"):
            keys.create("ada", ["admin"], expires)

    def test_refuses_a_time_that_no_calendar_shows(self, keys: Keys) -> None:
        for days in (MOST_DAYS + 2, 1e12):
            with pytest.raises(InvalidSetting, match="at most 36,500 days: give an earlier"):
                keys.create("ada", ["admin"], time.time() + days * 86_400)
        assert not keys.any()
        assert keys.create("ada", ["admin"], expiry(MOST_DAYS))[0].expires


class TestExpiry:
    @pytest.mark.parametrize("days", [0.5, 1.0, 36_500.0])
    def test_is_so_many_days_from_now(self, days: float) -> None:
        assert expiry(days) == pytest.approx(time.time() + days * 86_400, abs=30)

    @pytest.mark.parametrize("days", ["0", "-1", "36500.5", "1000000000000", "nan", "inf", "-inf"])
    def test_is_refused_where_it_is_no_time_to_come(self, days: str) -> None:
        with pytest.raises(InvalidSetting) as refused:
            expiry(float(days))
        assert str(refused.value) == (
            f"a key cannot expire after {days} days: give more than 0 and at most 36,500, or "
            f"no days for a key that does not expire"
        )


class TestFind:
    def test_finds_the_key_of_a_token(self, keys: Keys) -> None:
        made = [keys.create(owner, ["admin"]) for owner in ("ada", "bea")]
        for key, token in made:
            assert keys.find(token) == key

    def test_finds_nothing_for_any_other(self, keys: Keys) -> None:
        (key, token), (other, _) = (keys.create("ada", ["admin"]) for _ in range(2))
        secret = token.removeprefix(f"itw_{key.id}_")
        wrong = [
            "",
            "_",
            "__",
            "itw",
            f"itw_{key.id}",
            f"itw_{key.id}_",
            token[:-1],
            f"{token}x",
            f" {token}",
            token.upper(),
            f"itw_{other.id}_{secret}",
            f"xyz_{key.id}_{secret}",
            f"_{key.id}_{secret}",
            f"itw_none_{secret}",
            f"itw_{key.id}\0_{secret}",
            f"itw_{key.id}_{secret}\ud83d",
            f"itw_{key.id}_{hashlib.sha256(secret.encode()).hexdigest()}",
        ]
        assert [keys.find(text) for text in wrong] == [None] * len(wrong)
        assert keys.find(token) is not None

    def test_compares_in_constant_time_whether_or_not_there_is_such_a_key(
        self, keys: Keys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key, token = keys.create("ada", ["admin"])
        compared, compare = [], hmac.compare_digest

        def watched(one: str, other: str) -> bool:
            compared.append((len(one), len(other)))
            return compare(one, other)

        monkeypatch.setattr(hmac, "compare_digest", watched)
        for text in (token, f"itw_{key.id}_wrong", "itw_none_wrong", "nonsense"):
            keys.find(text)
        assert compared == [(64, 64)] * 4

    def test_no_key_that_has_expired(self, database: Database, keys: Keys) -> None:
        key, token = keys.create("ada", ["admin"], time.time() + 3600)
        assert keys.find(token) == key
        change(database, expires=time.time() - 1)
        assert keys.find(token) is None

    def test_no_key_that_was_revoked(self, keys: Keys) -> None:
        (key, token), (_, other) = (keys.create("ada", ["admin"]) for _ in range(2))
        assert keys.revoke(key.id)
        assert keys.find(token) is None
        assert keys.find(other) is not None


class TestLists:
    def test_active_keys_are_first_and_then_the_newest(
        self, database: Database, keys: Keys
    ) -> None:
        made = [keys.create(owner, ["admin"])[0].id for owner in ("ada", "bob", "ada", "cy")]
        keys.revoke(made[2])
        assert [key.id for key in keys.page()] == [made[3], made[1], made[0], made[2]]
        assert [key.id for key in keys.page(owner="ada")] == [made[0], made[2]]
        assert [key.id for key in keys.page(skip=1, limit=2)] == [made[1], made[0]]
        change(database, expires=time.time() - 1)
        assert [key.id for key in keys.page()] == made[::-1]

    def test_a_key_is_found_by_its_id(self, keys: Keys) -> None:
        key, _ = keys.create("ada", ["admin"])
        keys.revoke(key.id)
        found = keys.get(key.id)
        assert found is not None
        assert (found.owner, found.state(time.time())) == ("ada", "revoked")
        assert keys.get("0" * 16) is None

    def test_an_id_is_used_once(self, keys: Keys) -> None:
        key, token = keys.create("ada", ["admin"], key_id="0" * 16)
        assert (key.id, token[:21]) == ("0" * 16, f"itw_{'0' * 16}_")
        with pytest.raises(ProblemError, match="the key 0000000000000000 was created before"):
            keys.create("bob", ["admin"], key_id="0" * 16)
        assert keys.find(token) == key

    def test_another_admin_is_one_whose_key_is_active(self, database: Database, keys: Keys) -> None:
        first = keys.create("ada", ["admin"])[0]
        keys.create("bob", ["bases:read", "metrics:read"])
        assert not keys.has_other_admin(first.id)
        second = keys.create("cy", ["bases:read", "admin"])[0]
        assert keys.has_other_admin(first.id)
        assert keys.has_other_admin(second.id)
        keys.revoke(second.id)
        assert not keys.has_other_admin(first.id)
        change(database, revoked=None, expires=time.time() - 1)
        assert not keys.has_other_admin(first.id)


class TestLastUse:
    def last(self, keys: Keys) -> float | None:
        return keys.list()[0].last_used

    def test_is_noted(self, keys: Keys) -> None:
        _, token = keys.create("ada", ["admin"])
        keys.find("itw_none_wrong")
        keys.find(token)
        assert soon(lambda: self.last(keys)) == pytest.approx(time.time(), abs=30)

    def test_is_noted_of_a_right_token_only(self, database: Database, keys: Keys) -> None:
        key, _ = keys.create("ada", ["admin"])
        keys.find(f"itw_{key.id}_wrong")
        keys.close()
        assert self.last(keys) is None

    def test_is_stored_when_the_service_ends(self, keys: Keys) -> None:
        tokens = [keys.create(owner, ["admin"])[1] for owner in ("ada", "bea", "cleo")]
        for token in tokens:
            keys.find(token)
        keys.close()
        assert None not in [key.last_used for key in keys.list()]

    @pytest.mark.slow
    def test_does_not_wait_for_a_database_that_is_locked(
        self, databases: Databases, caplog: pytest.LogCaptureFixture
    ) -> None:
        with databases.migrated("sqlite") as url:
            database = Database(f"{url}?timeout=0.5")
            keys = Keys(database)
            tokens = iter([keys.create("ada", ["admin"])[1] for _ in range(5)])

            def longest_of_a_new_key() -> float:
                token = next(tokens)

                def find() -> None:
                    assert keys.find(token) is not None

                return max(seconds_of(find) for _ in range(10))

            with write_lock(url):
                # shorter than the database's timeout
                assert quickest(longest_of_a_new_key, 0.4) < 0.4
                soon(lambda: "is retried" in caplog.text)

            def noted() -> list[float]:
                return [key.last_used for key in keys.list() if key.last_used is not None]

            assert soon(noted)[0] == pytest.approx(time.time(), abs=30)
            keys.close()
            database.close()

    @pytest.mark.slow
    def test_does_not_hold_up_the_end_of_a_service_whose_database_is_locked(
        self, databases: Databases
    ) -> None:
        with databases.migrated("sqlite") as url:
            database = Database(url)
            _, token = Keys(database).create("ada", ["admin"])

            def seconds_of_the_end() -> float:
                keys = Keys(database)
                keys.find(token)
                return seconds_of(keys.close)

            with write_lock(url):
                assert quickest(seconds_of_the_end, 4, tries=3) < 4
            database.close()

    def test_is_noted_once_a_minute(self, database: Database, keys: Keys) -> None:
        _, token = keys.create("ada", ["admin"])

        def is_noted(ago: float) -> bool:
            then = time.time() - ago
            change(database, last_used=then)
            keys = Keys(database)
            keys.find(token)
            keys.close()
            return self.last(keys) != pytest.approx(then, abs=0.001)

        for ago in (30, 59):  # unless a second goes by meanwhile
            assert in_one_of([lambda ago=ago: not is_noted(ago)] * 5), ago  # type: ignore[misc]
        for ago in (61, 10**6):
            assert is_noted(ago), ago


class TestRevoke:
    def test_says_whether_the_key_counted(self, keys: Keys) -> None:
        key, _ = keys.create("ada", ["admin"])
        assert keys.revoke(key.id)
        first = keys.list()[0].revoked
        assert first == pytest.approx(time.time(), abs=30)
        assert not keys.revoke(key.id)
        assert keys.list()[0].revoked == first
        assert not keys.revoke("none\0")


class TestList:
    def test_shows_the_newest_first_and_all(self, keys: Keys) -> None:
        made = [keys.create(owner, ["admin"])[0] for owner in ("ada", "bea", "cleo")]
        keys.revoke(made[0].id)
        assert [key.owner for key in keys.list()] == ["cleo", "bea", "ada"]

    def test_a_revoked_key_does_not_open_the_service_again(self, keys: Keys) -> None:
        assert not keys.any()
        key, _ = keys.create("ada", ["admin"])
        keys.revoke(key.id)
        assert keys.any()


class TestMarker:
    """A service that has had keys does not open again."""

    def test_losing_all_rows_is_remembered(self, database: Database, tmp_path: Path) -> None:
        keys = Keys(database, tmp_path / "data")
        assert not keys.any()
        keys.create("ada", ["admin"])
        with database.write() as connection:
            connection.execute(delete(table))
        assert keys.any()
        assert Keys(database, tmp_path / "data").any()
        assert not Keys(database, tmp_path / "another").any()

    def test_keys_of_an_earlier_version_are_remembered(
        self, database: Database, tmp_path: Path
    ) -> None:
        Keys(database).create("ada", ["admin"])
        keys = Keys(database, tmp_path)
        for _ in range(2):
            keys.remember()
        (line,) = (tmp_path / "keys-required").read_text().splitlines()
        assert line in str(database)
        with database.write() as connection:
            connection.execute(delete(table))
        assert keys.any()

    def test_without_keys_nothing_is_remembered(self, database: Database, tmp_path: Path) -> None:
        Keys(database, tmp_path).remember()
        assert list(tmp_path.glob("keys-required")) == []

    def test_a_lost_database_is_remembered_also_where_its_folder_is_moved_to(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "lab").mkdir()
        with made(tmp_path / "lab") as database:
            Keys(database, tmp_path / "lab").create("ada", ["admin"])
        (tmp_path / "lab").rename(tmp_path / "moved")
        (tmp_path / "moved" / "intertwine.db").unlink()
        with made(tmp_path / "moved") as database:
            assert Keys(database, tmp_path / "moved").any()

    def test_another_database_in_the_same_folder_is_open(self, tmp_path: Path) -> None:
        with made(tmp_path) as database, made(tmp_path, "other.db") as other:
            Keys(database, tmp_path).create("ada", ["admin"])
            assert not Keys(other, tmp_path).any()

    def test_a_marker_that_cannot_be_read_counts(self, tmp_path: Path) -> None:
        (tmp_path / "keys-required").write_bytes(b"\xff")
        with made(tmp_path) as database:
            assert Keys(database, tmp_path).any()
        (tmp_path / "keys-required").unlink()
        (tmp_path / "keys-required").mkdir()  # root may read files of any mode
        with made(tmp_path) as database:
            assert Keys(database, tmp_path).any()


@contextmanager
def made(folder: Path, name: str = "intertwine.db") -> Iterator[Database]:
    database = Database(f"sqlite:///{folder / name}")
    database.migrate()
    yield database
    database.close()


def test_active_keys_are_counted(database: Database, keys: Keys) -> None:
    assert keys.count_active() == 0
    made = [keys.create("ada", ["admin"], time.time() + 3600)[0] for _ in range(3)]
    keys.create("bob", ["admin"])
    assert keys.count_active() == 4
    keys.revoke(made[0].id)
    assert keys.count_active() == 3
    with database.write() as connection:
        past = update(table).where(table.c.id == made[1].id).values(expires=time.time() - 60)
        connection.execute(past)
    assert keys.count_active() == 2
