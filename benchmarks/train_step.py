"""Time a training step and a forward of the networks, interleaved in one process.

Times are medians for Adam and batches of random numbers. A ratio to `eqx.nn.MLP` with 3 layers of
384 is the median of the ratios within each round. All run with `freed_memory_kept`, without which
the network with the largest memory has page faults at each step (--give-memory-back shows them).

    python benchmarks/train_step.py                         # the paper's tasks, batch 500
    python benchmarks/train_step.py O5Synthetic --batch 1 64 500 4096 --json
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from intertwine.groups import SO, Group, O, parse_group
from intertwine.nn import EMLP, MLP
from intertwine.reps import Rep, Scalar, V
from intertwine.training import freed_memory_kept

TASKS: dict[str, tuple[Rep, Rep, Group]] = {
    "Inertia SO(3)": (5 * Scalar + 5 * V, V**2, SO(3)),
    "Inertia O(3)": (5 * Scalar + 5 * V, V**2, O(3)),
    "O5Synthetic": (2 * V, Scalar, O(5)),
    "ParticleInteraction": (4 * V, Scalar, parse_group("SO13p")),
}
NETWORKS = ("eqx.nn.MLP", "MLP", "EMLP", "EMLP, 8 channels", "EMLP, paper")
INNER = 3


@dataclass(frozen=True)
class Row:
    """One network at one batch size: milliseconds, ratios to the plain MLP, seconds, bytes."""

    task: str
    batch: int
    network: str
    parameters: int
    construct_s: float
    compile_s: float
    memory_bytes: int
    forward_ms: float
    forward_ratio: float
    step_ms: float
    step_ratio: float


class _Runner:
    """A compiled step and forward of a network, and their times."""

    def __init__(self, make: Callable[[], Any], x: jax.Array, y: jax.Array) -> None:
        start = time.perf_counter()
        model = make()
        self.construct = time.perf_counter() - start
        self.parameters, static = eqx.partition(model, eqx.is_inexact_array)
        optimiser = optax.adam(1e-3)

        def forward(parameters: Any, x: jax.Array) -> jax.Array:
            return eqx.combine(parameters, static)(x)

        def step(parameters: Any, state: Any, x: jax.Array, y: jax.Array) -> Any:
            def loss(p: Any) -> jax.Array:
                return jnp.mean((forward(p, x) - y) ** 2)

            value, gradient = jax.value_and_grad(loss)(parameters)
            updates, state = optimiser.update(gradient, state, parameters)
            return optax.apply_updates(parameters, updates), state, value

        self.state = optimiser.init(self.parameters)
        self.kept = jax.tree.map(jnp.copy, self.parameters)
        start = time.perf_counter()
        lowered = jax.jit(step, donate_argnums=(0, 1)).lower(self.parameters, self.state, x, y)
        self.step = lowered.compile()
        self.compile = time.perf_counter() - start
        self.forward = jax.jit(forward).lower(self.parameters, x).compile()
        self.x, self.y = x, y
        self.steps: list[float] = []
        self.forwards: list[float] = []

    def round(self) -> None:
        """A few steps and a few forwards, after one of each to warm the caches."""
        self._train(1)
        self.steps.append(self._train(INNER))
        self._infer(1)
        self.forwards.append(self._infer(INNER))

    def _train(self, count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            self.parameters, self.state, _ = self.step(self.parameters, self.state, self.x, self.y)
        jax.block_until_ready(self.parameters)
        return (time.perf_counter() - start) / count

    def _infer(self, count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            found = self.forward(self.kept, self.x)
        jax.block_until_ready(found)
        return (time.perf_counter() - start) / count


def plain(n_in: int, n_out: int) -> Callable[[], Any]:
    """`eqx.nn.MLP` on batches."""

    def make() -> Any:
        mlp = eqx.nn.MLP(n_in, n_out, 384, 3, jax.nn.swish, key=jax.random.key(0))
        return _Batched(mlp)

    return make


class _Batched(eqx.Module):
    model: Any

    def __call__(self, x: jax.Array) -> jax.Array:
        return jax.vmap(self.model)(x)


def measure(task: str, batch: int, rounds: int, networks: Collection[str]) -> list[Row]:
    """Networks on one task, `NETWORKS[0]` among them."""
    rep_in, rep_out, group = TASKS[task]
    n_in, n_out = rep_in(group).size(), rep_out(group).size() if rep_out != Scalar else 1
    rng = np.random.default_rng(0)
    x, y = (jnp.asarray(rng.standard_normal((batch, n)), jnp.float32) for n in (n_in, n_out))
    made: dict[str, Callable[[], Any]] = {
        "eqx.nn.MLP": plain(n_in, n_out),
        "MLP": lambda: MLP(rep_in, rep_out, group),
        "EMLP": lambda: EMLP(rep_in, rep_out, group),
        "EMLP, 8 channels": lambda: EMLP(rep_in, rep_out, group, channels=8),
        "EMLP, paper": lambda: EMLP(rep_in, rep_out, group, bilinear="paper"),
    }
    runners = {name: _Runner(made[name], x, y) for name in made if name in networks}
    for _ in range(rounds + 2):
        for runner in runners.values():
            runner.round()
    base = runners[NETWORKS[0]]
    rows = []
    for name, runner in runners.items():
        steps, forwards = np.array(runner.steps[2:]), np.array(runner.forwards[2:])
        memory = runner.step.memory_analysis()
        rows.append(
            Row(
                task,
                batch,
                name,
                sum(p.size for p in jax.tree.leaves(runner.kept)),
                runner.construct,
                runner.compile,
                memory.temp_size_in_bytes if memory is not None else 0,
                float(np.median(forwards)) * 1e3,
                float(np.median(forwards / np.array(base.forwards[2:]))),
                float(np.median(steps)) * 1e3,
                float(np.median(steps / np.array(base.steps[2:]))),
            )
        )
    return rows


def main() -> None:
    """The table, or its rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(TASKS), metavar="TASK")
    parser.add_argument("--batch", nargs="+", type=int, default=[500])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument(
        "--give-memory-back", action="store_true", help="do not use freed_memory_kept"
    )
    arguments = parser.parse_args()
    if unknown := [task for task in arguments.tasks if task not in TASKS]:
        parser.error(f"no such task: {', '.join(unknown)}; there are {', '.join(TASKS)}")
    if not arguments.json:
        print(
            f"{'task':<20} {'batch':>5} {'network':<17} {'params':>8} {'construct':>9} "
            f"{'compile':>8} {'MiB':>6} {'forward ms':>10} {'ratio':>5} {'step ms':>8} {'ratio':>5}"
        )
    with nullcontext() if arguments.give_memory_back else freed_memory_kept():
        for task, batch in itertools.product(arguments.tasks, arguments.batch):
            for row in measure(task, batch, arguments.rounds, {NETWORKS[0], *arguments.networks}):
                print(json.dumps(asdict(row)) if arguments.json else line(row), flush=True)


def line(row: Row) -> str:
    """A row of the table."""
    return (
        f"{row.task:<20} {row.batch:>5} {row.network:<17} {row.parameters:>8,} "
        f"{row.construct_s:>8.2f}s {row.compile_s:>7.2f}s "
        f"{row.memory_bytes / 2**20:>6.1f} {row.forward_ms:>10.2f} "
        f"{row.forward_ratio:>5.2f} {row.step_ms:>8.2f} {row.step_ratio:>5.2f}"
    )


if __name__ == "__main__":
    main()
