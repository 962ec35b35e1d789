"""Where the file of a SQLite database lies."""

from __future__ import annotations

import logging
from pathlib import Path

_LOG = logging.getLogger("intertwine.service")
_OF_NETWORKS = (
    "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "gpfs", "lustre", "nfs", "nfs4", "smb2", "smb3",
    "smbfs",
)  # fmt: skip


def warn_of_a_network(file: Path) -> None:
    """Say so in the log if the file is on a network's file system, as homes on a cluster are."""
    kind = file_system(file)
    if kind in _OF_NETWORKS:
        _LOG.warning(
            "%s is on a file system of type %s, where the locks of SQLite hold among the processes "
            "of one host at best: keep the data on a local disk, or use PostgreSQL",
            file,
            kind,
        )


def file_system(file: Path) -> str | None:
    """The type of the file system that a file is on, if the operating system says."""
    import psutil

    mounted = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    absolute = file.resolve()
    return next((mounted[folder] for folder in absolute.parents if folder in mounted), None)
