"""Retention: delete old data of a service, by age and by size."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path

from intertwine_api.storage.database import Database
from intertwine_api.storage.objects import Objects
from intertwine_api.storage.references import DAY, collect_garbage
from intertwine_api.storage.uploads import Uploads
from intertwine_api.work.folder import JobFolder, size_of
from intertwine_api.work.logs import audit, rotated_audit_files
from intertwine_api.work.lookup import EndedJob
from intertwine_api.work.queue import Queue
from intertwine_api.work.settings import Settings
from intertwine_api.work.shared_job_files import SharedJobFiles, SharedSizes

_LOG = logging.getLogger("intertwine.service")
_JOB = re.compile("[0-9a-f]{16}")  # the name of a job's folder

#: The kinds of data, in the order of deletion: checkpoints of failed and cancelled jobs; ended jobs
#: with their files; files of jobs that are not in the database; unreferenced objects; abandoned
#: uploads; rotated files of the audit log.
KINDS = ("checkpoints", "jobs", "job folders", "objects", "uploads", "audit files")


@dataclass(frozen=True)
class Removed:
    """The number and the bytes of deleted items."""

    number: int = 0
    bytes: int = 0

    def plus(self, size: int) -> Removed:
        """Return the sum with one more item of this size."""
        return Removed(self.number + 1, self.bytes + size)


@dataclass(frozen=True)
class _Ended:
    """An ended job and its files. A retry resumes a job with checkpoints."""

    job: EndedJob
    folder: JobFolder
    shared: SharedSizes
    has_checkpoints: bool

    @property
    def checkpoint_bytes(self) -> int:
        """The bytes of its checkpoints: the bucket may have a copy of those of this host."""
        return max(size_of(self.folder.checkpoint), self.shared.checkpoints)

    @property
    def bytes(self) -> int:
        """The bytes of its files."""
        return max(size_of(self.folder.path), self.shared.total)


class Retention:
    """Deletes data by the settings ``keep_…``. Unfinished jobs are never touched.

    It is safe while services and workers run, and concurrently with itself: every job is locked
    and checked again before it is deleted. Files in the bucket are deleted as well; then it raises
    `BucketError` if the bucket cannot be used. `by` is the name in the audit log; None stands for a
    command's user.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        objects: Objects,
        uploads: Uploads,
        by: str | None = None,
    ) -> None:
        self._settings, self._database, self._by = settings, database, by
        self._objects, self._uploads, self._queue = objects, uploads, Queue(database)
        self._shared = SharedJobFiles.of(objects.bucket)

    def collect(self, *, is_dry: bool = False) -> dict[str, Removed]:
        """Delete what is due, or only find it with `is_dry`. Return sums by kind (see `KINDS`)."""
        found = dict.fromkeys(KINDS, Removed())
        gone: set[str] = set()

        def count(kind: str, size: int) -> None:
            found[kind] = found[kind].plus(size)

        shared = {} if self._shared is None else self._shared.sizes()
        ended = [self._without_old_checkpoints(e, count, is_dry) for e in self._ended(shared)]
        for job, size in self._due(ended):
            if is_dry or self._delete(job):
                gone.add(job.job.id)
                count("jobs", size)
        for folder in self._unknown_folders(gone):
            count("job folders", size_of(folder.path))
            if not is_dry:
                folder.remove()
        for job_id, size in self._unknown_shared(shared, gone):
            count("job folders", size)
            if not is_dry and self._shared is not None:
                self._shared.remove(job_id)
        age = self._settings.keep_unused_days * DAY
        unused, abandoned = collect_garbage(
            self._database, self._objects, self._uploads, age, is_dry=is_dry, without_jobs=gone
        )
        for size in unused:
            count("objects", size)
        for size in abandoned:
            count("uploads", size)
        for file in self._old_audit_files():
            count("audit files", file.stat().st_size)
            if not is_dry:
                file.unlink(missing_ok=True)
        if not is_dry and any(removed.number for removed in found.values()):
            shown = {kind: vars(removed) for kind, removed in found.items() if removed.number}
            _LOG.info("retention has deleted %s", shown)
        return found

    def _ended(self, shared: Mapping[str, SharedSizes]) -> list[_Ended]:
        """Return the jobs that have ended, in the order of their ends."""
        found = []
        for job in self._queue.ended():
            folder = JobFolder.of(self._settings.home, job.id)
            sizes = shared.get(job.id, SharedSizes())
            has_some = folder.checkpoint.is_dir() or sizes.checkpoints > 0
            found.append(_Ended(job, folder, sizes, job.state != "succeeded" and has_some))
        return found

    def _without_old_checkpoints(
        self, ended: _Ended, count: Callable[[str, int], None], is_dry: bool
    ) -> _Ended:
        """Delete the checkpoints of a job if they are due. Return the updated job."""
        if ended.job.state == "succeeded" and ended.shared.checkpoints:
            # of an attempt that was killed before it could delete them, or that still ran
            count("checkpoints", ended.shared.checkpoints)
            if not is_dry and self._shared is not None:
                self._shared.remove_checkpoints(ended.job.id)
        most = self._settings.keep_checkpoints_days
        if not ended.has_checkpoints or most is None or ended.job.age < most * DAY:
            return ended
        size = ended.checkpoint_bytes
        if not is_dry:
            if not self._queue.while_ended(ended.job, lambda: self._discard(ended)):
                return ended  # it was retried meanwhile
            ended.folder.remove_discarded()
            if self._shared is not None:
                self._shared.remove_checkpoints(ended.job.id)
            audit("checkpoints deleted", self._by, id=ended.job.id, owner=ended.job.owner)
        count("checkpoints", size)
        return replace(ended, has_checkpoints=False)

    def _discard(self, ended: _Ended) -> None:
        """Prevent retries from resuming from the checkpoints of a job, here and in the bucket."""
        if self._shared is not None and ended.shared.checkpoints:
            self._shared.withdraw_checkpoints(ended.job.id)
        ended.folder.discard_checkpoints()

    def _due(self, ended: list[_Ended]) -> Iterator[tuple[_Ended, int]]:
        """Yield the jobs to delete, with the bytes of their files."""
        days, most = self._settings.keep_jobs_days, self._settings.keep_jobs_bytes
        if days is None and most is None:
            return
        sizes = {e.job.id: e.bytes for e in ended}
        total = sum(sizes.values())
        for e in ended:
            is_old = days is not None and e.job.age >= days * DAY
            is_above = most is not None and total > most and sizes[e.job.id] > 0
            if (is_old or is_above) and not e.has_checkpoints:
                total -= sizes[e.job.id]
                yield e, sizes[e.job.id]

    def _delete(self, ended: _Ended) -> bool:
        """Delete a job and its files. Return False if it has been retried meanwhile."""
        if not self._queue.delete_ended(ended.job):
            return False
        ended.folder.remove()
        if self._shared is not None:
            self._shared.remove(ended.job.id)
        audit("job deleted", self._by, id=ended.job.id, owner=ended.job.owner)
        return True

    def _unknown_folders(self, gone: Set[str]) -> list[JobFolder]:
        """Return folders of deleted jobs that a crash or another host left at least a day ago.

        A job is in the database before it has a folder, so the folders are listed first.
        """
        folders = [
            folder
            for folder in (self._settings.home / "jobs").glob("*")
            if _JOB.fullmatch(folder.name) and folder.is_dir() and _is_old(folder, DAY)
        ]
        known = self._queue.ids() | gone if folders else set()
        return [JobFolder(folder) for folder in folders if folder.name not in known]

    def _unknown_shared(
        self, shared: Mapping[str, SharedSizes], gone: Set[str]
    ) -> list[tuple[str, int]]:
        """Return the unknown jobs with files in the bucket, all older than a day, and the bytes.

        A job is in the database before it has files, so the files are listed first.
        """
        if self._shared is None or not shared:
            return []
        since = time.time() + self._shared.clock_offset() - DAY
        old = {job: sizes for job, sizes in shared.items() if sizes.modified < since}
        known = self._queue.ids() | gone if old else set()
        return [(job, sizes.total) for job, sizes in old.items() if job not in known]

    def _old_audit_files(self) -> list[Path]:
        days = self._settings.keep_audit_days
        if days is None:
            return []
        files = rotated_audit_files(self._settings.home)
        return [file for file in files if _is_old(file, days * DAY)]


def _is_old(path: Path, age: float) -> bool:
    """Whether a file, or a folder with all its files, is unchanged for `age` seconds."""
    since = time.time() - age
    try:
        files = (path, *path.rglob("*")) if path.is_dir() else (path,)
        return all(file.lstat().st_mtime < since for file in files)
    except FileNotFoundError:  # it is being changed
        return False
