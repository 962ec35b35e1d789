"""Hosts and origins: DNS rebinding and pages of other origins, over real sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.program import intertwine
from helpers.service import SO3, problem, running_service, service_process
from intertwine_api.server.origins import HostRules
from intertwine_api.work.settings import Settings
from pydantic import ValidationError

LAB = {"origin": "https://lab.example.org"}
EVIL = "https://evil.example"
IDLE = {"workers": "1", "jobs": "0"}


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service behind a proxy's name and path, with an allowed origin."""
    data = tmp_path_factory.mktemp("proxied") / "data"
    more = {
        "root_path": "/intertwine",
        "allowed_hosts": "lab.example.org, *.cluster.example",
        "allowed_origins": "https://notebooks.example.org",
    }
    with running_service(data, **IDLE, **more) as client:
        yield client


def own(client: httpx.Client) -> str:
    return f"127.0.0.1:{client.base_url.port}"


class TestHosts:
    @pytest.mark.parametrize(
        "host",
        [
            *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "notlocalhost"),
            *("192.0.2.1", "[::2]", "evil.example@localhost", "localhost:x", "local host", "*"),
        ],
    )
    def test_other_hosts_are_refused(self, client: httpx.Client, host: str) -> None:
        for method, path in (("GET", "/"), ("POST", "/v1/bases"), ("GET", "/v1/nothing")):
            answer = client.request(method, path, headers={"host": host})
            refused = problem(answer, 421, "host-not-allowed")
            assert "INTERTWINE_ALLOWED_HOSTS" in refused["detail"]

    @pytest.mark.parametrize(
        "host",
        [
            *("localhost", "localhost.", "LOCALHOST:1", "lab.localhost:8000"),
            *("127.0.0.1", "127.8.9.1:80", "[::1]:9"),
        ],
    )
    def test_loopback_names_are_answered(self, client: httpx.Client, host: str) -> None:
        assert client.get("/v1/bases", headers={"host": host}).status_code == 200

    def test_health_checks_use_any_name(self, client: httpx.Client) -> None:
        for path in ("/healthz", "/readyz"):
            assert client.get(path, headers={"host": "pod-7.example"}).status_code == 200

    def test_http_1_0_needs_no_host(self, client: httpx.Client) -> None:
        assert raw(client, "GET /healthz HTTP/1.0\r\n\r\n").startswith("HTTP/1.1 200")
        assert raw(client, "GET /v1/bases HTTP/1.0\r\n\r\n").startswith("HTTP/1.1 200")

    def test_one_host_hides_no_other(self, client: httpx.Client) -> None:
        two = "GET /v1/bases HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
        assert raw(client, two).startswith("HTTP/1.1 400")

    def test_listed_hosts_and_subdomains_are_answered(self, proxied: httpx.Client) -> None:
        for host in ("lab.example.org", "LAB.example.org:443", "a.b.cluster.example", "localhost"):
            assert proxied.get("/v1/bases", headers={"host": host}).status_code == 200
        for host in ("evil.example", "cluster.example", "xlab.example.org", "192.0.2.1"):
            problem(proxied.get("/v1/bases", headers={"host": host}), 421, "host-not-allowed")
        path = "/intertwine/healthz"
        assert proxied.get(path, headers={"host": "evil.example"}).status_code == 200

    @pytest.mark.slow
    def test_with_keys_every_host_is_answered_unless_some_are_listed(self, tmp_path: Path) -> None:
        data, evil = tmp_path / "data", {"host": "evil.example"}
        with service_process(data, **IDLE) as service:
            assert (
                httpx.get(f"{service.address}/v1/bases", headers=evil, timeout=60).status_code
                == 421
            )
        made = intertwine("keys", "create", "alice", "--data", data)
        key = {"authorization": f"Bearer {made.out.strip()}"}
        with service_process(data, **IDLE) as service:
            address = f"{service.address}/v1/bases"
            problem(httpx.get(address, headers=evil, timeout=60), 401, "unauthorized")
            assert httpx.get(address, headers={**evil, **key}, timeout=60).status_code == 200
        with service_process(data, **IDLE, allowed_hosts="lab.example.org") as service:
            address = f"{service.address}/v1/bases"
            problem(
                httpx.get(address, headers={**evil, **key}, timeout=60), 421, "host-not-allowed"
            )

    def test_beyond_loopback_addresses_are_answered_and_names_are_not(self) -> None:
        rules = HostRules.of(Settings(host="0.0.0.0"))
        assert rules.accept("192.0.2.1")
        assert rules.accept("[2001:db8::1]")
        assert rules.accept("localhost")
        assert not rules.accept("evil.example")
        assert HostRules.of(Settings(host="Lab.example.org")).accept("lab.example.org")
        assert HostRules.of(Settings(allowed_hosts=("*",))).accept("evil.example")


