"""The BLAS kernels that this processor can run. As a program: run pytest under each of them.

NumPy's OpenBLAS chooses its kernels by the processor; `OPENBLAS_CORETYPE` chooses others. What
a result's rounding decides differs between them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: Kernels of OpenBLAS, and the flags of a processor that they need.
KERNELS = {
    "Prescott": {"pni"},
    "Haswell": {"avx2", "fma"},
    "Zen": {"avx2", "fma"},
    "SkylakeX": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
}
THREADS = ("1", "2")


def available_kernels() -> list[str]:
    """The kernels that this processor can run; none where it is not an x86 under Linux."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return [kernel for kernel, needed in KERNELS.items() if needed <= flags]


def main(arguments: list[str]) -> int:
    """Run pytest with these arguments under every kernel with one thread, and the last with two."""
    kernels = available_kernels()
    runs = [(kernel, THREADS[0]) for kernel in kernels]
    runs += [(kernel, THREADS[1]) for kernel in kernels[-1:]]
    for kernel, threads in runs:
        print(f"-- {kernel}, {threads} threads", flush=True)
        chosen = {"OPENBLAS_CORETYPE": kernel}
        chosen |= {f"{library}_NUM_THREADS": threads for library in ("OPENBLAS", "OMP", "MKL")}
        command = [sys.executable, "-m", "pytest", *arguments]
        failed = subprocess.run(command, env={**os.environ, **chosen}, check=False).returncode
        if failed:
            return failed
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
