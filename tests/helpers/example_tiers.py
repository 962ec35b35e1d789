"""Far tiers for tests: a shared folder, a web server of files, and an S3 server, all real."""

from __future__ import annotations

import contextlib
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from intertwine_cache import Chain, Keyring, Store
from intertwine_cache.tier import FolderTier, ObjectTier, Tier

KINDS = ("folder", "s3")


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves the files of a folder."""

    def before(self) -> bool:
        """Answer a request in another way, if this returns True."""
        return False

    def do_GET(self) -> None:
        """Serve a file."""
        with contextlib.suppress(ConnectionError):  # a client that gave up
            if not self.before():
                super().do_GET()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def web_folder(folder: Path, before: Callable[[Files], bool] | None = None) -> Iterator[str]:
    """A web server of a folder; its address."""

    class Handler(Files):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, directory=str(folder), **options)

        def before(self) -> bool:
            return before is not None and before(self)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent_server() -> Iterator[str]:
    """The address of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=500) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """Moto's S3 server with the bucket `lab`; the environment with which clients find it."""
    with (folder / "moto.log").open("w+") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            give_up, found = time.monotonic() + 60, None
            while found is None:
                assert process.poll() is None, (folder / "moto.log").read_text()
                assert time.monotonic() < give_up
                time.sleep(0.1)
                found = re.search(r"http://127.0.0.1:\d+", (folder / "moto.log").read_text())
            environment = {
                "AWS_ACCESS_KEY_ID": "testkey",
                "AWS_SECRET_ACCESS_KEY": "testsecret",
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": found[0],
                "AWS_ALLOW_HTTP": "true",
            }
            _create_bucket(found[0])
            yield environment
        finally:
            process.kill()
            process.wait()


def _create_bucket(address: str) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="testkey",
        aws_secret_access_key="testsecret",
    )
    client.create_bucket(Bucket="lab")


def far_tier(kind: str, folder: Path, s3: dict[str, str], patch: pytest.MonkeyPatch) -> Tier:
    """A writable, empty tier of a kind; `s3` is the environment of `s3_server`."""
    if kind == "folder":
        return FolderTier(folder / "shared", is_writable=True, limit=10**9)
    for name, value in s3.items():
        patch.setenv(name, value)
    return ObjectTier(f"s3://lab/{uuid.uuid4().hex}", is_writable=True)


def chain(folder: Path, *far: Tier, trusted: tuple[str, ...] = ()) -> Chain:
    """A chain of a new near folder and the far tiers."""
    return Chain(Store(folder / "near"), far, Keyring(folder / "signing-key", trusted))


def environment_of(folder: Path) -> dict[str, str]:
    """An environment without the user's own configuration."""
    return {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
