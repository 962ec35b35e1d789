"""The evidence kept with a basis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from html import escape
from typing import Any

from intertwine.bases.storage import UNREADABLE
from intertwine.errors import FormatError

_TEXTS = ("method", "backend", "device", "version")
_COUNTS = ("size", "rank", "iterations")
_MEASURES = ("residual", "orthonormality", "seconds")
_YOUNGER = ("notes", "rank_bound", "kind", "tolerance", "kept_values", "dropped_values")
"""Fields that are younger than the format: older files have none."""
KINDS = ("exact", "approximate")
"""Whether the basis is of the invariants, or of what is nearly invariant."""


def _typed(value: Any, kind: type[Any]) -> Any:
    """The value as text, list, or number from zero on; an integer may stand for a float."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    if isinstance(value, int | float) and not 0 <= value < math.inf:
        raise ValueError(f"{value!r} is not finite, or below zero")
    return value


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.1e}" for value in values) or "none"


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(_typed(value, float) for value in _typed(values, list))


@dataclass(frozen=True)
class Certificate:
    """How a basis Q of shape (size, rank) was found, and how good it is.

    `residual` bounds the largest ‖CQ‖ over the constraints of all generators as they were given:
    dρ(A) for A scaled to spectral norm 1, and ρ(h) − 1 divided by max(1, ‖ρ(h)‖). `residuals`
    has the bound for each generator of each group (named by its digest). `orthonormality` bounds
    ‖QᴴQ − 1‖. `gap` is the smallest singular value that was taken for nonzero over the largest
    taken for zero; it is infinite where one of the two kinds does not occur, or where the method
    is exact. `iterations` counts the steps of iterative methods, `seconds` is wall time. `notes`
    say why a method that would have been faster was passed over. `rank_bound` is an upper bound
    on the rank in exact arithmetic, where one was asked for (`intertwine.exact.prove`).
    A certificate of the `kind` "approximate" is of a basis of what is invariant up to `tolerance`:
    `kept_values` are the largest singular values of the constraints (relative to their norm) that
    count as zero, `dropped_values` the smallest that do not, both ascending. Its `residual` is the
    largest kept value.
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
    residuals: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    parts: Mapping[str, Certificate] = field(default_factory=dict)
    version: str = ""
    notes: tuple[str, ...] = ()
    rank_bound: int | None = None
    kind: str = "exact"
    tolerance: float | None = None
    kept_values: tuple[float, ...] = ()
    dropped_values: tuple[float, ...] = ()

    @property
    def is_proven(self) -> bool:
        """Whether an exact bound says that there are no more invariants than were found."""
        return self.kind == "exact" and self.rank_bound == self.rank

    def to_json(self) -> dict[str, Any]:
        """The certificate as JSON values; an infinite gap is None."""
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
            "kind": self.kind,
            "tolerance": self.tolerance,
            "kept_values": list(self.kept_values),
            "dropped_values": list(self.dropped_values),
        }

    @classmethod
    def from_json(cls, document: Any) -> Certificate:
        """The certificate of `to_json`. Raises `FormatError` for anything else."""
        try:
            values = {f.name: document[f.name] for f in fields(cls) if f.name not in _YOUNGER}
            notes = _typed(document.get("notes", []), list)
            bound, tolerance = document.get("rank_bound"), document.get("tolerance")
            kind = document.get("kind", "exact")
            if kind not in KINDS or (kind == "approximate") != (tolerance is not None):
                raise ValueError(f"the kind {kind!r} with the tolerance {tolerance!r}")
            residuals = values["residuals"].items()
            return cls(
                **{name: _typed(values[name], str) for name in _TEXTS},
                **{name: _typed(values[name], int) for name in _COUNTS},
                **{name: _typed(values[name], float) for name in _MEASURES},
                gap=math.inf if values["gap"] is None else _typed(values["gap"], float),
                residuals={
                    group: tuple(_typed(value, float) for value in _typed(bounds, list))
                    for group, bounds in residuals
                },
                parts={name: cls.from_json(part) for name, part in values["parts"].items()},
                notes=tuple(_typed(note, str) for note in notes),
                rank_bound=None if bound is None else _typed(bound, int),
                kind=kind,
                tolerance=None if tolerance is None else _typed(tolerance, float),
                kept_values=_numbers(document.get("kept_values", [])),
                dropped_values=_numbers(document.get("dropped_values", [])),
            )
        except FormatError:
            raise
        except UNREADABLE as error:
            raise FormatError(f"this is no certificate of a basis: {error!r}") from error

    def __str__(self) -> str:
        return "\n".join(f"{name:<15} {value}" for name, value in self._rows())

    def _rows(self) -> list[tuple[str, str]]:
        gap = "infinite" if math.isinf(self.gap) else f"{self.gap:.1e}"
        bound = [] if self.rank_bound is None else [("rank at most", f"{self.rank_bound:,}")]
        approximate = (
            [
                ("kind", f"approximate, up to a tolerance of {self.tolerance:g}"),
                ("counted as zero", _listed(self.kept_values)),
                ("not so", _listed(self.dropped_values)),
            ]
            if self.kind == "approximate"
            else []
        )
        return [
            ("method", f"{self.method} on {self.backend} ({self.device})"),
            ("size × rank", f"{self.size:,} × {self.rank:,}"),
            *approximate,
            ("residual", f"{self.residual:.1e}"),
            ("orthonormality", f"{self.orthonormality:.1e}"),
            ("rank gap", gap),
            *bound,
            ("iterations", f"{self.iterations:,}"),
            ("seconds", f"{self.seconds:.3g}"),
            *(("note", note) for note in self.notes),
        ]

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in self._rows()
        )
        return f"<table>{cells}</table>"
