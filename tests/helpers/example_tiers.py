"""Far tiers for tests: a shared folder, a web server of files, and an S3 server, all real."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from intertwine_cache import Chain, Keyring, Store
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.tiers.object_store import ObjectTier
from intertwine_cache.tiers.tier import Tier

from helpers.patience import PATIENCE
from helpers.servers import free_ports, require_programs, running_program

#: The kinds of far tiers that can be written to and listed.
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

    with _serving(Handler) as address:
        yield f"{address}/"


@contextmanager
def nginx_folder(folder: Path, root: Path, *, also: str = "") -> Iterator[str]:
    """Nginx, which serves the folder `root` under a path; its address.

    Its own files are in `folder`. `also` is configuration of the location. The test is skipped
    where nginx is not installed; in CI that is a failure.
    """
    require_programs("nginx", ["nginx"], ["nginx-light"])
    (port,) = free_ports(1)
    folder.mkdir()
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log {folder}/access.log; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port};\n"
        f"location /bases/ {{ alias {root}/; {also} }} }} }}\n"
    )
    command = ["nginx", "-e", folder / "error.log", "-c", folder / "nginx.conf"]
    with running_program(command, folder / "nginx.out", port=port):
        yield f"http://127.0.0.1:{port}/bases/"


@contextmanager
def _serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def half_of(blob: Path) -> Callable[[Files], bool]:
    """Answer to requests for blobs with half of this one, and nothing more (see `web_folder`)."""

    def answer(request: Files) -> bool:
        if "/blobs/" not in request.path:
            return False
        content = blob.read_bytes()
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: len(content) // 2])
        request.rfile.read(1)  # until the client has gone
        return True

    return answer


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
            give_up, found = time.monotonic() + PATIENCE, None
            while found is None:
                assert process.poll() is None, (folder / "moto.log").read_text()
                assert time.monotonic() < give_up
                time.sleep(0.1)
                found = re.search(r"http://127.0.0.1:\d+", (folder / "moto.log").read_text())
            environment = client_environment(found[0])
            create_bucket(environment)
            yield environment
        finally:
            process.kill()
            process.wait()


def client_environment(address: str) -> dict[str, str]:
    """The environment with which clients find an S3 server, and sign their requests."""
    return {
        "AWS_ACCESS_KEY_ID": "testkey",
        "AWS_SECRET_ACCESS_KEY": "testsecret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
    }


class Proxied(http.server.BaseHTTPRequestHandler):
    """Passes requests on to another server, as a gateway before a store does."""

    upstream = ""
    hides_missing = False
    """Whether 404 becomes 403."""

    def before(self) -> bool:
        """Answer a request in another way, if this returns True; or change its headers."""
        return False

    def forward(self) -> None:
        """Pass a request on, and its answer back."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.before():
            return
        connection = http.client.HTTPConnection(self.upstream, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
        is_hidden = self.hides_missing and answer.status == 404
        self.send_response(403 if is_hidden else answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "date", "server"):
                self.send_header(name, value)
        size = answer.headers["Content-Length"] if self.command == "HEAD" else len(content)
        self.send_header("Content-Length", str(size or 0))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def s3_gateway(
    s3: dict[str, str], before: Callable[[Proxied], bool | None]
) -> Iterator[dict[str, str]]:
    """A gateway before the server of `s3_server`; the environment with which clients find it."""

    class Handler(Proxied):
        upstream = s3["AWS_ENDPOINT_URL"].removeprefix("http://")

        def before(self) -> bool:
            return bool(before(self))

    with _serving(Handler) as address:
        yield {**s3, "AWS_ENDPOINT_URL": address}


@contextmanager
def slow_uplink(s3: dict[str, str], rate: float) -> Iterator[dict[str, str]]:
    """A link to an S3 server that carries at most `rate` bytes per second to it, in total.

    Yield the environment with which clients find it.
    """
    server = urlsplit(s3["AWS_ENDPOINT_URL"])
    link, ends = threading.Lock(), list[socket.socket]()

    def carry(source: socket.socket, target: socket.socket, seconds_per_byte: float) -> None:
        with contextlib.suppress(OSError):  # one side has gone
            while piece := source.recv(2**14):
                if seconds_per_byte:
                    with link:
                        time.sleep(len(piece) * seconds_per_byte)
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                client, _ = listener.accept()
                upstream = socket.create_connection((server.hostname, server.port))
                ends.extend((client, upstream))
                for pair in ((client, upstream, 1 / rate), (upstream, client, 0.0)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield {**s3, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # which ends `accept`
            for end in ends:
                end.close()


@contextmanager
def rclone_server(folder: Path) -> Iterator[dict[str, str]]:
    """The S3 server of rclone, which ignores conditions and ranges, with the bucket `lab`."""
    # first the one of the environment: Debian's may be too old
    program = shutil.which("rclone", path=Path(sys.executable).parent) or shutil.which("rclone")
    if program is None:
        pytest.skip("rclone is not installed")
    version = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    found = re.match(r"rclone v(\d+)\.(\d+)", version.stdout)
    if found is None or (int(found[1]), int(found[2])) < (1, 65):
        pytest.skip(f"an older rclone has no S3 server: {version.stdout.splitlines()[0]}")
    (folder / "data" / "lab").mkdir(parents=True)
    (port,) = free_ports(1)
    command = [program, "serve", "s3", "--auth-key", "testkey,testsecret"]
    command += ["--addr", f"127.0.0.1:{port}", str(folder / "data")]
    with running_program(command, folder / "rclone.log", port=port):
        yield client_environment(f"http://127.0.0.1:{port}")


def s3_client(environment: dict[str, str]) -> Any:
    """A client of boto3, for the functions that obstore lacks."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def create_bucket(environment: dict[str, str]) -> None:
    """Create the bucket `lab`."""
    s3_client(environment).create_bucket(Bucket="lab")


@contextmanager
def bucket_of(s3: dict[str, str]) -> Iterator[str]:
    """The address of an empty prefix of a bucket, whose credentials are in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.items():
            patch.setenv(name, value)
        yield f"s3://lab/{uuid.uuid4().hex}"


class Gateway:
    """A gateway before the bucket, which a test turns off; it counts the requests."""

    def __init__(self) -> None:
        self.is_down = False
        self.requests: Counter[str] = Counter()
        self.refused: tuple[str, ...] = ()

    def before(self, request: Proxied) -> bool:
        """Answer a request, or let it pass."""
        self.requests[request.command] += 1
        if request.command in self.refused:
            request.send_response(403)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return True
        return self.is_down  # the connection is closed without an answer

    @contextmanager
    def open(self, s3: dict[str, str]) -> Iterator[str]:
        """The address of an empty bucket behind the gateway."""
        with s3_gateway(s3, self.before) as environment, bucket_of(environment) as address:
            yield address


def far_tier(kind: str, folder: Path, s3: dict[str, str], patch: pytest.MonkeyPatch) -> Tier:
    """A writable, empty tier of a kind; `s3` is the environment of clients of an S3 server."""
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
