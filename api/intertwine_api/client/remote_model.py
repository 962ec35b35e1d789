"""The synchronous and the asynchronous model of a client."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from intertwine.notebook import html_table
from intertwine.training.recipe.framework import DEFAULT, FrameworkName, framework_named

from intertwine_api.client import models
from intertwine_api.client.connection import AnyConnection, AsyncConnection, Connection, run
from intertwine_api.client.messages import Document

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Inexact


class ModelView(Generic[AnyConnection]):
    """The properties of a version's `document`; one from a list lacks config and provenance."""

    def __init__(self, connection: AnyConnection, document: Mapping[str, Any]) -> None:
        self._connection, self.document = connection, document

    @property
    def name(self) -> str:
        """Return the name of the model."""
        return str(self.document["name"])

    @property
    def version(self) -> int:
        """Return the number of the version, from 1."""
        return int(self.document["version"])

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Return the losses, epochs and seconds of the training."""
        found: Mapping[str, Any] = self.document["metrics"]
        return found

    @property
    def framework(self) -> FrameworkName:
        """Return the framework that trained the model, "jax" or "torch"."""
        found: FrameworkName = self.document.get(
            "framework", DEFAULT
        )  # older services do not send it
        return found

    @property
    def equivariance_error(self) -> float | None:
        """Return the equivariance error measured after training; None if it was not measured."""
        error: float | None = self.document["equivariance_error"]
        return error

    @property
    def is_equivariant(self) -> bool:
        """Return whether the equivariance error is within rounding."""
        return bool(self.document["is_equivariant"])

    @property
    def warnings(self) -> Sequence[str]:
        """Return a sentence for each limitation of the network's expressiveness."""
        found: Sequence[str] = self.metrics.get("warnings", ())
        return found

    def _rows(self) -> dict[str, str]:
        error, loss = self.equivariance_error, self.metrics.get("test_loss")
        mark = "" if self.is_equivariant or error is None else ", not equivariant"
        return {
            "framework": "" if self.framework == DEFAULT else framework_named(self.framework).title,
            "test loss": "" if loss is None else f"{loss:.4g}",
            "equivariance error": "" if error is None else f"{error:.1e}{mark}",
            "warning": "; ".join(self.warnings),
        }

    def __repr__(self) -> str:
        figures = (f", {name} {value}" for name, value in self._rows().items() if value)
        return f"<Model {self.name}, version {self.version}{''.join(figures)}>"

    def _repr_html_(self) -> str:
        rows = {"model": self.name, "version": str(self.version), **self._rows()}
        return html_table(rows.items())

    async def _show(self) -> Document:
        return await models.show_version(self._connection, self.name, self.version)

    async def _field(self, name: str) -> Mapping[str, Any]:
        """Return a field of the document, fetched on first use."""
        if name not in self.document:
            self.document = await self._show()
        found: Mapping[str, Any] = self.document[name]
        return found


class RemoteModel(ModelView[Connection]):
    """A version of a model, called at the service: ``model(x)`` maps shape (…, n) to (…, m)."""

    def forward(self, x: Any) -> Inexact[np.ndarray, "*batch m"]:
        """Return f(x) of shape (…, m) for x of shape (…, n), computed at the service."""
        return run(models.call_model(self._connection, self.name, self.version, x))

    def __call__(self, x: Any) -> Inexact[np.ndarray, "*batch m"]:
        """Return ``forward(x)``."""
        return self.forward(x)

    def download(self, framework: FrameworkName | None = None) -> Any:
        """Return the model itself, to call, train and save locally.

        `framework` is "jax" or "torch", by default the one that trained the model, and has to be
        installed: the extra ``nn`` or ``torch``. Raises `Unavailable` without it, and `FormatError`
        if the framework does not have the model's layers.
        """
        operation = models.download_model(self._connection, self.name, self.version, framework)
        return run(operation)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model into a folder for `intertwine.nn.load` and `intertwine.torch.load`."""
        run(models.save_model(self._connection, self.name, self.version, Path(folder)))

    def refresh(self) -> RemoteModel:
        """Fetch the version's complete document again."""
        self.document = run(self._show())
        return self

    def provenance(self) -> Mapping[str, Any]:
        """Return the code versions, seeds, data and device of the training."""
        return run(self._field("provenance"))

    def config(self) -> Mapping[str, Any]:
        """Return the config, in the format of `intertwine.nn.save`."""
        return run(self._field("config"))

    def versions(self) -> list[RemoteModel]:
        """Return all versions of the model, the newest first."""
        found = run(models.list_versions(self._connection, self.name))
        return [RemoteModel(self._connection, document) for document in found]

    def delete(self) -> None:
        """Delete this version. Its number is not reused."""
        run(models.delete_model(self._connection, self.name, self.version))


class AsyncRemoteModel(ModelView[AsyncConnection]):
    """A `RemoteModel` whose methods, and calls, are awaited."""

    async def forward(self, x: Any) -> Inexact[np.ndarray, "*batch m"]:
        """Return f(x) of shape (…, m) for x of shape (…, n), computed at the service."""
        return await models.call_model(self._connection, self.name, self.version, x)

    async def __call__(self, x: Any) -> Inexact[np.ndarray, "*batch m"]:
        """Return ``forward(x)``."""
        return await self.forward(x)

    async def download(self, framework: FrameworkName | None = None) -> Any:
        """Return the model itself, to call, train and save locally; see `RemoteModel.download`."""
        return await models.download_model(self._connection, self.name, self.version, framework)

    async def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model into a folder for `intertwine.nn.load` and `intertwine.torch.load`."""
        await models.save_model(self._connection, self.name, self.version, Path(folder))

    async def refresh(self) -> AsyncRemoteModel:
        """Fetch the version's complete document again."""
        self.document = await self._show()
        return self

    async def provenance(self) -> Mapping[str, Any]:
        """Return the code versions, seeds, data and device of the training."""
        return await self._field("provenance")

    async def config(self) -> Mapping[str, Any]:
        """Return the config, in the format of `intertwine.nn.save`."""
        return await self._field("config")

    async def versions(self) -> list[AsyncRemoteModel]:
        """Return all versions of the model, the newest first."""
        found = await models.list_versions(self._connection, self.name)
        return [AsyncRemoteModel(self._connection, document) for document in found]

    async def delete(self) -> None:
        """Delete this version. Its number is not reused."""
        await models.delete_model(self._connection, self.name, self.version)
