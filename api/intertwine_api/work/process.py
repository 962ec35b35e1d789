"""The process of a job: ``python -m intertwine_api.work.process JOB ATTEMPT``.

It records in the database that it runs, its progress, and how it ended. During an outage of the
database or the bucket it waits for up to five minutes; then the attempt is lost, and the next one
resumes from the checkpoint. The supervisor records an end that the process cannot record itself.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import logging
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from intertwine.errors import InvalidSetting
from intertwine_cache import Places, open_store
from intertwine_cache.place import default_limit

from intertwine_api.storage.bucket import Bucket
from intertwine_api.storage.database import Database
from intertwine_api.storage.objects import open_objects
from intertwine_api.storage.outages import cause_of_outage, is_outage, retry
from intertwine_api.wire.problems import Problem
from intertwine_api.work import traces
from intertwine_api.work.failures import UNTOLD, from_exception
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.heartbeat import Heartbeat
from intertwine_api.work.host import BUCKET, JobEnvironment, share_gpu
from intertwine_api.work.job import Job, Result
from intertwine_api.work.job_kind import JobContext, JobKind, Stopped
from intertwine_api.work.job_metrics import JobMetrics
from intertwine_api.work.kinds import KINDS
from intertwine_api.work.queue import Fenced, Queue
from intertwine_api.work.shared_job_files import SharedJobFiles
from intertwine_api.work.supervisor import SUPERVISOR

_LOG = logging.getLogger("intertwine.jobs")
_PR_SET_PDEATHSIG = 1  # see prctl(2)
_OOM_SCORE = 300  # by which the OOM killer prefers jobs to the service


def main(arguments: Sequence[str] | None = None, kinds: Mapping[str, JobKind[Any]] = KINDS) -> int:
    """Run one attempt of a job, and record its end. Return 0 if the end could be recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", help="the id of the job")
    parser.add_argument("attempt", type=int, help="the number of the attempt")
    asked = parser.parse_args(arguments)
    _end_with_the_supervisor()
    _prefer_to_be_killed()
    share_gpu()
    faulthandler.enable()  # a crash in native code logs its traceback
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    _start_traces()
    around = JobEnvironment.from_variables()
    database = Database(around.database, patience=around.outage_seconds)
    try:
        queue = Queue(database, around.lease_seconds)
        job = queue.begin(asked.job, asked.attempt)
        _limit_memory(job.limits.memory)
        with _traced(job, JobFolder.of(around.home, job.id)):
            ended = _work(job, kinds[job.kind], around, database, queue)
            has_succeeded = _tell(queue, job, ended)
        if has_succeeded:
            _remove_checkpoints(JobFolder.of(around.home, job.id))
    except (Fenced, Stopped) as error:
        _LOG.warning("this process ends: %s", error)
    except Exception as error:
        if not is_outage(error):
            raise
        _LOG.error("%s, and this attempt is lost: %s", cause_of_outage(error), error)
        return UNTOLD
    finally:
        database.close()
        traces.stop()
    return 0


def _start_traces() -> None:
    try:
        traces.start()
    except InvalidSetting as error:  # the job does not need them
        _LOG.warning("this attempt has no trace: %s", error)


@contextmanager
def _traced(job: Job, folder: JobFolder) -> Iterator[None]:
    """A span of the attempt, in the trace of the request that submitted the job.

    It begins when the attempt could have started, so that it includes the time in the queue.
    """
    now = time.time()
    queued = min(now, max(job.created, job.not_before))  # the database may have another clock
    attributes = {
        "intertwine.job": job.id,
        "intertwine.kind": job.kind,
        "intertwine.attempt": job.attempt,
    }
    with traces.span(
        "job.attempt", attributes, kind="consumer", parent=folder.trace(), since=queued
    ):
        traces.record("job.wait", queued, now)
        yield


