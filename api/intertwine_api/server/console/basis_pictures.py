"""Pictures of a basis: of all its coordinates, and tiles that show single entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from intertwine.bases import Basis
from intertwine.errors import IntertwineError
from intertwine.reps import Rep
from intertwine.vis import (
    Clusters,
    TermMatrix,
    draw_invariants,
    draw_maps,
    draw_tile,
    orbit_labels,
    term_matrices,
)
from intertwine.vis.picture import MOST_TERMS
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import BasesReader
from intertwine_api.server.console.pictures import picture_response, svg_of
from intertwine_api.server.console.question import Question, TheQuestion, as_maps
from intertwine_api.server.console.shell import render, render_problem
from intertwine_api.server.routes.bases import Key
from intertwine_api.server.routes.matrices import as_written
from intertwine_api.server.service import Service, TheService
from intertwine_api.wire.bases import BasisManifest
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.basis_states import Known

router = APIRouter(include_in_schema=False)

LARGEST_PICTURE = 1_000_000
"""The most coordinates of a basis that is drawn."""
LARGEST_FILE = 64 * 2**20
"""The most bytes of a basis that is drawn, or described in words."""
_READABLE = 10_000  # coordinates of a picture in which single entries can be seen
_COARSE_DPI = 50  # of larger ones: a picture of 72 dots per inch would have 220 kB
_TILE = 32  # entries of a side
_MOST = 2**31

_Place = Annotated[int, Query(ge=0, lt=_MOST)]


def why_no_picture(rep: Rep, rank: int, size: int = 0) -> str:
    """Return why a basis has no picture, in words; empty if it has one. `size` is in bytes."""
    reason = _why_not_drawn(rep.size(), rank, size)
    terms = len(term_matrices(rep)) if not reason else 0
    if terms > MOST_TERMS:
        reason = f"{terms} different terms are too many for a picture, which shows {MOST_TERMS}."
    return reason


def _why_not_drawn(coordinates: int, rank: int, size: int) -> str:
    if find_spec("matplotlib") is None:
        return (
            "Pictures are drawn by Matplotlib, which is not installed where the service runs: "
            "pip install 'intertwine[vis]'."
        )
    if rank == 0:
        return "There is nothing to draw: zero is the only invariant."
    if coordinates > LARGEST_PICTURE:
        return (
            f"{coordinates:,} coordinates are too many for a picture, which shows at most "
            f"{LARGEST_PICTURE:,}."
        )
    if size > LARGEST_FILE:
        return (
            f"A basis of {size / 1e6:,.0f} MB is too large for a picture, which shows at most "
            f"{LARGEST_FILE / 1e6:,.0f} MB."
        )
    return ""


def tiles_address(manifest: BasisManifest, question: Question) -> str:
    """Return the address of the tiles of a basis, relative to the root; empty without any."""
    if _why_not_drawn(manifest.size, manifest.rank, manifest.bytes):
        return ""
    return f"tiles?{question.query}"


def picture_address(manifest: BasisManifest, question: Question) -> str:
    """Return the address of the picture of a basis, relative to the root."""
    return f"pictures/{manifest.key}.svg?{urlencode({'rep': question.rep})}"


def is_coarse(coordinates: int) -> bool:
    """Whether a picture of so many coordinates has more of them than dots."""
    return coordinates > _READABLE


@router.get("/pictures/{key}.svg")
async def get_picture(
    key: Key, service: TheService, caller: BasesReader, rep: str = ""
) -> Response:
    """Return the picture of a basis. With `rep`, its coordinates have the order of that text."""
    return picture_response(await service.work(caller, _draw, key, rep, service))


@router.get("/pictures/{key}/tile.svg")
async def get_tile(
    key: Key,
    service: TheService,
    caller: BasesReader,
    rep: str = "",
    term: _Place = 0,
    row: _Place = 0,
    column: _Place = 0,
) -> Response:
    """Return the picture of a tile: entries of a term's matrix, from a row and a column on."""
    svg = await service.work(caller, _draw_tile, key, rep, (term, row, column), service)
    return picture_response(svg)


@dataclass(frozen=True)
class _Tile:
    """Where a tile is: the matrix of a term, and the ranges of its rows and columns."""

    matrix: TermMatrix
    term: int
    rows: range
    columns: range

    @property
    def query(self) -> str:
        """The place as a part of an address."""
        return self._query(self.rows.start, self.columns.start)

    @property
    def neighbours(self) -> Iterator[tuple[str, str]]:
        """The directions in which the matrix goes on, each with the place of the next tile."""
        row, column = self.rows.start, self.columns.start
        if row > 0:
            yield "Up", self._query(max(0, row - _TILE), column)
        if self.rows.stop < self.matrix.rows:
            yield "Down", self._query(self.rows.stop, column)
        if column > 0:
            yield "Left", self._query(row, max(0, column - _TILE))
        if self.columns.stop < self.matrix.columns:
            yield "Right", self._query(row, self.columns.stop)

    def _query(self, row: int, column: int) -> str:
        return urlencode({"term": self.term, "row": row, "column": column})


