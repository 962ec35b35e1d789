"""`intertwine cache`: inspect, check, copy and empty the store of bases."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intertwine_api.cli import cache_transfer, common
from intertwine_api.cli.cache_transfer import (
    near_store,
    near_tier,
    open_address,
    progress_bar,
    whole_store,
)

if TYPE_CHECKING:
    from intertwine_cache import Manifest
    from intertwine_cache.explanation import TierAnswer
    from intertwine_cache.tiers.tier import Tier

_PUBLIC_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")

_EXAMPLES = """\
  intertwine cache stats
  intertwine cache list
  intertwine cache show KEY
  intertwine cache verify --repair
  intertwine cache trust https://lab.example.org
  intertwine cache push s3://lab-bases --group 'SO(3)'
  intertwine cache export bases.tar
  intertwine cache explain --rep 'V**5' --group 'SO(3)'
  intertwine cache gc s3://lab-bases --max-size 20GB --dry-run
  intertwine cache clear
"""


group = common.CommandGroup(
    "cache", "Inspect, check, share or empty the store of bases.", common.examples(_EXAMPLES)
)


@group.command("stats")
@common.as_json
def print_stats(as_json: bool) -> None:
    """Print the number of bases, their size, the store's folder, and the counts of its far tiers.

    The counts are those of all processes that have used the folder and have ended.
    """
    from intertwine_cache import read_statistics

    store = near_store()
    tiers = {tier: asdict(counts) for tier, counts in read_statistics(store.layout).items()}
    if as_json:
        common.print_json({**store.statistics(), "tiers": tiers})
        return
    common.print_fields(store.statistics(), as_json)
    if tiers:
        print()
        names = [name.replace("_", " ") for name in next(iter(tiers.values()))]
        rows = ([tier, *(f"{n:,.6g}" for n in row.values())] for tier, row in tiers.items())
        common.print_columns(["tier", *names], rows)


@group.command("list")
@common.as_json
def print_list(as_json: bool) -> None:
    """List every basis in the store, and the irreps of each group."""
    manifests = list(near_store().manifests())
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
    common.print_json(_document(_find(key)))


@group.command("explain")
@click.argument("key", metavar="[KEY]", required=False, help="A key, or its first digits.")
@click.option("--rep", "text", metavar="TEXT", help="A rep instead of a key, such as 'V**5'.")
@click.option("--group", "named", metavar="NAME", help="The group of --rep, such as 'SO(3)'.")
@common.as_json
def explain_key(key: str | None, text: str | None, named: str | None, as_json: bool) -> None:
    """Show which tiers have a basis, nearest first, and which signatures it has there."""
    from intertwine_cache import Chain, default_keyring
    from intertwine_cache.explanation import ask_far, ask_near

    if (key is None) == (text is None):
        raise click.UsageError("give a key, or --rep and --group")
    if text is not None:
        key = _key_of(text, named)
    elif named is not None:
        raise click.UsageError("--group needs --rep")
    assert key is not None
    store = whole_store()
    key = key if re.fullmatch("[0-9a-f]{64}", key) else _find(key).key
    keyring = default_keyring()
    tiers = [_explanation(ask_near(store.near, key, keyring), is_near=True)]
    if isinstance(store, Chain):
        answers = (ask_far(tier, key, keyring) for tier, _ in store.tiers)
        tiers += [_explanation(answer, is_near=False) for answer in answers]
    if as_json:
        common.print_json({"key": key, "tiers": tiers})
        return
    print(f"key  {key}")
    for tier in tiers:
        print(f"\n{tier.pop('tier')}: {tier.pop('state')}")
        for name, value in tier.items():
            words = {None: "none", True: "yes", False: "no"}
            shown = f"{value:,}" if name == "bytes" else words.get(value, value)
            print(f"  {name}: {shown}")


@group.command("verify")
@click.option("--repair", is_flag=True, help="Move corrupt files into quarantine.")
@common.as_json
def check_files(repair: bool, as_json: bool) -> int:
    """Check every file of the store. The exit code is 1 if one is corrupt."""
    from intertwine.bases.store import entry_fault
    from intertwine_cache import verify

    findings = list(verify(near_store(), repair=repair, check_blob=entry_fault))
    if as_json:
        common.print_json([{"path": str(f.path), "reason": f.reason} for f in findings])
    else:
        for finding in findings:
            print(f"{finding.path}: {finding.reason}")
        done = "moved into quarantine" if repair else "are corrupt"
        print(f"{len(findings)} files {done}" if findings else "everything is in order")
    return common.FAILED if findings and not repair else 0


@group.command("trust")
@click.argument("address", metavar="URL", help="The address of a service, or a public key.")
@click.option("--key", metavar="KEY", help="An API key (default: INTERTWINE_KEY).")
@common.as_json
def trust_service(address: str, key: str | None, as_json: bool) -> None:
    """Trust the signatures of a service: bases from its store need no further proof.

    Compare the printed fingerprint with the one that `intertwine cache key --data DIR` prints where
    the service runs. Instead of an address, you may give the public key that `intertwine cache key`
    prints.
    """
    from intertwine_cache import fingerprint, trust

    if _PUBLIC_KEY.fullmatch(address):
        public_key = address
    else:
        from intertwine_api.client import Client

        with Client(address, key) as client:
            public_key = client.store()["public_key"]
    is_new = trust(public_key, "" if public_key == address else address)
    common.print_fields(
        {"trusted": address, "fingerprint": fingerprint(public_key), "new": is_new}, as_json
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


for _command in cache_transfer.COMMANDS:
    group.add_command(_command)


@group.command("gc")
@click.argument(
    "address",
    metavar="[TIER]",
    required=False,
    help="A folder, or the address of an object store (default: your near folder).",
)
@click.option("--max-size", metavar="SIZE", help="Keep at most so many bytes, such as 20GB.")
@click.option("--max-age", metavar="DAYS", help="Keep entries for so many days, such as 90d.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be deleted.")
@common.as_json
def collect_garbage(
    address: str | None, max_size: str | None, max_age: str | None, is_dry: bool, as_json: bool
) -> None:
    """Delete the oldest bases of a tier until the rest is within the limits.

    An object store does not know when a basis was last used: its age is the time since it was
    written. Entries that nobody can use, and blobs without a manifest, are deleted after a day,
    also without limits. Others may use the tier meanwhile.
    """
    from intertwine.errors import InvalidSetting
    from intertwine_cache.garbage_collection import collect
    from intertwine_cache.manifest import LaterVersion

    tier = _collectable(address)
    limits = _read_limits(max_size, max_age)
    try:
        with progress_bar(None, " keys") as progress:
            found = collect(tier, **limits, is_dry=is_dry, progress=progress)
    except LaterVersion as error:
        raise InvalidSetting(str(error)) from error
    document = {"tier": tier.address, **asdict(found)}
    if as_json:
        common.print_json(document)
        return
    document |= {name: f"{document[name]:,}" for name in ("kept_bytes", "freed", "waiting")}
    common.print_fields({**document, "damaged": len(found.damaged)}, as_json=False)
    for key, reason in found.damaged.items():
        common.warn(f"{key} {'would be' if is_dry else 'is'} deleted: {reason}")


def _collectable(address: str | None) -> Tier:
    """Return the tier of an address, if entries of it can be listed and deleted."""
    from intertwine.errors import InvalidSetting, NotFound
    from intertwine_cache.tiers.address import scheme_of
    from intertwine_cache.tiers.folder import FolderTier
    from intertwine_cache.tiers.object_store import ObjectTier
    from intertwine_cache.tiers.service import ServiceTier

    if address is None:
        return near_tier()
    if scheme_of(address) == "file":  # a folder that a web server serves
        try:
            return ObjectTier(address, is_writable=True)
        except ValueError as error:
            raise InvalidSetting(str(error)) from error
    tier = open_address(address)
    if isinstance(tier, ServiceTier):
        raise InvalidSetting(
            f"{tier.address} is a service, which evicts by itself: set INTERTWINE_CACHE_SIZE where "
            f"it runs"
        )
    if scheme_of(address) in ("http", "https"):
        raise InvalidSetting(
            f"{tier.address} only serves files: give the folder or object store that it serves"
        )
    if not tier.is_writable:
        raise InvalidSetting(f"{tier.address} is read-only: leave out ?read-only")
    if isinstance(tier, FolderTier) and not Path(tier.address).is_dir():
        raise NotFound(f"there is no folder {tier.address}")
    return tier


def _read_limits(max_size: str | None, max_age: str | None) -> dict[str, Any]:
    from intertwine_cache.place import parse_size

    limits: dict[str, Any] = {}
    if max_size is not None:
        try:
            limits["max_bytes"] = parse_size(max_size)
        except ValueError as error:
            raise click.UsageError(f"--max-size is {error}") from error
    if max_age is not None:
        match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)\s*d?", max_age.strip().lower())
        if match is None:
            raise click.UsageError(f"--max-age is a number of days such as 90d, not {max_age!r}")
        limits["max_age"] = float(match[1]) * 86_400
    return limits


@group.command("clear")
@common.as_json
def delete_all(as_json: bool) -> None:
    """Delete every basis in the store."""
    common.print_fields({"deleted": near_store().clear()}, as_json)


def _key_of(text: str, named: str | None) -> str:
    from intertwine.groups import parse_group
    from intertwine.reps import basis_key, parse

    rep = parse(text)
    return basis_key(rep if named is None else rep(parse_group(named)))


def _explanation(answer: TierAnswer, *, is_near: bool) -> dict[str, Any]:
    """Return the document of what a tier says about a key."""
    document: dict[str, Any] = {"tier": answer.tier, "state": answer.state}
    if answer.reason:
        document["quarantined" if is_near else "reason"] = answer.reason
    if answer.manifest is not None:
        document |= {
            "bytes": answer.manifest.size,
            "created": _date(answer.manifest),
            "signer": answer.signer,
            "trusted": answer.is_trusted,
        }
        if not (is_near or answer.is_trusted):
            document["use"] = "only if it can be proven complete"
    return document


def _find(key: str) -> Manifest:
    """Return the manifest in the near folder whose key begins so. Raises `NotFound`."""
    from intertwine.errors import NotFound

    found = [m for m in near_store().manifests() if m.key.startswith(key)]
    if len(found) != 1:
        number = f"{len(found)} bases have" if found else "no basis has"
        raise NotFound(f"{number} a key that begins with {key!r}; see intertwine cache list")
    return found[0]


def _document(manifest: Manifest) -> dict[str, Any]:
    return {
        "key": manifest.key,
        "digest": manifest.digest,
        "bytes": manifest.size,
        "created": _date(manifest),
        **manifest.details,
    }


def _date(manifest: Manifest) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(manifest.created))
