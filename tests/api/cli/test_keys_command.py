"""`intertwine keys`: made, shown once, listed, revoked."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.patience import PATIENCE
from helpers.program import PROGRAM, Ended, environment, intertwine
from helpers.service import problem, running_service
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys
from intertwine_api.storage.tables import keys as table
from sqlalchemy import update

pytestmark = pytest.mark.slow  # real processes, or networks that are compiled

ALL_BUT_ADMIN = ["bases:read", "bases:solve", "jobs:write", "models:forward"]


def keys(data: Path, *arguments: str) -> Ended:
    return intertwine("keys", *arguments, "--data", data)


@contextmanager
def opened(data: Path) -> Iterator[Keys]:
    """The keys of a service's folder, as the service has them."""
    database = Database(f"sqlite:///{data / 'intertwine.db'}")
    try:
        database.migrate()
        yield Keys(database)
    finally:
        database.close()


def test_a_key_is_printed_alone_for_scripts(tmp_path: Path) -> None:
    ended = keys(tmp_path, "create", "alice")
    assert ended.code == 0
    assert re.fullmatch(r"itw_[0-9a-f]{16}_[\w-]{43}\n", ended.out)
    assert ended.err == (
        f"A key was created in the new database sqlite:///{tmp_path}/intertwine.db. It is valid "
        "for a service with this database.\n"
        "This is the key of alice, for bases:read, bases:solve, jobs:write, models:forward. It is "
        "shown only once: keep it, as INTERTWINE_KEY in the environment.\n"
        "It is the first key: from now on the service requires one.\n"
    )
    said = keys(tmp_path, "create", "bob").err
    assert f"created in the database sqlite:///{tmp_path}/intertwine.db. " in said
    assert "the first" not in said
    with opened(tmp_path) as known:
        found = known.find(ended.out.strip())
        assert found is not None
        assert (found.owner, list(found.scopes), found.expires) == ("alice", ALL_BUT_ADMIN, None)


def test_scopes_and_days_may_be_given(tmp_path: Path) -> None:
    ended = keys(tmp_path, "create", "bob", "--scope", "models:forward", "--days", "2", "--json")
    with opened(tmp_path) as known:
        found = known.find(ended.json["key"])
        assert found is not None
        assert found.scopes == ("models:forward",)
        assert found.expires == pytest.approx(time.time() + 2 * 86_400, abs=60)


def test_the_list_has_no_secrets(tmp_path: Path) -> None:
    with opened(tmp_path) as known:
        tomorrow = time.time() + 86_400
        made = [known.create(owner, ["admin"], tomorrow) for owner in ("ann", "bob", "cy")]
        known.revoke(made[1][0].id)
        made.append(known.create("dan", ["jobs:write"]))
        with known._database.write() as connection:
            is_over = update(table).where(table.c.expires == tomorrow)
            connection.execute(is_over.values(expires=time.time() - 1))
    listed, shown = keys(tmp_path, "list", "--json"), keys(tmp_path, "list").out
    assert [key["owner"] for key in listed.json] == ["dan", "cy", "bob", "ann"]
    header, *rows = shown.splitlines()
    assert header.split() == ["ID", "OWNER", "SCOPES", "CREATED", "EXPIRES", "LAST", "USED"]
    assert [row.split()[2] for row in rows] == ["jobs:write", "admin", "admin", "admin"]
    assert [row.split()[-1] for row in rows] == ["-", "expired", "revoked", "expired"]
    for _, token in made:
        assert token.split("_", 2)[2] not in shown + listed.out


def test_a_key_that_expires_past_all_calendars_is_listed(tmp_path: Path) -> None:
    """Such keys were made once; the list is what shows them."""
    with opened(tmp_path) as known:
        known.create("alice", ["admin"])
    database = Database(f"sqlite:///{tmp_path / 'intertwine.db'}")
    with database.write() as connection:
        connection.execute(update(table).values(expires=8.64e16))
    database.close()
    (key,) = keys(tmp_path, "list", "--json").json
    assert key["expires"] == "9999-12-31T23:59:59Z"
    shown = keys(tmp_path, "list")
    assert (shown.code, shown.err) == (0, "")
    assert "9999-12-31T23:59:59Z" in shown.out


