"""What a way of naming the irreps of a group provides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from intertwine.irreps.element_images import IrrepImages


@dataclass(frozen=True)
class Step:
    """The name of a smaller irrep whose product with V (or V*) contains an irrep."""

    smaller: str
    is_dual: bool = False


@runtime_checkable
class Scheme(Protocol):
    """A way of naming the irreps of one group."""

    example: str

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep; None if the scheme has none for it."""

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""

    def step(self, name: str) -> Step | None:
        """Return a step to this irrep from a smaller one; None if it is searched in all tensors."""