@router.get("/tiles", response_class=HTMLResponse)
async def show_tile(
    request: Request,
    question: TheQuestion,
    service: TheService,
    caller: BasesReader,
    term: _Place = 0,
    row: _Place = 0,
    column: _Place = 0,
) -> HTMLResponse:
    """Return a page with a tile of a known basis, and links to its neighbours.

    Places outside of the matrix become the nearest ones inside.
    """
    values: dict[str, Any] = {"question": question, "tile": None, "terms": (), "problem": None}
    try:
        parsed = await service.parse(question.document(), caller)
        state = await run_in_threadpool(service.bases.of, parsed.key, parsed)
        if not isinstance(state, Known):
            detail = f"the basis of {question.rep} is not known: solve it in the explorer first"
            raise ProblemError.of("not-found", detail)
        manifest = state.document
        reason = _why_not_drawn(manifest.size, manifest.rank, manifest.bytes)
        if reason:
            raise _no_picture(reason, manifest.rank)
        matrices = await service.work(caller, _matrices, question.rep, parsed.rep)
    except (IntertwineError, ProblemError) as error:
        return render_problem(request, "tiles.html", values, error)
    term = min(term, len(matrices) - 1)
    matrix = matrices[term]
    rows, columns = _near(row, matrix.rows), _near(column, matrix.columns)
    tile = _Tile(matrix, term, rows, columns)
    place = {"rep": question.rep, "term": term, "row": rows.start, "column": columns.start}
    shown = {
        "tile": tile,
        "terms": [each.name for each in matrices],
        "picture": f"pictures/{manifest.key}/tile.svg?{urlencode(place)}",
    }
    return render(request, "tiles.html", {**values, **shown})


def _near(start: int, length: int) -> range:
    start = min(start, max(0, length - _TILE))
    return range(start, min(start + _TILE, length))


def _matrices(text: str, rep: Rep) -> list[TermMatrix]:
    """Return the matrices of a basis: one of maps, or one for each term of another rep."""
    maps = as_maps(text, rep)
    if maps is None:
        return list(term_matrices(rep))
    return [TermMatrix(text, maps[1].size(), maps[0].size())]


def _basis(key: str, text: str, service: Service) -> tuple[Basis, Rep]:
    """Return a basis that can be drawn, and its rep. Raises `ProblemError`."""
    basis = as_written(service.bases.basis(key), text or None)
    reason = _why_not_drawn(basis.shape[0], basis.rank, basis.nbytes)
    if basis.rep is None:
        reason = "The basis is from an earlier version, and does not contain its rep."
    if reason or basis.rep is None:
        raise _no_picture(reason, basis.rank)
    return basis, basis.rep


def _no_picture(reason: str, rank: int) -> ProblemError:
    """Return the problem of a basis without a picture; that of rank 0 is not too large."""
    detail = f"{reason[:1].lower()}{reason[1:].rstrip('.')}"
    if rank == 0:
        return ProblemError.of("not-found", detail)
    return ProblemError.of("too-large", f"{detail}: download the file of the basis")


def _draw(key: str, text: str, service: Service) -> bytes:
    basis, rep = _basis(key, text, service)
    maps = as_maps(text, rep)

    def draw() -> Any:
        if maps is None:
            return draw_invariants(rep, basis)
        return draw_maps(*maps, title=False, basis=basis).figure

    dpi = {"dpi": _COARSE_DPI} if is_coarse(basis.shape[0]) else {}
    return svg_of(draw, bbox_inches="tight", **dpi)


def _draw_tile(key: str, text: str, place: tuple[int, int, int], service: Service) -> bytes:
    clusters, matrices = _clusters(key, text, service)
    term, row, column = place
    if term >= len(matrices):
        detail = f"there is no term {term}: give a number from 0 to {len(matrices) - 1}"
        raise ProblemError.of("invalid-request", detail)
    first = sum(each.rows * each.columns for each in matrices[:term])
    shape = matrices[term].rows, matrices[term].columns

    def draw() -> Any:
        return draw_tile(clusters, shape, row, column, size=_TILE, first=first).figure

    return svg_of(draw, bbox_inches="tight")


@lru_cache(2)
def _clusters(key: str, text: str, service: Service) -> tuple[Clusters, list[TermMatrix]]:
    """Return the clusters and the matrices of a basis; the last ones are kept for more tiles."""
    basis, rep = _basis(key, text, service)
    return orbit_labels(basis), _matrices(text, rep)
