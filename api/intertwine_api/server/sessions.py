"""Sessions of the console: a cookie that holds an API key in encrypted form.

The cookie is encrypted with a secret of the service, which all its hosts have, so that neither
scripts nor other programs that see the cookie learn the key. It expires after twelve hours, or when
its key is revoked. It authenticates requests that read, and forms of the console that have a token.
Other requests that change something need the key itself.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from cryptography.fernet import Fernet, InvalidToken

from intertwine_api.storage.keys import id_of

SESSION_SECONDS = 12 * 3600
"""The seconds until a session ends."""


class Sessions:
    """Encrypts keys as cookies, and decrypts them. `identity` is the random id of the service.

    Fernet is AES in CBC mode with an HMAC and a time stamp, so a cookie cannot be changed or made
    to last longer.
    """

    def __init__(self, identity: str) -> None:
        secret = hashlib.sha256(f"intertwine console {identity}".encode()).digest()
        self._cipher = Fernet(base64.urlsafe_b64encode(secret))
        # browsers send cookies to all ports of a host: each service has a name of its own
        self.cookie = f"intertwine_{hashlib.sha256(secret).hexdigest()[:8]}"
        """The name of the cookie."""

    def encrypt(self, key: str) -> str:
        """Return the value of the cookie for a key."""
        return self._cipher.encrypt(key.encode()).decode("ascii")

    def key_of(self, cookies: Mapping[str, str]) -> str | None:
        """Return the key of a session; None without one, or if it has ended."""
        value = cookies.get(self.cookie)
        if value is None:
            return None
        try:
            return self._cipher.decrypt(value.encode(), ttl=SESSION_SECONDS).decode()
        except InvalidToken:
            return None

    def key_id_of(self, cookies: Mapping[str, str]) -> str | None:
        """Return the id of a session's key; None without one, or if it has ended."""
        key = self.key_of(cookies)
        return None if key is None else id_of(key)
