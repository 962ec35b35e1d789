"""The picture of a basis: which entries of an equivariant matrix are free, tied, or zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Inexact, Int, Num

from intertwine.bases import Basis
from intertwine.errors import InvalidRep, TooLarge, Unavailable
from intertwine.groups import Group
from intertwine.reps import Rep
from intertwine.reps.syntax import Sum, atoms, groups_of, is_a
from intertwine.vis.clusters import cluster_rows, project_random
from intertwine.vis.palette import paint_clusters, paint_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ENTRIES = 4_000_000
"""The largest number of entries of a matrix that can be drawn."""
_LONG_SIDE = 4.5  # inches
_SHORT_SIDE = 0.5
_MARGIN = 0.8
_SLIMMEST = 1 / 10  # matrices slimmer than this are drawn with oblong entries
_GRID_FROM = 0.1  # inches an entry needs for grid lines
_CHARACTER = 0.085, 0.17  # inches, its width and height
_LONGEST_NAME = 36
MOST_TERMS = 12
"""The most terms of a rep whose invariants are drawn side by side."""
_WIDEST = 9.0  # inches, all terms together
_LARGEST_ENTRY = 0.4  # inches
_BETWEEN = 0.25  # inches between two terms


def draw_maps(
    rep_in: Rep,
    rep_out: Rep,
    cluster: bool = True,
    *,
    title: bool | str = True,
    ax: Axes | None = None,
    G: Group | None = None,
    basis: Basis | None = None,
) -> Axes:
    """Draw the equivariant maps rep_in → rep_out, as a matrix of shape (dim rep_out, dim rep_in).

    With `cluster`, entries have the same colour exactly when they are equal up to sign in every
    equivariant matrix (see `orbit_labels`): for a group of permutations, each orbit has its own.
    Pale entries (with a minus if they are large enough) are the negatives of strong ones, and grey
    ones are always zero. Without `cluster`, the entries of one random equivariant matrix are drawn:
    blue is positive, vermilion negative (over ℂ the hue is the phase), and strength is magnitude.

    Lines separate the terms of the reps. G is the group of reps that are not concrete. `basis` is
    the basis of ``rep_in >> rep_out``, if you have it already; else it is solved for. This is
    EMLP's ``vis(repin, repout)`` (Finzi et al. 2021, figure 1), without its k-means.

    Returns a Matplotlib `Axes`: `ax`, or one on a figure of its own, which a notebook shows if it
    is the last value of a cell. The figure is ``ax.figure`` (``ax.figure.savefig("maps.png")``). It
    is not registered with pyplot: ``plt.show()`` does not show it, and it need not be closed. The
    same reps give the same picture.

    Raises `NotConcrete` for reps without a group, `TooLarge` for matrices of more than
    `MAX_ENTRIES`, `Unavailable` if Matplotlib is not installed, and the errors of a solve.
    """
    if G is not None:
        rep_in, rep_out = (rep if rep.is_concrete else rep(G) for rep in (rep_in, rep_out))
    shape = rep_out.size(), rep_in.size()
    require_drawable(shape)
    require_matplotlib()
    if basis is None:
        basis = (rep_in >> rep_out).equivariant_basis()
    name = _title(rep_in, rep_out, basis.rank) if title is True else title or ""
    axes = draw_basis(basis, shape, cluster, title=name, ax=ax)
    across, down = _inches_per_entry(axes, shape)
    _mark_terms(axes.xaxis, axes.axvline, rep_in, lambda name: len(name) * _CHARACTER[0] / across)
    _mark_terms(axes.yaxis, axes.axhline, rep_out, lambda name: _CHARACTER[1] / down)
    return axes


vis = draw_maps
"""EMLP's name."""


