"""`intertwine cache`: inspect, check and empty the store of bases."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine_cache import Manifest, Store


_EXAMPLES = """\
  intertwine cache stats
  intertwine cache list
  intertwine cache show KEY
  intertwine cache verify --repair
  intertwine cache trust https://lab.example.org
  intertwine cache clear
"""


group = common.CommandGroup(
    "cache", "Inspect, check, share or empty the store of bases.", common.examples(_EXAMPLES)
)


@group.command("stats")
@common.as_json
def print_stats(as_json: bool) -> None:
    """Print the number of bases, their size and the store's folder."""
    common.print_fields(_store().statistics(), as_json)


@group.command("list")
@common.as_json
def print_list(as_json: bool) -> None:
    """List every basis in the store, and the irreps of each group."""
    manifests = list(_store().manifests())
    if as_json:
        common.print_json([_document(manifest) for manifest in manifests])
        return
    for manifest in manifests:
        certificate = manifest.details.get("certificate")
        shape = f"{certificate.get('size')} × {certificate.get('rank')}" if certificate else "-"
        what = f"{manifest.details.get('canonical')} {manifest.details.get('group') or ''}"
        print(f"{manifest.key[:12]}  {shape:>16}  {manifest.size:>12,} B  {what.strip()}")


@group.command("show")
@click.argument("key", metavar="KEY", help="A key, or its first digits.")
@common.as_json
def print_manifest(key: str, as_json: bool) -> None:
    """Print the manifest of one basis, always as JSON."""
    from intertwine.errors import NotFound

    found = [m for m in _store().manifests() if m.key.startswith(key)]
    if len(found) != 1:
        number = f"{len(found)} bases have" if found else "no basis has"
        raise NotFound(f"{number} a key that begins with {key!r}; see intertwine cache list")
    common.print_json(_document(found[0]))


@group.command("verify")
@click.option("--repair", is_flag=True, help="Move corrupt files into quarantine.")
@common.as_json
def check_files(repair: bool, as_json: bool) -> int:
    """Check every file of the store. The exit code is 1 if one is corrupt."""
    from intertwine.bases.store import entry_fault
    from intertwine_cache import verify

    findings = list(verify(_store(), repair=repair, check_blob=entry_fault))
    if as_json:
        common.print_json([{"path": str(f.path), "reason": f.reason} for f in findings])
    else:
        for finding in findings:
            print(f"{finding.path}: {finding.reason}")
        done = "moved into quarantine" if repair else "are corrupt"
        print(f"{len(findings)} files {done}" if findings else "everything is in order")
    return common.FAILED if findings and not repair else 0


@group.command("trust")
@click.argument("address", metavar="URL", help="The address of a service.")
@click.option("--key", metavar="KEY", help="An API key (default: INTERTWINE_KEY).")
@common.as_json
def trust_service(address: str, key: str | None, as_json: bool) -> None:
    """Trust the signatures of a service: bases from its store need no further proof.

    Compare the printed fingerprint with the one that `intertwine cache key --data DIR` prints where
    the service runs.
    """
    from intertwine_cache import trust

    from intertwine_api.client import Client

    with Client(address, key) as client:
        described = client.store()
    is_new = trust(described["public_key"], address)
    common.print_fields(
        {"trusted": address, "fingerprint": described["fingerprint"], "new": is_new}, as_json
    )


@group.command("key")
@click.option("--data", metavar="DIR", help="The data folder of a service, to print its key.")
@common.as_json
def print_key(data: str | None, as_json: bool) -> None:
    """Print the public key that signs the bases you solve, or those of a service."""
    from intertwine_cache import SIGNING_KEY, Keyring, default_keyring, fingerprint

    keyring = default_keyring() if data is None else Keyring(Path(data) / SIGNING_KEY)
    key = keyring.public_key
    common.print_fields({"public_key": key, "fingerprint": fingerprint(key)}, as_json)


@group.command("clear")
@common.as_json
def delete_all(as_json: bool) -> None:
    """Delete every basis in the store."""
    common.print_fields({"deleted": _store().clear()}, as_json)


def _store() -> Store:
    from intertwine.errors import InvalidSetting, NotFound
    from intertwine_cache import default_store

    try:
        store = default_store()
    except ValueError as error:
        raise InvalidSetting(str(error)) from error
    if store is None:
        raise NotFound("there is no store: INTERTWINE_CACHE=off turns it off")
    return store.near


def _document(manifest: Manifest) -> dict[str, Any]:
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(manifest.created))
    return {
        "key": manifest.key,
        "digest": manifest.digest,
        "bytes": manifest.size,
        "created": created,
        **manifest.details,
    }
