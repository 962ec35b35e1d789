"""Whatever the OpenAPI document allows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.service import ServiceProcess, service_process
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys

CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "response_headers_conformance"),
)
SETTINGS = {
    **{"workers": "1", "solve_seconds": "2", "solve_operations": "1e10"},
    # a stream of a job that waits for ever would be one that is followed for ever
    **{"jobs": "1", "job_seconds": "2", "key_requests_per_second": "1e6"},
}


def run_schemathesis(service: ServiceProcess, folder: Path, seconds: int, *options: str) -> None:
    """Ask the service whatever its document allows. Fails where an answer is not as it says."""
    ended = subprocess.run(
        [
            *(Path(sys.executable).with_name("st"), "run", f"{service.address}/openapi.json"),
            *("--checks", ",".join(CHECKS), "--seed", "7", "--no-color"),
            "--suppress-health-check=filter_too_much",  # most datasets that it thinks of are none
            *("--max-examples", "30", "--max-time", str(seconds), "--request-timeout", "120"),
            *options,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-5000:]
    assert "Traceback" not in (folder / f"{service.data.name}.log").read_text()


@pytest.mark.slow
def test_whatever_the_openapi_document_allows_is_answered_as_it_says(tmp_path: Path) -> None:
    """By schemathesis: no undocumented status, no undocumented document, no 500."""
    with service_process(tmp_path / "data", **SETTINGS) as service:
        run_schemathesis(service, tmp_path, 150)


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["admin", "jobs:write", "bases:read"])
def test_with_a_key_too(tmp_path: Path, scope: str) -> None:
    service = ServiceProcess(tmp_path / "data", **SETTINGS)
    database = Database(f"sqlite:///{service.data}/intertwine.db")
    database.migrate()
    token = Keys(database).create("somebody", [scope])[1]
    database.close()
    with service_process(service.data, service=service):
        run_schemathesis(service, tmp_path, 60, "--header", f"Authorization: Bearer {token}")


@pytest.mark.slow
def test_without_the_key_that_it_takes_too(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data", **SETTINGS)
    database = Database(f"sqlite:///{service.data}/intertwine.db")
    database.migrate()
    Keys(database).create("somebody", ["admin"])
    database.close()
    with service_process(service.data, service=service):
        run_schemathesis(service, tmp_path, 30)
