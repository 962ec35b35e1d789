"""Measure the solver and the networks on the device that JAX finds, such as a GPU.

One command, in less than ten minutes, with nothing but this clone, Python 3.11 or newer, NumPy,
SciPy, JAX, Equinox and optax:

    python benchmarks/gpu.py                      # a table
    python benchmarks/gpu.py --json gpu.jsonl     # and its rows in a file
    python benchmarks/gpu.py --short              # small sizes, to test that everything runs

The solver's methods `svd` and `krylov` run on JAX in float64, and on NumPy on the same machine,
each in a fresh process. Training steps and forwards of `EMLP` are compared with `eqx.nn.MLP`, in
float32 with the highest precision of matrix products and in bfloat16. The linear map of a layer is
timed in four layouts. Exits with 1 if a rank differs, a network is not equivariant, or a run fails.
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 570
SOLVER_SECONDS = 240
"""No measurement starts after these times; those left out are listed."""
CASES = (
    ("SO(3)", "T(6)", "svd"),
    ("SO(3)", "T(7)", "svd"),
    ("SO(3)", "T(8)", "krylov"),
    ("O(5)", "T(6)", "krylov"),
    ("O(7)", "T(6)", "krylov"),
    ("O(10)", "T(6)", "krylov"),
)
"""Sizes 729 to 1,000,000."""
SHORT_CASES = (("SO(3)", "T(4)", "svd"), ("SO(3)", "T(4)", "krylov"))
BATCHES, SHORT_BATCHES = (64, 512, 4096, 16384, 65536), (64,)
TASK = "Inertia SO(3)"
LARGEST_ERROR = {"float32": 1e-5, "bfloat16": 0.1}
"""The allowed equivariance error: rounding in that precision, through four layers."""

Result = dict[str, Any]


def main() -> int:
    """Print the table, and list the measurements left out. Return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="small sizes, for a test")
    parser.add_argument(
        "--json", metavar="FILE", help="also write the rows, one JSON object a line"
    )
    options = parser.parse_args()
    for folder in ("solver", "cache"):  # a clone needs no installation
        sys.path.insert(0, str(ROOT / folder))
    if importlib.util.find_spec("jax") is None:
        print("JAX is not installed: this benchmark measures it. Run: pip install jax")
        return 1
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # processes share the GPU
    rows, failures, started = [], 0, time.perf_counter()
    for row in _results(options.short, started):
        failures += "error" in row
        rows.append(row)
        print(_line(row), flush=True)
    if options.json:
        Path(options.json).write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"{time.perf_counter() - started:.0f} s, {failures} failures")
    return int(failures > 0)


def _results(short: bool, started: float) -> Iterator[Result]:
    def left(end: float) -> float:
        return end - (time.perf_counter() - started)

    yield from _solver(SHORT_CASES if short else CASES, lambda: left(SOLVER_SECONDS))
    yield _machine()
    if absent := [name for name in ("equinox", "optax") if importlib.util.find_spec(name) is None]:
        names = " and ".join(absent)
        yield {"section": "networks", "error": f"{names} not installed: networks are left out"}
        return
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    yield from _layouts((64,) if short else (512, 65536), 8 if short else 1)
    for batch in SHORT_BATCHES if short else BATCHES:
        for precision in LARGEST_ERROR:
            if left(SECONDS) < 0:
                reason = f"{batch} in {precision}: {SECONDS} s were over"
                yield {"section": "networks", "left out": reason}
                continue
            yield from _networks(batch, precision, rounds=2 if short else 10)


def _machine() -> Result:
    import jax

    device = jax.devices()[0]
    return {
        "section": "machine",
        "device": f"{device.platform} {device.device_kind}",
        "jax": jax.__version__,
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
    }


def _solver(cases: tuple[tuple[str, str, str], ...], left: Callable[[], float]) -> Iterator[Result]:
    """Each case on NumPy and on JAX: `benchmarks/solve.py` runs it in a fresh process."""
    for group, rep, method in cases:
        ranks = set()
        for backend in ("numpy", "jax"):
            row: Result = {"section": "solver", "case": f"{group} {rep}", "method": method}
            row["backend"] = backend
            if left() < 1:
                yield row | {"left out": f"{SOLVER_SECONDS} s for the solver were over"}
                continue
            found = _solved(group, rep, method, backend, left())
            ranks |= {found["rank"]} if "rank" in found else set()
            if len(ranks) > 1:
                found["error"] = f"the ranks of NumPy and JAX differ: {sorted(ranks)}"
            yield row | found


