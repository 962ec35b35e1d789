"""The pages of the store of bases: its tiers, its entries, one entry, and evictions."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from intertwine.training.recipe.description import Digest
from intertwine_cache import Manifest
from intertwine_cache.place import parse_size
from pydantic import BeforeValidator
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import Admin, BasesReader
from intertwine_api.server.console.cache_entries import EntryRow, details_of, rows_of
from intertwine_api.server.console.cache_tiers import filling_of, tier_rows
from intertwine_api.server.console.forms import TOKEN
from intertwine_api.server.console.shell import base_of, render
from intertwine_api.server.routes.bases import Key
from intertwine_api.server.service import Service, TheService
from intertwine_api.server.store_index import StoreContents
from intertwine_api.wire.names import Line
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.logs import audit

router = APIRouter(include_in_schema=False)

_FIRST = 25  # entries of each list of the main page
_PAGE = 50  # entries of a list

_Size = Annotated[Line, Query(description="a size such as 5GB")]
#: The key after which a list begins; empty for the first page.
_After = Annotated[Digest | None, BeforeValidator(lambda text: text or None), Query()]


@router.get("/cache", response_class=HTMLResponse)
async def show_cache(
    request: Request,
    service: TheService,
    caller: BasesReader,
    freed: Annotated[
        int | None, Query(ge=0, le=10**18, description="the bytes of an eviction")
    ] = None,
) -> HTMLResponse:
    """Return the tiers and how full the store is, its largest and its least used entries."""
    statistics = await service.store_statistics()
    contents = await service.store_contents()
    values = await run_in_threadpool(_overview, service, statistics, contents)
    return render(request, "cache.html", {**values, "freed": freed, "is_admin": caller.is_admin})


def _overview(
    service: Service, statistics: dict[str, Any], contents: StoreContents
) -> dict[str, Any]:
    store = service.store
    return {
        "statistics": statistics,
        "filling": filling_of(service, statistics),
        "tiers": tier_rows(service, statistics),
        "largest": rows_of(store, (entry.key for entry in contents.largest(_FIRST)), _FIRST),
        "least_used": rows_of(store, (entry.key for entry in contents.least_used(_FIRST)), _FIRST),
        "contents": contents,
    }


@router.get("/cache/entries", response_class=HTMLResponse)
async def list_entries(
    request: Request,
    service: TheService,
    caller: BasesReader,
    after: _After = None,
    search: Annotated[Line, Query(description="a part of a rep or a group")] = "",
) -> HTMLResponse:
    """Return the entries in the order of their keys, or those that a search finds first."""
    search = search.strip()
    values: dict[str, Any] = {"search": search, "is_first": after is None, "following": ""}
    if search:
        contents = await service.store_contents()
        rows = await run_in_threadpool(_search, service, contents, search)
        values |= {"rows": rows[:_PAGE], "has_more": len(rows) > _PAGE, "contents": contents}
    else:
        keys = service.store.layout.keys(after or "")
        rows = await run_in_threadpool(rows_of, service.store, keys, _PAGE + 1)
        if len(rows) > _PAGE:
            values["following"] = urlencode({"after": rows[_PAGE - 1].key})
        values |= {"rows": rows[:_PAGE], "has_more": False, "contents": None}
    return render(request, "cache_entries.html", values)


def _search(service: Service, contents: StoreContents, text: str) -> list[EntryRow]:
    found = (entry.key for entry in contents.matching(text))
    return rows_of(service.store, found, _PAGE + 1)


@router.get("/cache/shrink", response_class=HTMLResponse)
async def confirm_shrinking(
    request: Request, service: TheService, caller: Admin, to: _Size
) -> HTMLResponse:
    """Return a page that says what an eviction would delete, and asks."""
    limit = _bytes_of(to)
    contents = await service.store_contents()
    values = {
        "limit": limit,
        "statistics": await service.store_statistics(),
        "shrinkage": await run_in_threadpool(contents.shrinkage, limit),
        "is_whole": contents.is_whole,
        "query": urlencode({"to": to}),
        "token_field": TOKEN,
        "token": service.form_tokens.token(caller.key_id, _shrinking(limit)),
    }
    return render(request, "cache_shrink.html", values)


@router.post("/cache/shrink", response_class=Response)
async def shrink_store(request: Request, service: TheService, caller: Admin, to: _Size) -> Response:
    """Evict the least recently used entries, for a form. Redirects to the main page."""
    limit = _bytes_of(to)
    await service.form_tokens.read(request, caller.key_id, _shrinking(limit))
    freed = await run_in_threadpool(service.store.shrink, limit)
    audit("store shrunk", caller, limit=limit, freed=freed)
    return await _after_eviction(request, service, freed)


@router.get("/cache/{key}", response_class=HTMLResponse)
async def show_entry(
    request: Request,
    key: Key,
    service: TheService,
    caller: BasesReader,
    ask: Annotated[bool, Query(description="ask the far tiers too")] = False,
) -> HTMLResponse:
    """Return what the manifest of an entry says, and which tiers have it."""
    manifest = await run_in_threadpool(_manifest, service, key)
    answers = await run_in_threadpool(service.far_tiers.ask, key) if ask else None
    values = {
        "entry": await run_in_threadpool(
            details_of, service.store, manifest, service.settings.dense_bytes
        ),
        "near": service.store.name,
        "has_far_tiers": bool(service.far_tiers.addresses),
        "answers": answers,
        "is_admin": caller.is_admin,
        "token_field": TOKEN,
        "token": service.form_tokens.token(caller.key_id, _evicting(key)),
    }
    return render(request, "cache_entry.html", values)


def _manifest(service: Service, key: str) -> Manifest:
    manifest = service.store.manifest(key)
    if manifest is None:
        detail = f"the store has no entry {key}: it may have been evicted. Ask for its basis again"
        raise ProblemError.of("not-found", detail)
    return manifest


@router.post("/cache/{key}/evict", response_class=Response)
async def evict_entry(request: Request, key: Key, service: TheService, caller: Admin) -> Response:
    """Evict an entry, for the form of its page. Redirects to the main page."""
    await service.form_tokens.read(request, caller.key_id, _evicting(key))
    freed = await run_in_threadpool(_evict, service, key)
    audit("basis evicted", caller, key=key, freed=freed)
    return await _after_eviction(request, service, freed)


def _evict(service: Service, key: str) -> int:
    """Evict an entry. Return the bytes freed: none, if another entry has the same blob."""
    store, manifest = service.store, _manifest(service, key)
    if not store.remove(key) and store.manifest(key) is not None:
        detail = f"{key} could not be deleted: see the service's log, and the rights of its store"
        raise ProblemError.of("not-ready", detail)
    return 0 if store.layout.blob(manifest.digest).exists() else manifest.size


async def _after_eviction(request: Request, service: Service, freed: int) -> Response:
    await service.renew_store()
    address = f"{base_of(request.scope)}cache?{urlencode({'freed': freed})}"
    return Response(status_code=303, headers={"Location": address, "Cache-Control": "no-store"})


def _bytes_of(size: str) -> int:
    try:
        return parse_size(size)
    except ValueError as error:
        raise ProblemError.of("invalid-request", f"the new size is {error}") from error


def _evicting(key: str) -> str:
    return f"evict {key}"


def _shrinking(limit: int) -> str:
    return f"shrink the store to {limit}"
