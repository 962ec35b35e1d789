"""A bucket: its addresses, its errors, and its clock, on a real server."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from helpers.example_tiers import Proxied, bucket_of, s3_gateway, silent_server
from helpers.patience import quickest, seconds_of
from intertwine.errors import InvalidSetting
from intertwine_api.storage.bucket import (
    Bucket,
    BucketError,
    BucketRefused,
    BucketUnavailable,
    require_bucket_address,
)
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.objects import open_objects
from intertwine_api.storage.outages import is_outage


class TestAddresses:
    @pytest.mark.parametrize("address", ["s3://lab", "s3://lab/a/b", "gs://lab/x", "az://lab/x"])
    def test_object_stores_are_accepted(self, address: str) -> None:
        assert require_bucket_address(address) == address
        assert require_bucket_address(f"{address}/") == address

    @pytest.mark.parametrize(
        "address", ["folder", "/srv/objects", "s3://", "ftp://lab", "https://lab/", "file:///srv"]
    )
    def test_others_are_refused_with_the_forms(self, address: str) -> None:
        with pytest.raises(
            InvalidSetting, match=r"it is not the address of a bucket: give s3://bucket/prefix"
        ):
            Bucket(address)

    @pytest.mark.parametrize("address", ["s3://me:hidden@lab/x", "s3://lab?secret=hidden"])
    def test_credentials_are_refused_and_not_repeated(self, address: str) -> None:
        with pytest.raises(InvalidSetting, match="AWS_ACCESS_KEY_ID") as raised:
            Bucket(address)
        assert "hidden" not in str(raised.value)

    def test_without_an_address_objects_are_in_the_folder(self, tmp_path: Path) -> None:
        objects = open_objects("", tmp_path)
        assert isinstance(objects, FolderObjects)
        assert objects.bucket is None
        assert objects.address == str(tmp_path / "objects")


class TestObjects:
    def test_what_is_put_is_got(self, bucket: str) -> None:
        one = Bucket(bucket)
        assert one.head("a/b") is None
        assert one.get("a/b") is None
        assert one.read("a/b") is None
        one.put("a/b", b"content")
        found = one.head("a/b")
        assert found is not None
        assert (found.path, found.size) == ("a/b", 7)
        assert one.get("a/b") == b"content"
        one.delete("a/b")
        one.delete("a/b")
        assert one.head("a/b") is None

    def test_a_large_file_arrives_whole(self, bucket: str, tmp_path: Path) -> None:
        content = bytes(range(256)) * (20 * 2**20 // 256)
        (tmp_path / "file").write_bytes(content)
        one = Bucket(bucket)
        one.put("large", tmp_path / "file")
        pieces = one.read("large")
        assert pieces is not None
        assert b"".join(pieces) == content
        with pytest.raises(ValueError, match="more than"):
            one.get("large", 10**6)

    def test_the_first_of_two_creates(self, bucket: str) -> None:
        one = Bucket(bucket)
        assert one.create("id", b"first")
        assert not one.create("id", b"second")
        assert one.get("id") == b"first"

    def test_a_list_has_the_objects_of_a_folder(self, bucket: str) -> None:
        one = Bucket(bucket)
        for path in ("a/1", "a/b/2", "ab/3"):
            one.put(path, path.encode())
        assert sorted(entry.path for entry in one.list("a")) == ["a/1", "a/b/2"]
        assert list(one.list("none")) == []

    def test_a_prefix_is_apart_from_others(self, bucket: str) -> None:
        Bucket(f"{bucket}/one").put("x", b"")
        assert Bucket(f"{bucket}/two").head("x") is None

    def test_the_clocks_are_compared(self, bucket: str) -> None:
        one = Bucket(bucket)
        assert abs(one.clock_offset()) < 3
        assert list(one.list("probes")) == []


class TestErrors:
    def test_a_bucket_that_does_not_exist(self, bucket: str) -> None:
        one = Bucket("s3://nowhere/prefix")
        with pytest.raises(BucketRefused, match=r"^s3://nowhere/prefix: there is no such bucket"):
            one.put("a", b"")
        with pytest.raises(BucketRefused, match="there is no such bucket"):
            one.create("a", b"")

    @pytest.mark.parametrize("status", [401, 403])
    def test_refusals_are_no_outages(self, s3: dict[str, str], status: int) -> None:
        def refuse(request: Proxied) -> bool:
            request.send_response(status)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return True

        with s3_gateway(s3, refuse) as environment, bucket_of(environment) as address:
            one = Bucket(address)
            for call in _calls(one):
                with pytest.raises(BucketRefused) as raised:
                    call()
                assert not is_outage(raised.value)

    def test_a_server_that_is_gone(self, s3: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            gone = f"http://127.0.0.1:{free.getsockname()[1]}"
        with bucket_of({**s3, "AWS_ENDPOINT_URL": gone}) as address:
            for call in _calls(Bucket(address)):
                with pytest.raises(BucketUnavailable, match=f"^{address}: ") as raised:
                    call()
                assert is_outage(raised.value)
                assert "testsecret" not in str(raised.value)

    def test_the_password_of_a_server_is_not_repeated(self, s3: dict[str, str]) -> None:
        endpoint = {"AWS_ENDPOINT_URL": "http://lab:password@127.0.0.1:9"}
        with bucket_of({**s3, **endpoint}) as address:
            with pytest.raises(
                BucketUnavailable, match=r"127\.0\.0\.1:9 cannot be reached"
            ) as caught:
                Bucket(address).head("missing")
            assert "password" not in str(caught.value)

    @pytest.mark.slow
    def test_a_server_that_says_nothing(self, s3: dict[str, str]) -> None:
        with (
            silent_server() as silent,
            bucket_of({**s3, "AWS_ENDPOINT_URL": silent.rstrip("/")}) as address,
        ):

            def ask() -> None:
                with pytest.raises(BucketUnavailable):
                    Bucket(address).head("a")

            assert quickest(lambda: seconds_of(ask), 15, tries=3) < 15


def _calls(bucket: Bucket) -> list[Any]:
    return [
        lambda: bucket.head("a"),
        lambda: bucket.get("a"),
        lambda: bucket.put("a", b""),
        lambda: bucket.create("a", b""),
        lambda: bucket.delete("a"),
        lambda: list(bucket.list("a")),
    ]


def test_errors_are_errors_of_the_system() -> None:
    assert issubclass(BucketError, OSError)  # so that the command line shows them in one line
