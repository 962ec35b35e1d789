"""The use of GPUs is read from nvidia-smi, here a program that stands in for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.patience import PATIENCE
from intertwine_api.work import gpu_usage
from intertwine_api.work.gpu_usage import GpuUsage, read_gpu_usage

Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a shell script in the place of nvidia-smi; before, there is none."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gpu_usage, "_SECONDS", PATIENCE)

    def install(script: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return install


def test_devices_are_read(install: Install) -> None:
    install(
        """test "$*" = "--query-gpu=index,memory.used,memory.total,utilization.gpu\
 --format=csv,noheader,nounits" || exit 2
echo "0, 1024, 143771, 37"
echo "1, [N/A], [N/A], [Not Supported]"
"""
    )
    assert read_gpu_usage() == {
        "0": GpuUsage(1024 * 2.0**20, 143771 * 2.0**20, pytest.approx(0.37)),
        "1": GpuUsage(None, None, None),
    }


@pytest.mark.usefixtures("install")
def test_without_the_program_there_are_none(caplog: pytest.LogCaptureFixture) -> None:
    assert read_gpu_usage() == {}
    assert not caplog.records


@pytest.mark.parametrize("script", ["exit 9", "echo 0, 1, 2, 3; exit 15", "exec /bin/sleep 600"])
def test_a_program_that_fails_or_hangs_is_logged(
    install: Install,
    script: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(gpu_usage, "_SECONDS", 0.5)
    install(script)
    begun = time.monotonic()
    with caplog.at_level(logging.WARNING, "intertwine.service"):
        assert read_gpu_usage() == {}
    assert time.monotonic() - begun < PATIENCE
    assert caplog.messages[0].startswith("the use of the GPUs is unknown: ")


def test_other_output_is_ignored_and_devices_are_bounded(install: Install) -> None:
    install(
        """echo "No devices were found"
echo "a, b"
i=0
while [ $i -lt 100 ]; do echo "$i, 1, 2, 3"; i=$((i+1)); done
"""
    )
    assert list(read_gpu_usage()) == [str(index) for index in range(64)]
