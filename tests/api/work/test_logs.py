"""The formats of the log, and the audit records of commands."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from intertwine_api.storage.keys import Caller
from intertwine_api.work.logs import (
    REQUEST_ID,
    JsonFormatter,
    TextFormatter,
    audit,
    audited_command,
    rotated_audit_files,
)


def record(message: str, error: bool = False, **fields: object) -> logging.LogRecord:
    info = None
    if error:
        try:
            raise ValueError("no")
        except ValueError:
            info = sys.exc_info()
    made = logging.LogRecord("intertwine.x", logging.WARNING, "", 0, message, ("a",), info)
    made.fields = fields
    return made


def test_json_is_one_line_with_the_fields() -> None:
    line = JsonFormatter().format(record("%s\nb", error=True, path="/\n", n=1))
    assert "\n" not in line
    document = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document.pop("time"))
    assert "ValueError: no" in document.pop("exception")
    assert document == {
        **{"level": "warning", "logger": "intertwine.x", "message": "a\nb"},
        **{"path": "/\n", "n": 1},
    }


def test_text_has_the_fields_behind_the_message() -> None:
    line = TextFormatter().format(record("of %s", path="/\n\x1b", n=1))
    assert line.endswith(r'Z intertwine.x WARNING of a path="/\n\u001b" n=1')
    assert TextFormatter().format(record("%s", error=True)).endswith("ValueError: no")


def test_the_request_id_is_in_every_line_of_a_request() -> None:
    token = REQUEST_ID.set("mine")
    try:
        assert json.loads(JsonFormatter().format(record("%s")))["request_id"] == "mine"
        assert ' request_id="mine"' in TextFormatter().format(record("%s"))
    finally:
        REQUEST_ID.reset(token)
    assert "request_id" not in json.loads(JsonFormatter().format(record("%s")))


WRITE = """
import subprocess
import sys
from pathlib import Path
from intertwine_api.work.logs import audit, configure_logging
from intertwine_api.work.settings import Settings
configure_logging(Settings(data=Path(sys.argv[1]), audit_bytes=4096))
for number in range(300):
    audit("job deleted", "retention", id=f"{sys.argv[2]}-{number}")
"""


def test_several_services_rotate_the_audit_log_and_lose_no_line(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, tmp_path, str(i)], stderr=subprocess.DEVNULL)
        for i in range(3)
    ]
    assert [writer.wait(timeout=300) for writer in writers] == [0] * 3
    rotated = rotated_audit_files(tmp_path)
    assert len(rotated) > 10
    assert all(4096 <= file.stat().st_size < 3 * 4096 for file in rotated)
    files = [*rotated, *tmp_path.glob("audit.jsonl")]
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert {line["by"] for line in lines} == {"retention"}
    written = sorted(line["id"] for line in lines)
    assert written == sorted(f"{i}-{number}" for i in range(3) for number in range(300))


def test_audit_records_of_a_command_go_to_the_file_alone(tmp_path: Path) -> None:
    with audited_command(tmp_path / "data"):
        audit("key created", None, id="1")
        audit("job deleted", Caller("ada", frozenset(), "k"), id="2")
    audit("job deleted", None, id="3")
    first, second = map(json.loads, (tmp_path / "data/audit.jsonl").read_text().splitlines())
    assert (first["message"], first["id"]) == ("key created", "1")
    assert first["by"].endswith("with the command line")
    assert (second["by"], second["key"], second["id"]) == ("ada", "k", "2")


def test_an_audit_file_that_cannot_be_opened_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    with audited_command(tmp_path):
        audit("job cancelled", None, id="a job")
    assert "audit.jsonl" in capsys.readouterr().err  # the log says why
