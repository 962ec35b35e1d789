"""The explorer, the front page: a rep and a group, what they mean, and the basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from intertwine.errors import IntertwineError
from intertwine.reps import Rep
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import BasesReader
from intertwine_api.server.console.basis_pictures import (
    LARGEST_FILE,
    is_coarse,
    picture_address,
    tiles_address,
    why_no_picture,
)
from intertwine_api.server.console.basis_summary import (
    MOST_DECOMPOSED,
    Part,
    evidence,
    parts_of,
    snippets,
    structure,
)
from intertwine_api.server.console.question import Question, TheQuestion, read_meaning
from intertwine_api.server.console.shell import may_start_work, render, render_problem
from intertwine_api.server.routes.bases import solve_within
from intertwine_api.server.routes.matrices import MOST_CSV_ENTRIES
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.bases import BasisManifest
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.basis_states import Failed, InJob, Known, Solving

router = APIRouter(include_in_schema=False)

_WAIT = 2.0  # seconds that the page waits for a solve before it shows its progress
_MOST_IRREPS = 200  # of a table

#: Examples: a name, what it shows, a rep and a group.
EXAMPLES = (
    ("Rotations", "maps from vectors to matrices", "V>>V**2", "SO(3)"),
    ("Rotations, a sum", "a tensor and five scalars", "V**2*V.T+5V0", "SO(3)"),
    ("Lorentz", "invariant tensors of special relativity", "T(2,2)", "Lorentz()"),
    ("Permutations", "the linear layers of graph networks", "V**2>>V**2", "S(4)"),
    ("Rubik's cube", "layers that commute with every move", "V>>V", "RubiksCube()"),
    ("A crystal", "piezoelectric tensors of quartz", 'Indexed(V, "ijk=ikj")', "PointGroup(32)"),
)


@dataclass(frozen=True)
class _Found:
    """A known basis, and what the page says about it."""

    manifest: BasisManifest
    evidence: list[str]
    structure: list[str]
    parts: list[Part]
    picture: str
    """The address of the picture, relative to the root; empty without one."""
    no_picture: str
    is_coarse: bool
    """Whether the picture has more coordinates than dots."""
    tiles: str
    """The address of the pages of single entries, relative to the root; empty without any."""
    downloads: list[tuple[str, str]]
    """Names and addresses, relative to the root."""
    loads_irreps: bool
    """Whether the page loads the irreps without a click."""


@dataclass(frozen=True)
class _Progress:
    """A solve that has not ended: its stage, its fraction from 0 to 1, and its job if any."""

    stage: str
    fraction: float
    job: str | None


@router.get("/", response_class=HTMLResponse)
async def show_explorer(
    request: Request,
    question: TheQuestion,
    service: TheService,
    caller: BasesReader,
    check: Annotated[bool, Query(description="only show what the rep means")] = False,
    again: Annotated[bool, Query(description="solve again after a failure")] = False,
) -> HTMLResponse:
    """Return the form, the meaning of a question, and its basis or the progress of its solve."""
    values: dict[str, Any] = {
        "question": question,
        "examples": EXAMPLES,
        "meaning": None,
        "found": None,
        "progress": None,
        "problem": None,
        "waits_for_click": False,
        "snippets": [],
    }
    if question.is_empty:
        return render(request, "explorer.html", values)
    try:
        meaning = await service.work(caller, read_meaning, question, service.settings)
        values["meaning"] = meaning
        if not check and meaning.size is not None:
            values |= await _answer(question, service, caller, request, again)
    except (IntertwineError, ProblemError) as error:
        return render_problem(request, "explorer.html", values, error)
    return render(request, "explorer.html", values)


async def _answer(
    question: Question, service: Service, caller: Caller, request: Request, again: bool
) -> dict[str, Any]:
    """Return the values of the page for the state of the basis, after a short wait for its solve.

    An earlier failure is not repeated, unless the user asks for it `again`. Raises the errors of a
    solve.
    """
    parsed = await service.parse(question.document(), caller)
    state = await run_in_threadpool(service.bases.of, parsed.key, parsed)
    if isinstance(state, Failed) and again:
        state = None
    if not isinstance(state, Known | Failed):
        if not may_start_work(request):
            return {"waits_for_click": True}
        known = state if isinstance(state, Solving) else None
        wait = min(_WAIT, service.settings.wait_most)
        state = await solve_within(parsed, known, service, caller, request, wait)
    match state:
        case Known(manifest):
            found = await _describe(manifest, parsed.rep, question, service, caller)
            address = str(request.base_url)
            code = snippets(question, address, caller.key_id is not None)
            return {"found": found, "snippets": code}
        case Solving(solve):
            return {"progress": _Progress(solve.stage, solve.fraction, None)}
        case InJob(job):
            stage = job.progress.get("stage") or (
                "waiting" if job.state == "queued" else "starting"
            )
            fraction = float(job.progress.get("fraction") or 0.0)
            visible = caller.may("jobs:write") and caller.owns(job.owner)
            return {"progress": _Progress(str(stage), fraction, job.id if visible else None)}
        case Failed(problem):
            raise ProblemError(problem)


async def _describe(
    manifest: BasisManifest, rep: Rep, question: Question, service: Service, caller: Caller
) -> _Found:
    lines: list[str] = []
    if manifest.bytes <= LARGEST_FILE:
        basis = await service.work(caller, service.bases.basis, manifest.key)
        lines = structure(basis)
    no_picture = why_no_picture(rep, manifest.rank, manifest.bytes)
    return _Found(
        manifest=manifest,
        evidence=evidence(manifest.certificate),
        structure=lines,
        parts=parts_of(manifest.certificate),
        picture="" if no_picture else picture_address(manifest, question),
        no_picture=no_picture,
        is_coarse=is_coarse(manifest.size),
        tiles=tiles_address(manifest, question),
        downloads=downloads_of(manifest, service.settings.dense_bytes),
        loads_irreps=manifest.size <= MOST_DECOMPOSED,
    )


def downloads_of(manifest: BasisManifest, dense_bytes: int) -> list[tuple[str, str]]:
    """Return the files of a basis: names, and addresses relative to the root.

    Dense matrices above `dense_bytes` are left out, as the service does not send them.
    """
    links = {name: link.lstrip("/") for name, link in manifest.links.items()}
    entries = manifest.size * manifest.rank
    found = [("safetensors", links["file_as_asked"])]
    if entries and 16 * entries <= dense_bytes:
        found.append(("NumPy", links["dense_as_asked"]))
    if 0 < entries <= MOST_CSV_ENTRIES:
        found.append(("CSV", links["dense_as_asked"].replace("dense.npy", "dense.csv", 1)))
    return found


@router.get("/irreps", response_class=HTMLResponse)
async def show_irreps(
    request: Request, question: TheQuestion, service: TheService, caller: BasesReader
) -> HTMLResponse:
    """Return a page with the irreps of a rep, and their multiplicities."""
    values: dict[str, Any] = {"question": question, "found": None, "problem": None, "rest": 0}
    if not may_start_work(request):
        return render(request, "irreps.html", values)
    try:
        found = await service.decompose(question.document(), caller, request)
    except (IntertwineError, ProblemError) as error:
        return render_problem(request, "irreps.html", values, error)
    rest = max(0, len(found["irreps"]) - _MOST_IRREPS)
    found = {**found, "irreps": found["irreps"][:_MOST_IRREPS]}
    return render(request, "irreps.html", {**values, "found": found, "rest": rest})
