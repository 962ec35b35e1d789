"""A program whose processes take the jobs of one queue: ``python claimants.py URL PLACES ROLE…``.

Each role is a process; all begin at the same moment, or when the one that is to die has a job in
its hands. Those that claim go on to a second job when each of them has tried for one: otherwise
the first could have taken all jobs before the scheduler lets another run. What each of them
answers is printed as JSON. `PLACES` is how many jobs a host may hold.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from intertwine_api.storage.database import Database
from intertwine_api.wire.vocabulary import KINDS
from intertwine_api.work.queue import Queue, next_due, take_turns
from intertwine_api.work.transitions import move


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    while not condition():
        time.sleep(0.001)


def work(database: Database, host: str, places: int, _: Callable[[], None]) -> Any:
    """Take jobs and do them until there are none; which, and the most that the host held."""
    queue, taken, most = Queue(database), [], 0
    while True:
        job = queue.claim(host, places)
        if job is not None:
            taken.append(job.id)
            most = max(most, len(queue.held(host)))
            queue.begin(job.id, job.attempt)
            queue.succeed(job.id, job.attempt, {"by": os.getpid()})
        elif not queue.page(state="queued", limit=1)[0]:
            return {"taken": taken, "most": most}
        else:
            time.sleep(0.001)  # all places of the host are taken


def claim(database: Database, host: str, places: int, meet: Callable[[], None]) -> Any:
    """Take jobs until there are none, after the first `meet` the others; which, and how long that
    took.
    """
    queue, taken, begun = Queue(database), [], time.monotonic()
    job = queue.claim(host, places)
    meet()
    while job is not None:
        taken.append(job.id)
        job = queue.claim(host, places)
    return {"taken": taken, "seconds": time.monotonic() - begun}


def die(database: Database, host: str, ready: Path) -> None:
    """End in the middle of taking a job, when it is written and not yet committed."""
    with database.write() as connection:
        take_turns(connection, host)
        job = next_due(connection, KINDS)
        assert job is not None
        move(connection, job, "leased", "taken", attempt=job.attempt + 1, host=host)
        ready.touch()
        time.sleep(0.3)  # while the others take theirs, or wait for this transaction
        os.kill(os.getpid(), signal.SIGKILL)


ROLES: dict[str, Callable[[Database, str, int, Callable[[], None]], Any]] = {
    "work": work,  # on one host with all others of this role
    "claim": claim,  # each on a host of its own
}


def act(role: str, url: str, host: str, places: int, folder: Path, roles: list[str]) -> Any:
    """What a process answers."""
    database, ready = Database(url), folder / "ready"

    def meet() -> None:
        (folder / f"met-{os.getpid()}").touch()
        wait_until(lambda: len([*folder.glob("met-*")]) == roles.count("claim"))

    if role == "die":
        die(database, host, ready)
    (folder / f"waiting-{os.getpid()}").touch()
    wait_until(ready.exists)
    answer = ROLES[role](database, host, places, meet)
    database.close()
    return answer


def main(url: str, places: int, roles: list[str]) -> None:
    """Fork the processes, let them go, and collect their answers."""
    children = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, role in enumerate(roles):
            child = os.fork()
            if child == 0:
                host = "shared" if role == "work" else f"host-{number}"
                answer = act(role, url, host, places, folder, roles)
                (folder / str(number)).write_text(json.dumps(answer))
                os._exit(0)
            children.append(child)
        if "die" not in roles:
            wait_until(lambda: len([*folder.glob("waiting-*")]) == len(roles))
            (folder / "ready").touch()
        ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        answers = [
            json.loads((folder / str(number)).read_text()) if status == 0 else None
            for number, status in enumerate(ended)
        ]
    print(json.dumps({"ended": ended, "answers": answers}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
