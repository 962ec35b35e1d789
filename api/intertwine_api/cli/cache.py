"""`intertwine cache`: look into the store of bases, check it, empty it."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine_cache import Manifest, Store


_EXAMPLES = """\
  intertwine cache stats
  intertwine cache list
  intertwine cache show KEY
  intertwine cache verify --repair
  intertwine cache clear
"""


def add_to(commands: Any) -> None:
    """Describe the command and its actions."""
    parser = common.add_command(
        commands, "cache", "Look into the store of bases, check it, or empty it.", _EXAMPLES
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, run, summary in (
        ("stats", run_stats, "how much there is, and where"),
        ("list", run_list, "every basis in the store"),
        ("show", run_show, "one basis: its manifest"),
        ("verify", run_verify, "check every file; the exit code is 1 if one is wrong"),
        ("clear", run_clear, "delete every basis in the store"),
    ):
        action = actions.add_parser(name, help=summary, description=f"Print {summary}.")
        action.add_argument("--json", action="store_true", help="print JSON")
        action.set_defaults(run=run)
        if name == "show":
            action.add_argument("key", metavar="KEY", help="a key, or its first digits")
        if name == "verify":
            action.add_argument(
                "--repair", action="store_true", help="move what is wrong into quarantine"
            )


def run_stats(arguments: argparse.Namespace) -> int:
    """Print counts and bytes."""
    _print(arguments, _store().statistics())
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Print a line for each basis, and for each group's irreps."""
    manifests = list(_store().manifests())
    if arguments.json:
        common.print_json([_document(manifest) for manifest in manifests])
        return 0
    for manifest in manifests:
        certificate = manifest.details.get("certificate")
        shape = f"{certificate.get('size')} × {certificate.get('rank')}" if certificate else "-"
        what = f"{manifest.details.get('canonical')} {manifest.details.get('group') or ''}"
        print(f"{manifest.key[:12]}  {shape:>16}  {manifest.size:>12,} B  {what.strip()}")
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Print one manifest."""
    from intertwine.errors import NotFound

    found = [m for m in _store().manifests() if m.key.startswith(arguments.key)]
    if len(found) != 1:
        number = f"{len(found)} bases have" if found else "no basis has"
        raise NotFound(
            f"{number} a key that begins with {arguments.key!r}; see intertwine cache list"
        )
    common.print_json(_document(found[0]))
    return 0


def run_verify(arguments: argparse.Namespace) -> int:
    """Check every file of the store."""
    from intertwine_cache import verify

    findings = list(verify(_store(), repair=arguments.repair))
    if arguments.json:
        common.print_json([{"path": str(f.path), "reason": f.reason} for f in findings])
    else:
        for finding in findings:
            print(f"{finding.path}: {finding.reason}")
        done = "moved into quarantine" if arguments.repair else "found wrong"
        print(f"{len(findings)} files {done}" if findings else "everything is in order")
    return 1 if findings and not arguments.repair else 0


def run_clear(arguments: argparse.Namespace) -> int:
    """Delete every basis."""
    _print(arguments, {"deleted": _store().clear()})
    return 0


def _store() -> Store:
    from intertwine.errors import InvalidSetting, NotFound
    from intertwine_cache import default_store

    try:
        store = default_store()
    except ValueError as error:
        raise InvalidSetting(str(error)) from error
    if store is None:
        raise NotFound("there is no store: INTERTWINE_CACHE=off turns it off")
    return store


def _print(arguments: argparse.Namespace, document: dict[str, Any]) -> None:
    if arguments.json:
        common.print_json(document)
    else:
        common.print_table((name, str(value)) for name, value in document.items())


def _document(manifest: Manifest) -> dict[str, Any]:
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(manifest.created))
    return {
        "key": manifest.key,
        "digest": manifest.digest,
        "bytes": manifest.size,
        "created": created,
        **manifest.details,
    }
