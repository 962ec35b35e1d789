"""The checkpoints and logs of jobs in a bucket, for hosts that have data folders of their own.

A checkpoint is uploaded file by file, and then an index that names the files with their sizes and
digests. Only a checkpoint with an index counts, so an interrupted upload is never seen. Each
attempt has an index of its own: an attempt that still runs after it was lost cannot replace the
checkpoint of a later one.

    jobs/JOB/checkpoints/ATTEMPT.json           the index of the attempt's last checkpoint
    jobs/JOB/checkpoints/ATTEMPT/SHA256         a file of it
    jobs/JOB/logs/ATTEMPT/NUMBER                a piece of the attempt's log
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from intertwine.whole_files import whole_file
from intertwine_cache import require_room
from intertwine_cache.manifest import is_digest

from intertwine_api.storage.bucket import Bucket, BucketError, Entry
from intertwine_api.work.folder import JobFolder, size_of

_LOG = logging.getLogger("intertwine.jobs")
_ROOT = "jobs"
_FORMAT, _VERSION = "intertwine-checkpoint-index", 1
_NAME = re.compile(
    r"[A-Za-z0-9_-][A-Za-z0-9_.-]*"
)  # of a file in a checkpoint: no path, not hidden
_CHECKPOINT = re.compile(r"(?P<attempt>\d+)(?P<file>\.json|/[0-9a-f]{64})")
_PIECE_OF_LOG = re.compile(r"(?P<attempt>\d+)/(?P<number>\d+)")
_OF_JOB = re.compile(rf"{_ROOT}/(?P<job>[0-9a-f]{{16}})/(?:checkpoints|logs)/")
_PIECE = 2**20  # bytes that are hashed at a time
_INDEX_BYTES = 2**20  # the most of an index
_TRIES = 3  # to fetch a checkpoint that is replaced meanwhile

#: Bytes of a piece of a log. Only the last piece changes, and is uploaded again.
LOG_PIECE = 2**19


@dataclass(frozen=True)
class SharedSizes:
    """The bytes of a job's files in the bucket, and when the last one was written.

    `modified` is Unix time by the bucket's clock.
    """

    checkpoints: int = 0
    logs: int = 0
    modified: float = 0.0

    @property
    def total(self) -> int:
        """The bytes of all files."""
        return self.checkpoints + self.logs


@dataclass(frozen=True)
class _File:
    """A file of a checkpoint."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class _Piece:
    """A piece of a log in the bucket."""

    attempt: int
    number: int
    size: int
    path: str


