"""The use of this machine's NVIDIA GPUs, as the program nvidia-smi reports it.

JAX is not asked: it would take memory on the GPU for the process that asks.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
from dataclasses import dataclass

_LOG = logging.getLogger("intertwine.service")
_COLUMNS = "index,memory.used,memory.total,utilization.gpu"
_QUERY = (f"--query-gpu={_COLUMNS}", "--format=csv,noheader,nounits")
_SECONDS = 5.0  # a driver that hangs must not stop the metrics
_MOST = 64  # devices


@dataclass(frozen=True)
class GpuUsage:
    """The memory of a GPU in bytes, and the part of the time in which it computes, up to 1.

    A value that the device does not report is None.
    """

    used: float | None
    total: float | None
    utilization: float | None


def read_gpu_usage() -> dict[str, GpuUsage]:
    """Return the usage of the GPUs by their index; empty without nvidia-smi.

    If the program fails or takes more than some seconds, a warning is logged, and it is empty too.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    try:
        done = subprocess.run(
            [program, *_QUERY],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        _LOG.warning("the use of the GPUs is unknown: %s", error)
        return {}
    rows = [[field.strip() for field in line.split(",")] for line in done.stdout.splitlines()]
    devices = [row for row in rows if len(row) == len(_COLUMNS.split(",")) and row[0].isdecimal()]
    return {
        index: GpuUsage(_number(used, 2**20), _number(total, 2**20), _number(busy, 0.01))
        for index, used, total, busy in devices[:_MOST]
    }


def _number(text: str, unit: float) -> float | None:
    """Return a value in its unit; None for ``[N/A]`` and the like."""
    try:
        return float(text) * unit
    except ValueError:
        return None
