"""Compare the library's decisions between the BLAS kernels that this processor can run.

NumPy's OpenBLAS chooses its kernels by the processor; `OPENBLAS_CORETYPE` chooses others. What
a result's rounding decides differs between them. As a program: compare the documents of
`kernel_document` under every kernel with one and two threads, then run pytest under every kernel.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

#: Kernels of OpenBLAS, and the flags of a processor that they need.
KERNELS = {
    "Prescott": {"pni"},
    "Haswell": {"avx2", "fma"},
    "Zen": {"avx2", "fma"},
    "SkylakeX": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
}
THREADS = ("1", "2")
ROUNDING = 1e-8
"""How much numbers may differ, relative to the largest of their array (1, if it is smaller)."""
_SHOWN = 40
_AT_ONCE = 2


def available_kernels() -> list[str]:
    """The kernels that this processor can run; empty unless it is an x86 under Linux."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return [kernel for kernel, needed in KERNELS.items() if needed <= flags]


def environment(kernel: str, threads: str) -> dict[str, str]:
    """The environment of a process under a kernel, without a store."""
    chosen = {"OPENBLAS_CORETYPE": kernel, "INTERTWINE_CACHE": "off"}
    chosen |= {f"{library}_NUM_THREADS": threads for library in ("OPENBLAS", "OMP", "MKL")}
    tests = Path(__file__).resolve().parents[1]  # where the package of the helpers is
    return {**os.environ, **chosen, "PYTHONPATH": str(tests)}


def document(kernel: str, threads: str, sections: Iterable[str] = ()) -> Any:
    """The document of a process under a kernel, or some sections of it."""
    program = Path(__file__).with_name("kernel_document.py")
    done = subprocess.run(
        [sys.executable, str(program), *sections],
        env=environment(kernel, threads),
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """The differences of two documents, one per line: the place, and both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        if list(one) != list(other):
            yield f"{path}: {_short(list(one))} / {_short(list(other))}"
        for key in (key for key in one if key in other):
            yield from differences(one[key], other[key], f"{path} > {key}" if path else key)
    elif _are_numbers(one) and _are_numbers(other) and len(one) == len(other):
        scale = max(1.0, *map(abs, one), *map(abs, other))
        errors = [abs(x - y) / scale for x, y in zip(one, other, strict=True)]
        if not all(error <= ROUNDING for error in errors):
            yield f"{path}: numbers differ by {max(errors):.1e}"
    elif _are_lists(one, other):
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from differences(a, b, f"{path}[{i}]")
    elif one != other:
        yield f"{path}: {_short(one)} / {_short(other)}"


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(x, float) for x in value)


def _are_lists(one: Any, other: Any) -> bool:
    """Whether both are lists of as many lists or dictionaries: those of values are shown whole."""
    both = isinstance(one, list) and isinstance(other, list) and len(one) == len(other)
    return both and all(isinstance(x, list | dict) for x in (*one, *other))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]} …"


def runs() -> list[tuple[str, str]]:
    """Every kernel with one thread, and the last, with two."""
    kernels = available_kernels()
    return [*((kernel, THREADS[0]) for kernel in kernels), *((k, THREADS[1]) for k in kernels[-1:])]


def compare_documents() -> bool:
    """Whether there is one document under all `runs`. Print what differs."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        documents = list(pool.map(lambda run: document(*run), runs()))
    equal = True
    for run, found in zip(runs()[1:], documents[1:], strict=True):
        different = list(differences(documents[0], found))
        equal = equal and not different
        print(f"-- {_named(*runs()[0])} and {_named(*run)}: {len(different)} differences")
        for line in islice(different, _SHOWN):
            print(f"   {line}", flush=True)
    return equal


def _named(kernel: str, threads: str) -> str:
    return f"{kernel} with {threads} thread{'s' if threads != '1' else ''}"


def main(arguments: list[str]) -> int:
    """Compare the documents, then run pytest with these arguments under every kernel."""
    if not compare_documents():
        return 1
    for kernel in available_kernels():
        print(f"-- pytest under {_named(kernel, THREADS[0])}", flush=True)
        command = [sys.executable, "-m", "pytest", *arguments]
        failed = subprocess.run(command, env=environment(kernel, THREADS[0]), check=False)
        if failed.returncode:
            return failed.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
