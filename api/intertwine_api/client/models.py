"""Operations on models: list, show, download, delete, and forward passes at the service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from intertwine.errors import FormatError, InvalidSetting, NotFound
from intertwine.whole_files import whole_file

from intertwine_api.client.bases import download_blob
from intertwine_api.client.retries import Document, Retries, list_all, send
from intertwine_api.client.steps import HttpRequest, Operation
from intertwine_api.wire.safetensors_body import SAFETENSORS, read_array, write_arrays

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Inexact, Shaped

_WEIGHTS = re.compile(r"weights-[0-9a-f]{16}\.safetensors")
_ROWS = 1024  # at most, of one forward request
_BYTES = 2**23  # at most, of one forward request


def list_models(retries: Retries) -> Operation[list[Document]]:
    """Return every owner's models, sorted by name."""
    return (yield from list_all("/v1/models", {}, None, retries))


def list_versions(name: str, retries: Retries) -> Operation[list[Document]]:
    """Return the versions of a model, the newest first."""
    path = f"{address_of(name)}/versions"
    return (yield from list_all(path, {}, None, retries, cursor_name="before"))


def show_version(name: str, version: int | None, retries: Retries) -> Operation[Document]:
    """Return a version of a model, by default the newest. Raises `NotFound` if it is missing."""
    if version is None:
        model = (yield from send(HttpRequest("GET", address_of(name)), retries)).document
        if model["newest"] is None:
            raise NotFound(f"every version of the model {name} was deleted: train a new one")
        version = model["newest"]["version"]
    response = yield from send(
        HttpRequest("GET", f"{address_of(name)}/versions/{version}"), retries
    )
    document: Document = response.document
    return document


def download_parts(
    name: str, version: int | None, retries: Retries
) -> Operation[tuple[Document, bytes]]:
    """Return the config and the weights of a model, in the format of `intertwine.nn.save`."""
    document = yield from show_version(name, version, retries)
    blob = yield from download_blob(document["weights"], retries)
    return document["config"], blob


def download_model(name: str, version: int | None, retries: Retries) -> Operation[Any]:
    """Return a model, ready to call on this machine. Needs the extra ``nn``."""
    from intertwine.nn.saving import from_config

    return from_config(*(yield from download_parts(name, version, retries)))


def save_model(name: str, version: int | None, folder: Path, retries: Retries) -> Operation[None]:
    """Write a model into a folder as `intertwine.nn.save` does, without building it."""
    config, blob = yield from download_parts(name, version, retries)
    weights = str(config.get("weights"))
    if not _WEIGHTS.fullmatch(weights):  # never write outside of the folder
        raise FormatError(f"{weights!r} is not the name of a weights file")
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, content in ((weights, blob), ("config.json", json.dumps(config).encode())):
        with whole_file(folder / file_name) as file:
            file.write(content)
    for other in folder.glob("weights-*.safetensors"):
        if other.name != weights:
            other.unlink(missing_ok=True)


def delete_model(name: str, version: int | None, retries: Retries) -> Operation[None]:
    """Delete a version of a model, or the model with all its versions."""
    path = address_of(name) if version is None else f"{address_of(name)}/versions/{version}"
    yield from send(HttpRequest("DELETE", path), retries)


def call_model(
    name: str, version: int | None, x: Any, retries: Retries
) -> Operation[Inexact[np.ndarray, "*batch m"]]:
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
            idempotent=True,
        )
        found.append(read_array((yield from send(request, retries)).content, "y"))
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
