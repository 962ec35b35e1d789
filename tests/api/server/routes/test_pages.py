"""The pages for people and for machines that watch, and what is documented."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.browser import NEEDS_CHROMIUM, browser
from helpers.documents import ROOT
from helpers.example_stores import run_with_mounts
from helpers.program import PROGRAM
from helpers.service import SO3, UNKNOWN, metric, running_service
from intertwine_api.wire.problems import CODES
from intertwine_api.wire.vocabulary import ALLOWED_BY
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
        with urllib.request.urlopen(address + path, timeout=60) as answer:
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


#: Loads an image from another host, for which the browser must complain.
_FORBIDDEN = "new Image().src = 'https://cdn.example/logo.svg'"

#: A stand-in for the program: a GPU that computes, and one that does not tell all of its figures.
_NVIDIA_SMI = """#!/bin/sh
echo "$*" >> "$0.calls"
echo "0, 81000, 143771, 37"
echo "1, 4, 143771, [N/A]"
"""


class TestGpus:
    @pytest.mark.slow
    def test_their_use_is_read_at_most_every_15_seconds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir()
        program.write_text(_NVIDIA_SMI)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        begun = time.monotonic()
        with running_service(tmp_path / "data", workers="1", jobs="0") as client:
            for _ in range(3):
                shown = client.get("/metrics").text
        for line in (
            f'intertwine_gpu_memory_used_bytes{{device="0"}} {81000 * 2.0**20}',
            f'intertwine_gpu_memory_bytes{{device="1"}} {143771 * 2.0**20}',
            'intertwine_gpu_utilization_ratio{device="0"} 0.37',
        ):
            name, value = line.rsplit(" ", 1)
            found = re.search(rf"^{re.escape(name)} (.*)$", shown, re.MULTILINE)
            assert found, shown
            assert float(found[1]) == pytest.approx(float(value))
        assert 'utilization_ratio{device="1"}' not in shown
        calls = len(program.with_suffix(".calls").read_text().splitlines())
        assert 1 <= calls <= 1 + (time.monotonic() - begun) / 15

    def test_there_are_no_figures_without_a_gpu(self, client: httpx.Client) -> None:
        if shutil.which("nvidia-smi"):
            pytest.skip("this machine has nvidia-smi")
        shown = client.get("/metrics")
        assert shown.status_code == 200
        assert "# TYPE intertwine_gpu_memory_bytes gauge" in shown.text
        assert "\nintertwine_gpu" not in shown.text


@pytest.mark.slow
@NEEDS_CHROMIUM
def test_pages_in_a_browser_need_nothing_that_their_policy_forbids(tmp_path: Path) -> None:
    pages = {
        "/": "Explorer",
        "/docs": "Find a basis",  # the summary of an operation, which a script writes
        "/problems": "Problem codes",
    }
    with (
        running_service(tmp_path / "data", workers="1", jobs="0") as client,
        browser(tmp_path / "profile") as visitor,
    ):
        own = str(client.base_url).rstrip("/")
        for path, text in pages.items():
            page = visitor.visit(f"{own}{path}", text)
            assert page.complaints == [], path
            assert page.requested[0] == f"{own}{path}"
            for address in page.requested:
                assert address.startswith((f"{own}/", "data:")), address
        page = visitor.visit(f"{own}/", pages["/"], script=_FORBIDDEN)
        assert any("cdn.example" in complaint for complaint in page.complaints)


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

    @pytest.mark.parametrize(
        "path", ["/", "/system", "/healthz", "/problems", "/v1/bases", "/openapi.json"]
    )
    def test_a_head_is_a_get_without_its_body(self, client: httpx.Client, path: str) -> None:
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == client.get(path).headers["content-type"]

    def test_the_documentation_asks_no_other_host(self, client: httpx.Client) -> None:
        loaded = re.findall(r"(?:src|href)=\"([^\"]+)\"", client.get("/docs").text)
        assert loaded
        for address in loaded:
            assert client.get(address).status_code == 200, address

    def test_what_it_did_is_counted(self, client: httpx.Client, known: dict[str, Any]) -> None:
        hits = metric(client, "intertwine_cache_lookups_total", level="disk")
        client.post("/v1/bases", json=SO3)
        assert metric(client, "intertwine_cache_lookups_total", level="disk") == hits + 1
        assert metric(client, "intertwine_solves_total", outcome="solved") >= 1
        assert metric(client, "intertwine_solve_seconds_count") >= 1
        unknown = metric(client, "intertwine_cache_lookups_total", level="none")
        client.get(f"/v1/bases/{UNKNOWN}")
        assert metric(client, "intertwine_cache_lookups_total", level="none") == unknown + 1
        assert metric(client, "intertwine_store_bytes") > 0
        assert metric(client, "intertwine_queue") == 0

    def test_the_system_page_says_what_is_running(self, client: httpx.Client) -> None:
        page = client.get("/system")
        assert page.headers["content-type"].startswith("text/html")
        for link in ("docs", "v1/bases", "v1/groups", "problems", "metrics"):
            assert f'href="./{link}"' in page.text
            assert client.get(f"/{link}").status_code == 200

    def test_the_store_is_not_walked_for_each_call(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        def shown() -> str:
            found = re.search(r"Bases known</dt><dd>([\d,]+)", client.get("/system").text)
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

    def test_every_scope_is_documented(self) -> None:
        page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", page).replace("`", "")
        for scope, meaning in ALLOWED_BY.items():
            assert f"| {scope} | {meaning} |" in text

    def test_the_openapi_document_has_examples_and_problems(self, client: httpx.Client) -> None:
        document = client.get("/openapi.json").json()
        assert "HTTPValidationError" not in json.dumps(document)
        asked = document["components"]["schemas"]["BasisRequest"]["properties"]
        assert asked["rep"]["examples"] == ["V**2*V.T+5V0"]
        for path, operations in document["paths"].items():
            for operation in operations.values():
                assert operation["operationId"], path
                assert operation["summary"], path
