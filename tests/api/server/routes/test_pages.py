"""The pages for people and for machines that watch, and what is documented."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.documents import ROOT
from helpers.example_stores import run_with_mounts
from helpers.program import PROGRAM
from helpers.service import SO3, metric
from intertwine_api.wire.problems import CODES
from intertwine_api.work.settings import Settings

#: Runs a service whose folder is a small disk. Prints what `/readyz` answers: while there is room,
#: while there is not, and then what a read answers, and once there is room again.
_ON_A_SMALL_DISK = """
import json, pathlib, re, sys, urllib.error, urllib.request
data = pathlib.Path(sys.argv[1])
mount("-t", "tmpfs", "-o", "size=100m", "tmpfs", data)
command = [sys.argv[2], "serve", "--port", "0", "--data", data]
service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
address = re.search(r"http://[\\d.:]+", service.stdout.readline())[0]

def get(path):
    try:
        with urllib.request.urlopen(address + path) as answer:
            return [answer.status, json.load(answer)]
    except urllib.error.HTTPError as error:
        return [error.code, json.load(error)]

def wait_until_ready():
    while True:
        try:
            found = get("/readyz")
        except urllib.error.URLError:  # it is not listening yet
            continue
        if found[1].get("detail") != "the workers are starting":
            return found

found = [wait_until_ready()]
filler = data / "filler"
filler.write_bytes(bytes(50 * 2**20))
found += [get("/readyz"), get("/healthz"), get("/v1/bases")]
filler.unlink()
found += [get("/readyz")]
service.terminate()
service.wait(30)
print(json.dumps(found))
"""


class TestWatching:
    @pytest.mark.slow
    def test_it_is_not_ready_while_its_disk_is_full(self, tmp_path: Path) -> None:
        done = run_with_mounts(_ON_A_SMALL_DISK, tmp_path, PROGRAM)
        before, full, alive, read, after = json.loads(done.stdout or "null")
        assert before == after == [200, {"status": "ready"}], done.stderr
        assert (full[0], full[1]["code"]) == (503, "not-ready")
        assert re.fullmatch(
            r"the disk of the data cannot be written to: only [\d,]+ bytes are free on the disk\. "
            r"Free some of it: the service leaves a reserve to the database and the logs",
            full[1]["detail"],
        )
        assert (alive[0], read[0]) == (200, 200)

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
            start = f"| `INTERTWINE_{name.upper()}` |"
            row = next(line for line in page.splitlines() if line.startswith(start))
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
