"""The login of the console: a cookie that reads, and nothing else."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from unittest.mock import patch

import httpx
import pytest
from helpers.example_lab import Lab, form_of, log_in
from helpers.service import SO3, problem
from intertwine_api.server.sessions import SESSION_SECONDS, Sessions

HTML = {"accept": "text/html"}


@pytest.fixture
def visitor(lab: Lab) -> Iterator[httpx.Client]:
    """A browser without a session. It keeps cookies."""
    with httpx.Client(base_url=lab.address, headers=HTML, timeout=60) as client:
        yield client


class TestLogin:
    def test_a_refused_page_leads_to_the_form_and_back(
        self, visitor: httpx.Client, lab: Lab
    ) -> None:
        refused = visitor.get("/lab/?rep=V&group=S(3)&check=1")
        assert refused.status_code == 401
        assert "This page needs a key" in refused.text
        assert f"intertwine login {lab.address}/lab/ " in refused.text
        link = re.search(r'href="(/lab/login\?after=[^"]+)"', refused.text)
        assert link
        page = visitor.get(link[1])
        fields = form_of(page.text, "login")
        answer = visitor.post("/lab/login", data={**fields, "key": lab.tokens["bases:solve"]})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/lab/?rep=V&")
        back = visitor.get(answer.headers["location"].replace("&amp;", "&"))
        assert "3 coordinates" in back.text
        assert 'action="/lab/logout"' in back.text

    def test_the_cookie_is_closed_to_scripts_and_hides_the_key(
        self, visitor: httpx.Client, lab: Lab
    ) -> None:
        key = lab.tokens["bases:solve"]
        cookies = log_in(visitor, key).headers.get_list("set-cookie")
        session = next(cookie for cookie in cookies if re.match(r"intertwine_[0-9a-f]{8}=", cookie))
        for part in ("HttpOnly", "SameSite=strict", "Path=/lab", f"Max-Age={SESSION_SECONDS}"):
            assert part in session
        assert key not in session
        assert key.split("_", 2)[2] not in session

    @pytest.mark.parametrize(
        "after",
        ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "", "//[", "/\t/["],
    )
    def test_it_leads_to_no_other_site(self, visitor: httpx.Client, lab: Lab, after: str) -> None:
        answer = log_in(visitor, lab.tokens["bases:solve"], after)
        assert (answer.status_code, answer.headers["location"]) == (303, "/lab/")

    def test_a_wrong_key_is_refused_on_the_page(self, visitor: httpx.Client) -> None:
        for key in ("itw_none_none", "", "é", "x" * 500):
            answer = log_in(visitor, key)
            assert answer.status_code == 401
            assert 'role="alert"' in answer.text
            assert visitor.get("/lab/groups").status_code == 401

    def test_a_form_of_another_page_is_refused(self, visitor: httpx.Client, lab: Lab) -> None:
        key = lab.tokens["bases:solve"]
        for token in ("", "other", "é"):
            visitor.get("/lab/login")
            assert visitor.post("/lab/login", data={"key": key, "token": token}).status_code == 403
        with httpx.Client(
            base_url=lab.address, headers=HTML
        ) as stranger:  # without the form's cookie
            fields = form_of(stranger.get("/lab/login").text, "login")
            stranger.cookies.clear()
            assert stranger.post("/lab/login", data={**fields, "key": key}).status_code == 403
        evil = {"origin": "https://evil.example"}
        fields = form_of(visitor.get("/lab/login").text, "login")
        answer = visitor.post("/lab/login", data={**fields, "key": key}, headers=evil)
        assert answer.status_code == 403

    def test_a_large_or_broken_form_is_refused(self, visitor: httpx.Client) -> None:
        visitor.headers["content-type"] = "application/x-www-form-urlencoded"
        for content, status in (
            *((b"x" * 20_000, 413), (b"a=1&" * 200, 400), (b"\xff=1", 400)),
            *((b"token=%FF", 403), (b"", 403)),
        ):
            assert visitor.post("/lab/login", content=content).status_code == status
        visitor.headers["content-type"] = "application/json"
        assert visitor.post("/lab/login", content=b"{}").status_code == 415


class TestASession:
    def test_it_reads_and_changes_nothing(self, visitor: httpx.Client, lab: Lab) -> None:
        log_in(visitor, lab.tokens["bases:solve"])
        assert visitor.get("/lab/groups").status_code == 200
        assert visitor.get("/lab/v1/bases").status_code == 200
        problem(visitor.post("/lab/v1/bases", json=SO3), 401, "unauthorized")
        problem(visitor.get("/lab/v1/jobs"), 403, "forbidden")

    def test_a_header_counts_more(self, visitor: httpx.Client, lab: Lab) -> None:
        log_in(visitor, lab.tokens["bases:solve"])
        answer = visitor.get("/lab/groups", headers={"authorization": "Bearer itw_no_key"})
        assert answer.status_code == 401

    def test_without_the_scope_the_explorer_is_refused(
        self, visitor: httpx.Client, lab: Lab
    ) -> None:
        log_in(visitor, lab.tokens["jobs:write"])
        answer = visitor.get("/lab/?rep=V&group=S(3)")
        assert answer.status_code == 403
        assert "Log in with an API key" in answer.text

    def test_it_ends_by_logging_out(self, visitor: httpx.Client, lab: Lab) -> None:
        log_in(visitor, lab.tokens["bases:solve"])
        page = visitor.get("/lab/groups").text
        assert visitor.post("/lab/logout", data={"token": "other"}).status_code == 403
        assert visitor.get("/lab/groups").status_code == 200
        answer = visitor.post("/lab/logout", data=form_of(page, "logout"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/lab/system")
        assert visitor.get("/lab/groups").status_code == 401
        assert visitor.post("/lab/logout").status_code == 303  # there is nothing to end

    def test_it_ends_with_its_key(self, visitor: httpx.Client, lab: Lab) -> None:
        key, token = lab.keys.create("ann", ["bases:read"])
        lab.keys.revoke(key.id)
        assert log_in(visitor, token).status_code == 401


class TestTheCookie:
    def test_only_its_service_reads_it_and_for_twelve_hours(self) -> None:
        ours, theirs = Sessions("a" * 32), Sessions("b" * 32)
        value = ours.encrypt("itw_id_secret")
        assert ours.cookie != theirs.cookie
        assert ours.key_of({ours.cookie: value}) == "itw_id_secret"
        assert Sessions("a" * 32).key_of({ours.cookie: value}) == "itw_id_secret"
        assert theirs.key_of({theirs.cookie: value}) is None
        for wrong in ("", "é", value[:-2], value[:40] + "A" + value[41:]):
            assert ours.key_of({ours.cookie: wrong}) is None
        assert ours.key_of({}) is None
        late = time.time() + SESSION_SECONDS + 5
        with patch("time.time", return_value=late):
            assert ours.key_of({ours.cookie: value}) is None

    def test_it_names_its_key(self) -> None:
        sessions = Sessions("a" * 32)
        assert sessions.key_id_of({sessions.cookie: sessions.encrypt("itw_id_se_cret")}) == "id"
        assert sessions.key_id_of({}) is None


def test_a_service_without_keys_needs_no_login(client: httpx.Client) -> None:
    page = client.get("/login", headers=HTML)
    assert "This service needs no key" in page.text
    assert "<form" not in page.text
