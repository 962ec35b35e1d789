"""Time the solver: one line per case, method and backend, each measured in a fresh process.

Seconds are for one solve after the imports, including compilation; peak memory is that of the
whole process, and of the GPU if it was used. The times of EMLP (Finzi, Welling and Wilson 2021)
were taken on two cores and are for orientation.

    python benchmarks/solve.py                          the whole table
    python benchmarks/solve.py "SO(3)" --backend jax    the cases that contain a text, on JAX
    python benchmarks/solve.py --group "Sp(2)" --rep "T(2,2)" --method krylov
    python benchmarks/solve.py --plot solve.svg         time against size, drawn
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

SVD_UP_TO, KRYLOV_UP_TO = 1_000, 20_000
"""The largest sizes that a method is tried on, unless it is asked for by name."""


@dataclass(frozen=True)
class Case:
    """A rep of a group (None if its text names the groups), and EMLP's time."""

    group: str | None
    rep: str
    emlp: str = ""

    def __str__(self) -> str:
        return f"{self.group or 'mixed'} {self.rep}"

    def build(self) -> Any:
        """The concrete rep."""
        from intertwine.groups import parse_group
        from intertwine.reps import parse

        rep = parse(self.rep)
        return rep if self.group is None else rep(parse_group(self.group))


@dataclass(frozen=True)
class Run:
    """One line of the table: the task of a fresh process."""

    case: Case
    method: str
    backend: str
    device: str | None
    repeat: int


CASES = (
    Case("SO(3)", "T(4)"),
    Case("SO(3)", "T(6)", "2.5 s"),
    Case("SO(3)", "T(7)", "11 s"),
    Case("SO(3)", "T(8)", "155 s"),
    Case("SO(3)", "T(10)"),
    Case("SO(3)", "T(12)"),
    Case("SO(3)", "T(14)"),
    Case("SO13p", "T(3,3)", "18 s"),
    Case("SO13p", "T(4,4)", "> 300 s"),
    Case("O(3)", "T(8)", "200 s"),
    Case("O(5)", "T(6)", "54 s"),
    Case("O(7)", "T(6)"),
    Case("Sp(2)", "T(3,3)"),
    Case("Sp(2)", "T(4,4)"),
    Case("SU(4)", "T(3,3)"),
    Case("O(2)", "T(8)"),
    Case("D(6)", "T(6)"),
    Case("S(5)", "T(6)", "> 300 s"),
    Case("S(10)", "T(3)"),
    Case("RubiksCube", "T(2)"),
    Case("RubiksCube", "T(3)"),
    Case("RubiksCube", "T(4)"),
    Case(None, "V(S(4))**3*V(SO(3))**4"),
)

#: What `--plot` draws: tensors of growing size over three groups.
CURVES = {
    "SO(3)": tuple(Case("SO(3)", f"T({p})") for p in (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14)),
    "S(n), T(3)": tuple(Case(f"S({n})", "T(3)") for n in (3, 4, 6, 8, 10, 14, 20, 28, 40)),
    "SO13p": tuple(Case("SO13p", f"T({p},{p})") for p in (1, 2, 3, 4)),
}