class TestOrigins:
    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": EVIL},
            {"origin": "null"},
            {"origin": "http://127.0.0.1"},
            {"origin": "http://localhost:1"},
            {"origin": "http://["},
            {"origin": "file://"},
            {"origin": EVIL, "sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
            {"sec-fetch-site": "same-site"},
            {"sec-fetch-site": "whatever"},
        ],
        ids=str,
    )
    def test_pages_of_other_origins_are_refused(
        self, client: httpx.Client, headers: dict[str, str]
    ) -> None:
        for method, path in (
            ("GET", "/v1/groups/SO(3)/irreps?power=2"),
            ("POST", "/v1/bases"),
            ("POST", "/v1/datasets"),
            ("POST", "/v1/jobs/1:cancel"),
            ("DELETE", "/v1/jobs/1"),
            ("OPTIONS", "/v1/bases"),
            ("GET", "/metrics"),
        ):
            answer = client.request(method, path, headers=headers)
            problem(answer, 403, "origin-not-allowed")
            assert "access-control-allow-origin" not in answer.headers

    def test_a_foreign_page_starts_no_work(self, client: httpx.Client) -> None:
        """The form of a foreign page, as a browser sends it."""
        listed = client.get("/v1/datasets").json()["data"]
        form = {"content-type": "text/plain", "origin": EVIL, "sec-fetch-site": "cross-site"}
        body = json.dumps({"rep": "V", "group": "SO(7)"}).encode()
        problem(client.post("/v1/bases", content=body, headers=form), 403, "origin-not-allowed")
        form["content-type"] = "application/zip"
        answer = client.post("/v1/datasets?name=theirs", content=b"PK", headers=form)
        problem(answer, 403, "origin-not-allowed")
        assert client.get("/v1/datasets").json()["data"] == listed

    def test_its_own_pages_may_call_it(self, client: httpx.Client) -> None:
        for headers in (
            {"origin": f"http://{own(client)}"},
            {"origin": f"https://{own(client)}"},  # behind a proxy that terminates TLS
            {"origin": f"http://{own(client)}", "sec-fetch-site": "same-origin"},
            {"sec-fetch-site": "same-origin"},
            {"sec-fetch-site": "none"},
        ):
            assert client.post("/v1/bases", json=SO3, headers=headers).status_code == 200
        for host, origin in (
            ("localhost:5", "http://localhost:5"),
            ("localhost", "https://localhost"),
            ("localhost:443", "https://localhost"),
            ("[::1]:7", "http://[::1]:7"),
        ):
            headers = {"host": host, "origin": origin}
            assert client.post("/v1/bases", json=SO3, headers=headers).status_code == 200

    def test_a_proxy_that_passes_the_host_needs_no_setting(self, proxied: httpx.Client) -> None:
        headers = {"host": "lab.example.org", **LAB}
        for path in ("/v1/reps:parse", "/intertwine/v1/reps:parse"):
            assert proxied.post(path, json=SO3, headers=headers).status_code == 200

    def test_links_from_other_sites_open_pages_and_no_endpoint(self, client: httpx.Client) -> None:
        visit = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        link, frame = {"sec-fetch-dest": "document"}, {"sec-fetch-dest": "iframe"}
        for path in ("/", "/docs", "/problems"):
            assert client.get(path, headers={**visit, **link}).status_code == 200
            problem(client.get(path, headers={**visit, **frame}), 403, "origin-not-allowed")
        for path in ("/v1/groups/SO(3)/irreps?power=2", "/metrics", "/metrics/"):
            problem(client.get(path, headers={**visit, **link}), 403, "origin-not-allowed")
        problem(client.post("/", headers={**visit, **link}), 403, "origin-not-allowed")

    def test_pages_of_allowed_origins_may_call_it(self, proxied: httpx.Client) -> None:
        page = {"origin": "https://notebooks.example.org", "sec-fetch-site": "cross-site"}
        asks = {
            **page,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        }
        allowed = proxied.options("/v1/reps:parse", headers=asks)
        assert allowed.status_code == 200
        answer = proxied.post("/v1/reps:parse", json=SO3, headers=page)
        assert answer.status_code == 200
        for response in (allowed, answer):
            assert response.headers["access-control-allow-origin"] == page["origin"]
        for origin in ("https://notebooks.example.org:8", "http://notebooks.example.org"):
            headers = {**page, "origin": origin}
            problem(proxied.get("/v1/bases", headers=headers), 403, "origin-not-allowed")

    def test_a_websocket_of_another_origin_is_refused(self, client: httpx.Client) -> None:
        asked = (
            f"GET /v1/jobs HTTP/1.1\r\nHost: {own(client)}\r\nOrigin: {EVIL}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert raw(client, asked).startswith("HTTP/1.1 403")


class TestContentTypes:
    @pytest.mark.parametrize(
        "sent",
        [
            *("", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"),
            *("multipart/form-data; boundary=x", "text/plain; application/json"),
            "application/json, text/plain",
        ],
    )
    def test_other_types_are_refused_at_every_address(
        self, client: httpx.Client, sent: str
    ) -> None:
        headers = {"content-type": sent} if sent else {}
        for path in _addresses(client):
            answer = client.post(path, content=b"{}", headers=headers)
            problem(answer, 415, "unsupported-media-type")

    @pytest.mark.slow
    def test_documented_types_are_accepted(self, client: httpx.Client) -> None:
        assert len(_addresses(client)) >= 6
        for path, types in _addresses(client).items():
            for kind in (*types, *(f"{kind.upper()}; charset=utf-8" for kind in types)):
                answer = client.post(path, content=b"{}", headers={"content-type": kind})
                assert answer.status_code != 415, (path, kind)

    def test_a_chunked_body_needs_a_type_too(self, client: httpx.Client) -> None:
        answer = client.post("/v1/bases", content=iter([b"{}"]))
        problem(answer, 415, "unsupported-media-type")

    def test_no_body_needs_no_type(self, client: httpx.Client) -> None:
        problem(client.post("/v1/jobs/1:cancel"), 404, "not-found")


class TestSecurityHeaders:
    @pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/v1/groups", "/v1/no", "/no"])
    def test_every_response_has_them(self, client: httpx.Client, path: str) -> None:
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        is_page = headers["content-type"].startswith("text/html")
        # without a referrer, browsers send forms without their origin too
        assert headers["referrer-policy"] == ("same-origin" if is_page else "no-referrer")
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]

    def test_refusals_have_them_too(self, client: httpx.Client) -> None:
        for headers in ({"host": "evil.example"}, {"origin": EVIL}):
            answer = client.get("/v1/bases", headers=headers)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"

    def test_answers_are_not_cached_unless_they_say_so(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        for path in ("/v1/jobs", "/v1/datasets", "/metrics"):
            assert client.get(path).headers["cache-control"] == "no-store"
        assert "immutable" in client.get(known["links"]["blob"]).headers["cache-control"]

    def test_json_loads_nothing_and_pages_only_what_they_need(self, client: httpx.Client) -> None:
        policies = {
            path: client.get(path).headers["content-security-policy"]
            for path in ("/v1/groups", "/", "/docs")
        }
        assert policies["/v1/groups"] == "default-src 'none'; frame-ancestors 'none'"
        assert "script-src 'self'" in policies["/"]
        assert "unsafe-inline" not in policies["/"]
        assert "script-src 'self' 'unsafe-inline'" in policies["/docs"]


class TestSettings:
    @pytest.mark.parametrize("host", ["https://lab", "lab:8000", "lab/x", "a b", "*lab.org"])
    def test_what_is_no_host_is_refused(self, host: str) -> None:
        with pytest.raises(ValidationError, match="is not a host: give names without scheme"):
            Settings(allowed_hosts=host)  # type: ignore[arg-type]

    @pytest.mark.parametrize("origin", ["*", "lab.org", "https://lab.org/", "ftp://lab.org", ""])
    def test_what_is_no_origin_is_refused(self, origin: str) -> None:
        if not origin:
            assert Settings(allowed_origins=origin).allowed_origins == ()  # type: ignore[arg-type]
            return
        with pytest.raises(ValidationError, match="is not an origin: give scheme, host and port"):
            Settings(allowed_origins=origin)  # type: ignore[arg-type]

    def test_several_are_separated_by_commas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INTERTWINE_ALLOWED_HOSTS", "Lab.example.org, [::1],10.0.0.1")
        assert Settings().allowed_hosts == ("lab.example.org", "[::1]", "10.0.0.1")


def raw(client: httpx.Client, text: str) -> str:
    """The beginning of the answer to a request that is sent as it stands."""
    assert client.base_url.port
    with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=60) as connection:
        connection.sendall(text.encode())
        return connection.recv(65536).decode("latin-1")


def _addresses(client: httpx.Client) -> dict[str, tuple[str, ...]]:
    """Every documented address that takes a body, and the types that it documents."""
    paths = client.get("/openapi.json").json()["paths"]
    return {
        path.replace("{key}", "0" * 64).replace("{name}", "nothing"): tuple(
            operations["post"]["requestBody"]["content"]
        )
        for path, operations in paths.items()
        if "requestBody" in operations.get("post", {})
    }
