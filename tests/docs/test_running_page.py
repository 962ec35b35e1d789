"""The page for operators: its commands are run against a service, and the files it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.documents import ADDRESS, ROOT, blocks, run_shell
from helpers.service import ServiceProcess, service_process

PAGE = ROOT / "docs" / "running.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_its_commands_run(tmp_path: Path) -> None:
    """In their order; the service starts after the first keys are made."""
    first, *others = [block for block in blocks(PAGE) if block.language == "bash"]
    (tmp_path / "backups").mkdir()
    run(first.text, tmp_path)
    assert (tmp_path / "alice.key").read_text().startswith("itw_")
    service = ServiceProcess(tmp_path / "data", require_keys="true", workers="1", jobs="0")
    with service_process(service.data, service):
        for block in others:
            printed = run(block.text.replace(ADDRESS, service.address), tmp_path)
            if "/metrics" in block.text:
                assert '{"status":"ready"}' in printed
                assert "intertwine_disk_free_bytes" in printed
    assert (tmp_path / "restored" / "intertwine.db").is_file()


def run(command: str, folder: Path) -> str:
    """Run commands of the page with its folders moved into this one."""
    for there, here in (
        ("/var/lib/intertwine", "data"),
        ("/backups", "backups"),
        ("/srv/restored", "restored"),
    ):
        command = command.replace(there, str(folder / here))
    ended = run_shell(command, folder)
    assert ended.returncode == 0, f"{command}\n{ended.stdout}"
    return str(ended.stdout)


def test_the_files_that_it_names_exist() -> None:
    named = set(re.findall(r"\b(?:docker|deploy)/[\w.-]+\w", TEXT))
    assert {f"deploy/{path.name}" for path in (ROOT / "deploy").iterdir()} <= named
    for name in named:
        assert (ROOT / name).is_file(), name
