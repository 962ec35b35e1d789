"""The built-in datasets: their descriptions, and their samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from intertwine import datasets
from intertwine.errors import TooLarge
from intertwine.training.recipe.dataset_info import DatasetInfo
from intertwine.training.recipe.description import MOST_SAMPLES, BuiltIn
from intertwine.training.recipe.samples import Samples


@dataclass(frozen=True)
class _Task:
    """A task of the paper: how its samples are made, and their shapes.

    `classes` is the number of its classes; `has_own_test` is true if it has a test set of its own.
    """

    make: Callable[..., Any]
    group: str
    rep_in: str
    rep_out: str
    width_in: int
    width_out: int
    classes: int = 0
    has_own_test: bool = False
    most: int = MOST_SAMPLES


_TASKS = {
    "Inertia": _Task(datasets.Inertia, "SO(3)", "5V0+5V", "V**2", 20, 9),
    "O5Synthetic": _Task(datasets.O5Synthetic, "O(5)", "2V", "V0", 10, 1),
    "ParticleInteraction": _Task(datasets.ParticleInteraction, "SO13p", "4V", "V0", 16, 1),
    "InvertedCube": _Task(datasets.InvertedCube, "Cube", "6V", "2V0", 36, 2, 2, True),
    "BrokenRubiksCube": _Task(
        datasets.BrokenRubiksCube, "RubiksCube", "6V", "2V0", 288, 2, 2, True, 10**5
    ),
    # a sample takes 2 ms, because its motion is integrated
    "DoubleSpringPendulum": _Task(
        datasets.DoubleSpringPendulum, "O2eR3", "4V", "V0", 12, 1, most=10**4
    ),
}


def describe_builtin(asked: BuiltIn) -> DatasetInfo:
    """Return the description of a built-in dataset. Raises `TooLarge` for too many samples."""
    task = _TASKS[asked.name]
    if asked.size > task.most:
        raise TooLarge(f"{asked.name} has at most {task.most:,} samples here, not {asked.size:,}")
    targets: dict[str, Any] = {"shape": [asked.size, task.width_out], "dtype": "float32"}
    if task.classes:
        targets = {"shape": [asked.size], "dtype": "int64", "labels": [0, task.classes - 1]}
    return DatasetInfo(
        id="",
        owner="",
        name=asked.name,
        rep_in=task.rep_in,
        rep_out=task.rep_out,
        group=task.group,
        samples=asked.size,
        inputs={"shape": [asked.size, task.width_in], "dtype": "float32"},
        targets=targets,
        bytes=4 * asked.size * (task.width_in + task.width_out),
        created=0.0,
    )


def make_builtin(asked: BuiltIn) -> tuple[Samples, Samples | None]:
    """Return the samples of a built-in dataset, and its own test set, if it has one.

    The cubes are tested in orientations that are not trained on, as in the paper. The targets of
    the pendulum are its energies.
    """
    task = _TASKS[asked.name]
    if task.has_own_test:
        train, test = (
            task.make(train=True, n=asked.size, seed=asked.seed),
            task.make(train=False, seed=asked.seed),
        )
        return Samples(train.X, train.Y), Samples(test.X, test.Y)
    data = task.make(n=asked.size, seed=asked.seed)
    if asked.name == "DoubleSpringPendulum":
        energies = data.hamiltonian(data.X.astype(np.float64)).astype(np.float32)
        return Samples(data.X, energies[:, None]), None
    return Samples(data.X, data.Y), None
