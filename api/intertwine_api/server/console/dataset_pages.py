"""The pages of datasets: the list with the upload, and a dataset with a preview of its samples."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse
from intertwine.training.recipe.built_in import describe_builtin
from intertwine.training.recipe.dataset_info import DatasetInfo
from intertwine.training.recipe.description import BuiltIn, BuiltInName
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import JobsWriter
from intertwine_api.server.console.dataset_preview import ShownSamples, preview_samples
from intertwine_api.server.console.dataset_snippets import training_snippets, upload_snippets
from intertwine_api.server.console.dataset_symmetry import (
    DescribedSymmetry,
    Symmetry,
    describe_symmetry,
    listed_symmetry,
)
from intertwine_api.server.console.forms import TOKEN, TOKEN_HEADER
from intertwine_api.server.console.question import Question
from intertwine_api.server.console.shell import base_of, render
from intertwine_api.server.routes.datasets import (
    Name,
    Owner,
    delete_dataset,
    find_dataset,
    store_dataset,
    visible_datasets,
)
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.datasets import document_of
from intertwine_api.wire.jobs import instant
from intertwine_api.wire.names import Line, LongLine

router = APIRouter(include_in_schema=False)

_PAGE = 50  # datasets
_INLINE = 64 * 2**20  # bytes of samples that the page reads itself; larger ones load after it
_UPLOAD = "upload a dataset"
#: What the samples of the built-in datasets are.
_BUILT_IN: dict[str, str] = {
    "Inertia": "the moment of inertia of five point masses",
    "O5Synthetic": "an invariant function of two vectors in five dimensions",
    "ParticleInteraction": "the matrix element of electron-muon scattering",
    "InvertedCube": "whether a coloured cube is itself or its mirror image",
    "BrokenRubiksCube": "whether a Rubik's cube can be solved",
    "DoubleSpringPendulum": "the energy of a pendulum of two springs",
}


@dataclass(frozen=True)
class _Row:
    """A dataset of the list; `info.id` is empty for a built-in one."""

    info: DatasetInfo
    symmetry: Symmetry
    address: str
    """The address of its page, relative to the root; empty for a built-in one."""

    @property
    def uploaded(self) -> datetime:
        """The time of the upload."""
        return instant(self.info.created)


@router.get("/datasets", response_class=HTMLResponse)
async def show_datasets(
    request: Request,
    service: TheService,
    caller: JobsWriter,
    after: Annotated[LongLine, Query(description="the cursor of the page")] = "",
) -> HTMLResponse:
    """Return a page of datasets, the newest first, the built-in ones, and the form to upload."""
    found, following = await run_in_threadpool(
        visible_datasets, service, caller, after or None, _PAGE
    )
    rows = await service.work(caller, _rows, found)
    values = {
        "rows": rows,
        "built_in": _built_in() if not after else [],
        "descriptions": _BUILT_IN,
        "sees_all": caller.is_admin,
        "following": "" if following is None else urlencode({"after": following}),
        "is_first": not after,
        "token": service.form_tokens.token(caller.key_id, _UPLOAD),
        "token_header": TOKEN_HEADER,
        "most_bytes": service.settings.dataset_bytes,
        "question": Question(),
        "snippets": upload_snippets(str(request.base_url), caller.key_id is not None),
    }
    return render(request, "datasets.html", values)


def _rows(found: list[DatasetInfo]) -> list[_Row]:
    return [_Row(info, listed_symmetry(info), _address(info)) for info in found]


def _built_in() -> list[_Row]:
    found = [describe_builtin(BuiltIn(name=name)) for name in get_args(BuiltInName)]
    return [_Row(info, listed_symmetry(info), "") for info in found]


def _address(info: DatasetInfo) -> str:
    return f"datasets/{info.id}?{urlencode({'owner': info.owner})}"


@router.post("/datasets", response_class=Response)
async def upload_dataset(
    request: Request,
    service: TheService,
    caller: JobsWriter,
    name: Annotated[Line, Query(description="a display name")] = "",
    rep_in: Annotated[LongLine, Query(description="the rep of an input")] = "",
    rep_out: Annotated[LongLine, Query(description="the rep of a target")] = "",
    group: Annotated[str, Query(description="the text of the reps' group")] = "",
    generators: Annotated[str, Query(description="its generators as JSON")] = "",
    token: Annotated[str, Header(alias=TOKEN_HEADER)] = "",
) -> Response:
    """Store a file that the script of the page sends; `Location` is the page of the dataset.

    The token is checked before the body is read.
    """
    service.form_tokens.require(token, caller.key_id, _UPLOAD)
    document = Question("", group.strip(), generators.strip()).group_document()
    stored = await store_dataset(
        request, service, caller, name, rep_in or None, rep_out or None, document
    )
    address = f"{base_of(request.scope)}{_address(stored)}"
    return Response(status_code=201, headers={"Location": address, "Cache-Control": "no-store"})


@router.get("/datasets/storage", response_class=HTMLResponse)
def show_storage(request: Request, service: TheService, caller: JobsWriter) -> HTMLResponse:
    """Return a page with the bytes that the caller keeps, and their limit.

    It is separate from the list, because measuring the files of all jobs can take a second.
    """
    used = service.quota.used(caller.owner)
    values = {
        "owner": caller.owner,
        "used": used,
        "total": sum(used.values()),
        "most": service.quota.most,
    }
    return render(request, "storage.html", values)


@router.get("/datasets/{dataset}", response_class=HTMLResponse)
async def show_dataset(
    request: Request, dataset: Name, service: TheService, caller: JobsWriter, owner: Owner = None
) -> HTMLResponse:
    """Return the page of a dataset: its facts, samples, code to train on it, and downloads."""
    info, symmetry = await _find(dataset, owner, service, caller)
    samples = None
    if info.bytes <= _INLINE:
        samples = await run_in_threadpool(_samples, info, symmetry, service)
    is_own = info.owner == caller.owner
    code = training_snippets(
        info.id, symmetry.missing, str(request.base_url), caller.key_id is not None
    )
    values = {
        **_values(info, symmetry, samples),
        "token_field": TOKEN,
        "token": service.form_tokens.token(caller.key_id, _deletion(info)),
        "snippets": code if is_own else [],
    }
    return render(request, "dataset.html", values)


@router.get("/datasets/{dataset}/samples", response_class=HTMLResponse)
async def show_samples(
    request: Request, dataset: Name, service: TheService, caller: JobsWriter, owner: Owner = None
) -> HTMLResponse:
    """Return a page with the preview of a dataset's samples, also of a large one."""
    info, symmetry = await _find(dataset, owner, service, caller)
    samples = await run_in_threadpool(_samples, info, symmetry, service)
    return render(request, "samples.html", _values(info, symmetry, samples))


