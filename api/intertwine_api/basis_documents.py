"""Bases as JSON."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from intertwine.bases import from_bytes
from intertwine.errors import FormatError
from intertwine.invariants import describe
from intertwine_cache import Manifest
from pydantic import ValidationError

from intertwine_api.asking import Asked
from intertwine_api.problems import printable
from intertwine_api.schemas import BasisManifest


def document_of(manifest: Manifest, *, cached: bool, asked: Asked | None = None) -> BasisManifest:
    """The document of an entry of the store, in the words of the request, if there is one.

    Raises `FormatError` where its details are not a basis's.
    """
    details, rep = dict(manifest.details), ""
    if asked is not None:
        details["group"] = None if asked.rep.G is None else repr(asked.rep.G)
        rep = str(asked.rep)
    try:
        return _document(
            manifest.key, details, manifest.size, manifest.digest, cached=cached, rep=rep
        )
    except (KeyError, TypeError, ValidationError) as error:
        raise FormatError(f"the manifest {manifest.key} is not of a basis: {error!r}") from error


def unkept_document(asked: Asked, blob: bytes, *, cached: bool) -> BasisManifest:
    """The document of a basis that the store could not keep."""
    basis = from_bytes(blob)
    details = {**describe(asked.canonical), "certificate": basis.certificate.to_json()}
    return _document(asked.key, details, len(blob), None, cached=cached, rep=str(asked.rep))


def _document(
    key: str, details: dict[str, Any], size: int, digest: str | None, *, cached: bool, rep: str
) -> BasisManifest:
    details = printable(details)  # whoever shares the store may have named a group anything
    certificate = details["certificate"]
    here = f"/v1/bases/{key}"
    links = {"self": here, "project": f"{here}:project"}
    as_asked = f"?{urlencode({'rep': rep})}" if rep else ""
    for kind, suffix in (("dense", "npy"), ("file", "safetensors")):
        links[kind] = f"{here}/{kind}.{suffix}"
        links[f"{kind}_as_asked"] = links[kind] + as_asked
    if digest is not None:
        links["blob"] = f"/v1/blobs/{digest}"
    return BasisManifest(
        key=key,
        group=details["group"],
        rep=rep or details["canonical"],
        canonical=details["canonical"],
        size=certificate["size"],
        rank=certificate["rank"],
        method=certificate["method"],
        cached=cached,
        digest=digest,
        bytes=size,
        certificate=certificate,
        links=links,
    )
