"""Time a training step and a forward of the modules of PyTorch, interleaved in one process.

Each network runs eagerly and compiled (`torch.compile`), beside a plain `nn.Sequential` of 3 layers
of 384 in the same mode. A ratio is the median of the ratios within each round. Networks of other
libraries (`peers.py`) run eagerly, where they are installed and can express the task. PyTorch is
not in the lock: make another environment for it, without JAX if you like.

    python benchmarks/torch_step.py                              # the tasks of the paper
    python benchmarks/torch_step.py O5Synthetic --batch 500 --json
    python benchmarks/torch_step.py --eager                      # without compiling
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from intertwine.groups import SO, Group, O, parse_group
from intertwine.reps import Rep, Scalar, V
from intertwine.torch import EMLP
from peers import TorchRunner, torch_networks, torch_plain
from step_times import HEAD, Row, Runnable, line, machine, measured

TASKS: dict[str, tuple[Rep, Rep, Group]] = {
    "Inertia SO(3)": (5 * Scalar + 5 * V, V**2, SO(3)),
    "O5Synthetic": (2 * V, Scalar, O(5)),
    "ParticleInteraction": (4 * V, Scalar, parse_group("SO13p")),
}
BATCHES = (64, 500, 4096)
PLAIN, OURS = "nn.Sequential", "EMLP"
EAGER = "eager"
MODES = (EAGER, "compiled")


class TorchStep(TorchRunner):
    """A step of Adam, and a forward, of a module in a mode."""

    def __init__(self, make: Callable[[], Any], x: np.ndarray, y: np.ndarray, mode: str) -> None:
        super().__init__(make, x, y)
        self.baseline = f"{PLAIN}, {mode}"
        start = time.perf_counter()
        if mode == "compiled":
            self._model = torch.compile(self._model)
        self.train()
        self.infer()
        self.compile = time.perf_counter() - start


def measure(task: str, batch: int, rounds: int, modes: tuple[str, ...]) -> list[Row]:
    """The networks of one task, in each mode."""
    rep_in, rep_out, group = TASKS[task]
    n_in, n_out = (rep(group).size() if rep != Scalar else 1 for rep in (rep_in, rep_out))
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((batch, n)).astype(np.float32) for n in (n_in, n_out))
    runners: dict[str, Runnable] = {}
    for mode in modes:
        runners[f"{PLAIN}, {mode}"] = TorchStep(lambda: torch_plain(n_in, n_out), x, y, mode)
        runners[f"{OURS}, {mode}"] = TorchStep(lambda: EMLP(rep_in, rep_out, group), x, y, mode)
    for name, make in torch_networks(task).items():
        runners[f"{name}, {EAGER}"] = TorchStep(make, x, y, EAGER)
    return measured(task, batch, rounds, runners)


def main() -> None:
    """The table, or its rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(TASKS), metavar="TASK")
    parser.add_argument("--batch", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--eager", action="store_true", help="compile nothing")
    arguments = parser.parse_args()
    if unknown := [task for task in arguments.tasks if task not in TASKS]:
        parser.error(f"no such task: {', '.join(unknown)}; there are {', '.join(TASKS)}")
    modes = MODES[:1] if arguments.eager else MODES
    if not arguments.json:
        print(f"{machine()}, PyTorch {torch.__version__}\n{HEAD}")
    for task, batch in itertools.product(arguments.tasks, arguments.batch):
        for row in measure(task, batch, arguments.rounds, modes):
            print(json.dumps(asdict(row)) if arguments.json else line(row), flush=True)


if __name__ == "__main__":
    main()