@router.post("/datasets/{dataset}/delete", response_class=Response)
async def delete(
    request: Request, dataset: Name, service: TheService, caller: JobsWriter, owner: Owner = None
) -> Response:
    """Delete a dataset, for the form of its page. Redirects to the list."""
    info = await run_in_threadpool(find_dataset, dataset, owner, service, caller)
    await service.form_tokens.read(request, caller.key_id, _deletion(info))
    await run_in_threadpool(delete_dataset, info.id, service, caller, info.owner)
    address = f"{base_of(request.scope)}datasets"
    return Response(status_code=303, headers={"Location": address, "Cache-Control": "no-store"})


async def _find(
    dataset: str, owner: str | None, service: Service, caller: Caller
) -> tuple[DatasetInfo, DescribedSymmetry]:
    """Return a dataset that the caller may see, and how its group acts."""
    info = await run_in_threadpool(find_dataset, dataset, owner, service, caller)
    return info, await service.work(caller, describe_symmetry, info)


def _samples(info: DatasetInfo, symmetry: DescribedSymmetry, service: Service) -> ShownSamples:
    return preview_samples(info.id, symmetry.rep_in, symmetry.rep_out, service.objects)


def _values(
    info: DatasetInfo, symmetry: DescribedSymmetry, samples: ShownSamples | None
) -> dict[str, Any]:
    path, query = f"datasets/{info.id}", urlencode({"owner": info.owner})
    return {
        "info": info,
        "dataset": document_of(info),
        "symmetry": symmetry,
        "samples": samples,
        "address": f"{path}?{query}",
        "samples_address": f"{path}/samples?{query}",
        "deletion_address": f"{path}/delete?{query}",
    }


def _deletion(info: DatasetInfo) -> str:
    """Return the action of the form that deletes a dataset."""
    return f"delete the dataset {info.id} of {info.owner}"
