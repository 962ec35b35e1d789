"""The S3 gateway of Ceph: a monitor, a storage daemon that keeps objects in memory, and a gateway.

It needs Debian's packages `PACKAGES`, and no root. Everything is in one folder and on free ports of
loopback, and takes about a second to start and 150 MB of memory.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers.example_tiers import client_environment, create_bucket
from helpers.servers import free_ports, require_programs, running_program

PACKAGES = ("ceph-mon", "ceph-osd", "radosgw", "ceph-common")
"""Debian's packages; `.ci/run` installs them."""
_PROGRAMS = (
    *("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin"),
    *("ceph", "ceph-authtool", "monmaptool"),
)
# A pool of one copy, so that one storage daemon is enough; and decisions of the monitor at once,
# where it usually collects them for a second.
_CONFIGURATION = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{monitor}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
keyring = {folder}/keyring
mon data = {folder}/mon
osd data = {folder}/osd
rgw data = {folder}/rgw
run dir = {folder}
crash dir = {folder}
log file = {folder}/$name.log
admin socket =
pid file =
osd objectstore = memstore
memstore device bytes = 2147483648
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 2
paxos propose interval = 0.05
paxos min wait = 0.01
rgw frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1
"""


@dataclass(frozen=True)
class Ceph:
    """A running gateway; `environment` is that of clients who own the bucket `lab`."""

    folder: Path
    environment: dict[str, str]

    def add_user(self, name: str) -> dict[str, str]:
        """Add a user, who has no rights yet. Return the environment of that user's clients."""
        secret = uuid.uuid4().hex
        self.run(
            *("radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}"),
            *(f"--access-key={name}", f"--secret-key={secret}"),
        )
        keys = {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": secret}
        return {**self.environment, **keys}

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of Ceph to its end; it must succeed."""
        done = subprocess.run(
            self.command(program, *arguments),
            capture_output=True,
            text=True,
            env=_environment(),
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stderr}"

    def command(self, program: str, *arguments: str) -> list[str]:
        """The command line of a program with this configuration."""
        return [program, "-c", str(self.folder / "ceph.conf"), *arguments]

    def daemon(
        self, program: str, *arguments: str, port: int | None = None
    ) -> AbstractContextManager[None]:
        """A daemon that runs until the end of the block (see `running_program`)."""
        command = self.command(program, "-f", *arguments)
        return running_program(
            command, self.folder / f"{program}.out", port=port, env=_environment()
        )


@contextmanager
def ceph_gateway(folder: Path) -> Iterator[Ceph]:
    """The gateway, in an empty folder, with the bucket `lab`.

    The test is skipped where Ceph is not installed; in CI that is a failure.
    """
    require_programs("Ceph", _PROGRAMS, PACKAGES)
    monitor, gateway = free_ports(2)
    fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()
    (folder / "ceph.conf").write_text(
        _CONFIGURATION.format(folder=folder, fsid=fsid, monitor=monitor, gateway=gateway)
    )
    ceph = Ceph(folder, client_environment(f"http://127.0.0.1:{gateway}"))
    keyring, map_ = str(folder / "keyring"), str(folder / "monmap")
    for name in ("mon.", "client.admin", "osd.0"):
        rights = ("--cap", "mon", "allow *", "--cap", "osd", "allow *")
        create = () if Path(keyring).exists() else ("--create-keyring",)
        ceph.run("ceph-authtool", *create, keyring, "--gen-key", "-n", name, *rights)
    address = f"[v2:127.0.0.1:{monitor}]"
    ceph.run("monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, map_)
    ceph.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", map_, "--keyring", keyring)
    with contextlib.ExitStack() as daemons:
        daemons.enter_context(ceph.daemon("ceph-mon", "-i", "a", port=monitor))
        ceph.run("ceph", "osd", "new", osd)
        ceph.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        daemons.enter_context(ceph.daemon("ceph-osd", "-i", "0"))
        daemons.enter_context(ceph.daemon("radosgw", "-n", "client.admin", port=gateway))
        ceph.run(
            *("radosgw-admin", "user", "create", "--uid=owner", "--display-name=owner"),
            f"--access-key={ceph.environment['AWS_ACCESS_KEY_ID']}",
            f"--secret-key={ceph.environment['AWS_SECRET_ACCESS_KEY']}",
        )
        create_bucket(ceph.environment)
        yield ceph


def _environment() -> dict[str, str]:
    """An environment without a Ceph of the user's own, and without our Python's modules."""
    return {"PATH": os.environ["PATH"]}
