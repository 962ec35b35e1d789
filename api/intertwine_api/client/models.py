"""Models at a service: listed, looked at, brought here, and called there."""

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
from intertwine_api.client.retries import Document, Retries, answered, list_all
from intertwine_api.client.steps import Ask, Operation
from intertwine_api.wire.safetensors_body import SAFETENSORS, read_array, write_arrays

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Inexact, Shaped

_WEIGHTS = re.compile(r"weights-[0-9a-f]{16}\.safetensors")
_ROWS = 1024  # of one request
_BYTES = 2**23


def list_models(retries: Retries) -> Operation[list[Document]]:
    """Everybody's models, in the order of their names."""
    return (yield from list_all("/v1/models", {}, None, retries))


def list_versions(name: str, retries: Retries) -> Operation[list[Document]]:
    """The versions of a model, the newest first."""
    path = f"{address_of(name)}/versions"
    return (yield from list_all(path, {}, None, retries, cursor_name="before"))


def show_version(name: str, version: int | None, retries: Retries) -> Operation[Document]:
    """A version of a model, or the newest. Raises `NotFound` where there is none."""
    if version is None:
        model = (yield from answered(Ask("GET", address_of(name)), retries)).document
        if model["newest"] is None:
            raise NotFound(f"every version of the model {name} was deleted")
        version = model["newest"]["version"]
    answer = yield from answered(Ask("GET", f"{address_of(name)}/versions/{version}"), retries)
    document: Document = answer.document
    return document


def download_parts(
    name: str, version: int | None, retries: Retries
) -> Operation[tuple[Document, bytes]]:
    """The config of a model and its weights, as `intertwine.nn` saves them."""
    document = yield from show_version(name, version, retries)
    blob = yield from download_blob(document["weights"], retries)
    return document["config"], blob


def download_model(name: str, version: int | None, retries: Retries) -> Operation[Any]:
    """A model, here: ready to call. Needs the extra ``nn``."""
    from intertwine.nn.saving import from_config

    return from_config(*(yield from download_parts(name, version, retries)))


def save_model(name: str, version: int | None, folder: Path, retries: Retries) -> Operation[None]:
    """Write a model into a folder as `intertwine.nn.save` does, without making it."""
    config, blob = yield from download_parts(name, version, retries)
    weights = str(config.get("weights"))
    if not _WEIGHTS.fullmatch(weights):  # it will be the name of a file
        raise FormatError(f"{weights!r} is no name of a file of weights")
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, content in ((weights, blob), ("config.json", json.dumps(config).encode())):
        with whole_file(folder / file_name) as file:
            file.write(content)
    for other in folder.glob("weights-*.safetensors"):
        if other.name != weights:
            other.unlink(missing_ok=True)


def delete_model(name: str, version: int | None, retries: Retries) -> Operation[None]:
    """Delete a version of a model, or all of them and the name."""
    path = address_of(name) if version is None else f"{address_of(name)}/versions/{version}"
    yield from answered(Ask("DELETE", path), retries)


def call_model(
    name: str, version: int | None, x: Any, retries: Retries
) -> Operation[Inexact[np.ndarray, "*batch m"]]:
    """f(x) for each vector of x, computed there, a bounded number of them a request."""
    import numpy as np

    x = np.asarray(x)
    if not x.ndim:
        raise InvalidSetting("a model takes vectors, of shape (…, n), and this is one number")
    query = {} if version is None else {"version": str(version)}
    found = []
    for rows in _in_parts(x.reshape(-1, x.shape[-1])):
        ask = Ask(
            "POST",
            f"{address_of(name)}:forward",
            query=query,
            headers={"content-type": SAFETENSORS, "accept": SAFETENSORS},
            body=write_arrays({"x": rows}),
            repeatable=True,
        )
        found.append(read_array((yield from answered(ask, retries)).content, "y"))
    outputs = np.concatenate(found)
    return outputs.reshape(*x.shape[:-1], outputs.shape[-1])


def address_of(name: str) -> str:
    """Where a model is."""
    return f"/v1/models/{quote(name, safe='')}"


def _in_parts(rows: Shaped[np.ndarray, "k n"]) -> Iterator[Shaped[np.ndarray, "_ n"]]:
    """The rows, a bounded number at a time; no rows are one part too."""
    most = max(1, min(_ROWS, _BYTES // max(1, rows[:1].nbytes)))
    for start in range(0, max(1, len(rows)), most):
        yield rows[start : start + most]
