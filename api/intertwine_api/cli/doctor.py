"""`intertwine doctor`: check this installation, and say what to do."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import tempfile
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine.installation import Finding

_EXAMPLES = """\
  intertwine doctor
  intertwine doctor --json
"""


_PORT = 8000
_SERVICE = ("fastapi", "uvicorn", "pydantic_settings", "prometheus_client")
_LITTLE = 2**28  # bytes


@click.command("doctor", epilog=common.examples(_EXAMPLES))
@common.as_json
def diagnose(as_json: bool) -> int:
    """Check this installation, and say what to do. The exit code is 1 if a check failed."""
    from intertwine.installation import check_installation

    *findings, solve = check_installation()
    findings += [check_store(), *check_tiers(), check_service(), check_access()]
    findings += [*check_objects(), solve]
    ok = all(finding.ok for finding in findings)
    if as_json:
        common.print_json({"ok": ok, "checks": list(map(asdict, findings))})
    else:
        common.print_table((finding.check, _line(finding)) for finding in findings)
    return 0 if ok else common.FAILED


def _line(finding: Finding) -> str:
    advice = f"\n{'':>10}  → {finding.advice}" if finding.advice else ""
    return f"{'ok  ' if finding.ok else 'FAIL'}  {finding.found}{advice}"


def check_tiers() -> list[Finding]:
    """Check that each far tier of the store answers."""
    from intertwine.installation import Finding
    from intertwine_cache import Chain, default_store
    from intertwine_cache.tiers.tier import TierError

    try:
        store = default_store()
    except ValueError:  # reported by `check_store`
        return []
    found = []
    for tier, _ in store.tiers if isinstance(store, Chain) else []:
        try:
            tier.manifest("0" * 64)
            limits = tier.probe()
        except (TierError, ValueError) as error:
            advice = "solves work without it; correct its address or its key, or start it"
            found.append(Finding("tier", False, str(error), advice))
        else:
            access = "" if tier.is_writable else ", read-only"
            limits = f"; {limits}" if limits else ""
            found.append(Finding("tier", True, f"{tier.address} answers{access}{limits}"))
    return found


def check_store() -> Finding:
    """Check that the store of bases is writable, and report how full it and its disk are."""
    from intertwine.installation import Finding
    from intertwine_cache import default_store

    try:
        store = default_store()
    except ValueError as error:
        return Finding("cache", False, str(error), "correct it, or unset it")
    if store is None:
        return Finding("cache", True, "none: INTERTWINE_CACHE=off turns it off")
    store = store.near
    place = store.layout.root
    try:
        store.layout.create()
        with tempfile.TemporaryFile(dir=store.layout.temporaries):
            pass
    except OSError as error:
        return Finding(
            "cache",
            False,
            f"{place} cannot be written: {error.strerror}",
            "solves work, but nothing is kept; name another folder with INTERTWINE_CACHE",
        )
    found, free = store.statistics(), shutil.disk_usage(place).free
    bases = "basis" if found["entries"] == 1 else "bases"
    text = f"{found['entries']:,} {bases}, {found['bytes'] / 1e6:,.1f} MB of at most "
    text += f"{found['limit'] / 1e9:,.3g} GB in {place}; {free / 1e9:,.1f} GB free on its disk"
    if free < _LITTLE:
        return Finding("cache", False, text, "free some of the disk: nothing is kept on a full one")
    if found["quarantined"]:
        advice = "corrupt files are in quarantine: intertwine cache verify checks the others"
        return Finding("cache", True, text, advice)
    return Finding("cache", True, text)


def check_service() -> Finding:
    """Report whether the dependencies and the port of `intertwine serve` are available."""
    from intertwine.installation import Finding

    missing = [name for name in _SERVICE if importlib.util.find_spec(name) is None]
    if missing:
        advice = "pip install 'intertwine[serve]', if this machine is to serve"
        return Finding("service", True, f"not installed: {', '.join(missing)}", advice)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", _PORT))
        except OSError as error:
            advice = "the service may be running already; another one needs --port"
            return Finding("service", True, f"port {_PORT} is taken ({error.strerror})", advice)
    return Finding("service", True, f"port {_PORT} is free")


def check_access() -> Finding:
    """Report who may use the service of this environment's settings. Creates no database."""
    from intertwine.errors import InvalidSetting
    from intertwine.installation import Finding

    if any(importlib.util.find_spec(name) is None for name in _SERVICE):
        return Finding("access", True, "the service is not installed")
    from pydantic import ValidationError
    from sqlalchemy.exc import SQLAlchemyError

    from intertwine_api.cli.keys import has_database
    from intertwine_api.storage.database import Database
    from intertwine_api.storage.keys import Keys
    from intertwine_api.work.access_policy import AccessPolicy
    from intertwine_api.work.settings import Settings

    try:
        settings = Settings()
        database = Database(settings.database_url)
        try:
            keys = Keys(database, settings.home) if has_database(settings) else None
            access = AccessPolicy.of(settings, keys)
        finally:
            database.close()
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        return Finding("access", False, faults, "correct the INTERTWINE_… variables")
    except InvalidSetting as error:
        return Finding("access", False, str(error), "correct the INTERTWINE_… variables")
    except SQLAlchemyError:
        advice = "`intertwine serve` creates or upgrades it, and reports what is wrong with it"
        return Finding("access", False, f"the database {database} cannot be read", advice)
    return Finding("access", True, access.description, access.advice)


def check_objects() -> list[Finding]:
    """Check that the bucket of the service answers, if the settings have one."""
    from intertwine.errors import InvalidSetting
    from intertwine.installation import Finding

    if any(importlib.util.find_spec(name) is None for name in _SERVICE):
        return []
    from pydantic import ValidationError

    from intertwine_api.work.settings import Settings, objects_of

    try:
        settings = Settings()
        if not settings.objects:
            return []
        objects = objects_of(settings)
        objects.check()
    except ValidationError:  # reported by `check_access`
        return []
    except InvalidSetting as error:
        return [Finding("objects", False, str(error), "correct INTERTWINE_OBJECTS, or unset it")]
    except OSError as error:
        advice = "correct INTERTWINE_OBJECTS or the credentials, or start the object store"
        return [Finding("objects", False, str(error), advice)]
    return [Finding("objects", True, f"{objects.address} answers")]
