"""Changes of API keys, by the command line and by the console: create one, or revoke one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intertwine_api.storage.keys import Caller, Key, Keys
from intertwine_api.work.logs import audit


@dataclass(frozen=True)
class CreatedKey:
    """A new key, its token, which is not stored, and whether it is the first of the database."""

    key: Key
    token: str
    is_first: bool

    @property
    def notes(self) -> list[str]:
        """What to know about the key, in sentences."""
        notes = [
            f"This is the key of {self.key.owner}, for {', '.join(self.key.scopes)}. It is shown "
            f"only once: keep it, as INTERTWINE_KEY in the environment."
        ]
        if self.is_first:
            notes.append("It is the first key: from now on the service requires one.")
        return notes


def create_key(
    keys: Keys,
    caller: Caller | None,
    owner: str,
    scopes: Sequence[str],
    expires: float | None,
    priority: int,
    key_id: str | None = None,
) -> CreatedKey:
    """Create a key for a caller, or for the command line if it is None, and audit it.

    Raises the errors of `Keys.create`.
    """
    is_first = not keys.any()
    key, token = keys.create(owner, scopes, expires, priority, key_id)
    audit("key created", caller, id=key.id, owner=key.owner, scopes=list(key.scopes))
    return CreatedKey(key, token, is_first)


def revoke_key(keys: Keys, caller: Caller | None, key_id: str) -> bool:
    """Revoke a key for a caller, or for the command line, and audit it. Return as `Keys.revoke`."""
    revoked = keys.revoke(key_id)
    if revoked:
        audit("key revoked", caller, id=key_id)
    return revoked
