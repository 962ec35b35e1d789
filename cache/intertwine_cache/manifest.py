"""Manifests: which blob has the result of a request."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VERSION = 1
_FIELDS = {"version", "key", "digest", "size", "created", "details"}
_CHECKSUM, _END = b',\n "checksum": "', b'"\n}'
_DIGEST = re.compile(r"[0-9a-f]{64}")


class LaterVersion(ValueError):
    """A manifest is of a later version of Intertwine, and valid there: do not replace it."""


def is_digest(text: str) -> bool:
    """Return whether the text is a sha256 in hexadecimal, as keys and names of blobs are."""
    return _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True)
class Manifest:
    """A request's key, the digest and size of the blob with its result, and details.

    The publisher chooses the details, as JSON: the request and the evidence.
    """

    key: str
    digest: str
    size: int
    created: float
    details: Mapping[str, Any]

    @property
    def is_basis(self) -> bool:
        """Whether it is of a basis. Other entries, such as irreps, stay in the near folder."""
        return self.details.get("kind") != "irreps"

    def to_bytes(self) -> bytes:
        """Return the manifest as JSON. Its last field `checksum` is the sha256 of all before it."""
        document = {
            "version": VERSION,
            "key": self.key,
            "digest": self.digest,
            "size": self.size,
            "created": self.created,
            "details": dict(self.details),
        }
        content = json.dumps(document, indent=1, allow_nan=False).removesuffix("\n}").encode()
        return content + _CHECKSUM + hashlib.sha256(content).hexdigest().encode() + _END

    @classmethod
    def from_bytes(cls, key: str, content: bytes) -> Manifest:
        """Parse the manifest of a key. Raises `ValueError`, with the reason, if it is invalid.

        The error is `LaterVersion` if only a later Intertwine can read it. Manifests written before
        there were checksums are valid without one.
        """
        try:
            document = json.loads(content)
            version = document["version"]
            if version != VERSION:
                is_later = type(version) is int and version > VERSION
                kind = LaterVersion if is_later else ValueError
                raise kind(f"version {version!r} is not {VERSION}")
            found, digest, size, created, details = (
                document[name] for name in ("key", "digest", "size", "created", "details")
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"no manifest: {error!r}") from error
        if found != key:
            raise ValueError(f"a manifest of {found!r} stands under {key}")
        if not isinstance(digest, str) or not is_digest(digest):
            raise ValueError(f"{digest!r} is no digest")
        if type(size) is not int or size < 0 or not _is_time(created):
            raise ValueError("its size or time is no number")
        if not isinstance(details, dict):
            raise ValueError("its details are no object")
        _require_checksum(document, content)
        return cls(key, digest, size, float(created), details)


def _require_checksum(document: dict[str, Any], content: bytes) -> None:
    """Raise `ValueError` if a manifest has changed since its checksum was written."""
    fields = document.keys() - {"checksum"}
    if fields != _FIELDS:
        raise ValueError(f"it has the fields {sorted(fields)}, not {sorted(_FIELDS)}")
    if "checksum" in document:
        written, _, checksum = content.rpartition(_CHECKSUM)
        if checksum != hashlib.sha256(written).hexdigest().encode() + _END:
            raise ValueError("its fields do not have its checksum")


def _is_time(value: Any) -> bool:
    """Return whether the value is a time in seconds that can be printed as a date."""
    return type(value) in (int, float) and 0 <= value < 1e12 and math.isfinite(value)
