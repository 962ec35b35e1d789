"""The times of training steps and forwards, of any framework, interleaved round by round."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

INNER_SECONDS, MOST_INNER = 0.02, 20
"""A round repeats each step for this time, but at most this many times."""


@dataclass(frozen=True)
class Row:
    """One network at one batch size: milliseconds, ratios to the plain network, seconds, bytes."""

    task: str
    batch: int
    network: str
    parameters: int
    construct_s: float
    compile_s: float
    memory_bytes: int
    forward_ms: float
    forward_cpu_ms: float
    forward_ratio: float
    forward_cpu_ratio: float
    step_ms: float
    step_cpu_ms: float
    step_ratio: float
    step_cpu_ratio: float


class Runnable(Protocol):
    """A network that is trained and called."""

    baseline: str
    parameter_count: int
    construct: float
    compile: float
    memory: int

    def train(self) -> None:
        """Run one step, or start it."""

    def infer(self) -> None:
        """Run one forward, or start it."""

    def wait(self) -> None:
        """Wait until everything that was started has ended."""


class Clock:
    """The times of steps and forwards of one network."""

    def __init__(self, runner: Runnable) -> None:
        self.runner = runner
        self.steps: list[tuple[float, float]] = []
        self.forwards: list[tuple[float, float]] = []

    def round(self) -> None:
        """A few steps and a few forwards, after one of each to warm the caches."""
        self.steps.append(self._time(self.runner.train))
        self.forwards.append(self._time(self.runner.infer))

    def _time(self, run: Callable[[], None]) -> tuple[float, float]:
        start = time.perf_counter()
        run()
        self.runner.wait()
        count = int(np.clip(INNER_SECONDS / (time.perf_counter() - start), 1, MOST_INNER))
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            run()
        self.runner.wait()
        return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count


def measured(task: str, batch: int, rounds: int, runners: Mapping[str, Runnable]) -> list[Row]:
    """Rows of networks, from interleaved rounds, after two that are not counted."""
    clocks = {name: Clock(runner) for name, runner in runners.items()}
    for _ in range(rounds + 2):
        for clock in clocks.values():
            clock.round()
    return [_row(task, batch, name, clocks) for name in clocks]


def _row(task: str, batch: int, name: str, clocks: dict[str, Clock]) -> Row:
    clock = clocks[name]
    base, runner = clocks[clock.runner.baseline], clock.runner
    steps, forwards = (np.array(times[2:]) for times in (clock.steps, clock.forwards))
    step_ratios = steps / np.array(base.steps[2:])
    forward_ratios = forwards / np.array(base.forwards[2:])
    return Row(
        task,
        batch,
        name,
        runner.parameter_count,
        runner.construct,
        runner.compile,
        runner.memory,
        *map(float, np.median(forwards, axis=0) * 1e3),
        *map(float, np.median(forward_ratios, axis=0)),
        *map(float, np.median(steps, axis=0) * 1e3),
        *map(float, np.median(step_ratios, axis=0)),
    )


def machine() -> str:
    """The processors that this process may use, and how busy they are."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"{len(os.sched_getaffinity(0))} cores, load {load}"


HEAD = (
    f"{'task':<20} {'batch':>5} {'network':<22} {'params':>8} {'construct':>9} {'compile':>8} "
    f"{'MiB':>6} {'forward ms':>10} {'CPU':>7} {'ratio':>5} {'CPU':>5} "
    f"{'step ms':>8} {'CPU':>7} {'ratio':>5} {'CPU':>5}"
)


def line(row: Row) -> str:
    """A row of the table."""
    return (
        f"{row.task:<20} {row.batch:>5} {row.network:<22} {row.parameters:>8,} "
        f"{row.construct_s:>8.2f}s {row.compile_s:>7.2f}s {row.memory_bytes / 2**20:>6.1f} "
        f"{row.forward_ms:>10.3f} {row.forward_cpu_ms:>7.3f} "
        f"{row.forward_ratio:>5.2f} {row.forward_cpu_ratio:>5.2f} "
        f"{row.step_ms:>8.3f} {row.step_cpu_ms:>7.3f} {row.step_ratio:>5.2f} "
        f"{row.step_cpu_ratio:>5.2f}"
    )
