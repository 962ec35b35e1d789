"""The axes of a batch, and the images of its vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Inexact

from intertwine.arrays import Array, converted


@dataclass(frozen=True)
class Batch:
    """The batch axes of x, from which a layer makes a matrix with a vector per row. In an exported
    program their sizes are symbols.

    `rounded_to` is the dtype to which images are rounded; None if they are not rounded.
    """

    axes: tuple[Any, ...]
    rounded_to: Any = None

    def images(self, found: Inexact[Array, "b ..."]) -> Inexact[Array, "..."]:
        """Return the images of all rows, in the shape of the batch."""
        rounded = found if self.rounded_to is None else converted(found, self.rounded_to)
        whole: Inexact[Array, "..."] = rounded.reshape(*self.axes, *rounded.shape[1:])
        return whole
