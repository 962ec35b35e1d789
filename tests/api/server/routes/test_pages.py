"""The pages for people and for machines that watch, and what is documented."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from helpers.documents import ROOT
from helpers.service import SO3, metric
from intertwine_api.wire.problems import CODES
from intertwine_api.work.settings import Settings


class TestWatching:
    def test_it_is_alive_and_ready(self, client: httpx.Client) -> None:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {"status": "ready"}

    @pytest.mark.parametrize("path", ["/", "/healthz", "/problems", "/v1/bases", "/openapi.json"])
    def test_a_head_is_a_get_without_its_body(self, client: httpx.Client, path: str) -> None:
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == client.get(path).headers["content-type"]

    @pytest.mark.parametrize("path", ["/docs", "/redoc"])
    def test_the_documentation_asks_no_other_host(self, client: httpx.Client, path: str) -> None:
        loaded = re.findall(r"(?:src|href)=\"([^\"]+)\"", client.get(path).text)
        assert loaded
        for address in loaded:
            assert client.get(address).status_code == 200, address

    def test_what_it_did_is_counted(self, client: httpx.Client, known: dict[str, Any]) -> None:
        hits = metric(client, "intertwine_cache_lookups_total", level="disk")
        client.post("/v1/bases", json=SO3)
        assert metric(client, "intertwine_cache_lookups_total", level="disk") == hits + 1
        assert metric(client, "intertwine_solves_total", outcome="solved") >= 1
        assert metric(client, "intertwine_solve_seconds_count") >= 1
        assert metric(client, "intertwine_store_bytes") > 0
        assert metric(client, "intertwine_queue") == 0

    def test_the_home_page_says_what_is_running(self, client: httpx.Client) -> None:
        page = client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        for link in ("docs", "v1/bases", "v1/groups", "problems", "metrics"):
            assert f'href="{link}"' in page.text
            assert client.get(f"/{link}").status_code == 200

    def test_the_store_is_not_walked_for_each_call(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        def shown() -> str:
            found = re.search(r"bases known<td>([\d,]+)", client.get("/").text)
            assert found
            return found[1]

        before = shown()
        for size in range(2, 5):
            client.post("/v1/bases", json={"rep": f"{size}V*V", "group": "O(3)"})
        assert shown() == before

    def test_every_code_is_documented(self, client: httpx.Client) -> None:
        page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
        shown = client.get("/problems").text
        for code, (status, title) in CODES.items():
            assert f"| `{code}` | {status} | {title} |" in page
            assert f'id="{code}"' in shown

    def test_every_setting_is_documented(self) -> None:
        page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
        for name, field in Settings.model_fields.items():
            row = next(line for line in page.splitlines() if f"`INTERTWINE_{name.upper()}`" in line)
            assert field.description
            assert field.description in row

    def test_the_openapi_document_has_examples_and_problems(self, client: httpx.Client) -> None:
        document = client.get("/openapi.json").json()
        assert "HTTPValidationError" not in json.dumps(document)
        asked = document["components"]["schemas"]["BasisRequest"]["properties"]
        assert asked["rep"]["examples"] == ["V**2*V.T+5V0"]
        for path, operations in document["paths"].items():
            for operation in operations.values():
                assert operation["operationId"], path
                assert operation["summary"], path
