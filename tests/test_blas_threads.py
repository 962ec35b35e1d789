"""The threads of BLAS: one inside a block, and as many as before after the last block."""

from __future__ import annotations

import json

import pytest
from helpers.program import python

COUNT = """
import json, os, threading
os.environ.update(OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2")  # read when it is loaded
import numpy, scipy.linalg
from intertwine.blas_threads import one_blas_thread
from threadpoolctl import threadpool_info

def counts():
    return sorted({each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"})

seen = [counts()]
"""


def seen(program: str) -> list[list[int]]:
    """The numbers of threads that the program has seen."""
    found: list[list[int]] = json.loads(python(f"{COUNT}{program}\nprint(json.dumps(seen))"))
    return found


def test_inside_it_is_one_and_afterwards_as_before() -> None:
    program = """
with one_blas_thread():
    with one_blas_thread():
        seen.append(counts())
    seen.append(counts())
seen.append(counts())
try:
    with one_blas_thread():
        raise ZeroDivisionError
except ZeroDivisionError:
    seen.append(counts())
"""
    assert seen(program) == [[2], [1], [1], [2], [2]]


OVERLAP = """
entered = {name: threading.Event() for name in "ab"}
may_leave = {name: threading.Event() for name in "ab"}

def work(name):
    with one_blas_thread():
        entered[name].set()
        may_leave[name].wait()

threads = {name: threading.Thread(target=work, args=(name,)) for name in "ab"}
for name, thread in threads.items():
    thread.start()
    entered[name].wait()
seen.append(counts())
for name in order:
    may_leave[name].set()
    threads[name].join()
seen.append(counts())
with one_blas_thread():
    seen.append(counts())
seen.append(counts())
"""


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_blocks_of_two_threads_may_end_in_any_order(order: str) -> None:
    assert seen(f"order = {order!r}\n{OVERLAP}") == [[2], [1], [2], [1], [2]]


def test_an_error_inside_leaves_it_to_other_threads() -> None:
    program = """
def work():
    with one_blas_thread():
        raise ZeroDivisionError

threading.excepthook = lambda arguments: None
thread = threading.Thread(target=work)
thread.start()
thread.join()
seen.append(counts())
with one_blas_thread():
    seen.append(counts())
"""
    assert seen(program) == [[2], [2], [1]]


def test_a_small_solve_takes_one_thread_and_a_large_one_does_not() -> None:
    program = """
from intertwine.groups import SO
from intertwine.invariants import solver
from intertwine.reps import T
solve = solver._assemble

def noted(*arguments):
    seen.append(counts())
    return solve(*arguments)

solver._assemble = noted
T(4)(SO(3)).equivariant_basis(store=False)
solver._SMALL_OPERATIONS = 0
T(3)(SO(3)).equivariant_basis(store=False)
"""
    assert seen(program) == [[2], [1], [2]]
