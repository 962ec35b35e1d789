"""The pages of keys: access to them, new keys with a secret that is shown once, and revocation."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.driven_jobs import DrivenJobs
from helpers.example_lab import Lab, form_of, log_in
from helpers.idle_service import IdleService, form_in, idle_service
from helpers.service import problem
from intertwine_api.storage.keys import Keys
from intertwine_api.storage.tables import keys as table
from intertwine_api.wire.vocabulary import ALLOWED_BY, USER_SCOPES
from sqlalchemy import update

EVIL = "<script>alert(1)</script>"
CREATE = r"[./]*keys/[0-9a-f]{16}"
REVOKE = r"[./]*keys/[0-9a-f]{16}/revoke"
SECRET = r"itw_[0-9a-f]{16}_[\w-]{43}"
ADA: dict[str, Any] = {"owner": "ada", "scope": ["bases:read"], "days": "", "priority": ""}


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[IdleService]:
    """A service on loopback without keys."""
    with idle_service(tmp_path) as idle:
        yield idle


@pytest.fixture
def keys(idle: IdleService) -> Keys:
    return idle.service.keys


@pytest.fixture
def root(keys: Keys) -> str:
    """The first key, of an admin."""
    return keys.create("root", ["admin"])[1]


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def shown(text: str) -> list[str]:
    """The ids of the keys in a list."""
    return re.findall(r'<th scope="row"><a href="[^"]*keys/([0-9a-f]{16})"', text)


class TestAccess:
    @pytest.mark.parametrize("path", ["/keys", f"/keys/{'0' * 16}"])
    def test_only_admins_open_them(self, idle: IdleService, root: str, path: str) -> None:
        user = idle.service.keys.create("ada", [s for s in ALLOWED_BY if s != "admin"])[1]
        for key, status in (("", 401), ("itw_no_key", 401), (user, 403)):
            assert idle.get(path, key).status_code == status
        assert idle.get("/keys", root).status_code == 200

    def test_a_form_of_another_caller_is_refused(self, idle: IdleService, root: str) -> None:
        user = idle.service.keys.create("ada", USER_SCOPES)[1]
        path, hidden = form_in(idle.get("/keys", root).text, "/keys", CREATE)
        assert idle.ask("POST", path, user, data={**hidden, **ADA}).status_code == 403
        other = idle.service.keys.create("boss", ["admin"])[1]
        before = len(idle.service.keys.list())
        for key, address, token in (
            (other, path, hidden["token"]),
            (root, path, "0" * 64),
            (root, path, ""),
            (root, f"/keys/{'0' * 16}", hidden["token"]),
            (root, f"{path}/revoke", hidden["token"]),
        ):
            answer = idle.ask("POST", address, key, data={**ADA, "token": token})
            assert (answer.status_code, "The form was not sent" in answer.text) == (403, True)
        assert len(idle.service.keys.list()) == before

    def test_a_session_creates_and_revokes(self, lab: Lab, driven: DrivenJobs) -> None:
        token = driven.keys["root"]["authorization"].removeprefix("Bearer ")
        html = {"accept": "text/html"}
        with httpx.Client(base_url=lab.address, headers=html, timeout=60) as visitor:
            log_in(visitor, token)
            page = visitor.get("/lab/keys?owner=newcomer")
            assert "newcomer has no keys" in page.text
            action, fields = form_in(page.text, "/lab/keys", "/lab/keys/[0-9a-f]{16}")
            answer = visitor.post(action, data={**fields, **ADA, "owner": "newcomer"})
            assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
            made = re.search(SECRET, answer.text)
            assert made
            assert lab.keys.find(made[0])
            key_id = made[0].split("_")[1]
            assert shown(visitor.get("/lab/keys?owner=newcomer").text) == [key_id]
            fields = form_of(visitor.get(action).text, f"keys/{key_id}/revoke")
            answer = visitor.post(f"{action}/revoke", data=fields)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/lab/keys/{key_id}")
            assert "revoked, at" in words(visitor.get(answer.headers["location"]).text)
            assert lab.keys.find(made[0]) is None
        audited = (lab.data / "audit.jsonl").read_text().splitlines()
        lines = [line for line in audited if key_id in line]
        assert ['"key created"' in lines[0], '"key revoked"' in lines[1]] == [True, True]
        assert all('"by": "root"' in line for line in lines)
        assert made[0].split("_", 2)[2] not in "".join(audited)


class TestCreate:
    def test_a_key_has_what_the_form_says(self, idle: IdleService, root: str, keys: Keys) -> None:
        fields = {"owner": " ada ", "scope": ["jobs:write", "bases:read"], "days": "1.5"}
        path, answer = idle.send_form("/keys", CREATE, root, **fields, priority="-7")
        made = re.search(SECRET, answer.text)
        assert made
        key = keys.find(made[0])
        assert key is not None
        assert (key.id, key.owner, key.priority) == (path.rpartition("/")[2], "ada", -7)
        assert set(key.scopes) == {"jobs:write", "bases:read"}
        assert key.expires == pytest.approx(time.time() + 1.5 * 86_400, abs=60)
        assert "This is the key of ada, for bases:read, jobs:write." in answer.text
        assert "It is the first key" not in answer.text
        assert 'data-copies="new-key"' in answer.text

    def test_a_form_that_is_sent_again_creates_nothing(
        self, idle: IdleService, root: str, keys: Keys
    ) -> None:
        path, hidden = form_in(idle.get("/keys", root).text, "/keys", CREATE)
        first, second = (idle.ask("POST", path, root, data={**hidden, **ADA}) for _ in range(2))
        assert (first.status_code, second.status_code) == (201, 409)
        made = re.search(SECRET, first.text)
        assert made
        assert made[0].split("_", 2)[2] not in second.text
        assert f"The key {path.rpartition('/')[2]} was created before" in words(second.text)
        assert len(keys.list()) == 2

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"owner": ""}, "the owner of a key cannot be ''"),
            ({"owner": EVIL}, "the owner of a key cannot be"),
            ({"scope": []}, "the key has no scope"),
            ({"scope": ["admin", EVIL]}, "the key has the unknown scope"),
            ({"days": "-1"}, "a key cannot expire after -1 days"),
            ({"days": "nan"}, "a key cannot expire after nan days"),
            ({"days": "1e9"}, "a key cannot expire after 1000000000 days"),
            ({"days": "soon"}, "the days until a key expires cannot be"),
            ({"priority": "101"}, "the highest priority of a key cannot be 101"),
            ({"priority": "9" * 5000}, "the highest priority of a key cannot be"),
            ({"priority": "1.5"}, "the highest priority of a key cannot be"),
        ],
    )
    def test_wrong_fields_are_refused_and_kept(
        self, idle: IdleService, root: str, keys: Keys, wrong: dict[str, Any], said: str
    ) -> None:
        _, answer = idle.send_form("/keys", CREATE, root, **{**ADA, "days": "3", **wrong})
        assert answer.status_code == 422
        assert said in words(answer.text).replace("&#39;", "'").replace("The", "the").replace(
            "A key", "a key"
        )
        assert "<script>" not in answer.text
        if "days" not in wrong:
            assert 'name="days" value="3"' in answer.text
        assert len(keys.list()) == 1

    def test_every_scope_has_its_words(self, idle: IdleService, root: str) -> None:
        text = idle.get("/keys", root).text.replace("&#39;", "'")
        for scope, meaning in ALLOWED_BY.items():
            assert f"<code>{scope}</code>: {meaning}</label>" in text
            assert (f'value="{scope}" checked' in text) == (scope in USER_SCOPES)


class TestFirstKey:
    def test_the_service_requires_keys_from_then_on_and_says_so_before(
        self, idle: IdleService, keys: Keys
    ) -> None:
        text = words(idle.get("/keys").text)
        assert "This service has no keys." in text
        assert (
            "From the first key on, the service permanently requires one for every request" in text
        )
        path, answer = idle.send_form("/keys", CREATE, **{**ADA, "scope": ["admin"]})
        assert "It is the first key: from now on the service requires one." in answer.text
        assert "Log in" in answer.text
        assert "does not have the scope" not in answer.text
        assert idle.get("/keys").status_code == 401
        assert [key.id for key in keys.list()] == [path[-16:]]

    def test_callers_who_are_still_served_without_a_key_cannot_change_keys(
        self, idle: IdleService, keys: Keys
    ) -> None:
        path, hidden = form_in(idle.get("/keys").text, "/keys", CREATE)
        key = keys.create("root", ["admin"])[0]  # by the command line
        answer = idle.ask("POST", path, data={**hidden, **ADA})
        assert (answer.status_code, "now requires a key" in answer.text) == (401, True)
        page = f"/keys/{key.id}"
        _, answer = idle.send_form(page, REVOKE)
        assert (answer.status_code, "now requires a key" in answer.text) == (401, True)
        assert keys.list() == [key]

    def test_without_the_scope_admin_it_says_what_to_do(self, idle: IdleService) -> None:
        _, answer = idle.send_form("/keys", CREATE, **ADA)
        assert answer.status_code == 201
        assert "It does not have the scope admin" in words(answer.text)

    def test_a_service_on_the_network_has_it_from_the_command_line(self, tmp_path: Path) -> None:
        settings = {"host": "0.0.0.0", "allow_unauthenticated": True}
        with idle_service(tmp_path, **settings) as idle:
            page = idle.get("/keys")
            assert "intertwine keys create OWNER --scope admin" in page.text
            assert 'method="post"' not in page.text
            token = idle.service.form_tokens.token(None, f"create key {'0' * 16}")
            answer = idle.ask("POST", f"/keys/{'0' * 16}", data={**ADA, "token": token})
            assert answer.status_code == 403
            assert not idle.service.keys.any()


class TestList:
    def test_active_keys_are_first(self, idle: IdleService, root: str, keys: Keys) -> None:
        made = [keys.create(owner, ["bases:read"])[0] for owner in ("ada", "bob", "cy")]
        keys.revoke(made[1].id)
        with idle.service.database.write() as connection:
            changing = update(table).where(table.c.id == made[2].id)
            connection.execute(changing.values(expires=time.time() - 1))
        text = idle.get("/keys", root).text
        root_id = root.split("_")[1]
        assert shown(text) == [made[0].id, root_id, made[2].id, made[1].id]
        assert re.findall(r"<td>(active|expired|revoked)</td>", text) == [
            "active", "active", "expired", "revoked",
        ]  # fmt: skip
        assert f"{root_id}</code></a> (yours)" in text
        assert not re.search(SECRET, text)
        assert shown(idle.get("/keys?owner=bob", root).text) == [made[1].id]

    def test_it_has_pages(self, idle: IdleService, root: str, keys: Keys) -> None:
        rows = [
            {"id": f"{n:016x}", "digest": "", "owner": "ada", "scopes": ["admin"], "created": n}
            for n in range(101)
        ]
        with idle.service.database.write() as connection:
            connection.execute(table.insert(), rows)
        first = idle.get("/keys?owner=ada", root).text
        assert 'href="./keys?owner=ada&amp;skip=100" rel="next"' in first
        second = idle.get("/keys?owner=ada&skip=100", root).text
        assert shown(first) + shown(second) == [f"{n:016x}" for n in reversed(range(101))]
        assert 'rel="next"' not in second
        assert 'href="./keys?owner=ada">The first keys' in second
        assert "on this page" in idle.get("/keys?owner=ada&skip=200", root).text
        assert len(first) < 100_000
        for query in ("skip=-1", "skip=x", "skip=1000000000", f"owner={'x' * 200}"):
            assert idle.get(f"/keys?{query}", root).status_code == 422

    def test_a_key_that_expires_past_all_calendars_is_shown(
        self, idle: IdleService, root: str
    ) -> None:
        with idle.service.database.write() as connection:
            connection.execute(update(table).values(expires=8.64e16))
        assert "9999-12-31 23:59:59" in idle.get("/keys", root).text


class TestRevoke:
    def test_its_page_warns_before_it_is_revoked(
        self, idle: IdleService, root: str, keys: Keys
    ) -> None:
        own, last = "This is the key of your session.", "This is the last active key with the scope"
        ada = keys.create("ada", ["bases:read"])[0]
        boss = keys.create("boss", ["admin"])[0]
        root_id = root.split("_")[1]

        def warned(key_id: str) -> tuple[bool, bool]:
            text = words(idle.get(f"/keys/{key_id}", root).text)
            return own in text, last in text

        assert warned(ada.id) == (False, False)
        assert warned(boss.id) == (False, False)
        assert warned(root_id) == (True, False)
        page = f"/keys/{boss.id}"
        _, answer = idle.send_form(page, REVOKE, root)
        assert (answer.status_code, answer.headers["location"]) == (303, f"../../keys/{boss.id}")
        assert warned(root_id) == (True, True)
        # revoking it is still allowed
        _, answer = idle.send_form(f"/keys/{root_id}", REVOKE, root)
        assert answer.status_code == 303
        assert {key.id: key.revoked is None for key in keys.list()} == {
            root_id: False,
            boss.id: False,
            ada.id: True,
        }

    def test_only_active_keys_are_revoked(self, idle: IdleService, root: str, keys: Keys) -> None:
        ada = keys.create("ada", ["bases:read"])[0]
        path, hidden = form_in(idle.get(f"/keys/{ada.id}", root).text, f"/keys/{ada.id}", REVOKE)
        keys.revoke(ada.id)
        answer = idle.ask("POST", path, root, data=hidden, headers={"accept": "*/*"})
        document = problem(answer, 404, "not-found")
        assert document["detail"].startswith(f"there is no active key {ada.id}")
        text = idle.get(f"/keys/{ada.id}", root).text
        assert "revoked, at" in text
        assert "<form" not in text.partition("<main")[2]

    @pytest.mark.parametrize(
        ("key_id", "status"),
        [("f" * 16, 404), ("x", 422), ("F" * 16, 422), ("0" * 17, 422)],
    )
    def test_unknown_keys(self, idle: IdleService, root: str, key_id: str, status: int) -> None:
        assert idle.get(f"/keys/{key_id}", root).status_code == status
