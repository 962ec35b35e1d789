"""The synchronous and the asynchronous model of a client."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intertwine_api.client import models
from intertwine_api.client.connection import AsyncConnection, Connection
from intertwine_api.client.displays import html_table

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Inexact


_LAZY_FIELDS = ("config", "provenance")  # absent from the documents of a list


class ModelView:
    """The properties of a version's `document`; one from a list lacks config and provenance."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

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

    @property
    def _is_whole(self) -> bool:
        return all(name in self.document for name in _LAZY_FIELDS)

    def _rows(self) -> dict[str, str]:
        error, loss = self.equivariance_error, self.metrics.get("test_loss")
        mark = "" if self.is_equivariant or error is None else ", not equivariant"
        return {
            "test loss": "" if loss is None else f"{loss:.4g}",
            "equivariance error": "" if error is None else f"{error:.1e}{mark}",
            "warning": "; ".join(self.warnings),
        }

    def __repr__(self) -> str:
        figures = (f", {name} {value}" for name, value in self._rows().items() if value)
        return f"<Model {self.name}, version {self.version}{''.join(figures)}>"

    def _repr_html_(self) -> str:
        return html_table({"model": self.name, "version": str(self.version), **self._rows()})


class RemoteModel(ModelView):
    """A version of a model, called at the service: ``model(x)`` maps shape (…, n) to (…, m)."""

    def __init__(self, connection: Connection, document: Mapping[str, Any]) -> None:
        super().__init__(document)
        self._connection = connection

    def forward(self, x: Any) -> Inexact[np.ndarray, "*batch m"]:
        """Return f(x) of shape (…, m) for x of shape (…, n), computed at the service."""
        return self._connection.run(
            models.call_model(self.name, self.version, x, self._connection.retries)
        )

    def __call__(self, x: Any) -> Inexact[np.ndarray, "*batch m"]:
        """Return ``forward(x)``."""
        return self.forward(x)

    def download(self) -> Any:
        """Return the model itself, to call, train and save locally. Needs the extra ``nn``."""
        return self._connection.run(
            models.download_model(self.name, self.version, self._connection.retries)
        )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model into a folder for `intertwine.nn.load`."""
        path, retries = Path(folder), self._connection.retries
        self._connection.run(models.save_model(self.name, self.version, path, retries))

    def refresh(self) -> RemoteModel:
        """Fetch the version's complete document again."""
        operation = models.show_version(self.name, self.version, self._connection.retries)
        self.document = self._connection.run(operation)
        return self

    def provenance(self) -> Mapping[str, Any]:
        """Return the code versions, seeds, data and device of the training."""
        return self._lazy_field("provenance")

    def config(self) -> Mapping[str, Any]:
        """Return the config, in the format of `intertwine.nn.save`."""
        return self._lazy_field("config")

    def versions(self) -> list[RemoteModel]:
        """Return all versions of the model, the newest first."""
        found = self._connection.run(models.list_versions(self.name, self._connection.retries))
        return [RemoteModel(self._connection, document) for document in found]

    def delete(self) -> None:
        """Delete this version. Its number is not reused."""
        self._connection.run(models.delete_model(self.name, self.version, self._connection.retries))

    def _lazy_field(self, name: str) -> Mapping[str, Any]:
        if not self._is_whole:
            self.refresh()
        found: Mapping[str, Any] = self.document[name]
        return found


class AsyncRemoteModel(ModelView):
    """A `RemoteModel` whose methods, and calls, are awaited."""

    def __init__(self, connection: AsyncConnection, document: Mapping[str, Any]) -> None:
        super().__init__(document)
        self._connection = connection

    async def forward(self, x: Any) -> Inexact[np.ndarray, "*batch m"]:
        """Return f(x) of shape (…, m) for x of shape (…, n), computed at the service."""
        return await self._connection.run(
            models.call_model(self.name, self.version, x, self._connection.retries)
        )

    async def __call__(self, x: Any) -> Inexact[np.ndarray, "*batch m"]:
        """Return ``forward(x)``."""
        return await self.forward(x)

    async def download(self) -> Any:
        """Return the model itself, to call, train and save locally. Needs the extra ``nn``."""
        return await self._connection.run(
            models.download_model(self.name, self.version, self._connection.retries)
        )

    async def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model into a folder for `intertwine.nn.load`."""
        path, retries = Path(folder), self._connection.retries
        await self._connection.run(models.save_model(self.name, self.version, path, retries))

    async def refresh(self) -> AsyncRemoteModel:
        """Fetch the version's complete document again."""
        operation = models.show_version(self.name, self.version, self._connection.retries)
        self.document = await self._connection.run(operation)
        return self

    async def provenance(self) -> Mapping[str, Any]:
        """Return the code versions, seeds, data and device of the training."""
        return await self._lazy_field("provenance")

    async def config(self) -> Mapping[str, Any]:
        """Return the config, in the format of `intertwine.nn.save`."""
        return await self._lazy_field("config")

    async def versions(self) -> list[AsyncRemoteModel]:
        """Return all versions of the model, the newest first."""
        operation = models.list_versions(self.name, self._connection.retries)
        found = await self._connection.run(operation)
        return [AsyncRemoteModel(self._connection, document) for document in found]

    async def delete(self) -> None:
        """Delete this version. Its number is not reused."""
        await self._connection.run(
            models.delete_model(self.name, self.version, self._connection.retries)
        )

    async def _lazy_field(self, name: str) -> Mapping[str, Any]:
        if not self._is_whole:
            await self.refresh()
        found: Mapping[str, Any] = self.document[name]
        return found
