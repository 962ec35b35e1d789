"""The uploader of a job: it copies the log and the checkpoints of an attempt to the bucket.

``python -m intertwine_api.work.job_uploader FOLDER --attempt N --log-start BYTES``. The supervisor
starts it beside the job's process, if the service has a bucket. In a process of its own it neither
slows the job nor uses its memory, and it also uploads the last checkpoint of a job that was killed.
It ends soon after its standard input, which the supervisor holds open: so it also ends if the
supervisor is killed.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from intertwine_api.storage.bucket import Bucket
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.shared_job_files import LOG_PIECE, SharedJobFiles

_LOG = logging.getLogger("intertwine.jobs")
_INTERVAL = 0.5  # seconds between two looks at the folder
_LOG_SECONDS = 5.0  # seconds between two uploads of a log that grows
_PAUSE, _LONGEST = 5.0, 60.0  # seconds until the next try after a failure

#: The most seconds of the uploads after the end of the job.
LAST_SECONDS = 30.0


class JobUploader:
    """Uploads what has changed in the folder of a job since the last upload.

    Only the latest checkpoint is uploaded. If the bucket fails, that is logged once, and tried
    again later. The log of the attempt begins at the byte `log_start` of the job's log.
    """

    def __init__(
        self, shared: SharedJobFiles, folder: JobFolder, attempt: int, log_start: int
    ) -> None:
        self._shared, self._folder, self._attempt = shared, folder, attempt
        self._log_start, self._log_sent, self._log_at = log_start, 0, float("-inf")
        self._published: object = None
        self._is_superseded = False
        self._is_failing, self._pause, self._not_before = False, 0.0, float("-inf")

    def look(self, *, ends: bool = False) -> None:
        """Upload the changes that are due; with `ends`, all of them."""
        now = time.monotonic()
        if not ends and now < self._not_before:
            return
        try:
            if ends or now - self._log_at >= _LOG_SECONDS:
                self._log_at = now
                self._send_log()
            if ends and self._folder.has_succeeded:
                self._shared.remove_checkpoints(self._folder.job_id)
            elif not self._is_superseded:
                self._send_checkpoint()
        except FileNotFoundError:  # the checkpoint was moved, or the folder deleted
            return
        except OSError as error:  # of the bucket, or of the disk
            self._fail(error, ends=ends)
            return
        if self._is_failing:
            _LOG.warning("uploads of the log and the checkpoints work again")
        self._is_failing, self._pause = False, 0.0

    def _send_log(self) -> None:
        """Upload the pieces of the log that have changed."""
        with self._folder.log.open("rb") as log:
            size = log.seek(0, 2) - self._log_start
            while self._log_sent < size:
                number = self._log_sent // LOG_PIECE
                log.seek(self._log_start + number * LOG_PIECE)
                piece = log.read(LOG_PIECE)
                self._shared.put_log(self._folder.job_id, self._attempt, number, piece)
                self._log_sent = number * LOG_PIECE + len(piece)

    def _send_checkpoint(self) -> None:
        files = self._folder.checkpoint_files(self._attempt)
        state = [(file.name, (found := file.stat()).st_ino, found.st_mtime_ns) for file in files]
        if not files or state == self._published:
            return
        if self._shared.publish_checkpoint(self._folder.job_id, self._attempt, files):
            self._published = state
        else:
            self._is_superseded = True
            _LOG.warning(
                "a later attempt has a checkpoint: this attempt uploads no more checkpoints"
            )

    def _fail(self, error: OSError, *, ends: bool) -> None:
        if ends:
            _LOG.warning("the last log and checkpoint could not be uploaded: %s", error)
        elif not self._is_failing:
            _LOG.warning(
                "cannot upload the log and the checkpoints, and the job goes on: %s",
                error,
            )
        self._is_failing = True
        self._pause = min(max(_PAUSE, 2 * self._pause), _LONGEST)
        self._not_before = time.monotonic() + self._pause


def main(arguments: Sequence[str] | None = None) -> int:
    """Upload changes until standard input ends, and then the rest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder of the job")
    parser.add_argument("--attempt", type=int, required=True, help="the number of the attempt")
    parser.add_argument("--log-start", type=int, required=True, help="where its log begins")
    parser.add_argument("--bucket", required=True, help="the address of the bucket")
    asked = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    shared = SharedJobFiles(Bucket(asked.bucket))
    uploader = JobUploader(shared, JobFolder(asked.folder), asked.attempt, asked.log_start)
    has_ended = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(has_ended,), daemon=True).start()
    while not has_ended.wait(_INTERVAL):
        uploader.look()
    uploader.look(ends=True)
    return 0


def _wait_for_the_end(has_ended: threading.Event) -> None:
    """Wait for the end of standard input, and end this process if the last uploads hang."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    has_ended.set()
    time.sleep(LAST_SECONDS)
    _LOG.warning("the last uploads did not end within %g seconds, and are given up", LAST_SECONDS)
    logging.shutdown()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
