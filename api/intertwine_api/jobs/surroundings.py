"""Where a job's process finds what it needs: told by environment variables, never by arguments.

A database's address may hold a password, and everybody may read the arguments of a process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from intertwine.errors import InvalidSetting

_DATA, _DATABASE = "INTERTWINE_DATA", "INTERTWINE_DATABASE"
_STORE, _LEASE = "INTERTWINE_CACHE", "INTERTWINE_LEASE_SECONDS"


@dataclass(frozen=True)
class Surroundings:
    """The folder of the service's data, the URL of its database, and the folder of its store.

    `lease_seconds` is how long a job may be silent before it is taken for lost.
    """

    home: Path
    database: str
    store: Path
    lease_seconds: float = 30.0

    def to_environment(self) -> dict[str, str]:
        """The environment variables that tell it."""
        return {
            _DATA: str(self.home.absolute()),
            _DATABASE: self.database,
            _STORE: str(self.store.absolute()),
            _LEASE: str(self.lease_seconds),
        }

    @classmethod
    def from_environment(cls) -> Surroundings:
        """What the environment variables tell. Raises `InvalidSetting` where one is missing."""
        try:
            return cls(
                Path(os.environ[_DATA]),
                os.environ[_DATABASE],
                Path(os.environ[_STORE]),
                float(os.environ[_LEASE]),
            )
        except KeyError as error:
            raise InvalidSetting(f"{error.args[0]} is not set: a controller starts jobs") from error
