"""What datasets and loaders refuse, in a process without checks of annotations."""

from __future__ import annotations

from functools import cache

import pytest
from helpers.support import run_python

NO_POINTS = "InvalidSetting: n, the number of points, is an integer from 1 on, not "
NO_PENDULUMS = "InvalidSetting: n, the number of pendulums, is an integer from 1 on, not "
NO_GROUP = "InvalidSetting: the symmetry of Inertia is a group, not "

REFUSED = {
    "Inertia(0)": NO_POINTS + "0",
    "Inertia(-3)": NO_POINTS + "-3",
    "Inertia(2.0)": NO_POINTS + "2.0",
    "O5Synthetic('12')": NO_POINTS + "'12'",
    "ParticleInteraction(True)": NO_POINTS + "True",
    "InvertedCube(n=0)": NO_POINTS + "0",
    "BrokenRubiksCube(n=1.5)": NO_POINTS + "1.5",
    "DoubleSpringPendulum(0)": NO_PENDULUMS + "0",
    "Inertia(3, k=0)": "InvalidSetting: k, the bodies, is an integer from 1 on, not 0",
    "Inertia(3, seed=-1)": "InvalidSetting: seed is an integer from 0 on, not -1",
    "O5Synthetic(3, seed=0.5)": "InvalidSetting: seed is an integer from 0 on, not 0.5",
    "InvertedCube(seed='a')": "InvalidSetting: seed is an integer from 0 on, not 'a'",
    "Inertia(3, symmetry='SO(3)')": NO_GROUP + "'SO(3)'",
    "Inertia(3, symmetry=SO(2))": (
        "InvalidSetting: the symmetry of Inertia acts on 3 dimensions; SO(2) acts on 2"
    ),
    "BrokenRubiksCube(symmetry=Cube())": (
        "InvalidSetting: the symmetry of BrokenRubiksCube acts on 48 dimensions; Cube() acts on 6"
    ),
    "InvertedCube(1000)": "InvalidSetting: train, before n, is True or False, not 1000",
    "BrokenRubiksCube(1000)": "InvalidSetting: train, before n, is True or False, not 1000",
    "DoubleSpringPendulum(3, dt=0)": "InvalidSetting: dt is a positive number, not 0",
    "DoubleSpringPendulum(3, dt=float('nan'))": "InvalidSetting: dt is a positive number, not nan",
    "DoubleSpringPendulum(3, k2='2')": "InvalidSetting: k2 is a positive number, not '2'",
    "DoubleSpringPendulum(3, integration_time=-1)": (
        "InvalidSetting: integration_time is a positive number, not -1"
    ),
    "DoubleSpringPendulum(3, chunk_len=1)": (
        "InvalidSetting: chunk_len is an integer from 2 on, not 1"
    ),
    "DoubleSpringPendulum(3, integration_time=0.6)": (
        "InvalidSetting: an integration_time of 0.6 has 3 steps of dt = 0.2, fewer than "
        "chunk_len = 5: make it at least 1"
    ),
    "DoubleSpringPendulum(3, integration_time=1e6)": (
        "TooLarge: integration_time is 1e+06; the longest is 10000"
    ),
    "DoubleSpringPendulum(3, dt=1e-310)": (
        "TooLarge: dt = 1e-310 makes inf steps; at most 10,000,000"
    ),
    "Loader(Inertia(3), 0)": "InvalidSetting: batch_size is an integer from 1 on, not 0",
    "Loader(Inertia(3), 2.5)": "InvalidSetting: batch_size is an integer from 1 on, not 2.5",
    "Loader(Inertia(3), 2, seed=-1)": "InvalidSetting: seed is an integer from 0 on, not -1",
}

PREAMBLE = """
import numpy as np
from intertwine.datasets import *
from intertwine.errors import IntertwineError
from intertwine.groups import SO, Cube
outcomes = {}
"""
ATTEMPT = """
try:
    outcomes[{call!r}] = repr({call})
except IntertwineError as error:
    outcomes[{call!r}] = f"{{type(error).__name__}}: {{error}}"
"""


@cache
def _outcomes(calls: tuple[str, ...]) -> dict[str, str]:
    attempts = [ATTEMPT.format(call=call) for call in calls]
    finished = run_python("".join([PREAMBLE, *attempts, "answer(outcomes)"]))
    assert finished.status == 0, finished.stderr
    outcomes: dict[str, str] = finished.value
    return outcomes


@pytest.mark.parametrize("call", REFUSED)
def test_invalid_settings_are_refused_with_their_value(call: str) -> None:
    assert _outcomes(tuple(REFUSED))[call] == REFUSED[call]


def test_numpy_numbers_are_accepted() -> None:
    accepted = {
        "Inertia(np.int64(9))": "Inertia(n=9, k=5, seed=0, symmetry=SO(3))",
        "len(Loader(Inertia(9), np.int32(4)))": "3",
        "DoubleSpringPendulum(2, integration_time=np.float32(2), dt=1, chunk_len=2)": (
            "DoubleSpringPendulum(n=2, chunk_len=2, dt=1.0, integration_time=2.0, k2=1.0, seed=0, "
            "symmetry=O2eR3())"
        ),
    }
    assert _outcomes(tuple(accepted)) == accepted