def _solved(group: str, rep: str, method: str, backend: str, seconds: float) -> Result:
    command = [sys.executable, str(ROOT / "benchmarks" / "solve.py"), "--group", group]
    command += ["--rep", rep, "--method", method, "--backend", backend]
    command += ["--repeat", "2", "--json", "--timeout", f"{seconds:.0f}"]
    path = os.pathsep.join(filter(None, [*sys.path[:2], os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    found = json.loads(done.stdout)
    kept = ("ran", "size", "rank", "residual", "seconds", "again", "peak_bytes", "error")
    return {name: found[name] for name in (*kept, "device_peak_bytes") if name in found}


def _layouts(batches: tuple[int, ...], smaller: int) -> Iterator[Result]:
    """The linear map of a hidden layer of Inertia under SO(3), in four layouts."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    rng = np.random.default_rng(0)
    kinds = {1: 187 // smaller, 3: 54 // smaller, 5: 17 // smaller}
    for batch in batches:
        weights, apart = {}, {}
        for d, m in kinds.items():
            weights[d] = jnp.asarray(rng.standard_normal((m, m)) / m**0.5, jnp.float32)
            apart[d] = jnp.asarray(rng.standard_normal((d, m, batch)), jnp.float32)
        side = {d: jnp.concatenate([*x], axis=1) for d, x in apart.items()}
        first = {d: jnp.transpose(x, (2, 0, 1)) for d, x in apart.items()}
        flat = jnp.concatenate([x.reshape(batch, -1) for x in first.values()], axis=1)
        dense = jax.scipy.linalg.block_diag(
            *(jnp.kron(jnp.eye(d, dtype=jnp.float32), w) for d, w in weights.items())
        )
        ways: dict[str, tuple[Callable[..., Any], Any, Any]] = {
            "components apart": (
                lambda w, x: {d: [w[d] @ one for one in x[d]] for d in w},
                weights,
                {d: [*x] for d, x in apart.items()},
            ),
            "side by side": (lambda w, x: {d: w[d] @ x[d] for d in w}, weights, side),
            "batch first": (lambda w, x: {d: x[d] @ w[d].T for d in w}, weights, first),
            "dense": (lambda w, x: x @ w.T, dense, flat),
        }
        expected = ways["batch first"][0](weights, first)
        expected = jnp.concatenate([x.reshape(batch, -1) for x in expected.values()], axis=1)
        np.testing.assert_allclose(ways["dense"][0](dense, flat), expected, atol=1e-4)
        for name, (function, w, x) in ways.items():
            row = {"section": "layout", "layout": name, "batch": batch}
            yield row | {"forward_ms": _milliseconds(jax.jit(function), w, x)}


def _milliseconds(function: Callable[..., Any], *arguments: Any, rounds: int = 10) -> float:
    """The median time of a call, each round being several calls."""
    import jax
    import numpy as np

    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(5):
            found = function(*arguments)
        jax.block_until_ready(found)
        times.append((time.perf_counter() - start) / 5)
    return float(np.median(times)) * 1e3


def _networks(batch: int, precision: str, rounds: int) -> Iterator[Result]:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import numpy as np
    from intertwine.training import model_equivariance_error
    from step_times import measured
    from train_step import OURS, PLAIN, TASKS, JaxRunner, ours

    def cast(model: Any) -> Any:
        return jax.tree.map(lambda a: a.astype(precision) if eqx.is_inexact_array(a) else a, model)

    n_in, n_out, made = ours(TASK)
    rng = np.random.default_rng(0)
    x, y = (jnp.asarray(rng.standard_normal((batch, n)), precision) for n in (n_in, n_out))
    models = {name: cast(made[name]()) for name in (PLAIN, OURS)}
    runners = {
        name: JaxRunner(lambda name=name: models[name], x, y, name == OURS, microbatch=batch)
        for name in models
    }
    rep_in, rep_out, group = TASKS[TASK]
    points = np.asarray(x[:256], np.float32)
    for row in measured(TASK, batch, rounds, runners):
        found = {
            "section": "networks",
            "network": row.network,
            "batch": batch,
            "precision": precision,
            "compile_s": row.compile_s,
            "forward_ms": row.forward_ms,
            "forward_ratio": row.forward_ratio,
            "step_ms": row.step_ms,
            "step_ratio": row.step_ratio,
            "memory_bytes": row.memory_bytes,
            "device_peak_bytes": (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use"),
        }
        if row.network == OURS:
            model = models[OURS]
            error = model_equivariance_error(model, points, rep_in, rep_out, group)
            found["equivariance_error"] = error
            if not error < LARGEST_ERROR[precision]:
                found["error"] = f"the equivariance error is {error:.1e}"
        yield found


def _line(row: Result) -> str:
    """A row of the table."""
    cells = []
    for name, value in row.items():
        if value is None:
            continue
        if name.endswith("bytes"):
            cells.append(f"{name.removesuffix('_bytes')} {value / 2**20:,.0f} MiB")
        elif isinstance(value, float):
            cells.append(f"{name} {value:.3g}")
        elif name in ("section", "case", "method", "backend", "layout", "network", "precision"):
            cells.append(f"{value:<10}")
        else:
            cells.append(f"{name} {value}")
    return "  ".join(cells)


if __name__ == "__main__":
    sys.exit(main())
