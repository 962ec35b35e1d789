"""The state of a running service, part by part: a part that cannot be read hides no other."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError

from intertwine_api.server.problem_responses import bucket_problem, database_problem
from intertwine_api.server.service import Service
from intertwine_api.server.shared_call import NoAnswer, SharedCall
from intertwine_api.storage.bucket import BucketError
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.vocabulary import Kind, State
from intertwine_api.work.lookup import HostUse

_HOSTS_SECONDS = 15.0  # the query reads all jobs


@dataclass(frozen=True)
class Reading:
    """A part of the state. If it cannot be read, `why_missing` is the reason, and `value` None."""

    value: Any = None
    why_missing: str = ""


@dataclass(frozen=True)
class QueueState:
    """The number of jobs by kind and state, and the longest wait in seconds."""

    counts: Mapping[tuple[Kind, State], int]
    longest_wait: float


@dataclass(frozen=True)
class Disk:
    """The disk of a folder, in bytes."""

    what: str
    folder: Path
    free: int
    total: int


class SystemState:
    """Reads the parts of a service's state. Concurrent requests share each reading.

    `checks` are those of ``/readyz``: each raises an error if its part is not ready.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self.checks: dict[str, Callable[[], None]] = {
            "Workers": service.require_workers,
            "Database": service.require_database,
            "Disks": service.require_disk,
            "Datasets and weights": service.objects.check,
        }
        self._checked = {name: SharedCall.in_thread(call) for name, call in self.checks.items()}
        self._parts: dict[str, SharedCall[Any]] = {
            "access": SharedCall.in_thread(service.access_policy),
            "queue": SharedCall.in_thread(self._queue),
            "hosts": SharedCall.in_thread(self._hosts, _HOSTS_SECONDS),
            "disks": SharedCall.in_thread(self._disks),
            "gpus": SharedCall(service.gpu_usage),
            "store": SharedCall(service.store_statistics),
        }

    async def health(self) -> dict[str, str]:
        """Return what is wrong with each part of ``/readyz``; an empty text if it is ready."""
        readings = await asyncio.gather(*map(_read, self._checked.values()))
        return {
            name: reading.why_missing for name, reading in zip(self._checked, readings, strict=True)
        }

    async def read(self, name: str) -> Reading:
        """Return a part by its name."""
        return await _read(self._parts[name])

    def _queue(self) -> QueueState:
        queue = self._service.queue
        return QueueState(queue.counts(), queue.longest_wait())

    def _hosts(self) -> list[HostUse]:
        return self._service.queue.hosts()

    def _disks(self) -> list[Disk]:
        folders = {
            "data": self._service.settings.home,
            "store": self._service.store.layout.root,
        }
        found = []
        for what, folder in folders.items():
            usage = shutil.disk_usage(folder)
            found.append(Disk(what, folder, usage.free, usage.total))
        return found


async def _read(call: SharedCall[Any]) -> Reading:
    try:
        return Reading(await call.get())
    except ProblemError as error:
        return Reading(why_missing=error.problem.detail)
    except BucketError as error:
        return Reading(why_missing=bucket_problem(error).detail)
    except SQLAlchemyError as error:
        return Reading(why_missing=database_problem(error).detail)
    except NoAnswer as error:
        return Reading(why_missing=str(error))
    except OSError as error:
        return Reading(why_missing=f"the disk cannot be read: {error.strerror or error}")


async def _system(request: Request) -> SystemState:
    system: SystemState = request.app.state.system
    return system


#: The state of the running service, as a route's argument.
TheSystem = Annotated[SystemState, Depends(_system)]
