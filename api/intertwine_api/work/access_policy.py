"""The access policy of a service as text, for its log, its home page and `doctor`."""

from __future__ import annotations

from dataclasses import dataclass

from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import KeyMarker, Keys
from intertwine_api.work.settings import Settings


@dataclass(frozen=True)
class AccessPolicy:
    """Whether a service requires keys, and the number of its active keys."""

    requires_keys: bool
    active_keys: int
    on_loopback: bool
    host: str

    @classmethod
    def of(cls, settings: Settings, keys: Keys | None) -> AccessPolicy:
        """Return the policy of a service; `keys` is None if it has no database yet."""
        if keys is None:
            has_had_keys = bool(KeyMarker(settings.home, Database(settings.database_url)))
        else:
            has_had_keys = keys.any()
        return cls(
            has_had_keys or not settings.is_open_without_keys,
            keys.count_active() if keys is not None else 0,
            settings.on_loopback,
            settings.host,
        )

    @property
    def summary(self) -> str:
        """Who may use the service, without the number of keys, for public pages."""
        if self.requires_keys:
            return "keys required"
        if self.on_loopback:
            return "open to everybody on this machine"
        return "OPEN TO THE NETWORK WITHOUT KEYS"

    @property
    def description(self) -> str:
        """Who may use the service."""
        if not self.requires_keys:
            return self.summary
        keys = "1 active key" if self.active_keys == 1 else f"{self.active_keys} active keys"
        return f"{self.summary} ({keys})"

    @property
    def advice(self) -> str:
        """Advice; empty if nothing is wrong."""
        if self.requires_keys and not self.active_keys:
            return (
                "nobody can use the service until it has a key: create one with `intertwine keys "
                "create OWNER --scope admin` and the --data and --database of the service"
            )
        if not self.requires_keys and not self.on_loopback:
            return (
                f"everybody who can reach {self.host} can read and delete all data and run jobs "
                f"here: create a key with `intertwine keys create OWNER`, and set "
                f"INTERTWINE_REQUIRE_KEYS=true"
            )
        return ""
