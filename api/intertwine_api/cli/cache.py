"""`intertwine cache`: inspect, check, copy and empty the store of bases."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine_cache import Chain, Keyring, Manifest, Store
    from intertwine_cache.tiers.folder import FolderTier
    from intertwine_cache.tiers.tier import Tier
    from intertwine_cache.transfer import Copied, Destination, Plan, Selection, Source

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

    store = _store()
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
    common.print_json(_document(_find(key)))


@group.command("explain")
@click.argument("key", metavar="[KEY]", required=False, help="A key, or its first digits.")
@click.option("--rep", "text", metavar="TEXT", help="A rep instead of a key, such as 'V**5'.")
@click.option("--group", "named", metavar="NAME", help="The group of --rep, such as 'SO(3)'.")
@common.as_json
def explain_key(key: str | None, text: str | None, named: str | None, as_json: bool) -> None:
    """Show which tiers have a basis, nearest first, and which signatures it has there."""
    from intertwine_cache import Chain, default_keyring

    if (key is None) == (text is None):
        raise click.UsageError("give a key, or --rep and --group")
    if text is not None:
        key = _key_of(text, named)
    elif named is not None:
        raise click.UsageError("--group needs --rep")
    assert key is not None
    store = _chain()
    key = key if re.fullmatch("[0-9a-f]{64}", key) else _find(key).key
    keyring = default_keyring()
    tiers = [_explain_near(store.near, key, keyring)]
    if isinstance(store, Chain):
        tiers += [_explain_far(tier, key, keyring) for tier, _ in store.tiers]
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


@dataclass(frozen=True)
class _Options:
    """The options of the commands that copy bases."""

    selection: Selection
    is_dry: bool
    as_json: bool


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the commands that copy bases; the command receives `options`."""

    @click.argument("keys", metavar="[KEY]...", nargs=-1, help="Keys of bases (default: all).")
    @click.option("--group", "of", metavar="GLOB", help="Only bases of groups such as 'SO*'.")
    @click.option("--match", metavar="GLOB", help="Only bases of reps such as '*V³*'.")
    @click.option("--dry-run", "is_dry", is_flag=True, help="Say what is missing; copy nothing.")
    @common.as_json
    @wraps(command)
    def run(
        keys: tuple[str, ...],
        of: str | None,
        match: str | None,
        is_dry: bool,
        as_json: bool,
        **arguments: Any,
    ) -> Any:
        from intertwine_cache.transfer import Selection

        for key in keys:
            if not re.fullmatch("[0-9a-f]{64}", key):
                raise click.UsageError(f"{key!r} is not a whole key; see intertwine cache list")
        options = _Options(Selection(of, match, keys), is_dry, as_json)
        return command(options=options, **arguments)

    return run


@group.command("push")
@click.argument(
    "address", metavar="DST", help="A folder, or the address of an object store or service."
)
@_with_options
def push_bases(address: str, options: _Options) -> int:
    """Copy bases from your near folder to another tier, which does not have them.

    They are signed with your key, unless they have a signature.
    """
    return _sync(None, address, options)


@group.command("pull")
@click.argument("address", metavar="SRC", help="A folder, or an address.")
@_with_options
def pull_bases(address: str, options: _Options) -> int:
    """Copy bases from another tier to your near folder, which does not have them.

    Only bases that a trusted key has signed are copied. A web folder cannot list its bases: name
    their keys. A service can.
    """
    return _sync(address, None, options)


@group.command("sync")
@click.argument("source", metavar="SRC", help="A folder, or an address.")
@click.argument(
    "destination", metavar="DST", help="A folder, or the address of an object store or service."
)
@_with_options
def copy_bases(source: str, destination: str, options: _Options) -> int:
    """Copy bases from one tier to another, which does not have them.

    A folder gets only bases that a trusted key has signed. An object store gets all, because its
    readers check them.
    """
    return _sync(source, destination, options)


@group.command("export")
@click.argument("path", metavar="FILE.tar", type=common.PATH, help="The archive, a new file.")
@_with_options
def export_bases(path: Path, options: _Options) -> int:
    """Write bases of your near folder to an archive, signed, for machines without a network."""
    from intertwine_cache import default_keyring
    from intertwine_cache.archive import ArchiveWriter
    from intertwine_cache.transfer import plan

    if path.exists():
        raise FileExistsError(f"{path} exists: delete it, or give another name")
    source = _near_tier()
    with _bar(None, " keys") as progress:
        planned = plan(source, None, options.selection, progress=progress)
    if options.is_dry:
        return _report(source.address, str(path), planned, options)
    with ArchiveWriter(path) as archive:
        done = _copy(planned, source, archive, default_keyring())
    return _report(source.address, str(path), planned, options, done)