class SharedJobFiles:
    """The files of jobs in a bucket. All methods raise `BucketError`."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.address = f"{bucket.address}/{_ROOT}"

    @classmethod
    def of(cls, bucket: Bucket | None) -> SharedJobFiles | None:
        """Return the files of jobs in a bucket; None without a bucket."""
        return None if bucket is None else cls(bucket)

    # -- checkpoints

    def publish_checkpoint(self, job_id: str, attempt: int, files: Iterable[Path]) -> bool:
        """Upload a checkpoint of an attempt, and delete earlier ones. Return whether it did.

        If a later attempt has a checkpoint, this one is not uploaded, and those of this attempt are
        deleted. Raises `FileNotFoundError` if a file is moved before it is opened. A file that is
        replaced afterwards is uploaded as it was.
        """
        with ExitStack() as stack:
            opened = [(file.name, stack.enter_context(file.open("rb"))) for file in files]
            described = [_described(name, file) for name, file in opened]
            latest = max(self._by_attempt(job_id), default=0)
            if latest > attempt:
                self._delete_checkpoints(job_id, lambda number, _: number == attempt)
                return False
            for file, (_, content) in zip(described, opened, strict=True):
                self._bucket.put(self._file(job_id, attempt, file), content)
        index = {
            "format": _FORMAT,
            "version": _VERSION,
            "attempt": attempt,
            "files": [vars(file) for file in described],
        }
        self._bucket.put(self._index(job_id, attempt), json.dumps(index, indent=1).encode())
        named = {self._file(job_id, attempt, file) for file in described}
        named.add(self._index(job_id, attempt))
        self._delete_checkpoints(
            job_id, lambda number, path: number <= attempt and path not in named
        )
        return True

    def fetch_checkpoint(self, folder: JobFolder, attempt: int) -> int | None:
        """Copy the checkpoint of the latest earlier attempt to the folder of this attempt.

        Return the number of that attempt; None if the bucket has no later checkpoint than the
        folder. If a checkpoint is damaged, that of an earlier attempt is used. Raises `OSError`,
        with ENOSPC if the copy would use the reserve of the disk.
        """
        local = folder.checkpoint_attempt(attempt)
        since = -1 if local is None else local
        if since >= attempt - 1:  # that attempt ran on this host
            return None
        for _ in range(_TRIES):
            is_unchanged = True
            for number in sorted(self._by_attempt(folder.job_id), reverse=True):
                if not since < number < attempt:
                    continue
                try:
                    self._copy(folder, number, attempt)
                    return number
                except FileNotFoundError:  # replaced by a later checkpoint meanwhile
                    is_unchanged = False
                except ValueError as error:
                    _LOG.error(
                        "the checkpoint of attempt %d in %s is not used: %s",
                        number,
                        self.address,
                        error,
                    )
            if is_unchanged:
                break
        return None

    def _copy(self, folder: JobFolder, number: int, attempt: int) -> None:
        """Copy the checkpoint of an attempt, as a whole or not at all.

        Raises `FileNotFoundError` for a missing file, and `ValueError` for a damaged one.
        """
        content = self._bucket.get(self._index(folder.job_id, number), _INDEX_BYTES)
        if content is None:
            raise FileNotFoundError(self._index(folder.job_id, number))
        files = _parse_index(content, number)
        own = folder.checkpoint_folder(attempt)
        arriving = own / ".arriving"  # hidden files are not part of a checkpoint
        shutil.rmtree(arriving, ignore_errors=True)
        arriving.mkdir(parents=True)
        try:
            require_room(own, sum(file.size for file in files))
            for file in files:
                with whole_file(arriving / file.name) as target:
                    self._download(self._file(folder.job_id, number, file), file, target)
            for file in files:
                (arriving / file.name).replace(own / file.name)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)

    def _download(self, path: str, file: _File, target: BinaryIO) -> None:
        pieces = self._bucket.read(path)
        if pieces is None:
            raise FileNotFoundError(path)
        sha, size = hashlib.sha256(), 0
        for piece in pieces:
            size += len(piece)
            if size > file.size:
                break
            sha.update(piece)
            target.write(piece)
        if size != file.size or sha.hexdigest() != file.sha256:
            raise ValueError(f"{path} is damaged: its size or sha256 differs from the index")

    def withdraw_checkpoints(self, job_id: str) -> None:
        """Delete the indexes of a job's checkpoints, so that no attempt resumes from them."""
        self._delete_checkpoints(job_id, lambda _, path: path.endswith(".json"))

    def remove_checkpoints(self, job_id: str) -> None:
        """Delete the checkpoints of a job."""
        self._delete_checkpoints(job_id, lambda *_: True)

    def _delete_checkpoints(self, job_id: str, is_due: Callable[[int, str], bool]) -> None:
        """Delete the objects of checkpoints for whose attempt and path a function is true.

        Indexes are deleted first, so that none names a missing file.
        """
        due = [path for n, path in self._checkpoint_paths(job_id) if is_due(n, path)]
        for path in sorted(due, key=lambda path: not path.endswith(".json")):
            self._bucket.delete(path)

    def _by_attempt(self, job_id: str) -> list[int]:
        """Return the attempts that have a checkpoint."""
        return [n for n, path in self._checkpoint_paths(job_id) if path.endswith(".json")]

    def _checkpoint_paths(self, job_id: str) -> Iterator[tuple[int, str]]:
        folder = f"{_ROOT}/{job_id}/checkpoints"
        for entry in self._bucket.list(folder):
            found = _CHECKPOINT.fullmatch(entry.path.removeprefix(f"{folder}/"))
            if found is not None:
                yield int(found["attempt"]), entry.path

    def _index(self, job_id: str, attempt: int) -> str:
        return f"{_ROOT}/{job_id}/checkpoints/{attempt}.json"

    def _file(self, job_id: str, attempt: int, file: _File) -> str:
        return f"{_ROOT}/{job_id}/checkpoints/{attempt}/{file.sha256}"

    # -- logs

    def put_log(self, job_id: str, attempt: int, number: int, content: bytes) -> None:
        """Upload a piece of an attempt's log. All pieces but the last have `LOG_PIECE` bytes."""
        self._bucket.put(f"{_ROOT}/{job_id}/logs/{attempt}/{number}", content)

    def log(self, job_id: str) -> SharedLog:
        """Return the log of a job: the output of all attempts, in their order."""
        folder = f"{_ROOT}/{job_id}/logs"
        found = []
        for entry in self._bucket.list(folder):
            name = _PIECE_OF_LOG.fullmatch(entry.path.removeprefix(f"{folder}/"))
            if name is not None:
                piece = _Piece(int(name["attempt"]), int(name["number"]), entry.size, entry.path)
                found.append(piece)
        return SharedLog(
            self._bucket, sorted(found, key=lambda piece: (piece.attempt, piece.number))
        )

    # -- all files

    def sizes(self) -> dict[str, SharedSizes]:
        """Return the sizes of the files of every job that has some.

        Objects with other names are skipped.
        """
        entries: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in self._bucket.list(_ROOT):
            found = _OF_JOB.match(entry.path)
            if found is not None:
                entries[found["job"]].append(entry)
        return {job_id: _sizes(of_job) for job_id, of_job in entries.items()}

    def remove(self, job_id: str) -> None:
        """Delete all files of a job."""
        self.remove_checkpoints(job_id)
        for entry in list(self._bucket.list(f"{_ROOT}/{job_id}")):
            self._bucket.delete(entry.path)

    def clock_offset(self) -> float:
        """Return the seconds by which the bucket's clock is ahead of this host's."""
        return self._bucket.clock_offset()


