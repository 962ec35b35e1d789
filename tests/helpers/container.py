"""Containers of the built image, without an engine: namespaces, a read-only root, no capabilities.

`tests/docker/build.sh` builds the image. This runs it as ``docker/compose.yaml`` describes: its own
processes and mounts, a read-only root file system, a tmpfs at ``/tmp``, the image's user without
capabilities and with `no_new_privs`. The network is the machine's, and there are no limits.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

#: Runs in the container's namespaces, as root, and becomes its first process.
_START = """
import ctypes, json, os, subprocess, sys
root, user, volumes, environment, command = json.loads(sys.argv[1])

def mount(*words):
    subprocess.run(["mount", *words], check=True)

mount("--bind", root, root)
mount("-t", "proc", "proc", f"{root}/proc")
mount("--rbind", "/dev", f"{root}/dev")
for source, target in volumes:
    mount("--bind", source, root + target)
mount("-t", "tmpfs", "-o", "size=1g,mode=1777", "tmpfs", f"{root}/tmp")
mount("-o", "remount,bind,ro", root)
os.chroot(root)
os.chdir("/")
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
capability = 0
while libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:  # until the first that does not exist
    capability += 1
assert capability > 30, capability
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
os.execvpe(command[0], command, environment)
"""


@dataclass(frozen=True)
class Image:
    """The built image: its root file system and configuration."""

    folder: Path

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The configuration, as Docker names its fields."""
        document = json.loads((self.folder / "image.json").read_text(encoding="utf-8"))
        config: Mapping[str, Any] = document["Docker"]["config"]
        return config

    @property
    def root(self) -> Path:
        """The root file system."""
        return self.folder / "root"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        return dict(variable.split("=", 1) for variable in self.config["Env"])

    def start(
        self,
        command: Sequence[str],
        volumes: Mapping[Path, str],
        settings: Mapping[str, str],
    ) -> subprocess.Popen[str]:
        """Start a command in a container, with folders mounted and settings ``INTERTWINE_…``."""
        named = {f"INTERTWINE_{name.upper()}": text for name, text in settings.items()}
        user = int(self.config["User"])
        for folder, target in volumes.items():
            if target in self.config["Volumes"]:  # an engine gives a new volume the folder's owner
                os.chown(folder, user, user)
        start = [
            str(self.root.resolve()),
            user,
            [(str(folder), target) for folder, target in volumes.items()],
            {**self.environment, **named},
            [*command],
        ]
        return subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--ipc", "--uts", "--fork"),
                *(sys.executable, "-c", _START, json.dumps(start)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, command: Sequence[str], volumes: Mapping[Path, str], **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a container, and wait until it ends."""
        process = self.start(command, volumes, settings)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def intertwine(
        self, *arguments: str, volumes: Mapping[Path, str], **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the image's entry point with arguments, as `docker run IMAGE arguments`."""
        return self.run([*self.config["Entrypoint"], *arguments], volumes, **settings)


def init_of(container: subprocess.Popen[str]) -> psutil.Process:
    """The first process in a container."""
    (init,) = psutil.Process(container.pid).children()
    return init


def kill(container: subprocess.Popen[str]) -> None:
    """Kill a container: its processes end with its first one."""
    if container.poll() is None:
        init_of(container).kill()
    container.communicate(timeout=120)