def draw_basis(
    Q: Basis | Num[Any, "n r"],
    shape: tuple[int, int],
    cluster: bool = True,
    *,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw any basis of matrices of this shape, given as (rows · columns, r), like `draw_maps`.

    Raises `InvalidRep` if the shape does not fit.
    """
    require_drawable(shape)
    require_matplotlib()
    if Q.shape[0] != shape[0] * shape[1]:
        raise InvalidRep(
            f"matrices of shape {shape} have {shape[0] * shape[1]:,} entries; the basis has "
            f"{Q.shape[0]:,} rows"
        )
    rows = project_random(Q)
    labels, signs = cluster_rows(rows)
    signs = signs.reshape(shape)
    if cluster:
        image = paint_clusters(labels.reshape(shape), signs)
    else:
        image = paint_values(_clearest(rows, labels).reshape(shape))
    axes = _new_axes(shape) if ax is None else ax
    axes.imshow(image, aspect="auto" if min(shape) < _SLIMMEST * max(shape) else "equal")
    axes.set(title=title, xticks=[], yticks=[])
    axes.spines[:].set(linewidth=0.6, color="0.4")
    entry = min(_inches_per_entry(axes, shape))
    if entry >= _GRID_FROM:
        separate_entries(axes, shape, entry)
        if cluster:
            write_minus(axes, signs, entry)
    return axes


@dataclass(frozen=True)
class TermMatrix:
    """A term of a rep as a matrix of `rows` × `columns` entries: equal terms are stacked.

    A tensor is a matrix whose rows are numbered by the first half of its indices, and whose columns
    are numbered by the others.
    """

    name: str
    rows: int
    columns: int


def term_matrices(rep: Rep) -> tuple[TermMatrix, ...]:
    """Return the shapes in which `draw_invariants` draws the terms of a concrete rep, in order."""
    return tuple(_as_matrix(term) for term in _terms(rep))


def _as_matrix(term: Rep) -> TermMatrix:
    copies, one = term.terms[0] if is_a(term, Sum) else (1, term)
    sizes = [atom.size() for atom in atoms(one)]
    columns = prod(sizes[(len(sizes) + 1) // 2 :]) if prod(sizes) == one.size() else 1
    return TermMatrix(str(term), copies * (one.size() // max(1, columns)), columns)


def draw_invariants(rep: Rep, basis: Basis | None = None, *, title: str = "") -> Figure:
    """Draw the invariants of a rep: its terms side by side, each as a matrix (`term_matrices`).

    As in `draw_maps`, coordinates have the same colour exactly when they are equal up to sign in
    every invariant, pale ones (with a minus) are the negatives of strong ones, and grey ones are
    always zero. `basis` is the basis of the rep, with rows in its order, if you have it already;
    else it is solved for.

    Returns a Matplotlib figure that is not registered with pyplot. Raises `TooLarge` for more than
    `MAX_ENTRIES` coordinates or 12 different terms, `InvalidRep` for a rep of size 0, `Unavailable`
    if Matplotlib is not installed, and the errors of a solve.
    """
    require_drawable((rep.size(), 1))
    terms = term_matrices(rep)
    if len(terms) > MOST_TERMS:
        raise TooLarge(
            f"{_shortened(str(rep))} has {len(terms)} terms side by side; at most {MOST_TERMS} "
            f"are drawn. Draw them one by one"
        )
    require_matplotlib()
    from matplotlib.figure import Figure

    labels, signs = cluster_rows(project_random(basis or rep.equivariant_basis()))
    colours = paint_clusters(labels[:, None], signs[:, None])
    columns, highest = sum(t.columns for t in terms), max(t.rows for t in terms)
    entry = min(_LARGEST_ENTRY, _WIDEST / columns, _LONG_SIDE / highest)
    widths = [
        max(entry * t.columns, len(_shortened(t.name)) * _CHARACTER[0] + _BETWEEN) for t in terms
    ]
    size = sum(widths) + _BETWEEN * len(terms), max(entry * highest, _SHORT_SIDE) + _MARGIN
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(terms), squeeze=False, width_ratios=widths)[0]
    at = 0
    for axes, term, width in zip(panels, terms, widths, strict=True):
        shape, part = (term.rows, term.columns), slice(at, at + term.rows * term.columns)
        at = part.stop
        axes.imshow(colours[part].reshape(*shape, 3), aspect="equal")
        # all panels have one scale
        axes.set(xlim=(-0.5, width / entry - 0.5), ylim=(highest - 0.5, -0.5), anchor="NW")
        axes.set_title(_shortened(term.name), loc="left", fontsize="medium")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if entry >= _GRID_FROM:
            separate_entries(axes, shape, entry)
            write_minus(axes, signs[part].reshape(shape), entry)
    if title:
        figure.suptitle(title)
    return figure


def require_drawable(shape: tuple[int, int]) -> None:
    """Raise `TooLarge` above `MAX_ENTRIES` entries, and `InvalidRep` without any."""
    entries = shape[0] * shape[1]
    if entries > MAX_ENTRIES:
        raise TooLarge(
            f"a matrix of shape {shape} has {entries:,} entries; at most {MAX_ENTRIES:,} are "
            f"drawn. Draw a smaller rep of the same kind, or parts of it"
        )
    if not entries:
        raise InvalidRep(f"a matrix of shape {shape} has no entries to draw")


def require_matplotlib() -> None:
    """Raise `Unavailable` if Matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise Unavailable(
            "pictures are drawn by Matplotlib, which is not installed: pip install "
            "'intertwine[vis]'"
        ) from error


def _clearest(
    rows: Inexact[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]
) -> Inexact[np.ndarray, " n"]:
    """Return the projected random vector whose magnitudes differ most clearly."""
    firsts = np.unique(labels, return_index=True)[1]
    gaps = np.diff(np.sort(np.abs(rows[firsts]), axis=0), axis=0)
    smallest = gaps.min(axis=0, initial=1.0) / np.abs(rows).max(axis=0, initial=1e-300)
    chosen: Inexact[np.ndarray, " n"] = rows[:, np.argmax(smallest)]
    return chosen


def _new_axes(shape: tuple[int, int]) -> Axes:
    """Return axes on a figure of their own, which a notebook shows as its picture."""
    height, width = (max(_SHORT_SIDE, _LONG_SIDE * side / max(shape)) + _MARGIN for side in shape)
    return axes_of_size(max(width, 3.0), height)


def axes_of_size(width: float, height: float) -> Axes:
    """Return axes on a figure of their own, of a size in inches, which a notebook shows."""
    from io import BytesIO

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")

    class Picture(Axes):
        def _repr_png_(self) -> bytes:
            data = BytesIO()
            figure.savefig(data, format="png", dpi=120, bbox_inches="tight")
            return data.getvalue()

    return figure.add_subplot(axes_class=Picture)


def _inches_per_entry(axes: Axes, shape: tuple[int, int]) -> tuple[float, float]:
    """Return the width and the height of an entry."""
    box = axes.get_window_extent()
    dpi = axes.figure.dpi
    wide, high = box.width / dpi / shape[1], box.height / dpi / shape[0]
    return (wide, high) if axes.get_aspect() == "auto" else (min(wide, high),) * 2


def separate_entries(axes: Axes, shape: tuple[int, int], entry: float) -> None:
    """Draw white lines between entries."""
    axes.set_xticks(np.arange(0.5, shape[1] - 1), minor=True)
    axes.set_yticks(np.arange(0.5, shape[0] - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=min(1.5, 4 * entry))
    axes.tick_params(which="minor", length=0)


def write_minus(axes: Axes, signs: Inexact[np.ndarray, "n m"], entry: float) -> None:
    """Write a minus in each entry that is the negative of the first of its cluster."""
    style: dict[str, Any] = {"ha": "center", "va": "center", "color": "0.25"}
    for row, column in np.argwhere(np.abs(signs + 1) < 1e-6):
        axes.text(column, row, "−", fontsize=min(14.0, 50 * entry), **style)


def _mark_terms(axis: Any, draw_line: Any, rep: Rep, room_for: Callable[[str], float]) -> None:
    """Draw a line where each term ends, and write its name in the middle if there is room."""
    at, centres, names = 0, [], []
    terms = list(_terms(rep))
    for term in terms:
        width, name = term.size(), _shortened(str(term))
        if at:
            draw_line(at - 0.5, color="0.15", linewidth=1.0)
        if width >= room_for(name) or len(terms) == 1:
            centres.append(at + (width - 1) / 2)
            names.append(name)
        at += width
    axis.set_ticks(centres, names)
    axis.set_tick_params(which="major", length=0)


def _terms(rep: Rep) -> Iterator[Rep]:
    """Yield the terms of a sum, equal neighbours together; any other rep as one term."""
    if is_a(rep, Sum):
        yield from (multiplicity * term for multiplicity, term in rep.terms)
    else:
        yield rep


def _title(rep_in: Rep, rep_out: Rep, rank: int) -> str:
    """Return a title such as ``V → V²: rank 1``, with the group if there is exactly one."""
    groups = dict.fromkeys((*groups_of(rep_in), *groups_of(rep_out)))
    over = f" over {_shortened(repr(next(iter(groups))))}" if len(groups) == 1 else ""
    return f"{_shortened(str(rep_in))} → {_shortened(str(rep_out))}{over}: rank {rank:,}"


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