@group.command("import")
@click.argument("path", metavar="FILE.tar", type=common.PATH, help="An archive of bases.")
@_with_options
def import_bases(path: Path, options: _Options) -> int:
    """Read bases from an archive into your near folder.

    Only bases that a trusted key has signed are copied. An archive with anything else than bases is
    refused.
    """
    from intertwine.errors import FormatError
    from intertwine_cache import default_keyring
    from intertwine_cache.archive import ArchiveReader

    try:
        source = ArchiveReader(path)
    except ValueError as error:
        raise FormatError(str(error)) from error
    return _transfer(source, _near_tier(), options, trusting=default_keyring())


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
        with _bar(None, " keys") as progress:
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
        return _near_tier()
    if scheme_of(address) == "file":  # a folder that a web server serves
        try:
            return ObjectTier(address, is_writable=True)
        except ValueError as error:
            raise InvalidSetting(str(error)) from error
    tier = _open(address)
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
    common.print_fields({"deleted": _store().clear()}, as_json)


def _sync(source: str | None, destination: str | None, options: _Options) -> int:
    """Copy from one tier to another; None is the near folder."""
    from intertwine.errors import InvalidSetting
    from intertwine_cache import default_keyring
    from intertwine_cache.tiers.folder import FolderTier

    near = _near_tier()
    first, second = (near if each is None else _open(each) for each in (source, destination))
    if first.address == second.address:
        raise InvalidSetting(f"{first.address} is both the source and the destination")
    if not second.is_writable:
        raise InvalidSetting(f"{second.address} is read-only: give a folder, or an object store")
    keyring = default_keyring()
    is_ours = first.address == near.address
    # a folder may be the near folder of a process, which uses what it has without a proof
    is_checked = isinstance(second, FolderTier) and not is_ours
    return _transfer(
        first,
        second,
        options,
        trusting=keyring if is_checked else None,
        signing=keyring if is_ours else None,
    )


def _transfer(
    source: Source,
    destination: Tier,
    options: _Options,
    *,
    trusting: Keyring | None = None,
    signing: Keyring | None = None,
) -> int:
    from intertwine.errors import InvalidSetting
    from intertwine_cache.transfer import plan

    with _bar(None, " keys") as progress:
        planned = plan(source, destination, options.selection, trusting=trusting, progress=progress)
    near = _store()
    if destination.address == near.name and planned.bytes > near.limit:
        raise InvalidSetting(
            f"{planned.bytes:,} bytes do not fit into the near folder, which keeps {near.limit:,}: "
            f"raise INTERTWINE_CACHE_SIZE, or select fewer with --group or --match"
        )
    if options.is_dry:
        return _report(source.address, destination.address, planned, options)
    done = _copy(planned, source, destination, signing)
    return _report(source.address, destination.address, planned, options, done)


def _copy(plan: Plan, source: Source, destination: Destination, signing: Keyring | None) -> Copied:
    from intertwine_cache.transfer import copy

    total = sum(entry.size for entry in plan.entries)
    with _bar(total, "B") as progress:
        try:
            return copy(plan.entries, source, destination, signing=signing, progress=progress)
        except OSError as error:
            error.add_note("run the same command again: it copies only what is missing")
            raise


def _report(
    source: str, destination: str, plan: Plan, options: _Options, done: Copied | None = None
) -> int:
    """Print what was copied, or will be. Return the exit code: 1 if something was left out."""
    from intertwine_cache import fingerprint

    invalid = {**plan.invalid, **(done.invalid if done is not None else {})}
    refused = done.refused if done is not None else {}
    document: dict[str, Any] = {
        "source": source,
        "destination": destination,
        "present": plan.present,
        "missing": len(plan.entries),
        "bytes": plan.bytes,
        "copied": done.entries if done is not None else 0,
    }
    if options.as_json:
        untrusted = {fingerprint(key): n for key, n in plan.untrusted.items() if key}
        document |= {"untrusted": untrusted, "unsigned": plan.untrusted.get("", 0)}
        common.print_json({**document, "invalid": invalid, "refused": dict(refused)})
    else:
        common.print_fields({**document, "bytes": f"{plan.bytes:,}"}, as_json=False)
    for key, number in plan.untrusted.items():
        if key:
            common.warn(
                f"{number:,} left out: signed by a key that you do not trust, with the fingerprint "
                f"{fingerprint(key)}. If it is right: intertwine cache trust {key}"
            )
        else:
            common.warn(
                f"{number:,} left out: without a signature. Their owner can sign them with "
                f"intertwine cache push, or export"
            )
    for key, reason in invalid.items():
        common.warn(f"{key} left out: {reason}")
    for reason, number in Counter(refused.values()).items():
        common.warn(f"{number:,} left out: {destination} does not take them: {reason}")
    return common.FAILED if done is not None and (plan.untrusted or invalid or refused) else 0


