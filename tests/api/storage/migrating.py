"""A program whose processes migrate one database at once: ``python migrating.py URL COUNT``.

It prints, for each process, the version that it found then, and whether Alembic was needed the
second time.
"""

from __future__ import annotations

import json
import os
import sys

import alembic.command  # noqa: F401 - so that all reach the database at the same moment
from intertwine_api.storage.database import Database, version_of


def migrate(url: str) -> object:
    """Migrate twice; what was found."""
    database = Database(url)
    database.migrate()
    for name in [name for name in sys.modules if name.partition(".")[0] == "alembic"]:
        del sys.modules[name]
    database.migrate()
    with database.read() as connection:
        found = version_of(connection)
    database.close()
    return [found, "alembic" in sys.modules]


def main(url: str, count: int) -> None:
    """Fork the processes, let them go, and collect their answers."""
    gate, opener = os.pipe()
    answers, teller = os.pipe()
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            os.close(opener)
            os.read(gate, 1)  # ends when the parent closes its end
            os.write(teller, json.dumps(migrate(url)).encode() + b"\n")
            os._exit(0)
        children.append(child)
    os.close(opener)
    os.close(teller)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    with os.fdopen(answers) as lines:
        print(json.dumps({"ended": ended, "answers": [json.loads(line) for line in lines]}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
