"""Open the far tier of an address."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from intertwine_cache.credentials import service_key
from intertwine_cache.tiers.address import extra_is_missing, is_set, scheme_of, without_secrets
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.tiers.object_store import ObjectTier
from intertwine_cache.tiers.service import ServiceTier
from intertwine_cache.tiers.tier import Tier

_SCHEMES = ("s3", "gs", "az", "https", "http")


def open_tier(address: str, *, is_writable: bool, limit: int) -> Tier:
    """Return the tier of an address: a folder, or a URL.

    ``https://host/path/`` is a folder on a web server, which is read-only. Without a slash at its
    end it is an Intertwine service, which gets the caller's key (see `service_key`), and is
    read-only without one. Raises `ValueError` for an unknown scheme or option, for a key that would
    be sent unencrypted to another machine, and if the extra `lab` is not installed.
    """
    _require_signatures(address)
    scheme = scheme_of(address)
    if scheme is None:
        folder = Path(address).expanduser().absolute()
        return FolderTier(folder, is_writable=is_writable, limit=limit)
    if scheme not in _SCHEMES:
        known = ", ".join(f"{each}://" for each in _SCHEMES)
        shown = without_secrets(address)
        raise ValueError(f"a cache cannot be at {shown!r}: give a folder, or one of {known}")
    if "?" in address:
        raise ValueError(
            f"a cache cannot be at {without_secrets(address)!r} with other options: the only "
            f"option of an address is ?read-only"
        )
    if scheme in ("s3", "gs", "az"):
        return ObjectTier(address, is_writable=is_writable)
    if address.endswith("/"):
        return ObjectTier(address, is_writable=False)
    headers = _authorization(address)
    return ServiceTier(address, is_writable=is_writable and bool(headers), headers=headers)


def _authorization(address: str) -> dict[str, str]:
    """Return the header with the caller's key for a service, if there is one."""
    key = service_key(address)
    if key is None:
        return {}
    is_here = urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")
    if scheme_of(address) == "http" and not (is_here or is_set("INTERTWINE_ALLOW_HTTP")):
        raise ValueError(
            f"your API key would be sent unencrypted to {without_secrets(address)}: use "
            f"https://, or allow it with INTERTWINE_ALLOW_HTTP=1"
        )
    return {"Authorization": f"Bearer {key}"}


def _require_signatures(address: str) -> None:
    try:
        import cryptography.hazmat  # noqa: F401
    except ImportError as error:
        raise extra_is_missing(address) from error
