"""`intertwine keys`: made, shown once, listed, revoked."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from intertwine_api.database import Database
from intertwine_api.keys import Keys
from program import Ended, intertwine
from service import problem, running_service

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
        "This is the key of alice, for bases:read, bases:solve, jobs:write, models:forward. It is "
        "shown this once: keep it, as INTERTWINE_KEY in the environment.\n"
        "It is the first: from now on the service asks everybody for one.\n"
    )
    assert "the first" not in keys(tmp_path, "create", "bob").err
    with opened(tmp_path) as known:
        found = known.find(ended.out.strip())
        assert found is not None
        assert (found.owner, list(found.scopes), found.expires) == ("alice", ALL_BUT_ADMIN, None)


def test_what_it_is_for_and_how_long_may_be_said(tmp_path: Path) -> None:
    ended = keys(tmp_path, "create", "bob", "--scope", "models:forward", "--days", "2", "--json")
    with opened(tmp_path) as known:
        found = known.find(ended.json["key"])
        assert found is not None
        assert found.scopes == ("models:forward",)
        assert found.expires == pytest.approx(time.time() + 2 * 86_400, abs=60)


def test_the_list_tells_no_secrets(tmp_path: Path) -> None:
    with opened(tmp_path) as known:
        made = [known.create(owner, ["admin"], time.time() + 1) for owner in ("ann", "bob", "cy")]
        known.revoke(made[1][0].id)
        made.append(known.create("dan", ["jobs:write"]))
    time.sleep(1.1)
    listed, shown = keys(tmp_path, "list", "--json"), keys(tmp_path, "list").out
    assert [key["owner"] for key in listed.json] == ["dan", "cy", "bob", "ann"]
    header, *rows = shown.splitlines()
    assert header.split() == ["ID", "OWNER", "SCOPES", "CREATED", "EXPIRES", "LAST", "USED"]
    assert [row.split()[2] for row in rows] == ["jobs:write", "admin", "admin", "admin"]
    assert [row.split()[-1] for row in rows] == ["-", "expired", "revoked", "expired"]
    for _, token in made:
        assert token.split("_", 2)[2] not in shown + listed.out


def test_only_a_key_that_counts_is_revoked(tmp_path: Path) -> None:
    with opened(tmp_path) as known:
        key, token = known.create("alice", ["admin"])
    assert keys(tmp_path, "revoke", key.id, "--json").json == {"revoked": key.id}
    with opened(tmp_path) as known:
        assert known.find(token) is None
    ended = keys(tmp_path, "revoke", key.id)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"intertwine: there is no key {key.id} that counts; see intertwine keys list\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "al ice"), "the owner of a key cannot be 'al ice'"),
        (("create", "alice", "--days", "-1"), "the key would have expired already"),
        (("create", "alice", "--scope", "all"), "invalid choice: 'all'"),
        (("list", "--database", "mysql://here"), "give sqlite:///path or postgresql://"),
        (("list", "--database", "postgresql://u@127.0.0.1:1/x"), "cannot be used: connection"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = keys(tmp_path, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_the_service_of_the_same_folder_takes_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_service(data) as http:
        assert http.get("/v1/jobs").status_code == 200  # nobody is asked while there is none
        with opened(data) as known:
            _, token = known.create("alice", ["jobs:write"])
        give_up = time.monotonic() + 10
        while (answer := http.get("/v1/jobs")).status_code == 200:
            assert time.monotonic() < give_up
            time.sleep(0.2)
        problem(answer, 401, "unauthorized")
        url = str(http.base_url)
        assert intertwine("jobs", "list", "--remote", url, "--key", token).code == 0
        env = {"INTERTWINE_URL": url, "INTERTWINE_KEY": "itw_0000_guess"}
        ended = intertwine("models", "list", env=env)
        assert ended.code == 2
        assert ended.err.startswith("intertwine: the key is not known here")