_COLUMNS = (
    ("group", 11), ("rep", 23), ("method", 7), ("backend", 14), ("size", 10), ("rank", 6),
    ("seconds", 8), ("again", 8), ("memory", 9), ("EMLP", 8),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit status is 1 if a run ended without a basis, 2 for bad input."""
    options = _options(arguments)
    if options.measure:
        print(json.dumps(_measure(json.loads(options.measure))))
        return 0
    try:
        runs = list(_runs(options))
    except ValueError as error:  # no rep, no group
        print(error, file=sys.stderr)
        return 2
    if options.plot:
        return _plot(options)
    if not options.json:
        _print_heading()
    failed = False
    for run in runs:
        found = _in_fresh_process(run, options.timeout)
        failed |= "error" in found
        if options.json:
            print(json.dumps({**asdict(run), **found}), flush=True)
        else:
            _print_line(run, found)
    return int(failed)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help="only cases with this text, such as 'SO(3) T(6)'"
    )
    parser.add_argument("--rep", help="a case of your own: its rep, such as 'V**2>>V'")
    parser.add_argument("--group", help="and its group, unless the rep's text names it: 'SO(4)'")
    parser.add_argument("--method", help="only this method, whatever the size")
    parser.add_argument("--backend", help="only this backend: numpy or jax")
    parser.add_argument("--device", help="the device of JAX, such as gpu:0 (default: its first)")
    parser.add_argument(
        "--repeat", type=int, default=1, help="solve so often; 'again' is the best after the first"
    )
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one process")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--plot", metavar="FILE", help="draw time against size into FILE (.svg)")
    parser.add_argument("--list", action="store_true", help="list the cases and stop")
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # the task of a fresh process
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(map(str, CASES)))
        parser.exit()
    if options.group is not None and options.rep is None:
        parser.error("--group needs --rep")
    if not _chosen(options):
        parser.error(f"no case contains {options.cases}; --list shows them")
    return options


def _chosen(options: argparse.Namespace) -> list[Case]:
    if options.rep is not None:
        return [Case(options.group, options.rep)]
    wanted = options.cases or [""]
    return [case for case in CASES if any(text in str(case) for text in wanted)]


def _runs(options: argparse.Namespace) -> Iterator[Run]:
    """The methods and backends that apply to each case."""
    backends = ["numpy"] + ["jax"] * (importlib.util.find_spec("jax") is not None)
    for case in _chosen(options):
        for method in [options.method] if options.method else _methods(case):
            for backend in [options.backend] if options.backend else backends:
                if method in ("orbits", "irreps") and backend == "jax" and not options.backend:
                    continue  # integers, and small matrices: found by NumPy
                device = options.device if backend == "jax" else None
                yield Run(case, method, backend, device, options.repeat)


def _methods(case: Case) -> list[str]:
    from intertwine.operators import as_signed_permutation
    from intertwine.reps.syntax import groups_of

    rep = case.build()
    permutes = all(
        not group.lie_generators
        and all(as_signed_permutation(h) is not None for h in group.group_generators)
        for group in groups_of(rep)
    )
    methods = ["orbits"] * permutes + ["irreps"]
    methods += ["svd"] * (rep.size() <= SVD_UP_TO)
    return methods + ["krylov"] * (rep.size() <= KRYLOV_UP_TO)


def _plot(options: argparse.Namespace) -> int:
    """Draw seconds against size, a panel for each group and a line for each method."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(CURVES), figsize=(13, 4), sharey=True)
    for panel, (title, cases) in zip(panels, CURVES.items(), strict=True):
        lines: dict[str, list[tuple[int, float]]] = {}
        for case in cases:
            for method in _methods(case):
                run = Run(case, method, "numpy", None, max(3, options.repeat))
                found = _in_fresh_process(run, options.timeout)
                if "error" in found:
                    print(f"{case} by {method}: {found['error']}", file=sys.stderr)
                    continue
                print(f"{case} by {method}: {found['seconds']:.3g} s", flush=True)
                lines.setdefault(method, []).append((found["size"], found["seconds"]))
        for method, points in lines.items():
            panel.loglog(*zip(*points, strict=True), marker="o", label=method)
        panel.set(title=title, xlabel="size n")
        panel.grid(alpha=0.3)
        panel.legend()
    panels[0].set_ylabel("seconds of the first solve")
    figure.tight_layout()
    figure.savefig(options.plot)
    print(f"drawn into {options.plot}")
    return 0


def _in_fresh_process(run: Run, timeout: float) -> dict[str, Any]:
    environment = {
        **os.environ,
        "INTERTWINE_CACHE": "off",  # measure the solver, not the store
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    command = [sys.executable, __file__, "--measure", json.dumps(asdict(run))]
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"stopped after {timeout:g} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        return {"error": f"exit status {done.returncode}: {lines[-1]}"}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _measure(run: dict[str, Any]) -> dict[str, Any]:
    """Solve in this process, and return its cost."""
    from intertwine.errors import IntertwineError
    from intertwine.invariants import solve

    if run["backend"] == "jax":
        import jax

        jax.devices()  # finding them is not the solver's time
    rep = Case(**run["case"]).build()
    choice = {name: run[name] for name in ("method", "backend", "device")}
    seconds = []
    try:
        for _ in range(max(1, run["repeat"])):
            started = time.perf_counter()
            basis = solve(rep, **choice)
            seconds.append(time.perf_counter() - started)
    except IntertwineError as error:
        return {"error": f"{error.code}: {error}"}
    certificate = basis.certificate
    return {
        "ran": f"{certificate.backend} {certificate.device}",
        "size": certificate.size,
        "rank": certificate.rank,
        "residual": certificate.residual,
        "iterations": certificate.iterations,
        "seconds": seconds[0],
        "again": min(seconds[1:]) if seconds[1:] else None,
        "peak_bytes": _peak_bytes(),
        "device_peak_bytes": _device_peak_bytes(certificate.device),
    }


def _peak_bytes() -> int:
    """The most memory that this process held: of it alone, where the system tells."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _device_peak_bytes(device: str) -> int | None:
    """The most memory of a GPU that was held, where it is known."""
    if "jax" not in sys.modules or device.startswith("cpu"):
        return None
    import jax

    for found in jax.devices():
        if f"{found.platform}:{found.id}" == device:
            return (found.memory_stats() or {}).get("peak_bytes_in_use")
    return None


def _print_heading() -> None:
    packages = ["numpy", "scipy"] + ["jax"] * (importlib.util.find_spec("jax") is not None)
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")
    print("  ".join(f"{name:>{width}}" for name, width in _COLUMNS))
    print("  ".join("-" * width for _, width in _COLUMNS), flush=True)


def _print_line(run: Run, found: dict[str, Any]) -> None:
    head = [run.case.group or "mixed", run.case.rep, run.method]
    if "error" in found:
        cells = [*head, run.backend]
        widths = [width for _, width in _COLUMNS[:4]]
        line = [f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)]
        print("  ".join([*line, found["error"]]), flush=True)
        return
    memory = f"{found['peak_bytes'] / 1e6:,.0f} MB"
    again = f"{found['again']:.3f}" if found["again"] is not None else ""
    cells = [*head, found["ran"], f"{found['size']:,}", f"{found['rank']:,}"]
    cells += [f"{found['seconds']:.3f}", again, memory, run.case.emlp]
    line = [f"{cell:>{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True)]
    if found["device_peak_bytes"] is not None:
        line.append(f"{found['device_peak_bytes'] / 1e6:,.0f} MB of the GPU's")
    print("  ".join(line).rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
