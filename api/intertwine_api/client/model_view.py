"""What is known of a version of a model: shared by the synchronous and the asynchronous one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from intertwine_api.client.tables import html_table

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
