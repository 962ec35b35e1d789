"""What ended a job, as a problem."""

from __future__ import annotations

import errno
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.errors import NonFiniteLoss
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.work.executor import Cause, Exit
from intertwine_api.work.failures import UNTOLD, from_exception, from_exit, is_lost, loss
from intertwine_api.work.job import Limits
from safetensors import SafetensorError
from sqlalchemy.exc import OperationalError

LIMITS = Limits(seconds=60, memory=8 * 10**9)


def ended(code: int | None = None, signal: str | None = None, cause: Cause | None = None) -> Exit:
    return Exit(code, signal, cause, 9_100_000_000, 61.5)


class TestAnExit:
    @pytest.mark.parametrize(
        ("exit", "lost"),
        [
            (ended(signal="SIGKILL"), True),
            (ended(signal="SIGTERM"), True),
            (ended(code=UNTOLD), True),
            (ended(signal="SIGKILL", cause="memory"), False),
            (ended(signal="SIGKILL", cause="killed-for-memory"), False),
            (ended(signal="SIGTERM", cause="time"), False),
            (ended(signal="SIGSEGV"), False),
            (ended(signal="SIGABRT"), False),
            (ended(code=1), False),
            (ended(code=0), False),
        ],
        ids=str,
    )
    def test_from_outside_is_a_loss(self, exit: Exit, lost: bool) -> None:
        assert is_lost(exit) == lost

    def test_that_is_a_loss_says_how(self) -> None:
        assert "SIGKILL" in loss(ended(signal="SIGKILL"))
        assert "9.1 GB" in loss(ended(signal="SIGKILL"))
        assert "database" in loss(ended(code=UNTOLD))

    @pytest.mark.parametrize(
        ("exit", "code", "said"),
        [
            (ended(signal="SIGKILL", cause="memory"), "out-of-memory", ("8 GB", "9.1 GB")),
            (
                ended(signal="SIGKILL", cause="killed-for-memory"),
                "out-of-memory",
                ("kernel", "8 GB", "9.1 GB"),
            ),
            (ended(signal="SIGTERM", cause="time"), "out-of-time", ("61.5 seconds", "60")),
            (ended(signal="SIGSEGV"), "worker-died", ("SIGSEGV", "9.1 GB")),
            (ended(code=3), "worker-died", ("exit code 3",)),
        ],
        ids=str,
    )
    def test_is_told_with_numbers_and_the_end_of_the_log(
        self, exit: Exit, code: str, said: tuple[str, ...]
    ) -> None:
        problem = from_exit(exit, LIMITS, "last words").model_dump()
        assert (problem["code"], problem["log"]) == (code, "last words")
        assert all(word in problem["detail"] for word in said), problem["detail"]


def raised(error: BaseException) -> dict[str, Any]:
    return from_exception(error, LIMITS).model_dump()


class TestAnException:
    def test_of_the_library_keeps_its_code(self) -> None:
        problem = raised(NonFiniteLoss("the loss is nan in epoch 3"))
        assert (problem["code"], problem["detail"]) == (
            "non-finite-loss",
            "the loss is nan in epoch 3",
        )

    def test_that_is_a_problem_stays_it(self) -> None:
        problem = Problem.of("not-kept", "no")
        assert from_exception(ProblemError(problem), LIMITS) is problem

    @pytest.mark.parametrize(
        "error",
        [
            OSError(errno.ENOSPC, "No space left on device", "/data/checkpoint"),
            OSError(errno.EDQUOT, "Disk quota exceeded"),
            SafetensorError(
                "Error while serializing: I/O error: No space left on device (os error 28)"
            ),
            OperationalError("INSERT", {}, Exception("database or disk is full")),
        ],
        ids=["ENOSPC", "EDQUOT", "safetensors", "SQLite"],
    )
    def test_of_a_full_disk(self, error: Exception) -> None:
        assert raised(error)["code"] == "disk-full"

    def test_of_a_full_disk_says_where_if_it_is_known(self) -> None:
        error = OSError(errno.ENOSPC, "No space left on device", "/data/checkpoint")
        assert "/data/checkpoint" in raised(error)["detail"]

    def test_that_a_full_disk_has_caused(self) -> None:
        with pytest.raises(RuntimeError) as caught:
            _fail_because_of(OSError(errno.ENOSPC, "No space left on device"))
        assert raised(caught.value)["code"] == "disk-full"

    def test_of_numpy_without_memory_says_how_much_was_asked_for(self) -> None:
        with pytest.raises(MemoryError) as caught:
            np.ones(10**15)
        problem = raised(caught.value)
        assert problem["code"] == "out-of-memory"
        assert "7.11 PiB" in problem["detail"]
        assert "8 GB" in problem["detail"]

    def test_of_jax_without_memory_says_how_much_was_asked_for(self) -> None:
        with pytest.raises(RuntimeError) as caught:
            jnp.ones((10**7, 10**7)).block_until_ready()
        problem = raised(caught.value)
        assert problem["code"] == "out-of-memory"
        assert "400000000000000 bytes" in problem["detail"]

    @pytest.mark.parametrize(
        "said",
        [
            "CUDA out of memory. Tried to allocate 7.00 GiB",
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 7",
        ],
    )
    def test_of_pytorch_without_memory_says_how_much_was_asked_for(self, said: str) -> None:
        kind = type("OutOfMemoryError" if "CUDA" in said else "RuntimeError", (RuntimeError,), {})
        problem = raised(kind(said))
        assert problem["code"] == "out-of-memory"
        assert said in problem["detail"]

    def test_that_nobody_foresaw_is_not_told_over_http(self) -> None:
        problem = raised(RuntimeError("/home/somebody/secret.py is wrong"))
        assert problem["code"] == "internal"
        assert "secret" not in str(problem)


def _fail_because_of(cause: Exception) -> None:
    raise RuntimeError("the checkpoint was not written") from cause
