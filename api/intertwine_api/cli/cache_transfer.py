"""The commands of `intertwine cache` that copy bases between tiers of the store."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine_cache import Chain, Keyring, Store
    from intertwine_cache.tiers.folder import FolderTier
    from intertwine_cache.tiers.tier import Tier
    from intertwine_cache.transfer import Copied, Destination, Plan, Selection, Source


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


@click.command("push")
@click.argument(
    "address", metavar="DST", help="A folder, or the address of an object store or service."
)
@_with_options
def push_bases(address: str, options: _Options) -> int:
    """Copy bases from your near folder to another tier, which does not have them.

    They are signed with your key, unless they have a signature.
    """
    return _sync(None, address, options)


@click.command("pull")
@click.argument("address", metavar="SRC", help="A folder, or an address.")
@_with_options
def pull_bases(address: str, options: _Options) -> int:
    """Copy bases from another tier to your near folder, which does not have them.

    Only bases that a trusted key has signed are copied. A web folder cannot list its bases: name
    their keys. A service can.
    """
    return _sync(address, None, options)


@click.command("sync")
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


@click.command("export")
@click.argument("path", metavar="FILE.tar", type=common.PATH, help="The archive, a new file.")
@_with_options
def export_bases(path: Path, options: _Options) -> int:
    """Write bases of your near folder to an archive, signed, for machines without a network."""
    from intertwine_cache import default_keyring
    from intertwine_cache.archive import ArchiveWriter
    from intertwine_cache.transfer import plan

    if path.exists():
        raise FileExistsError(f"{path} exists: delete it, or give another name")
    source = near_tier()
    with progress_bar(None, " keys") as progress:
        planned = plan(source, None, options.selection, progress=progress)
    if options.is_dry:
        return _report(source.address, str(path), planned, options)
    with ArchiveWriter(path) as archive:
        done = _copy(planned, source, archive, default_keyring())
    return _report(source.address, str(path), planned, options, done)


@click.command("import")
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
    return _transfer(source, near_tier(), options, trusting=default_keyring())


COMMANDS = (push_bases, pull_bases, copy_bases, export_bases, import_bases)


def open_address(address: str) -> Tier:
    """Return the tier of an address; the near folder has its limit. Raises `InvalidSetting`."""
    from intertwine.errors import InvalidSetting
    from intertwine_cache.tiers.opening import open_tier

    place = address.removesuffix("?read-only")
    try:
        tier = open_tier(place, is_writable=place == address, limit=sys.maxsize)
    except ValueError as error:
        raise InvalidSetting(str(error)) from error
    near = near_tier()
    return near if tier.address == near.address and place == address else tier


def near_tier() -> FolderTier:
    """Return the near folder as a tier."""
    from intertwine_cache.tiers.folder import FolderTier

    near = near_store()
    return FolderTier(near.layout.root, is_writable=True, limit=near.limit)


def near_store() -> Store:
    """Return the store of the near folder."""
    return whole_store().near


def whole_store() -> Store | Chain:
    """Return the store with its far tiers. Raises `InvalidSetting`, and `NotFound` if it is off."""
    from intertwine.errors import InvalidSetting, NotFound
    from intertwine_cache import default_store

    try:
        store = default_store()
    except ValueError as error:
        raise InvalidSetting(str(error)) from error
    if store is None:
        raise NotFound("there is no store: INTERTWINE_CACHE=off turns it off")
    return store


def _sync(source: str | None, destination: str | None, options: _Options) -> int:
    """Copy from one tier to another; None is the near folder."""
    from intertwine.errors import InvalidSetting
    from intertwine_cache import default_keyring
    from intertwine_cache.tiers.folder import FolderTier

    near = near_tier()
    first, second = (near if each is None else open_address(each) for each in (source, destination))
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

    with progress_bar(None, " keys") as progress:
        planned = plan(source, destination, options.selection, trusting=trusting, progress=progress)
    near = near_store()
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
    with progress_bar(total, "B") as progress:
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
def progress_bar(total: int | None, unit: str) -> Iterator[Callable[[int], object]]:
    """Yield a function that advances a progress bar, which a terminal shows."""
    from tqdm import tqdm

    scale, leave = unit == "B", total is not None
    with tqdm(
        total=total, unit=unit, unit_scale=scale, leave=leave, disable=None, file=sys.stderr
    ) as bar:
        yield bar.update