class JobSizes:
    """The bytes of the files of each job: in the data folder of this host, or in the bucket.

    The bucket is listed in the background, at most once in `seconds`, so that callers do not wait
    for it. While it is unavailable, the last sizes count.
    """

    def __init__(self, home: Path, shared: SharedJobFiles | None, seconds: float = 30.0) -> None:
        self._home, self._shared, self._seconds = home, shared, seconds
        self._found: Mapping[str, SharedSizes] = {}
        self._next = float("-inf")
        self._mutex = threading.Lock()

    def of(self, job_id: str) -> int:
        """Return the bytes of a job's files in the folder or the bucket, whichever has more."""
        self._refresh()
        in_bucket = self._found.get(job_id, SharedSizes()).total
        return max(size_of(JobFolder.of(self._home, job_id).path), in_bucket)

    def _refresh(self) -> None:
        with self._mutex:
            if self._shared is None or time.monotonic() < self._next:
                return
            self._next = float("inf")
        threading.Thread(target=self._list, args=(self._shared,), daemon=True).start()

    def _list(self, shared: SharedJobFiles) -> None:
        try:
            self._found = shared.sizes()
        except BucketError as error:
            _LOG.warning(
                "cannot list the files of jobs in the bucket, and the previous sizes are used: %s",
                error,
            )
        finally:
            self._next = time.monotonic() + self._seconds


class SharedLog:
    """The log of a job in the bucket, without what was uploaded after it was listed."""

    def __init__(self, bucket: Bucket, pieces: Sequence[_Piece]) -> None:
        self._bucket, self._pieces = bucket, pieces
        self.attempts = {piece.attempt for piece in pieces}
        self.size = sum(piece.size for piece in pieces)

    def read(self, offset: int | None, tail: int | None, most: int) -> tuple[int, int, bytes]:
        """Return the size of the log, and the offset and the bytes of the requested part.

        This copy may be shorter than the log on its host. An `offset` beyond its end is returned
        unchanged, so that a reader who follows the log gets no byte twice.
        """
        start = offset or 0
        if tail is not None:
            start = max(start, self.size - tail)
        content, position = bytearray(), 0
        for piece in self._pieces:
            begin = max(0, start - position)
            position += piece.size
            if begin >= piece.size:
                continue
            found = self._bucket.get(piece.path, 2 * LOG_PIECE)
            if found is None:  # the job is being deleted
                break
            content += found[begin : piece.size]
            if len(content) >= most:
                break
        return self.size, start, bytes(content[:most])


def _described(name: str, file: BinaryIO) -> _File:
    """Return the size and the digest of an open file."""
    sha, size = hashlib.sha256(), 0
    while piece := file.read(_PIECE):
        sha.update(piece)
        size += len(piece)
    file.seek(0)
    return _File(name, sha.hexdigest(), size)


def _parse_index(content: bytes, attempt: int) -> list[_File]:
    """Return the files of a checkpoint. Raises `ValueError` for an invalid index."""
    try:
        document: Any = json.loads(content)
        if (document["format"], document["version"]) != (_FORMAT, _VERSION):
            raise ValueError(f"its format is {document['format']} {document['version']}")
        files = [_File(file["name"], file["sha256"], file["size"]) for file in document["files"]]
        is_valid = document["attempt"] == attempt and all(map(_is_valid, files)) and files
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"its index is invalid: {error!r}") from error
    if not is_valid or len({file.name for file in files}) < len(files):
        raise ValueError("its index is invalid")
    return files


def _is_valid(file: _File) -> bool:
    return (
        isinstance(file.name, str)
        and _NAME.fullmatch(file.name) is not None
        and isinstance(file.sha256, str)
        and is_digest(file.sha256)
        and type(file.size) is int
        and file.size >= 0
    )


def _sizes(entries: Sequence[Entry]) -> SharedSizes:
    logs = sum(entry.size for entry in entries if entry.path.split("/")[2] == "logs")
    total = sum(entry.size for entry in entries)
    return SharedSizes(total - logs, logs, max(entry.modified for entry in entries))