@contextmanager
def _bar(total: int | None, unit: str) -> Iterator[Callable[[int], object]]:
    """Yield a function that advances a progress bar, which a terminal shows."""
    from tqdm import tqdm

    scale, leave = unit == "B", total is not None
    with tqdm(
        total=total, unit=unit, unit_scale=scale, leave=leave, disable=None, file=sys.stderr
    ) as bar:
        yield bar.update


def _open(address: str) -> Tier:
    """Return the tier of an address; the near folder has its limit. Raises `InvalidSetting`."""
    from intertwine.errors import InvalidSetting
    from intertwine_cache.tiers.opening import open_tier

    place = address.removesuffix("?read-only")
    try:
        tier = open_tier(place, is_writable=place == address, limit=sys.maxsize)
    except ValueError as error:
        raise InvalidSetting(str(error)) from error
    near = _near_tier()
    return near if tier.address == near.address and place == address else tier


def _near_tier() -> FolderTier:
    from intertwine_cache.tiers.folder import FolderTier

    near = _store()
    return FolderTier(near.layout.root, is_writable=True, limit=near.limit)


def _key_of(text: str, named: str | None) -> str:
    from intertwine.groups import parse_group
    from intertwine.reps import basis_key, parse

    rep = parse(text)
    return basis_key(rep if named is None else rep(parse_group(named)))


def _explain_near(near: Store, key: str, keyring: Keyring) -> dict[str, Any]:
    found = near.read(key)
    if found is not None:
        return {"tier": near.name, **_evidence(found[0], keyring)}
    document = {"tier": near.name, "state": "does not have it"}
    reason = near.layout.quarantine / f"{key}.json.reason"
    if reason.exists():
        document["quarantined"] = reason.read_text("utf-8").strip()
    return document


def _explain_far(tier: Tier, key: str, keyring: Keyring) -> dict[str, Any]:
    from intertwine_cache.tiers.tier import TierError

    document: dict[str, Any] = {"tier": tier.address}
    try:
        found = tier.manifest(key)
    except TierError as error:
        return {**document, "state": "cannot be reached", "reason": str(error)}
    except ValueError as error:
        return {**document, "state": "has an invalid manifest", "reason": str(error)}
    if found is None:
        return {**document, "state": "does not have it"}
    document |= _evidence(found, keyring)
    if not document["trusted"]:
        document["use"] = "only if it can be proven complete"
    return document


def _evidence(manifest: Manifest, keyring: Keyring) -> dict[str, Any]:
    from intertwine_cache import fingerprint
    from intertwine_cache.signing import signer_of

    signer = signer_of(manifest)
    return {
        "state": "has it",
        "bytes": manifest.size,
        "created": _date(manifest),
        "signer": None if signer is None else fingerprint(signer),
        "trusted": keyring.trusts(manifest),
    }


def _find(key: str) -> Manifest:
    """Return the manifest in the near folder whose key begins so. Raises `NotFound`."""
    from intertwine.errors import NotFound

    found = [m for m in _store().manifests() if m.key.startswith(key)]
    if len(found) != 1:
        number = f"{len(found)} bases have" if found else "no basis has"
        raise NotFound(f"{number} a key that begins with {key!r}; see intertwine cache list")
    return found[0]


def _store() -> Store:
    return _chain().near


def _chain() -> Store | Chain:
    from intertwine.errors import InvalidSetting, NotFound
    from intertwine_cache import default_store

    try:
        store = default_store()
    except ValueError as error:
        raise InvalidSetting(str(error)) from error
    if store is None:
        raise NotFound("there is no store: INTERTWINE_CACHE=off turns it off")
    return store


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
