"""What nobody needs any more, and nobody deletes: it goes when it is a day old."""

from __future__ import annotations

import asyncio
import logging
import time

from anyio import to_thread

from intertwine_api.database import Database
from intertwine_api.objects import Objects
from intertwine_api.references import referred_to
from intertwine_api.uploads import Uploads

_LOG = logging.getLogger("intertwine.service")
_DAY = 24 * 3600.0  # seconds


async def tidy_daily(database: Database, objects: Objects, uploads: Uploads) -> None:
    """Tidy up now and once a day. What goes wrong is told in the log, and tried again."""
    while True:
        try:
            await to_thread.run_sync(tidy, database, objects, uploads)
        except Exception:  # the database or the disk is away, say
            _LOG.exception("the service could not tidy up; the next try is in a day")
        await asyncio.sleep(_DAY)


def tidy(database: Database, objects: Objects, uploads: Uploads, age: float = _DAY) -> None:
    """Delete files of which a crash has left the half, and weights that were sent for a training
    that was never handed in; if nobody has touched them for `age` seconds.
    """
    uploads.remove_abandoned(age)
    since = time.time() - age
    unused = objects.unused(since)
    if not unused:
        return
    with database.read() as connection:
        needed = referred_to(connection)
    for digest in unused:
        if digest not in needed and objects.remove_unused(digest, since):
            _LOG.info("deleted the blob %s, which nobody refers to", digest)
