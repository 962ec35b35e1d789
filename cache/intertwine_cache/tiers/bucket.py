"""Object stores through obstore, with our timeouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from intertwine_cache.tiers.address import extra_is_missing, is_set, scheme_of, without_secrets
from intertwine_cache.tiers.tier import PIECE, as_tier_errors, first_line

CONNECT_SECONDS = 5.0
"""The longest time to connect to a far tier, or to read the next piece of a blob from it."""


def open_bucket(
    address: str,
    headers: Mapping[str, str],
    purpose: str = "a cache",
    read_seconds: float = CONNECT_SECONDS,
) -> Any:
    """Return the store of obstore at an address, with the headers of each request.

    It waits `read_seconds` for an answer. Errors name the `purpose`. Raises `ValueError` for an
    invalid address, and if the extra `lab` is not installed.
    """
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise extra_is_missing(address, purpose) from error
    seconds = timedelta(seconds=CONNECT_SECONDS)
    options: dict[str, Any] = {
        "connect_timeout": seconds,
        "read_timeout": timedelta(seconds=read_seconds),
        "timeout": timedelta(hours=2),  # of a whole blob; the other two detect failures
        "default_headers": dict(headers),
        "allow_http": scheme_of(address) == "http" or is_set("AWS_ALLOW_HTTP"),
    }
    retries = {"max_retries": 1, "retry_timeout": seconds}
    open_store: Any = from_url  # its type is one for each kind of store
    try:
        return open_store(address, client_options=options, retry_config=retries)
    except Exception as error:  # obstore's errors of a URL have no common class
        reason = first_line(error).removeprefix("Generic URL error: ")
        raise ValueError(f"{purpose} cannot be at {without_secrets(address)}: {reason}") from error


def stream(found: Any, address: str) -> Iterator[memoryview]:
    """Yield the bytes of an object in pieces. Raises `TierError`."""
    pieces = iter(found.stream(min_chunk_size=PIECE))
    while True:
        with as_tier_errors(address):
            piece = next(pieces, None)
        if piece is None:
            return
        yield memoryview(piece)
