"""A far tier that is an Intertwine service."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from intertwine_cache.layout import blob_path, manifest_path
from intertwine_cache.manifest import Manifest, is_digest
from intertwine_cache.tiers.bucket import CONNECT_SECONDS
from intertwine_cache.tiers.object_store import ObjectTier
from intertwine_cache.tiers.tier import PRESENT, STORED, Outcome, TierError, as_tier_errors

_LOG = logging.getLogger("intertwine.cache")

ANSWER_SECONDS = 90.0
"""The longest time that a service may take to check a basis that is sent to it."""
_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before the retries of a refused request
SERVICE_ROOT = "/v1/store/"
"""The root of the layout at an Intertwine service."""
LAYOUT = 1
"""The version of that layout."""


class ServiceTier(ObjectTier):
    """The store of an Intertwine service, which others may also write to.

    The service checks a basis that is sent, and stores it with a signature of its own. That takes a
    key with the scope `bases:write`: without it, the tier is read-only from the first refusal on.
    """

    def __init__(self, address: str, *, is_writable: bool, headers: Mapping[str, str]) -> None:
        super().__init__(address, is_writable=is_writable, root=SERVICE_ROOT, headers=headers)
        self._root, self._headers = address.rstrip("/") + SERVICE_ROOT, dict(headers)

    def keys(self) -> Iterator[str]:
        """Yield the keys of the service's bases in ascending order.

        Raises `CannotList` if the service is of a version without such a list.
        """
        import httpx

        last, has_more = "", True
        with (
            as_tier_errors(self.address),
            httpx.Client(
                base_url=self._root, headers=self._headers, timeout=ANSWER_SECONDS
            ) as client,
        ):
            while has_more:
                try:
                    answer = client.get("manifests", params={"after": last} if last else {})
                except httpx.HTTPError as error:
                    raise TierError(f"{self.address}: {error!r}") from error
                if answer.status_code == 404:
                    raise self._cannot_list()
                if not answer.is_success:
                    raise TierError(f"{self.address}: {_reason(answer)}")
                page, has_more, at = self._page(answer, last)
                yield from page
                last = at

    def _page(self, answer: Any, after: str) -> tuple[list[str], bool, str]:
        """Return the keys of a page, whether there are more, and the key to go on from."""
        try:
            document = answer.json()
            keys, has_more, at = document["data"], document["has_more"], document["next"] or ""
            is_valid = all(map(is_digest, keys)) and [after, *keys] == sorted({after, *keys})
            # each page must come after the last one, or the list would never end
            is_valid = is_valid and has_more in (True, False) and (at > after or not has_more)
        except (ValueError, KeyError, TypeError) as error:
            raise TierError(f"{self.address}: its list of keys is invalid: {error!r}") from error
        if not is_valid:
            raise TierError(f"{self.address}: its list of keys is not in ascending order")
        return keys, has_more, at

    def publish(self, manifest: Manifest, blob: Path) -> Outcome:
        """Send a blob, then its manifest, unless the key has one.

        Bases of reps that no text defines are not sent: the service could not check them.
        """
        import httpx

        if "request" not in manifest.details:
            _LOG.debug("%s is not sent to %s: it has no request", manifest.key, self.address)
            return Outcome(False, "no text defines its rep, so the service could not check it")
        if not self.is_writable:
            return self._refusal()
        seconds = httpx.Timeout(CONNECT_SECONDS, read=ANSWER_SECONDS)
        if self._stored(manifest.key) is not None:  # a service replaces invalid entries by itself
            return PRESENT
        with as_tier_errors(self.address):
            try:
                with httpx.Client(
                    base_url=self._root, headers=self._headers, timeout=seconds
                ) as client:
                    sent = self._put(
                        client, blob_path(manifest.digest), blob, "application/octet-stream"
                    )
                    if not sent:
                        return sent
                    return self._put(
                        client, manifest_path(manifest.key), manifest.to_bytes(), "application/json"
                    )
            except httpx.HTTPError as error:
                raise TierError(f"{self.address}: {error!r}") from error

    def probe(self) -> str:
        """Return why the service cannot be used, or refused what was sent to it, or "".

        It asks for the description of the store; nothing is written.
        """
        import httpx

        try:
            answer = httpx.get(
                self._root.rstrip("/"), headers=self._headers, timeout=CONNECT_SECONDS
            )
            layout = answer.json()["layout"] if answer.is_success else LAYOUT
        except httpx.HTTPError as error:
            raise TierError(f"{self.address}: {error!r}") from error
        except (ValueError, KeyError, TypeError):  # a service of another kind
            layout = None
        if layout != LAYOUT:
            self.is_writable = False
            self._limits = (
                f"its store has the layout {layout!r}, and this version of Intertwine uses "
                f"{LAYOUT}: upgrade the older of the two"
            )
        return self._limits

    def _put(self, client: Any, path: str, content: Path | bytes, kind: str) -> Outcome:
        """Send a file or bytes with a client of httpx, which streams files.

        A refusal is logged with its reason. If the service has too many requests, this is retried
        a few times. Raises `TierError` if the service fails.
        """
        for pause in (*_PAUSES, None):
            with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as body:
                answer = client.put(path, content=body, headers={"content-type": kind})
            if answer.status_code not in (429, 503) or pause is None:
                break
            time.sleep(pause)
        status = answer.status_code
        if answer.is_success:
            return STORED
        if status in (401, 403):
            self._become_read_only(PermissionError("your key lacks the scope bases:write"))
            return self._refusal()
        if status >= 500 and status not in (503, 507):
            raise TierError(f"{self.address}: {_reason(answer)}")
        reason = _reason(answer)
        _LOG.warning("%s does not take %s: %s", self.address, path, reason)
        return Outcome(False, reason)


def _reason(answer: Any) -> str:
    """Return the detail of a problem document, or the status."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"
