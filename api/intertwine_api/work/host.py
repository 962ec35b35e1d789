"""This host: its capacity for jobs, and what its processes share: GPU, memory, garbage collection.

It imports little: the supervisor of every job imports it.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from intertwine.errors import InvalidSetting

#: The command of a job's process, which imports nothing from the working directory.
COMMAND = (sys.executable, "-P", "-m", "intertwine_api.work.process")
#: The variable with the job and attempt of a process, which its children inherit.
JOB = "INTERTWINE_JOB"
#: The variable with the address of the bucket, in the environment of a job.
BUCKET = "INTERTWINE_OBJECTS"


@dataclass(frozen=True)
class HostCapacity:
    """The capacity of a host: its name, its slots, and the command and environment of jobs.

    The id of the job and the number of the attempt are appended to the command. `grace` is the
    time in seconds from a signal to a kill.
    """

    host: str
    slots: int
    command: Sequence[str] = COMMAND
    environment: Mapping[str, str] = field(default_factory=dict)
    grace: float = 10.0
    lease_seconds: float = 30.0


def host_of(folder: Path) -> str:
    """Return a name for this machine and the folder of jobs on it."""
    place = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:8]
    return f"{socket.gethostname()[:64]}-{place}"


#: Seconds that a job's process waits for the end of an outage of the database.
OUTAGE_SECONDS = 300.0

#: The variables of the fields of a `JobEnvironment`, in their order.
_VARIABLES = tuple(
    f"INTERTWINE_{name}"
    for name in (
        "DATA",
        "DATABASE",
        "CACHE",
        "LEASE_SECONDS",
        "OUTAGE_SECONDS",
        "OBJECTS",
        "OBJECTS_CACHE_BYTES",
    )
)


@dataclass(frozen=True)
class JobEnvironment:
    """What a job's process needs: the service's data folder, its database, store and bucket.

    It is passed by environment variables, because all users can read the arguments of a process,
    and the URL of a database may have a password. The store may have far tiers. A job without a
    heartbeat for `lease_seconds` counts as lost. It waits for the database for `outage_seconds`.
    """

    home: Path
    database: str
    store: Path
    lease_seconds: float = 30.0
    outage_seconds: float = OUTAGE_SECONDS
    far_tiers: tuple[str, ...] = ()
    objects: str = ""
    objects_cache_bytes: int = 10 * 10**9

    def to_variables(self) -> dict[str, str]:
        """Return it as environment variables."""
        from intertwine_cache import Places

        store = Places(self.store.absolute(), self.far_tiers).to_text()
        seconds = self.lease_seconds, self.outage_seconds
        bucket = self.objects, self.objects_cache_bytes
        values = self.home.absolute(), self.database, store, *seconds, *bucket
        return dict(zip(_VARIABLES, map(str, values), strict=True))

    @classmethod
    def from_variables(cls) -> JobEnvironment:
        """Read it from environment variables. Raises `InvalidSetting` if one is missing."""
        try:
            home, database, store, lease, outage, objects, cache = (
                os.environ[name] for name in _VARIABLES
            )
        except KeyError as error:
            raise InvalidSetting(f"{error.args[0]} is not set: a controller starts jobs") from error
        from intertwine_cache import Places

        places = Places.parse(store)
        assert places is not None, "its first part is a folder"
        seconds = float(lease), float(outage)
        bucket = objects, int(cache)
        return cls(Path(home), database, places.near, *seconds, places.far, *bucket)


def share_gpu() -> None:
    """Let this process and its children take GPU memory as needed, unless the environment is set.

    By default JAX takes three quarters of it at the start, and leaves little for other processes.
    Call this before JAX is used.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def use_one_blas_thread() -> None:
    """Compute linear algebra in the calling thread alone, in a process that serves.

    Its matrices are small. Several threads of BLAS would be no faster, and wait in loops: the
    estimate of a generator of size 220 takes half the processor time with one.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")


def use_one_torch_thread() -> None:
    """Run each operation of PyTorch in the calling thread alone, in a process that serves.

    Otherwise each thread that calls a model starts a pool of threads, one per processor.
    """
    import torch

    torch.set_num_threads(1)


_M_MMAP_THRESHOLD, _LARGE = -3, 4 * 2**20  # see mallopt(3); bytes
_ALLOCATED = 50_000  # new objects between collections; some hundred concurrent calls make fewer


def collect_rarely() -> None:
    """Collect garbage rarely, and exclude existing objects from it, in a process that serves.

    A full collection looks at every object: 230,000 with JAX loaded, which takes an eighth of a
    second in which no request is answered, and concurrent calls would make one due every second.
    Reference counts still free objects without cycles.
    """
    gc.set_threshold(_ALLOCATED, 10, 10)
    gc.freeze()


def return_freed_memory() -> None:
    """Make glibc return large freed arrays to the system at once.

    By default, glibc raises this threshold to the largest freed array, up to 32 MB. Each thread
    then keeps such arrays: 0.6 GB were measured after many requests with large groups.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:  # musl has none
            mallopt(_M_MMAP_THRESHOLD, _LARGE)


def freeze_existing_objects() -> None:
    """Exclude existing objects from garbage collection, in a process that collects rarely."""
    if gc.get_freeze_count():
        gc.freeze()
