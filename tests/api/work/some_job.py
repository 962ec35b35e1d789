"""The process of jobs for tests: each does what its request says."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from intertwine.errors import InvalidRep
from intertwine_api.storage.tables import jobs
from intertwine_api.work.job import Job, Result
from intertwine_api.work.job_kind import JobContext
from intertwine_api.work.process import main
from intertwine_api.work.train_job import TRAIN
from sqlalchemy import Connection, update


def _sleep(job: Job, context: JobContext) -> dict[str, Any]:
    """Tell who sleeps, and sleep for some time, or until a file exists; but only in the first
    attempts, if the request says so.
    """
    if job.attempt <= job.request.get("attempts", 1000):
        context.report({"stage": "asleep", "pid": os.getpid()})
        until = time.monotonic() + job.request.get("seconds", 1200)
        morning = Path(job.request["until"]) if "until" in job.request else None
        while time.monotonic() < until and not (morning and morning.exists()):
            time.sleep(0.02)
    return {"attempt": job.attempt}


def _store_and_die(job: Job, context: JobContext) -> dict[str, Any]:
    """Store the checkpoint of an epoch, and be killed from outside after it has been told."""
    context.saved(6)
    context.report({"pid": os.getpid()})
    while context.queue.get(job.id).progress.get("pid") != os.getpid():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


def _ask(job: Job, context: JobContext) -> dict[str, Any]:
    context.report({"stage": "asking", "pid": os.getpid()})
    while True:
        time.sleep(0.01)
        context.check()


def _grow(job: Job, context: JobContext) -> dict[str, Any]:
    """Take more memory than the limit of the test, but not without end: nobody may look in time."""
    kept, own = [], psutil.Process()
    while own.memory_info().rss < 400 * 10**6:
        kept.append(b"x" * 10**7)
        time.sleep(0.03)
    time.sleep(1200)
    raise AssertionError("not reached")


def _take_all_at_once(job: Job, context: JobContext) -> dict[str, Any]:
    return {"taken": len(bytes(10**14))}


def _reserve(job: Job, context: JobContext) -> dict[str, Any]:
    return {"reserved": len(bytes(3 * 10**9))}  # the machine has it, and the job may not


def _look_around(job: Job, context: JobContext) -> dict[str, Any]:
    return {"oom_score_adj": Path("/proc/self/oom_score_adj").read_text()}


def _keep(job: Job, context: JobContext) -> dict[str, Any]:
    context.files.checkpoint.mkdir(parents=True)
    (context.files.checkpoint / "state").write_text("half of the way")
    return {}


def _fail_in_the_end(job: Job, context: JobContext) -> Result:
    _keep(job, context)

    def keep(connection: Connection) -> dict[str, Any]:
        connection.execute(update(jobs).values(name="what is not kept"))
        raise InvalidRep("this cannot be kept")

    return keep


def _refuse(job: Job, context: JobContext) -> dict[str, Any]:
    raise InvalidRep("this cannot be")


def _stumble(job: Job, context: JobContext) -> dict[str, Any]:
    raise RuntimeError("a secret of the code")


def _fill_the_disk(job: Job, context: JobContext) -> dict[str, Any]:
    raise OSError(errno.ENOSPC, "No space left on device", "/somewhere")


def _crash(job: Job, context: JobContext) -> dict[str, Any]:
    print("the last words")
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError("not reached")


def _exit(job: Job, context: JobContext) -> dict[str, Any]:
    os._exit(5)


def _resume(job: Job, context: JobContext) -> dict[str, Any]:
    files = context.take_checkpoint().iterdir()
    return {"checkpoint": {file.name: file.read_text() for file in files}}


DEEDS: dict[str, Callable[[Job, JobContext], Result]] = {
    "answer": lambda job, context: {"answer": 42, "folder": str(context.folder)},
    "sleep": _sleep,
    "store and die": _store_and_die,
    "ask": _ask,
    "grow": _grow,
    "take all at once": _take_all_at_once,
    "reserve": _reserve,
    "look around": _look_around,
    "keep": _keep,
    "fail in the end": _fail_in_the_end,
    "resume": _resume,
    "refuse": _refuse,
    "stumble": _stumble,
    "fill the disk": _fill_the_disk,
    "crash": _crash,
    "exit": _exit,
}


def run(job: Job, context: JobContext) -> Result:
    return DEEDS[job.request["do"]](job, context)


if __name__ == "__main__":
    sys.exit(main(kinds={"train": replace(TRAIN, run=run)}))
