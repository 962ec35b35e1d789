"""Who may use a service, for all settings, and as `intertwine doctor` reports it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from helpers.program import called
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys
from intertwine_api.work.access_policy import AccessPolicy
from intertwine_api.work.settings import Settings


def checked(data: Path, **settings: str) -> dict[str, Any]:
    """What the doctor finds about the access to the service of a folder."""
    named = {f"INTERTWINE_{name.upper()}": text for name, text in settings.items()}
    with patch.dict(os.environ, {"INTERTWINE_DATA": str(data), **named}):
        document = called("doctor", "--json").json
    (found,) = (check for check in document["checks"] if check["check"] == "access")
    return dict(found)


@pytest.mark.parametrize(
    ("settings", "summary", "is_advised"),
    [
        ({}, "open to everybody on this machine", False),
        ({"host": "::1"}, "open to everybody on this machine", False),
        ({"require_keys": True}, "keys required", True),
        ({"host": "0.0.0.0"}, "keys required", True),
        (
            {"host": "0.0.0.0", "allow_unauthenticated": True},
            "OPEN TO THE NETWORK WITHOUT KEYS",
            True,
        ),
        (
            {"host": "0.0.0.0", "allow_unauthenticated": True, "require_keys": True},
            "keys required",
            True,
        ),
    ],
)
def test_the_settings_decide_before_the_first_key(
    tmp_path: Path, settings: dict[str, Any], summary: str, is_advised: bool
) -> None:
    policy = AccessPolicy.of(Settings(data=tmp_path, **settings), None)
    assert (policy.summary, bool(policy.advice)) == (summary, is_advised)


def test_after_the_first_key_keys_are_required(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, host="0.0.0.0", allow_unauthenticated=True)
    database = Database(settings.database_url)
    database.migrate()
    keys = Keys(database, tmp_path)
    key, _ = keys.create("ada", ["admin"])
    policy = AccessPolicy.of(settings, keys)
    assert (policy.description, policy.advice) == ("keys required (1 active key)", "")
    keys.revoke(key.id)
    policy = AccessPolicy.of(settings, keys)
    assert policy.description == "keys required (0 active keys)"
    assert "nobody can use the service" in policy.advice
    database.close()
    for file in tmp_path.glob("intertwine.db*"):
        file.unlink()
    assert AccessPolicy.of(settings, None).requires_keys


def test_the_doctor_reports_it_and_creates_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    found = checked(data)
    assert (found["ok"], found["found"]) == (True, "open to everybody on this machine")
    found = checked(data, require_keys="true")
    assert (found["ok"], found["found"]) == (True, "keys required (0 active keys)")
    assert "intertwine keys create OWNER" in found["advice"]
    assert not data.exists()
    assert called("keys", "create", "ada", "--data", data).code == 0
    assert checked(data)["found"] == "keys required (1 active key)"


def test_the_doctor_reports_what_is_wrong(tmp_path: Path) -> None:
    assert not checked(tmp_path, port="http")["ok"]
    assert not checked(tmp_path, database="nonsense")["ok"]
    (tmp_path / "intertwine.db").write_bytes(b"no database" * 100)
    found = checked(tmp_path)
    assert not found["ok"]
    assert "cannot be read" in found["found"]
