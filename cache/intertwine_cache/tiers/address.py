"""The addresses of far tiers: folders and URLs."""

from __future__ import annotations

import os
import re

#: The user and password of a URL. The secret keys of S3 can have slashes, so a colon that no port
#: follows begins a password too.
_USER = re.compile(r"(?<=://)(?:[^/?]*|[^/?:\[]*:(?!\d*/)[^?]*)@")


def scheme_of(address: str) -> str | None:
    """Return the scheme of a URL in lower case; None for a path."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", address)
    return None if match is None else match[1].lower()


def without_secrets(address: str) -> str:
    """Return a URL without user, password and query."""
    return _USER.sub("", address, count=1).partition("?")[0]


def is_set(variable: str) -> bool:
    """Return whether an environment variable says yes."""
    return os.environ.get(variable, "").strip().lower() in ("1", "true", "yes", "on")


def extra_is_missing(address: str, purpose: str = "a cache") -> ValueError:
    """Return the error of an address that needs packages of the extra `lab`."""
    return ValueError(
        f"{purpose} at {without_secrets(address)} needs the extra `lab`: "
        f"pip install 'intertwine[lab]'"
    )
