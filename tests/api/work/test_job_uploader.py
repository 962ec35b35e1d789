"""The process that uploads the log and the checkpoints of a job, with a real S3 server."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest
from helpers.example_jobs import program, soon
from helpers.example_tiers import silent_server
from helpers.patience import PATIENCE, quickest
from intertwine_api.storage.bucket import Bucket
from intertwine_api.work import job_uploader
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.job_uploader import JobUploader
from intertwine_api.work.shared_job_files import LOG_PIECE, SharedJobFiles

JOB = "a1b2c3d4e5f60718"
MB = 10**6

#: Saves the checkpoint of an attempt, and prints so.
SAVE = """
import pathlib, sys, time
file = pathlib.Path({folder!r}) / "checkpoint" / "attempt-1" / "checkpoint.safetensors"
file.parent.mkdir(parents=True, exist_ok=True)
file.write_text({content!r})
print("saved", {content!r}, flush=True)
"""


@pytest.fixture
def bucket(bucket: str) -> Bucket:
    """An empty bucket."""
    return Bucket(bucket)


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    folder = JobFolder.of(tmp_path / "home", JOB)
    folder.path.mkdir(parents=True)
    return folder


class Supervised:
    """A supervisor of a program, whose files go to a bucket."""

    def __init__(self, folder: JobFolder, bucket: str, text: str, attempt: int = 1) -> None:
        arguments: list[str | Path] = [folder.path, "--attempt", str(attempt)]
        arguments += ["--memory", str(1000 * MB), "--seconds", "600", "--grace", "1"]
        command = [sys.executable, "-m", "intertwine_api.work.supervisor", *arguments, "--"]
        self.process = subprocess.Popen(
            [*command, *program(text)],
            env={**os.environ, "INTERTWINE_OBJECTS": bucket},
            start_new_session=True,
        )

    def uploader(self) -> psutil.Process:
        """Wait for the process of the uploader."""

        def found() -> psutil.Process | None:
            for child in psutil.Process(self.process.pid).children():
                with contextlib.suppress(psutil.Error):
                    if "intertwine_api.work.job_uploader" in child.cmdline():
                        return child
            return None

        process = soon(found)
        assert process is not None
        return process

    def ends(self) -> float:
        """Wait for the end of the program and of the last uploads; the seconds that it took."""
        begun = time.monotonic()
        assert self.process.wait(timeout=300) == 0
        return time.monotonic() - begun


def saving(folder: JobFolder, content: str) -> str:
    return SAVE.format(folder=str(folder.path), content=content)


def waiting_for(file: Path) -> str:
    """Waits until the test creates a file."""
    return f"\nwhile not pathlib.Path({str(file)!r}).exists(): time.sleep(0.02)\n"


def fetched(bucket: Bucket, tmp_path: Path) -> str:
    """The checkpoint with which the next attempt begins on another host."""
    there = JobFolder.of(tmp_path / "there", JOB)
    SharedJobFiles(bucket).fetch_checkpoint(there, 2)
    files = there.checkpoint_files(2)
    return files[0].read_text() if files else ""


def log_of(bucket: Bucket) -> str:
    return SharedJobFiles(bucket).log(JOB).read(None, None, 2**20)[2].decode()


class TestAJob:
    def test_has_its_last_checkpoint_and_its_log_in_the_bucket_when_it_has_ended(
        self, bucket: Bucket, folder: JobFolder, tmp_path: Path
    ) -> None:
        Supervised(folder, bucket.address, saving(folder, "epoch 3")).ends()
        assert fetched(bucket, tmp_path) == "epoch 3"
        assert log_of(bucket) == folder.log.read_text()
        assert log_of(bucket).startswith("--- attempt 1, ")
        assert f", on {socket.gethostname()[:64]}-" in log_of(bucket)
        assert folder.logged_attempts() == {1}

    @pytest.mark.parametrize("how", ["os.kill(os.getpid(), 9)", "bytearray(2 * 10**9)"])
    def test_that_is_killed_has_its_last_checkpoint_there_too(
        self, bucket: Bucket, folder: JobFolder, tmp_path: Path, how: str
    ) -> None:
        text = saving(folder, "before the end") + f"import os; kept = {how}; time.sleep(600)"
        Supervised(folder, bucket.address, text).ends()
        ended = folder.exit(1)
        assert ended is not None
        assert ended.signal == "SIGKILL"
        assert fetched(bucket, tmp_path) == "before the end"

    @pytest.mark.slow
    def test_whose_supervisor_is_killed_has_its_last_checkpoint_there_too(
        self, bucket: Bucket, folder: JobFolder, tmp_path: Path
    ) -> None:
        supervised = Supervised(folder, bucket.address, "import time; time.sleep(600)")
        uploader = supervised.uploader()
        exec(saving(folder, "the last"))  # while the supervisor dies
        os.killpg(supervised.process.pid, signal.SIGKILL)
        supervised.process.wait()
        psutil.wait_procs([uploader], timeout=PATIENCE)
        assert not uploader.is_running()
        assert fetched(bucket, tmp_path) == "the last"

    @pytest.mark.slow
    def test_that_succeeds_leaves_only_its_log(
        self, bucket: Bucket, folder: JobFolder, tmp_path: Path
    ) -> None:
        text = saving(folder, "epoch 3") + waiting_for(tmp_path / "may end")
        text += f"pathlib.Path({str(folder.path)!r}, 'succeeded').touch()"
        supervised = Supervised(folder, bucket.address, text)
        soon(lambda: SharedJobFiles(bucket).sizes().get(JOB) and fetched(bucket, tmp_path))
        (tmp_path / "may end").touch()
        supervised.ends()
        sizes = SharedJobFiles(bucket).sizes()[JOB]
        assert (sizes.checkpoints, sizes.logs) == (0, folder.log.stat().st_size)

    @pytest.mark.slow
    def test_goes_on_while_it_uploads_and_each_checkpoint_replaces_the_last(
        self, bucket: Bucket, folder: JobFolder, tmp_path: Path
    ) -> None:
        seen = [tmp_path / f"seen {n}" for n in range(3)]
        text = "".join(saving(folder, f"epoch {n}") + waiting_for(seen[n]) for n in range(3))
        supervised = Supervised(folder, bucket.address, text)

        def newest() -> str:
            for file in JobFolder.of(tmp_path / "there", JOB).checkpoint_files(2):
                file.unlink()
            return fetched(bucket, tmp_path)

        for n in range(3):
            soon(lambda n=n: newest() == f"epoch {n}")  # type: ignore[misc]
            assert supervised.process.poll() is None
            seen[n].touch()
        supervised.ends()
        assert newest() == "epoch 2"

    def test_without_a_bucket_has_no_uploader_and_no_further_files(self, folder: JobFolder) -> None:
        Supervised(folder, "", saving(folder, "epoch 3")).ends()
        names = {path.name for path in folder.path.iterdir()}
        assert names == {"log", "attempt-1.json", "checkpoint"}
        assert ", on " not in folder.log.read_text().splitlines()[0]


class TestABucketThatFails:
    @pytest.mark.slow
    def test_costs_a_job_a_few_lines_of_its_log(self, dead_bucket: str, folder: JobFolder) -> None:
        text = "".join(saving(folder, f"epoch {n}") + "time.sleep(1)\n" for n in range(5))

        def seconds() -> float:
            folder.log.unlink(missing_ok=True)
            Supervised(folder, dead_bucket, text).ends()
            ended = folder.exit(1)
            assert ended is not None
            assert ended.code == 0
            return ended.seconds

        assert quickest(seconds, 8, tries=3) < 8  # it sleeps for 5
        log = folder.log.read_text()
        assert log.count("saved epoch") == 5
        assert log.count("cannot upload the log and the checkpoints") == 1
        assert "Traceback" not in log

    @pytest.mark.slow
    def test_that_accepts_connections_and_says_nothing_delays_no_end_for_long(
        self, dead_bucket: str, folder: JobFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with silent_server() as address:
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)

            def seconds() -> float:
                supervised = Supervised(folder, dead_bucket, saving(folder, "epoch 1"))
                soon(lambda: folder.exit(1))  # is recorded before the last uploads
                ended = supervised.ends()
                folder.path.joinpath("attempt-1.json").unlink()
                return ended

            most = job_uploader.LAST_SECONDS + 5
            assert quickest(seconds, most, tries=3) < most

    def test_is_used_again_when_it_is_back(
        self, s3: dict[str, str], dead_bucket: str, folder: JobFolder, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(job_uploader, "_PAUSE", 0.0)
        exec(saving(folder, "epoch 1"))
        folder.log.write_text("printed\n")
        address = f"s3://lab/{uuid.uuid4().hex}"
        shared = SharedJobFiles(Bucket(address))
        uploader = JobUploader(shared, folder, 1, 0)
        for _ in range(3):
            uploader.look()
        assert caplog.text.count("cannot upload the log") == 1
        for name, value in s3.items():
            monkeypatch.setenv(name, value)
        bucket = Bucket(address)
        shared._bucket = bucket  # the same bucket, as it is after the outage
        uploader.look(ends=True)
        assert caplog.text.count("checkpoints work again") == 1
        assert fetched(bucket, tmp_path) == "epoch 1"
        assert log_of(bucket) == "printed\n"


class TestTheLog:
    def test_of_an_attempt_begins_where_that_of_the_one_before_ends(
        self, bucket: Bucket, folder: JobFolder
    ) -> None:
        Supervised(folder, bucket.address, "print('first')").ends()
        Supervised(folder, bucket.address, "print('second')", attempt=2).ends()
        assert log_of(bucket) == folder.log.read_text()
        assert SharedJobFiles(bucket).log(JOB).attempts == folder.logged_attempts() == {1, 2}

    def test_is_uploaded_in_pieces_each_once_but_the_last(
        self, bucket: Bucket, folder: JobFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(job_uploader, "_LOG_SECONDS", 0.0)
        shared, sent = SharedJobFiles(bucket), []
        put = shared.put_log

        def counted(job_id: str, attempt: int, number: int, content: bytes) -> None:
            sent.append((number, len(content)))
            put(job_id, attempt, number, content)

        monkeypatch.setattr(shared, "put_log", counted)
        uploader = JobUploader(shared, folder, 2, 10)
        for _ in range(3):
            with folder.log.open("ab") as log:
                log.write(os.urandom(LOG_PIECE // 2 + 10))
            uploader.look()
            uploader.look()  # nothing is new
        assert [number for number, _ in sent] == [0, 0, 1, 1]
        whole = folder.log.read_bytes()[10:]
        assert shared.log(JOB).read(None, None, 2**22) == (len(whole), 0, whole)


@pytest.mark.slow
def test_a_large_checkpoint_takes_little_memory(bucket: Bucket, folder: JobFolder) -> None:
    text = f"""
import pathlib, time
file = pathlib.Path({str(folder.path)!r}) / "checkpoint" / "attempt-1" / "checkpoint.safetensors"
file.parent.mkdir(parents=True)
with file.with_name(".hidden").open("wb") as written:
    for _ in range(200):
        written.write(bytes(10**6))
file.with_name(".hidden").rename(file)
time.sleep(600)
"""
    supervised = Supervised(folder, bucket.address, text)
    uploader, most = supervised.uploader(), 0
    give_up = time.monotonic() + 120
    index = f"jobs/{JOB}/checkpoints/1.json"
    while bucket.head(index) is None:
        most = max(most, uploader.memory_info().rss)
        assert time.monotonic() < give_up, folder.log.read_text()
    os.killpg(supervised.process.pid, signal.SIGKILL)
    supervised.process.wait()
    assert most < 150 * MB, most
