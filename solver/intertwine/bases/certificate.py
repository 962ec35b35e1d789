"""The certificate of a basis: the evidence for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from intertwine.bases.storage import UNREADABLE
from intertwine.errors import FormatError
from intertwine.notebook import html_table

_TEXTS = ("method", "backend", "device", "version")
_COUNTS = ("size", "rank", "iterations")
_MEASURES = ("residual", "orthonormality", "seconds")
_YOUNGER = (
    "notes",
    "rank_bound",
    "solver",
    "constraints",
)  # than the format: older files lack these

SOLVER_VERSION = 2
"""The version of the solver's results. Bases of older versions are not trusted, but solved again:
version 1 sometimes took sums of irreps for irreps, and small violations for zero."""


def _typed(value: Any, kind: type[Any]) -> Any:
    """Check that a value is a text, a list, or a number from zero on, and return it; integers are
    valid floats."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    if isinstance(value, int | float) and not 0 <= value < math.inf:
        raise ValueError(f"{value!r} is not finite and at least zero")
    return value


@dataclass(frozen=True)
class Certificate:
    """How a basis Q of shape (size, rank) was found, and how good it is.

    `residual` bounds the largest ‖CQ‖ over the constraints of all generators as given:
    dρ(A) for A scaled to spectral norm 1, and ρ(h) − 1 divided by max(1, ‖ρ(h)‖). `residuals`
    has the bound for each generator of each group (named by its digest). `orthonormality` bounds
    ‖QᴴQ − 1‖. `gap` is the smallest singular value taken for nonzero over the largest taken
    for zero; it is infinite if one of the two kinds does not occur, or if the method is exact.
    `iterations` counts the steps of iterative methods, `seconds` is wall time. `notes` say why a
    faster method was not used. `rank_bound` is an upper bound on the rank in exact arithmetic, if
    one was requested (`intertwine.exact.prove`). `solver` is the version of the solver's results.
    `constraints` bounds ‖CQ‖/‖C‖ for each further constraint Cv = 0 that was given.
    An assembled basis names the different methods of its parts, which have certificates too.
    """

    method: str
    backend: str
    device: str
    size: int
    rank: int
    residual: float
    orthonormality: float
    gap: float
    iterations: int
    seconds: float
    kind: ClassVar[str] = "exact"
    residuals: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    parts: Mapping[str, Certificate] = field(default_factory=dict)
    version: str = ""
    notes: tuple[str, ...] = ()
    rank_bound: int | None = None
    solver: int = SOLVER_VERSION
    constraints: tuple[float, ...] = ()

    @property
    def is_proven(self) -> bool:
        """Whether an exact bound proves that there are no more invariants."""
        return self.rank_bound == self.rank

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON values; an infinite gap is None."""
        return {
            "method": self.method,
            "backend": self.backend,
            "device": self.device,
            "size": self.size,
            "rank": self.rank,
            "residual": self.residual,
            "orthonormality": self.orthonormality,
            "gap": None if math.isinf(self.gap) else self.gap,
            "iterations": self.iterations,
            "seconds": self.seconds,
            "residuals": {group: list(values) for group, values in self.residuals.items()},
            "parts": {name: part.to_json() for name, part in self.parts.items()},
            "version": self.version,
            "notes": list(self.notes),
            "rank_bound": self.rank_bound,
            "solver": self.solver,
            "constraints": list(self.constraints),
        }

    @staticmethod
    def from_json(document: Any) -> Certificate:
        """Read a certificate from `to_json`, of either kind. Raises `FormatError` for anything
        else.
        """
        try:
            kind = document.get("kind", "exact")
            if kind == ApproximateCertificate.kind:
                return ApproximateCertificate.of(
                    Certificate.from_json({k: v for k, v in document.items() if k != "kind"}),
                    _typed(document["tolerance"], float),
                    _numbers(document["kept_values"]),
                    _numbers(document["dropped_values"]),
                )
            if kind != "exact":
                raise ValueError(f"{kind!r} is not a kind of certificate")
            names = [f.name for f in fields(Certificate)]
            values = {name: document[name] for name in names if name not in _YOUNGER}
            notes = _typed(document.get("notes", []), list)
            bound = document.get("rank_bound")
            residuals = values["residuals"].items()
            return Certificate(
                **{name: _typed(values[name], str) for name in _TEXTS},
                **{name: _typed(values[name], int) for name in _COUNTS},
                **{name: _typed(values[name], float) for name in _MEASURES},
                gap=math.inf if values["gap"] is None else _typed(values["gap"], float),
                residuals={
                    group: tuple(_typed(value, float) for value in _typed(bounds, list))
                    for group, bounds in residuals
                },
                parts={name: Certificate.from_json(part) for name, part in values["parts"].items()},
                notes=tuple(_typed(note, str) for note in notes),
                rank_bound=None if bound is None else _typed(bound, int),
                solver=_typed(document.get("solver", 1), int),
                constraints=_numbers(document.get("constraints", [])),
            )
        except FormatError:
            raise
        except UNREADABLE as error:
            raise FormatError(f"this is not a certificate of a basis: {error!r}") from error

    def __str__(self) -> str:
        return "\n".join(f"{name:<15} {value}" for name, value in self._rows())

    def _rows(self) -> list[tuple[str, str]]:
        gap = "infinite" if math.isinf(self.gap) else f"{self.gap:.1e}"
        bound = [] if self.rank_bound is None else [("rank at most", f"{self.rank_bound:,}")]
        return [
            ("method", f"{self.method} on {self.backend} ({self.device})"),
            ("size × rank", f"{self.size:,} × {self.rank:,}"),
            ("residual", f"{self.residual:.1e}"),
            ("orthonormality", f"{self.orthonormality:.1e}"),
            ("rank gap", gap),
            *bound,
            *([("constraints", f"{max(self.constraints):.1e}")] if self.constraints else []),
            ("iterations", f"{self.iterations:,}"),
            ("seconds", f"{self.seconds:.3g}"),
            *(("note", note) for note in self.notes),
        ]

    def _repr_html_(self) -> str:
        return html_table(self._rows())


@dataclass(frozen=True)
class ApproximateCertificate(Certificate):
    """The certificate of a basis of invariants up to a relative `tolerance`.

    `kept_values` are the largest singular values of the constraints, relative to their norm, that
    count as zero, `dropped_values` the smallest that do not, both ascending. `residual` is the
    largest kept value; `residuals` are the bounds on ‖CQ‖ for each generator.
    """

    kind: ClassVar[str] = "approximate"
    tolerance: float = 0.0
    kept_values: tuple[float, ...] = ()
    dropped_values: tuple[float, ...] = ()

    @classmethod
    def of(
        cls,
        certificate: Certificate,
        tolerance: float,
        kept: tuple[float, ...],
        dropped: tuple[float, ...],
    ) -> ApproximateCertificate:
        """Extend a certificate by the tolerance and the singular values around the cut."""
        common = {f.name: getattr(certificate, f.name) for f in fields(Certificate)}
        return cls(**common, tolerance=tolerance, kept_values=kept, dropped_values=dropped)

    @property
    def is_proven(self) -> bool:
        """An approximate basis has no exact bound."""
        return False

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON values."""
        return {
            **super().to_json(),
            "kind": self.kind,
            "tolerance": self.tolerance,
            "kept_values": list(self.kept_values),
            "dropped_values": list(self.dropped_values),
        }

    def _rows(self) -> list[tuple[str, str]]:
        return [
            ("kind", f"approximate, up to a tolerance of {self.tolerance:g}"),
            *super()._rows(),
            ("counts as zero", _listed(self.kept_values)),
            ("does not", _listed(self.dropped_values)),
        ]


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(_typed(value, float) for value in _typed(values, list))


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.1e}" for value in values) or "none"