@pytest.mark.parametrize("days", ["1e12", "nan", "inf", "0", "-1"])
def test_invalid_days_are_refused_before_the_database_is_created(tmp_path: Path, days: str) -> None:
    ended = keys(tmp_path / "lab", "create", "alice", "--days", days)
    assert (ended.code, ended.out) == (2, "")
    assert "give more than 0 and at most 36,500" in ended.err
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(
    "arguments", [("list",), ("list", "--json"), ("revoke", "3f2a9c0b7d1e4f58")]
)
def test_list_and_revoke_create_no_database(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = keys(tmp_path / "typo", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"intertwine: there is no database sqlite:///{tmp_path}/typo/intertwine.db: name the "
        f"folder of the service's data with --data, or its database with --database\n"
    )
    ended = keys(tmp_path / "typo", *arguments, "--database", f"sqlite:///{tmp_path}/typo/x.db")
    assert (ended.code, ended.out) == (2, "")
    assert not (tmp_path / "typo").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["plain", "json"])
def test_a_key_that_could_not_be_printed_is_not_active(tmp_path: Path, as_json: list[str]) -> None:
    command = [PROGRAM, "keys", "create", "alice", *as_json, "--data", tmp_path]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=environment(), text=True, check=False
        )
    assert ended.returncode == 2
    with opened(tmp_path) as known:
        (key,) = known.list()
    assert key.revoked is not None
    assert f"the key could not be shown and was revoked: {key.id}" in ended.stderr


def test_only_active_keys_are_revoked(tmp_path: Path) -> None:
    with opened(tmp_path) as known:
        key, token = known.create("alice", ["admin"])
    assert keys(tmp_path, "revoke", key.id, "--json").json == {"revoked": key.id}
    with opened(tmp_path) as known:
        assert known.find(token) is None
    ended = keys(tmp_path, "revoke", key.id)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (f"intertwine: there is no active key {key.id}; see intertwine keys list\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "al ice"), "the owner of a key cannot be 'al ice'"),
        (("create", "alice", "--days", "-1"), "a key cannot expire after -1 days"),
        (("create", "alice", "--scope", "all"), "'all' is not one of 'bases:read'"),
        (("list", "--database", "mysql://here"), "give sqlite:///path or postgresql://"),
        (("list", "--database", "postgresql://u@127.0.0.1:1/x"), "cannot be used: connection"),
    ],
)
def test_invalid_arguments_are_refused(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    ended = keys(tmp_path, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_the_service_of_the_same_folder_accepts_the_key(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_service(data) as http:
        assert http.get("/v1/jobs").status_code == 200  # nobody is asked while there is none
        with opened(data) as known:
            _, token = known.create("alice", ["jobs:write"])
        give_up = time.monotonic() + PATIENCE
        while (answer := http.get("/v1/jobs")).status_code == 200:
            assert time.monotonic() < give_up
            time.sleep(0.2)
        problem(answer, 401, "unauthorized")
        url = str(http.base_url)
        assert intertwine("jobs", "list", "--remote", url, "--key", token).code == 0
        env = {"INTERTWINE_URL": url, "INTERTWINE_KEY": "itw_0000_guess"}
        ended = intertwine("models", "list", env=env)
        assert ended.code == 2
        assert ended.err.startswith("intertwine: the key is unknown, expired or revoked")


def test_a_key_for_local_finds_what_it_had_before_there_were_keys(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_service(data, jobs="0") as http:
        job = http.post("/v1/jobs", json={"kind": "solve", "rep": "V", "group": "SO(3)"}).json()
        headers = {}
        for owner in ("alice", "local"):
            token = keys(data, "create", owner).out.strip()
            headers[owner] = {"authorization": f"Bearer {token}"}
        give_up = time.monotonic() + PATIENCE
        while http.get("/v1/jobs").status_code == 200:
            assert time.monotonic() < give_up
            time.sleep(0.2)
        problem(http.get(job["links"]["self"], headers=headers["alice"]), 404, "not-found")
        assert http.get(job["links"]["self"], headers=headers["local"]).json()["owner"] == "local"
