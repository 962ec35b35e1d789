"""Operations on models: list, show, download, delete, and forward passes at the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from intertwine.errors import FormatError, InvalidSetting, NotFound
from intertwine.saving.model_folder import write_model
from intertwine.training.recipe.framework import FrameworkName, framework_named, framework_of

from intertwine_api.client.bases import download_blob
from intertwine_api.client.connection import Session
from intertwine_api.client.messages import Document, HttpRequest, HttpResponse, Schema
from intertwine_api.client.retries import fetch, list_all, send
from intertwine_api.wire.safetensors_body import SAFETENSORS, read_array, write_arrays

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Inexact, Shaped

_ROWS = 1024  # at most, of one forward request
_BYTES = 2**23  # at most, of one forward request
_OUTPUT_BYTES = 2**28  # the largest response to a forward


async def list_models(session: Session) -> list[Document]:
    """Return the newest versions of every owner's models, sorted by name."""
    models = await list_all(session, "/v1/models", Schema.MODELS)
    return [model["newest"] for model in models if model["newest"]]


async def list_versions(session: Session, name: str) -> list[Document]:
    """Return the versions of a model, the newest first."""
    path = f"{address_of(name)}/versions"
    return await list_all(session, path, Schema.VERSIONS, cursor_name="before")


async def show_version(session: Session, name: str, version: int | None) -> Document:
    """Return a version of a model, by default the newest. Raises `NotFound` if it is missing."""
    if version is None:
        model = await fetch(session, HttpRequest("GET", address_of(name), answer=Schema.MODEL))
        if model["newest"] is None:
            raise NotFound(f"every version of the model {name} was deleted: train a new one")
        version = model["newest"]["version"]
    path = f"{address_of(name)}/versions/{version}"
    return await fetch(session, HttpRequest("GET", path, answer=Schema.VERSION))


async def download_parts(
    session: Session, name: str, version: int | None
) -> tuple[Document, HttpResponse]:
    """Return the config and the weights of a model, in the format of `intertwine.nn.save`."""
    document = await show_version(session, name, version)
    blob = await download_blob(session, document["weights"], document["bytes"])
    return document["config"], blob


async def download_model(
    session: Session, name: str, version: int | None, framework: FrameworkName | None = None
) -> Any:
    """Return a model, ready to call on this machine, in the framework that trained it by default.

    Raises `Unavailable` if the framework is not installed.
    """
    config, blob = await download_parts(session, name, version)
    chosen = framework_of(config) if framework is None else framework_named(framework)
    chosen.require("download('{}')")
    with blob.decoding():
        return chosen.saving.from_config(config, blob.content)


async def save_model(session: Session, name: str, version: int | None, folder: Path) -> None:
    """Write a model into a folder as `intertwine.nn.save` does, without building it."""
    config, blob = await download_parts(session, name, version)
    with blob.decoding():
        write_model(folder, config, blob.content)


async def delete_model(session: Session, name: str, version: int | None) -> None:
    """Delete a version of a model, or the model with all its versions."""
    path = address_of(name) if version is None else f"{address_of(name)}/versions/{version}"
    await send(session, HttpRequest("DELETE", path))


async def call_model(
    session: Session, name: str, version: int | None, x: Any
) -> Inexact[np.ndarray, "*batch m"]:
    """Return f(x) of shape (…, m) for x of shape (…, n), computed at the service in batches.

    Raises `InvalidSetting` if x is a single number.
    """
    import numpy as np

    x = np.asarray(x)
    if not x.ndim:
        raise InvalidSetting(f"x is the number {x}: give vectors, an array of shape (…, n)")
    query = {} if version is None else {"version": str(version)}
    found = []
    for rows in _batches(x.reshape(-1, x.shape[-1])):
        request = HttpRequest(
            "POST",
            f"{address_of(name)}:forward",
            query=query,
            headers={"content-type": SAFETENSORS, "accept": SAFETENSORS},
            body=write_arrays({"x": rows}),
            answer=SAFETENSORS,
            max_bytes=_OUTPUT_BYTES,
            idempotent=True,
        )
        response = await send(session, request)
        with response.decoding():
            outputs = read_array(response.content, "y")
            if outputs.ndim != 2 or len(outputs) != len(rows):
                raise FormatError(f"{len(rows)} vectors have outputs of shape {outputs.shape}")
            found.append(outputs)
    outputs = np.concatenate(found)
    return outputs.reshape(*x.shape[:-1], outputs.shape[-1])


def address_of(name: str) -> str:
    """Return the path of a model."""
    return f"/v1/models/{quote(name, safe='')}"


def _batches(rows: Shaped[np.ndarray, "k n"]) -> Iterator[Shaped[np.ndarray, "_ n"]]:
    """Yield the rows in batches of bounded size, at least one even for no rows."""
    most = max(1, min(_ROWS, _BYTES // max(1, rows[:1].nbytes)))
    for start in range(0, max(1, len(rows)), most):
        yield rows[start : start + most]
