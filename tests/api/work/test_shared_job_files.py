"""The files of jobs in a bucket, on a real S3 server."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from helpers.example_stores import until
from helpers.example_tiers import Gateway, Proxied, s3_gateway
from intertwine_api.storage.bucket import Bucket, BucketError, BucketUnavailable
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.shared_job_files import LOG_PIECE, JobSizes, SharedJobFiles

JOB = "a1b2c3d4e5f60718"
NAME = "checkpoint.safetensors"


@pytest.fixture
def bucket(bucket: str) -> Bucket:
    """An empty bucket."""
    return Bucket(bucket)


@pytest.fixture
def shared(bucket: Bucket) -> SharedJobFiles:
    return SharedJobFiles(bucket)


@pytest.fixture
def here(tmp_path: Path) -> JobFolder:
    return JobFolder.of(tmp_path / "here", JOB)


@pytest.fixture
def there(tmp_path: Path) -> JobFolder:
    return JobFolder.of(tmp_path / "there", JOB)


def keep(folder: JobFolder, attempt: int, content: bytes) -> list[Path]:
    """Write the checkpoint of an attempt; its files."""
    file = folder.checkpoint_folder(attempt) / NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return [file]


def kept(folder: JobFolder, attempt: int) -> bytes:
    """The checkpoint with which an attempt begins."""
    return (folder.take_checkpoint(attempt) / NAME).read_bytes()


def names(bucket: Bucket) -> list[str]:
    """The paths of all objects."""
    return sorted(entry.path for entry in bucket.list("jobs"))


class TestCheckpoints:
    def test_the_next_attempt_on_another_host_has_the_last_one(
        self, shared: SharedJobFiles, here: JobFolder, there: JobFolder
    ) -> None:
        for content in (b"epoch 1", b"epoch 2"):
            assert shared.publish_checkpoint(JOB, 1, keep(here, 1, content))
        assert shared.fetch_checkpoint(there, 2) == 1
        assert kept(there, 2) == b"epoch 2"

    def test_files_of_several_names_are_one_checkpoint(
        self, shared: SharedJobFiles, here: JobFolder, there: JobFolder
    ) -> None:
        files = keep(here, 1, b"weights")
        files.append(files[0].with_name("moments.bin"))
        files[1].write_bytes(b"")
        shared.publish_checkpoint(JOB, 1, files)
        shared.fetch_checkpoint(there, 2)
        found = {file.name: file.read_bytes() for file in there.take_checkpoint(2).iterdir()}
        assert found == {NAME: b"weights", "moments.bin": b""}

    def test_only_the_last_one_of_the_last_attempt_stays_in_the_bucket(
        self, shared: SharedJobFiles, bucket: Bucket, here: JobFolder
    ) -> None:
        for attempt in (1, 2):
            for epoch in range(3):
                shared.publish_checkpoint(JOB, attempt, keep(here, attempt, b"%d" % epoch))
        assert len(names(bucket)) == 2
        assert f"jobs/{JOB}/checkpoints/2.json" in names(bucket)

    def test_an_attempt_that_still_runs_does_not_replace_that_of_a_later_one(
        self, shared: SharedJobFiles, bucket: Bucket, here: JobFolder, there: JobFolder
    ) -> None:
        shared.publish_checkpoint(JOB, 1, keep(here, 1, b"epoch 5"))
        shared.publish_checkpoint(JOB, 2, keep(there, 2, b"epoch 6 of the second"))
        assert not shared.publish_checkpoint(JOB, 1, keep(here, 1, b"epoch 9 of the first"))
        assert not any(f"{JOB}/checkpoints/1" in name for name in names(bucket))
        assert shared.fetch_checkpoint(here, 3) == 2
        assert kept(here, 3) == b"epoch 6 of the second"

    def test_of_two_attempts_that_upload_at_once_the_later_one_counts(
        self, shared: SharedJobFiles, bucket: Bucket, here: JobFolder, there: JobFolder
    ) -> None:
        # the index of the first arrives after the second has looked
        shared.publish_checkpoint(JOB, 1, keep(here, 1, b"first"))
        late = {entry: bucket.get(entry) for entry in names(bucket)}
        shared.publish_checkpoint(JOB, 2, keep(there, 2, b"second"))
        for path, content in late.items():
            assert content is not None
            bucket.put(path, content)
        assert shared.fetch_checkpoint(here, 3) == 2
        assert kept(here, 3) == b"second"

    def test_a_host_that_ran_the_attempt_before_asks_no_bucket(
        self, here: JobFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        keep(here, 1, b"here")
        assert SharedJobFiles(Bucket("s3://lab/none")).fetch_checkpoint(here, 2) is None
        assert kept(here, 2) == b"here"

    def test_an_older_one_of_this_host_is_not_used(
        self, shared: SharedJobFiles, here: JobFolder, there: JobFolder
    ) -> None:
        shared.publish_checkpoint(JOB, 1, keep(here, 1, b"epoch 1, here"))
        shared.fetch_checkpoint(there, 2)
        shared.publish_checkpoint(JOB, 2, keep(there, 2, b"epoch 2, there"))
        assert shared.fetch_checkpoint(here, 3) == 2
        assert kept(here, 3) == b"epoch 2, there"

    def test_a_later_one_of_this_host_is_used(
        self, shared: SharedJobFiles, here: JobFolder, there: JobFolder
    ) -> None:
        shared.publish_checkpoint(JOB, 1, keep(there, 1, b"epoch 1, there"))
        keep(here, 2, b"epoch 2, here")  # while the bucket was unavailable
        assert shared.fetch_checkpoint(here, 4) is None
        assert kept(here, 4) == b"epoch 2, here"

    def test_one_of_this_or_a_later_attempt_is_not_fetched(
        self, shared: SharedJobFiles, here: JobFolder, there: JobFolder
    ) -> None:
        shared.publish_checkpoint(JOB, 3, keep(here, 3, b"later"))
        assert shared.fetch_checkpoint(there, 2) is None
        assert shared.fetch_checkpoint(there, 3) is None
        assert there.checkpoint_attempt(3) is None

    def test_a_file_that_is_replaced_meanwhile_is_uploaded_as_it_was(
        self, s3: dict[str, str], bucket: Bucket, here: JobFolder, there: JobFolder,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        files = keep(here, 1, b"old" * 10**6)

        def replace(request: Proxied) -> None:
            if request.command == "PUT":
                new = files[0].with_name(".new")
                new.write_bytes(b"new")
                new.replace(files[0])

        with s3_gateway(s3, replace) as gateway:
            monkeypatch.setenv("AWS_ENDPOINT_URL", gateway["AWS_ENDPOINT_URL"])
            SharedJobFiles(Bucket(bucket.address)).publish_checkpoint(JOB, 1, files)
        assert SharedJobFiles(bucket).fetch_checkpoint(there, 2) == 1
        assert kept(there, 2) == b"old" * 10**6


class TestATornCheckpoint:
    def test_without_its_index_it_is_never_seen(
        self, s3: dict[str, str], bucket: Bucket, here: JobFolder, there: JobFolder,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        shared = SharedJobFiles(bucket)
        shared.publish_checkpoint(JOB, 1, keep(here, 1, b"epoch 1"))

        def fail_at_the_index(request: Proxied) -> bool:
            if request.command == "PUT" and request.path.endswith(".json"):
                request.send_error(503)
                return True
            return False

        with s3_gateway(s3, fail_at_the_index) as gateway:
            monkeypatch.setenv("AWS_ENDPOINT_URL", gateway["AWS_ENDPOINT_URL"])
            with pytest.raises(BucketUnavailable):
                SharedJobFiles(Bucket(bucket.address)).publish_checkpoint(
                    JOB, 1, keep(here, 1, b"epoch 2")
                )
        assert len(names(bucket)) == 3  # the new file is there
        assert shared.fetch_checkpoint(there, 2) == 1
        assert kept(there, 2) == b"epoch 1"
        shared.publish_checkpoint(JOB, 2, keep(there, 2, b"epoch 2"))
        assert len(names(bucket)) == 2  # and is removed

    @pytest.mark.parametrize("content", [b"epoch 2", b"half", b"", b"much longer than it was"])
    def test_a_file_with_other_bytes_is_not_used_but_the_one_of_the_attempt_before(
        self, shared: SharedJobFiles, bucket: Bucket, here: JobFolder, there: JobFolder,
        content: bytes, caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        shared.publish_checkpoint(JOB, 2, keep(here, 2, b"epoch 1"))
        torn = next(name for name in names(bucket) if not name.endswith(".json"))
        bucket.put(torn, content)
        bucket.put(f"jobs/{JOB}/checkpoints/1/{'0' * 64}", b"not named by an index")
        assert shared.fetch_checkpoint(there, 3) is None
        assert there.checkpoint_attempt(3) is None
        assert "attempt 2" in caplog.text
        index = bucket.get(f"jobs/{JOB}/checkpoints/2.json")
        assert index is not None
        shared.remove_checkpoints(JOB)
        shared.publish_checkpoint(JOB, 1, keep(here, 1, b"the one before"))
        bucket.put(f"jobs/{JOB}/checkpoints/2.json", index)
        bucket.put(torn, content)
        assert shared.fetch_checkpoint(there, 3) == 1
        assert kept(there, 3) == b"the one before"
        assert not list(there.checkpoint_folder(3).glob(".*"))

    @pytest.mark.parametrize(
        "change",
        [
            {"format": "other"},
            {"version": 2},
            {"attempt": 7},
            {"files": []},
            {"files": [{"name": "../../escaped", "sha256": "0" * 64, "size": 1}]},
            {"files": [{"name": ".hidden", "sha256": "0" * 64, "size": 1}]},
            {"files": [{"name": "a", "sha256": "../other", "size": 1}]},
            {"files": [{"name": "a", "sha256": "0" * 64, "size": "1"}]},
            {"files": [{"name": "a"}]},
            {"files": 5},
        ],
    )
    def test_an_invalid_index_is_not_used(
        self, shared: SharedJobFiles, bucket: Bucket, here: JobFolder, there: JobFolder,
        change: dict[str, object], caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        shared.publish_checkpoint(JOB, 1, keep(here, 1, b"epoch 1"))
        path = f"jobs/{JOB}/checkpoints/1.json"
        content = bucket.get(path)
        assert content is not None
        bucket.put(path, json.dumps({**json.loads(content), **change}).encode())
        assert shared.fetch_checkpoint(there, 2) is None
        assert "is not used" in caplog.text
        assert not there.checkpoint_files(2)

    def test_one_that_is_replaced_while_it_is_fetched_is_fetched_again(
        self, s3: dict[str, str], shared: SharedJobFiles, bucket: Bucket, here: JobFolder,
        there: JobFolder, monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        shared.publish_checkpoint(JOB, 1, keep(here, 1, b"epoch 1"))
        replaced = threading.Event()

        def replace(request: Proxied) -> None:
            is_file = request.command == "GET" and "/checkpoints/1/" in request.path
            if is_file and not replaced.is_set():
                replaced.set()
                shared.publish_checkpoint(JOB, 1, keep(here, 1, b"epoch 2"))

        with s3_gateway(s3, replace) as gateway:
            monkeypatch.setenv("AWS_ENDPOINT_URL", gateway["AWS_ENDPOINT_URL"])
            found = SharedJobFiles(Bucket(bucket.address)).fetch_checkpoint(there, 2)
        assert (found, replaced.is_set()) == (1, True)
        assert kept(there, 2) == b"epoch 2"


class TestLogs:
    def test_the_log_is_that_of_all_attempts_in_order(self, shared: SharedJobFiles) -> None:
        shared.put_log(JOB, 10, 0, b"tenth")
        shared.put_log(JOB, 2, 1, b"end of the second ")
        shared.put_log(JOB, 2, 0, b"x" * LOG_PIECE)
        shared.put_log("0" * 16, 1, 0, b"of another job")
        log = shared.log(JOB)
        whole = b"x" * LOG_PIECE + b"end of the second tenth"
        assert (log.size, log.attempts) == (len(whole), {2, 10})
        assert log.read(None, None, 2**20) == (len(whole), 0, whole)

    @pytest.mark.parametrize("offset", [None, 0, 1, LOG_PIECE - 1, LOG_PIECE, LOG_PIECE + 3])
    @pytest.mark.parametrize("tail", [None, 0, 2, 10**6])
    @pytest.mark.parametrize("most", [1, LOG_PIECE, 2**20])
    def test_a_part_is_that_of_the_whole(
        self, shared: SharedJobFiles, offset: int | None, tail: int | None, most: int
    ) -> None:
        whole = bytes(range(256)) * (LOG_PIECE // 256) + b"the end"
        for number in range(2):
            shared.put_log(JOB, 1, number, whole[number * LOG_PIECE : (number + 1) * LOG_PIECE])
        start = max(offset or 0, len(whole) - tail if tail is not None else 0)
        found = shared.log(JOB).read(offset, tail, most)
        assert found == (len(whole), start, whole[start : start + most])

    def test_a_reader_ahead_of_the_copy_stays_where_it_is(self, shared: SharedJobFiles) -> None:
        shared.put_log(JOB, 1, 0, b"12345")
        assert shared.log(JOB).read(8, None, 100) == (5, 8, b"")
        shared.put_log(JOB, 1, 0, b"1234567890")
        assert shared.log(JOB).read(8, None, 100) == (10, 8, b"90")

    def test_a_log_that_grows_is_read_as_it_was_listed(self, shared: SharedJobFiles) -> None:
        shared.put_log(JOB, 1, 0, b"12345")
        shared.put_log(JOB, 2, 0, b"second")
        log = shared.log(JOB)
        shared.put_log(JOB, 1, 0, b"1234567890")
        assert log.read(None, None, 100) == (11, 0, b"12345second")

    def test_a_job_without_output_has_an_empty_log(self, shared: SharedJobFiles) -> None:
        assert shared.log(JOB).read(None, 5, 100) == (0, 0, b"")


class TestRemoval:
    def test_a_job_has_no_objects_afterwards_and_others_keep_theirs(
        self, shared: SharedJobFiles, bucket: Bucket, here: JobFolder
    ) -> None:
        other = "b" * 16
        for job in (JOB, other):
            shared.publish_checkpoint(job, 1, keep(here, 1, b"12345"))
            shared.put_log(job, 1, 0, b"123")
        before = shared.sizes()
        assert set(before) == {JOB, other}
        assert (before[JOB].logs, before[JOB].total) == (3, before[JOB].checkpoints + 3)
        assert 5 < before[JOB].checkpoints < 1000
        shared.remove(JOB)
        assert shared.sizes() == {other: before[other]}

    def test_what_others_have_written_below_the_prefix_is_passed_over(
        self, shared: SharedJobFiles, bucket: Bucket, here: JobFolder
    ) -> None:
        shared.put_log(JOB, 1, 0, b"123")
        before = shared.sizes()
        for other in ("readme.txt", f"{JOB}", "theirs/logs/1/0", f"{JOB}/notes", f"x/{JOB}/logs/1"):
            bucket.put(f"jobs/{other}", b"of others")
        assert shared.sizes() == before

    def test_withdrawn_checkpoints_are_not_fetched(
        self, shared: SharedJobFiles, bucket: Bucket, here: JobFolder, there: JobFolder
    ) -> None:
        shared.publish_checkpoint(JOB, 1, keep(here, 1, b"12345"))
        shared.put_log(JOB, 1, 0, b"123")
        shared.withdraw_checkpoints(JOB)
        assert shared.fetch_checkpoint(there, 2) is None
        shared.remove_checkpoints(JOB)
        assert names(bucket) == [f"jobs/{JOB}/logs/1/0"]


class TestSizes:
    def test_of_a_job_of_another_host_are_those_in_the_bucket(
        self, shared: SharedJobFiles, there: JobFolder, tmp_path: Path
    ) -> None:
        keep(there, 1, b"12345")
        sizes = JobSizes(tmp_path / "there", shared, seconds=0.1)
        assert sizes.of(JOB) == 5
        shared.put_log(JOB, 1, 0, b"1234567890")
        until(lambda: sizes.of(JOB) == 10)
        shared.remove(JOB)
        until(lambda: sizes.of(JOB) == 5)
        assert JobSizes(tmp_path / "there", None).of(JOB) == 5

    def test_are_those_of_before_in_an_outage_and_nobody_waits(
        self, s3: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        gateway = Gateway()
        with gateway.open(s3) as address:
            shared = SharedJobFiles(Bucket(address))
            shared.put_log(JOB, 1, 0, b"1234567890")
            sizes = JobSizes(tmp_path, shared, seconds=0.1)
            until(lambda: sizes.of(JOB) == 10)
            gateway.is_down = True
            until(lambda: sizes.of(JOB) == 10 and "the previous sizes are used" in caplog.text)
            gateway.is_down = False
            shared.put_log(JOB, 1, 1, b"1")
            until(lambda: sizes.of(JOB) == 11)


def test_a_dead_bucket_is_an_error_that_says_so(here: JobFolder, dead_bucket: str) -> None:
    shared = SharedJobFiles(Bucket(dead_bucket))
    for call in (
        lambda: shared.publish_checkpoint(JOB, 1, keep(here, 1, b"x")),
        lambda: shared.log(JOB),
        shared.sizes,
    ):
        with pytest.raises(BucketError, match="s3://lab/none"):
            call()
