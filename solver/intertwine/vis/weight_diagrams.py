"""The picture of a rep's weights, for Lie algebras of rank at most two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from intertwine.errors import MethodNotApplicable
from intertwine.irreps import WeightTable, weights
from intertwine.reps import Rep
from intertwine.vis.picture import axes_of_size, require_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONG_SIDE, _SHORT_SIDE = 4.5, 1.2  # inches
_DOT, _LARGEST_DOT = 60.0, 500.0  # points², of a weight of multiplicity 1 and at most
_FLAT = 0.3  # the height of a picture of one dimension, of its width
_MOST_NUMBERS = 200  # weights whose multiplicities are written
_BLUE, _VERMILION = "#0072B2", "#D55E00"  # as in `draw_maps`


def draw_weights(rep: Rep | WeightTable, *, ax: Axes | None = None) -> Axes:
    """Draw the weights of a rep as dots in the plane, with their multiplicities above 1.

    The area of a dot grows with its multiplicity. Arrows from the origin are the simple roots. A
    charge has an axis of its own. The rank plus the number of charges is 1 or 2.

    Returns a Matplotlib `Axes`, as `draw_maps` does. Raises the errors of `weights`,
    `MethodNotApplicable` for a larger rank, and `Unavailable` if Matplotlib is not installed.
    """
    table = rep if isinstance(rep, WeightTable) else weights(rep)
    roots = table.roots
    size = roots.rank + roots.charges
    if size > 2:
        raise MethodNotApplicable(
            f"weights are drawn in one or two dimensions, and those of {roots.type} have {size}: "
            f"print the table instead"
        )
    require_matplotlib()
    places = _in_the_plane(table.positions)
    axes = _new_axes(places) if ax is None else ax
    counts = np.array(table.multiplicities, float)
    areas = np.minimum(_LARGEST_DOT, _DOT * np.sqrt(counts))
    axes.scatter(places[:, 0], places[:, 1], areas, color=_BLUE, zorder=3, linewidths=0)
    if len(places) <= _MOST_NUMBERS:
        for (x, y), count in zip(places.tolist(), table.multiplicities, strict=True):
            if count > 1:
                axes.annotate(f"{count:,}", (x, y), (5, 5), textcoords="offset points", zorder=4)
    for root in _in_the_plane(_simple_roots(table)):
        axes.annotate(
            "", root, (0, 0), arrowprops={"arrowstyle": "->", "color": _VERMILION, "shrinkA": 0}
        )
    axes.axhline(0, color="0.85", linewidth=0.8, zorder=1)
    if size == 2:
        axes.axvline(0, color="0.85", linewidth=0.8, zorder=1)
    title = f"{table.rep} over {roots.group!r}: {roots.type}"
    axes.set(title=title, xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(False)
    axes.margins(0.15)
    if size == 1:
        axes.set_ylim(*(_FLAT * np.abs(places).max(initial=1.0) * np.array([-1, 1])))
    return axes


def _simple_roots(table: WeightTable) -> Float[np.ndarray, "r p"]:
    roots = table.roots
    padded = np.pad(roots.simple_roots, ((0, 0), (0, roots.charges)))
    return WeightTable(table.rep, roots, padded, (1,) * roots.rank).positions


def _in_the_plane(places: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k 2"]:
    found: Float[np.ndarray, "k 2"] = np.pad(places, ((0, 0), (0, 2 - places.shape[1])))
    return found


def _new_axes(places: Float[np.ndarray, "k 2"]) -> Axes:
    spans = np.ptp(places, axis=0)
    largest = float(spans.max()) or 1.0
    width, height = (max(_SHORT_SIDE, _LONG_SIDE * float(span) / largest) for span in spans)
    return axes_of_size(max(width, 3.0), height)