def _work(
    job: Job, kind: JobKind[Any], around: JobEnvironment, database: Database, queue: Queue
) -> Result | Problem:
    """Run the job. Return its result, or its problem.

    Raises `Stopped`, `Fenced`, and the error of an outage that lasted too long.
    """
    files = JobFolder.of(around.home, job.id)
    objects = open_objects(
        around.objects, around.home, around.objects_cache_bytes, patience=around.outage_seconds
    )
    with Heartbeat(queue, job, around.lease_seconds) as heartbeat:
        context = JobContext(
            home=around.home,
            files=files,
            database=database,
            queue=queue,
            metrics=JobMetrics(database),
            objects=objects,
            store=open_store(Places(around.store, around.far_tiers), default_limit()),
            report=heartbeat.report,
            saved=heartbeat.saved,
            check=heartbeat.check,
            take_checkpoint=partial(
                _take_checkpoint, files, objects.bucket, job.attempt, around.outage_seconds
            ),
        )
        try:
            result = kind.run(job, context)
        except (Fenced, Stopped):
            raise
        except Exception as error:
            if is_outage(error):
                raise
            return _problem(error, job)
        return result


def _take_checkpoint(
    files: JobFolder, bucket: Bucket | None, attempt: int, patience: float
) -> Path:
    """Return the folder of an attempt's checkpoints, with the latest one of earlier attempts.

    With a bucket, earlier attempts may have run on other hosts. During an outage of the bucket,
    this waits for up to `patience` seconds; then it raises, and the attempt is lost rather than
    started from the beginning.
    """
    if bucket is not None and attempt > 1:
        shared = SharedJobFiles(bucket)
        found = retry(partial(shared.fetch_checkpoint, files, attempt), patience)
        if found is not None:
            _LOG.warning("the checkpoint of attempt %d was copied from %s", found, shared.address)
    return files.take_checkpoint(attempt)


def _remove_checkpoints(files: JobFolder) -> None:
    """Delete the checkpoints of a job that has succeeded. The log is deleted with the job."""
    if os.environ.get(BUCKET):
        with suppress(OSError):  # the disk is full: the garbage collection deletes those there
            files.note_success()  # the uploader deletes those in the bucket
    shutil.rmtree(files.checkpoint, ignore_errors=True)


def _tell(queue: Queue, job: Job, ended: Result | Problem) -> bool:
    """Record how the job ended. Return whether it succeeded."""
    if not isinstance(ended, Problem):
        try:
            queue.succeed(job.id, job.attempt, ended)
            return True
        except Fenced:
            raise
        except Exception as error:  # the result could not be written
            if is_outage(error):
                raise
            ended = _problem(error, job)
    traces.mark(error=ended.code)
    queue.fail(job.id, job.attempt, ended)
    return False


def _problem(error: Exception, job: Job) -> Problem:
    problem = from_exception(error, job.limits)
    unforeseen = error if problem.code == "internal" else None
    _LOG.error("%s: %s", problem.code, problem.detail, exc_info=unforeseen)
    return problem


def _end_with_the_supervisor() -> None:
    """Have the kernel kill this process when its supervisor ends: no job runs unwatched."""
    supervisor = os.environ.get(SUPERVISOR)
    if supervisor is None:  # started by hand
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(supervisor):
        raise SystemExit("the supervisor has ended already")


def _prefer_to_be_killed() -> None:
    """Make the OOM killer end the job rather than the service."""
    score = Path("/proc/self/oom_score_adj")
    with suppress(OSError):  # not every system has it, or permits it
        score.write_text(str(max(_OOM_SCORE, int(score.read_text()))))


def _limit_memory(limit: int) -> None:
    """Limit reserved memory, so that a huge array fails with its own message.

    The supervisor ends a job that uses more than its limit. Reserved memory counts more, such as
    the stacks of threads, so this limit is larger.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = 2 * limit + 2**31
    if hard == resource.RLIM_INFINITY or soft < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


if __name__ == "__main__":
    sys.exit(main())
