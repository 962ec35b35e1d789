"""What the far tiers of a store have cost and saved, counted by each process and added to a file.

The file is beside the entries of the near store. Processes add their counts at their end.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from intertwine_cache.layout import Layout

_LOG = logging.getLogger("intertwine.cache")
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class TierStatistics:
    """The counts of one far tier.

    `hits` are bases that it had and that were accepted, `misses` are keys that it did not have,
    `refused` are entries that were wrong or unproven, and `failures` are requests without an answer
    in time. `seconds` is the time of all requests, and `seconds_saved` the time that the hits took
    when they were solved, less the time of the requests for them.
    """

    hits: int = 0
    misses: int = 0
    refused: int = 0
    failures: int = 0
    bytes: int = 0
    seconds: float = 0.0
    seconds_saved: float = 0.0

    def __add__(self, other: TierStatistics) -> TierStatistics:
        """Return the sums of all counts."""
        names = [field.name for field in fields(self)]
        return TierStatistics(*(getattr(self, name) + getattr(other, name) for name in names))


def read_statistics(layout: Layout) -> dict[str, TierStatistics]:
    """Return the counts in a store's file, by the address of the tier."""
    try:
        rows: dict[str, Any] = json.loads(layout.tiers.read_bytes())
        # the sum is an error for values that are no numbers
        return {tier: TierStatistics() + TierStatistics(**row) for tier, row in rows.items()}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, AttributeError) as error:
        _LOG.warning("%s cannot be read, and its counts begin anew: %s", layout.tiers, error)
    return {}


def add_statistics(layout: Layout, more: Mapping[str, TierStatistics]) -> None:
    """Add counts to those in a store's file. Processes may do so at the same time.

    If the disk refuses, they are lost: nothing depends on them.
    """
    from filelock import FileLock, Timeout

    lock, new = layout.locks / layout.tiers.name, layout.temporary()
    try:
        with FileLock(lock, timeout=_PATIENCE_SECONDS, mode=layout.mode & 0o666):
            found = read_statistics(layout)
            for tier, counts in more.items():
                found[tier] = found.get(tier, TierStatistics()) + counts
            try:
                new.write_text(json.dumps({tier: asdict(found[tier]) for tier in found}, indent=1))
                layout.share(new)
                new.replace(layout.tiers)
            finally:
                new.unlink(missing_ok=True)
    except (OSError, Timeout, NotImplementedError) as error:
        _LOG.info("the counts of far tiers were not added to %s: %s", layout.tiers, error)
