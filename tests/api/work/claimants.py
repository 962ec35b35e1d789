"""A program whose processes take the jobs of one queue: ``python claimants.py URL PLACES ROLE…``.

Each role is a process; all begin at the same moment, or when the one that is to die has a job in
its hands. What each of them answers is printed as JSON. `PLACES` is how many jobs a host may hold.
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


def work(database: Database, host: str, places: int) -> Any:
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


def claim(database: Database, host: str, places: int) -> Any:
    """Take jobs until there are none; which, and how long that took."""
    queue, taken, begun = Queue(database), [], time.monotonic()
    while (job := queue.claim(host, places)) is not None:
        taken.append(job.id)
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


ROLES: dict[str, Callable[[Database, str, int], Any]] = {
    "work": work,  # on one host with all others of this role
    "claim": claim,  # each on a host of its own
}


def act(role: str, url: str, host: str, places: int, ready: Path) -> Any:
    """What a process answers."""
    database = Database(url)
    if role == "die":
        die(database, host, ready)
    ready.with_name(f"waiting-{os.getpid()}").touch()
    while not ready.exists():
        time.sleep(0.001)
    answer = ROLES[role](database, host, places)
    database.close()
    return answer


def main(url: str, places: int, roles: list[str]) -> None:
    """Fork the processes, let them go, and collect their answers."""
    children = []
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder, "ready")
        for number, role in enumerate(roles):
            child = os.fork()
            if child == 0:
                host = "shared" if role == "work" else f"host-{number}"
                answer = act(role, url, host, places, ready)
                Path(folder, str(number)).write_text(json.dumps(answer))
                os._exit(0)
            children.append(child)
        if "die" not in roles:
            while len([*Path(folder).glob("waiting-*")]) < len(roles):
                time.sleep(0.001)
            ready.touch()
        ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        answers = [
            json.loads(Path(folder, str(number)).read_text()) if status == 0 else None
            for number, status in enumerate(ended)
        ]
    print(json.dumps({"ended": ended, "answers": answers}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
