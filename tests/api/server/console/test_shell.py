"""What all pages have in common: policy, addresses under a proxy's path, assets, and problems."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urljoin

import httpx
import pytest
from helpers.example_lab import Lab
from helpers.service import problem
from intertwine_api.server.console.shell import about, base_of

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGES = [
    "/",
    "/?rep=V&group=S(3)",
    "/?rep=(",
    "/groups",
    "/groups?name=S(4)",
    "/jobs",
    "/jobs/compare",
    "/datasets",
    "/datasets/storage",
    "/keys",
    "/system",
    "/problems",
]
PAGES += ["/irreps?rep=V&group=S(3)", "/characters?name=S(3)", "/nothing", "/nothing/at/all"]


@pytest.fixture
def proxied(lab: Lab) -> Iterator[httpx.Client]:
    """A browser without a session, before a service under a proxy's path."""
    with httpx.Client(base_url=lab.address, timeout=60) as client:
        yield client


def addresses(page: str) -> list[str]:
    return re.findall(r'(?:src|href|action|data-source|data-poll)="([^"]+)"', page)


class TestEveryPage:
    @pytest.mark.parametrize("path", PAGES)
    def test_it_forbids_what_it_does_not_need(self, client: httpx.Client, path: str) -> None:
        answer = client.get(path, headers=HTML)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = dict(
            part.strip().partition(" ")[::2]
            for part in answer.headers["content-security-policy"].split(";")
        )
        for name in ("default-src", "frame-ancestors", "base-uri"):
            assert policy[name] == "'none'"
        for name in ("script-src", "style-src", "img-src", "connect-src", "form-action"):
            assert policy[name] == "'self'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(
            r"<style|\sstyle=|<script(?! type=\"module\" src=)|\son\w+=", answer.text
        )

    @pytest.mark.parametrize("path", PAGES)
    def test_its_addresses_are_relative_and_lead_somewhere(
        self, client: httpx.Client, path: str
    ) -> None:
        page = client.get(path, headers=HTML).text
        found = addresses(page)
        assert all(address.startswith(("./", "../", "#")) for address in found), found
        start = str(client.base_url.join(path))
        for name in ("static/", "groups", "system"):
            address = next(each for each in found if f"/{name}" in each)
            assert client.get(urljoin(start, address)).status_code == 200, address

    def test_a_page_is_smaller_than_200_kb_with_its_assets(self, client: httpx.Client) -> None:
        for path in PAGES:
            page = client.get(path, headers=HTML).text
            assets = {address for address in addresses(page) if "/static/" in address}
            sizes = [len(client.get(urljoin("/", address)).content) for address in assets]
            assert len(page) + sum(sizes) < 200_000, path

    def test_assets_are_kept_by_browsers(self, client: httpx.Client) -> None:
        page = client.get("/", headers=HTML).text
        assets = [address for address in addresses(page) if "/static/" in address]
        assert len(assets) == 3
        for address in assets:
            answer = client.get(urljoin("/", address))
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert re.search(r"\.[0-9a-f]{12}\.(css|js|svg)$", address)
        problem(client.get("/static/console.000000000000.css"), 404, "not-found")
        problem(client.get("/static/..%2Fshell.py"), 404, "not-found")

    def test_the_page_of_a_visit_is_marked(self, client: httpx.Client) -> None:
        for path in ("/", "/groups", "/jobs", "/datasets", "/keys", "/system"):
            found = re.findall(r'href="([^"]*)" aria-current="page"', client.get(path).text)
            assert [urljoin("/", address) for address in found] == [path]


class TestProblems:
    def test_programs_get_documents_and_browsers_get_pages(self, client: httpx.Client) -> None:
        problem(client.get("/nothing"), 404, "not-found")
        page = client.get("/nothing", headers=HTML)
        assert page.status_code == 404
        assert page.headers["vary"] == "Accept"
        assert f"request <code>{page.headers['x-request-id']}</code>" in page.text
        problem(client.get("/v1/nothing", headers=HTML), 404, "not-found")

    def test_a_foreign_host_gets_a_page_too(self, client: httpx.Client) -> None:
        page = client.get("/", headers={**HTML, "host": "evil.example"})
        assert (page.status_code, "INTERTWINE_ALLOWED_HOSTS" in page.text) == (421, True)

    def test_pages_have_one_method(self, client: httpx.Client) -> None:
        answer = client.post("/groups")
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == "GET, HEAD"


class TestKeys:
    @pytest.mark.parametrize(
        "path",
        [
            "",
            "/",
            "/groups",
            "/jobs",
            "/keys",
            "/irreps?rep=V",
            "/characters",
            f"/pictures/{'0' * 64}.svg",
        ],
    )
    def test_without_a_key_the_pages_are_refused(self, proxied: httpx.Client, path: str) -> None:
        for root in ("", "/lab"):
            answer = proxied.get(f"{root}{path}" or "/", headers=HTML)
            assert answer.status_code == 401
            assert "intertwine login" in answer.text
            assert "lists the problem" not in answer.text
        problem(proxied.get(path or "/"), 401, "unauthorized")

    def test_what_tells_nothing_is_shown(self, proxied: httpx.Client) -> None:
        for path in ("/system", "/problems"):
            assert proxied.get(path, headers=HTML).status_code == 200

    def test_addresses_have_the_path_of_the_proxy(self, proxied: httpx.Client) -> None:
        for path in ("/system", "/lab/system", "/lab/groups"):
            found = addresses(proxied.get(path, headers=HTML).text)
            assert found
            for address in found:
                assert address.startswith(("/lab/", "#")), address
                if "/static/" in address:
                    assert proxied.get(address).status_code == 200


def test_the_root_is_found_from_any_depth() -> None:
    for path, base in (("/", "./"), ("/groups", "./"), ("/a/b", "../"), ("/a/b/c", "../../")):
        assert base_of({"path": path}) == base
        assert urljoin(f"http://host/prefix{path}", base) == "http://host/prefix/"
        assert base_of({"path": f"/lab{path}", "root_path": "/lab"}) == "/lab/"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (630_123, "630,000"),
        (999_999, "1 million"),
        (2.44e9, "2.4 billion"),
        (7e13, "70 trillion"),
        (1e15, "10¹⁵"),
        (5.04e21, "5 × 10²¹"),
    ],
)
def test_large_numbers_are_in_words(value: float, words: str) -> None:
    assert about(value) == words
