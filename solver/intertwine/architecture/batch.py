"""The axes of a batch, and the images of its vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Inexact

from intertwine.arrays import Array, converted


@dataclass(frozen=True)
class Batch:
    """The batch axes of x, which a layer computes on as a matrix with a vector per row. They are
    symbols in an exported program.

    `rounded_to` is the dtype that images are rounded to; None if they are computed in it.
    """

    axes: tuple[Any, ...]
    rounded_to: Any = None

    def images(self, found: Inexact[Array, "b ..."]) -> Inexact[Array, "..."]:
        """Return the images of all rows, in the shape of the batch."""
        rounded = found if self.rounded_to is None else converted(found, self.rounded_to)
        whole: Inexact[Array, "..."] = rounded.reshape(*self.axes, *rounded.shape[1:])
        return whole
