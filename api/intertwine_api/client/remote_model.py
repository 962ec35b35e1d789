"""What is known of a version of a model: shared by the synchronous and the asynchronous one."""

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


_LATER = ("config", "provenance")  # which the documents of a list lack


class ModelView:
    """A version's document, read. That of a list lacks its config and provenance at first."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    @property
    def name(self) -> str:
        """The name of the model."""
        return str(self.document["name"])

    @property
    def version(self) -> int:
        """The number of the version, from 1 on."""
        return int(self.document["version"])

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Losses, epochs and seconds of its training."""
        found: Mapping[str, Any] = self.document["metrics"]
        return found

    @property
    def equivariance_error(self) -> float | None:
        """How far it is from equivariant, as measured after its training; None if it was not."""
        error: float | None = self.document["equivariance_error"]
        return error

    @property
    def is_equivariant(self) -> bool:
        """Whether that error is no more than rounding."""
        return bool(self.document["is_equivariant"])

    @property
    def warnings(self) -> Sequence[str]:
        """What its network cannot represent, though others could; none where all is well."""
        found: Sequence[str] = self.metrics.get("warnings", ())
        return found

    @property
    def _is_whole(self) -> bool:
        return all(name in self.document for name in _LATER)

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
    """A model that is called at the service: ``model(x)`` takes arrays of shape (…, n) to (…, m).

    It is one version, that which was asked for or else was the newest.
    """

    def __init__(self, connection: Connection, document: Mapping[str, Any]) -> None:
        super().__init__(document)
        self._connection = connection

    def forward(self, x: Any) -> Inexact[np.ndarray, "*batch m"]:
        """f(x) for each vector of an array of shape (…, n), computed at the service."""
        return self._connection.run(
            models.call_model(self.name, self.version, x, self._connection.retries)
        )

    def __call__(self, x: Any) -> Inexact[np.ndarray, "*batch m"]:
        """The same as `forward`."""
        return self.forward(x)

    def download(self) -> Any:
        """The model itself, here: ready to call, to train, to save. Needs the extra ``nn``."""
        return self._connection.run(
            models.download_model(self.name, self.version, self._connection.retries)
        )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model into a folder, from which `intertwine.nn.load` reads it."""
        path, retries = Path(folder), self._connection.retries
        self._connection.run(models.save_model(self.name, self.version, path, retries))

    def refresh(self) -> RemoteModel:
        """Look at it again: then `document` is whole, also of one that a list had."""
        asked = models.show_version(self.name, self.version, self._connection.retries)
        self.document = self._connection.run(asked)
        return self

    def provenance(self) -> Mapping[str, Any]:
        """The code, seeds, data and device that it comes from."""
        return self._known("provenance")

    def config(self) -> Mapping[str, Any]:
        """What it consists of, as `intertwine.nn.save` writes it."""
        return self._known("config")

    def versions(self) -> list[RemoteModel]:
        """All versions of it, the newest first."""
        found = self._connection.run(models.list_versions(self.name, self._connection.retries))
        return [RemoteModel(self._connection, document) for document in found]

    def delete(self) -> None:
        """Delete this version; its number is not given again."""
        self._connection.run(models.delete_model(self.name, self.version, self._connection.retries))

    def _known(self, name: str) -> Mapping[str, Any]:
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
        """f(x) for each vector of an array of shape (…, n), computed at the service."""
        return await self._connection.run(
            models.call_model(self.name, self.version, x, self._connection.retries)
        )

    async def __call__(self, x: Any) -> Inexact[np.ndarray, "*batch m"]:
        """The same as `forward`."""
        return await self.forward(x)

    async def download(self) -> Any:
        """The model itself, here: ready to call, to train, to save. Needs the extra ``nn``."""
        return await self._connection.run(
            models.download_model(self.name, self.version, self._connection.retries)
        )

    async def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model into a folder, from which `intertwine.nn.load` reads it."""
        path, retries = Path(folder), self._connection.retries
        await self._connection.run(models.save_model(self.name, self.version, path, retries))

    async def refresh(self) -> AsyncRemoteModel:
        """Look at it again: then `document` is whole, also of one that a list had."""
        asked = models.show_version(self.name, self.version, self._connection.retries)
        self.document = await self._connection.run(asked)
        return self

    async def provenance(self) -> Mapping[str, Any]:
        """The code, seeds, data and device that it comes from."""
        return await self._known("provenance")

    async def config(self) -> Mapping[str, Any]:
        """What it consists of, as `intertwine.nn.save` writes it."""
        return await self._known("config")

    async def versions(self) -> list[AsyncRemoteModel]:
        """All versions of it, the newest first."""
        asked = models.list_versions(self.name, self._connection.retries)
        found = await self._connection.run(asked)
        return [AsyncRemoteModel(self._connection, document) for document in found]

    async def delete(self) -> None:
        """Delete this version; its number is not given again."""
        await self._connection.run(
            models.delete_model(self.name, self.version, self._connection.retries)
        )

    async def _known(self, name: str) -> Mapping[str, Any]:
        if not self._is_whole:
            await self.refresh()
        found: Mapping[str, Any] = self.document[name]
        return found
