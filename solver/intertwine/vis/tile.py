"""A part of a picture: some entries of a basis of matrices that has too many to see at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxtyping import Num

from intertwine.bases import Basis
from intertwine.errors import InvalidRep
from intertwine.vis.clusters import Clusters, orbit_labels
from intertwine.vis.palette import paint_clusters
from intertwine.vis.picture import (
    axes_of_size,
    require_drawable,
    require_matplotlib,
    separate_entries,
    write_minus,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ENTRIES = 100
"""The most rows and columns of a tile."""
_ENTRY = 0.15  # inches
_MARGIN = 0.7
_NARROWEST = 1.5
_TICKS = 8  # of an axis, at most


def draw_tile(
    Q: Basis | Clusters | Num[Any, "n r"],
    shape: tuple[int, int],
    row: int = 0,
    column: int = 0,
    *,
    size: int = 32,
    first: int = 0,
    title: str = "",
) -> Axes:
    """Draw at most `size` × `size` entries of a basis of matrices, from (row, column) on.

    Colours are those of `draw_maps` and `draw_invariants`, which draw all entries: entries of one
    colour are equal up to sign in every invariant. The axes show the numbers of rows and
    columns, from 0.

    `shape` is that of the whole matrix. `first` is the coordinate of its entry (0, 0): for a term
    of a sum, the total size of the terms before it (`term_matrices`). Q may be the `orbit_labels`
    of a basis, which makes many tiles of one basis cheap.

    Raises `InvalidRep` for entries outside of the matrix or a matrix outside of the basis,
    `TooLarge` above 4,000,000 coordinates, and `Unavailable` if Matplotlib is not installed.
    """
    coordinates = len(Q.labels) if isinstance(Q, Clusters) else Q.shape[0]
    last = first + shape[0] * shape[1]
    if not 0 <= first <= last <= coordinates:
        raise InvalidRep(
            f"a matrix of shape {shape} has the coordinates {first:,} to {last - 1:,}; the basis "
            f"has {coordinates:,}, numbered from 0"
        )
    rows, columns = _part("row", row, shape[0], size), _part("column", column, shape[1], size)
    require_drawable((coordinates, 1))
    require_matplotlib()
    clusters = Q if isinstance(Q, Clusters) else orbit_labels(Q)
    labels = clusters.labels[first:last].reshape(shape)[rows, columns]
    signs = clusters.signs[first:last].reshape(shape)[rows, columns]
    high, wide = labels.shape
    axes = axes_of_size(max(_ENTRY * wide + _MARGIN, _NARROWEST), _ENTRY * high + _MARGIN)
    axes.imshow(paint_clusters(labels, signs, clusters.number), aspect="equal")
    separate_entries(axes, labels.shape, _ENTRY)
    write_minus(axes, signs, _ENTRY)
    for axis, part in ((axes.xaxis, columns), (axes.yaxis, rows)):
        shown = range(part.start, part.stop)[:: -(-(part.stop - part.start) // _TICKS)]
        axis.set_ticks([number - part.start for number in shown], [f"{n:,}" for n in shown])
    axes.xaxis.tick_top()
    axes.set(title=title)
    axes.spines[:].set(linewidth=0.6, color="0.4")
    return axes


def _part(what: str, start: int, length: int, size: int) -> slice:
    if not (0 <= start < length and 0 < size <= MOST_ENTRIES):
        raise InvalidRep(
            f"there is no tile of {size} entries a side from {what} {start:,} on: the matrix has "
            f"{length:,} {what}s, numbered from 0, and tiles have at most {MOST_ENTRIES}"
        )
    return slice(start, min(start + size, length))
