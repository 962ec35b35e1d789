"""Whatever the OpenAPI document allows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from service import running_service

CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "response_headers_conformance"),
)


@pytest.mark.slow
def test_whatever_the_openapi_document_allows_is_answered_as_it_says(tmp_path: Path) -> None:
    """By schemathesis: no undocumented status, no undocumented document, no 500."""
    settings = {"workers": "1", "solve_seconds": "2", "solve_operations": "1e10"}
    with running_service(tmp_path / "data", **settings) as client:
        ended = subprocess.run(
            [
                *(Path(sys.executable).with_name("st"), "run", f"{client.base_url}/openapi.json"),
                *("--checks", ",".join(CHECKS), "--seed", "7", "--no-color"),
                *("--max-examples", "30", "--max-time", "150"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout[-5000:]
    assert "Traceback" not in (tmp_path / "data.log").read_text()
