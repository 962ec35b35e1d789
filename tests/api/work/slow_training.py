"""The process of jobs for tests, which tell every step, and take their time.

A training keeps every epoch, and is held after some of them while a file ``held`` is in the data
folder. A solve waits at the end until a file ``may-end`` is in its folder.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import jax
from intertwine.training import checkpoint_policy
from intertwine.training.recipe import reporter
from intertwine_api.work.job import Job, Result
from intertwine_api.work.job_kind import JobContext
from intertwine_api.work.process import main
from intertwine_api.work.solve_job import SOLVE
from intertwine_api.work.train_job import TRAIN

_EPOCH = 0.1  # seconds
_HELD_AFTER = 8  # epochs of an attempt


def run(job: Job, context: JobContext) -> Result:
    done = 0

    def check() -> None:
        nonlocal done
        done += 1
        time.sleep(_EPOCH)
        while done >= _HELD_AFTER and (context.home / "held").exists():
            time.sleep(_EPOCH)
            context.check()
        context.check()

    return TRAIN.run(job, replace(context, check=check))


def run_solve(job: Job, context: JobContext) -> Result:
    result = SOLVE.run(job, context)
    step = 0
    while not (context.folder / "may-end").exists():
        step += 1
        context.report({"stage": "waiting", "fraction": 1 - 1 / step})
        time.sleep(_EPOCH)
        context.check()
    return result


if __name__ == "__main__":
    jax.config.update("jax_disable_most_optimizations", True)
    reporter._INTERVAL = 0.0
    checkpoint_policy._FIRST = checkpoint_policy._SHARE = 0.0
    sys.exit(main(kinds={"train": replace(TRAIN, run=run), "solve": replace(SOLVE, run=run_solve)}))
