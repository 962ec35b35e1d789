"""The default store: its folder and its size limit, from environment variables."""

from __future__ import annotations

import os
import re
from pathlib import Path

from intertwine_cache.store import Store

PLACE = "INTERTWINE_CACHE"
"""The environment variable that names the store's folder; ``off`` disables the store."""
LIMIT = "INTERTWINE_CACHE_SIZE"
"""The environment variable with the store's size limit, such as ``500MB`` or ``20GB``."""
DEFAULT_LIMIT = 10 * 10**9

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def default_place() -> Path | None:
    """Return the folder of `INTERTWINE_CACHE`, or the platform's cache folder; None if it is off.

    Raises `ValueError` for a URL, and for an invalid path.
    """
    named = os.environ.get(PLACE, "").strip()
    if named.lower() == "off":
        return None
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", named):
        raise ValueError(
            f"{PLACE} must be a folder, and {named!r} is an address: give a path, and use a "
            f"service by intertwine_api.remote(url), or with --remote"
        )
    if named:
        try:
            return Path(named).expanduser().absolute()  # it stays when the process moves
        except RuntimeError as error:
            raise ValueError(f"{PLACE} names no folder: {named!r} ({error})") from error
    from platformdirs import user_cache_path

    try:
        return user_cache_path("intertwine", appauthor=False)
    except RuntimeError:  # a user without a home has none
        return None


def default_store() -> Store | None:
    """Return the default store, or None if it is off. Raises `ValueError` for an invalid limit."""
    place = default_place()
    return None if place is None else Store(place, limit=default_limit())


def default_limit() -> int:
    """Return the size limit in bytes."""
    text = os.environ.get(LIMIT, "").strip()
    if not text:
        return DEFAULT_LIMIT
    match = re.fullmatch(r"(\d{1,18}(?:\.\d+)?)\s*([KMGT]?)B?", text.upper())
    if match is None:
        raise ValueError(f"{LIMIT} is a size such as 500MB or 20GB, not {text!r}")
    return int(float(match[1]) * _UNITS[match[2]])
