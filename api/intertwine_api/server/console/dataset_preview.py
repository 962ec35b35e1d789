"""Previews of samples: the first rows of inputs and targets, and a summary of each column.

The file is mapped into memory, and only the shown columns of a bounded number of rows are read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from intertwine.reps import Rep, Sum
from intertwine.training.recipe.samples import Samples
from jaxtyping import Float, Shaped

from intertwine_api.storage.bucket import BucketError
from intertwine_api.storage.objects import Objects

_LOG = logging.getLogger("intertwine.service")
_ROWS = 10
_COLUMNS = 24
_MOST_ENTRIES = 10**6  # of the rows that are summarized, with the columns that are not shown


@dataclass(frozen=True)
class Term:
    """The columns of one term of a rep: its text, and the number of those that are shown."""

    rep: str
    columns: int


@dataclass(frozen=True)
class Preview:
    """The first rows and columns of X or Y as texts.

    `terms` is empty if the rep is unknown. `summary` has the name of a statistic and its value for
    each shown column, over the first `summarized` rows. `left_out` is the number of columns that
    are not shown.
    """

    name: str
    what: str
    terms: tuple[Term, ...]
    columns: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]
    summary: tuple[tuple[str, tuple[str, ...]], ...]
    summarized: int
    left_out: int


@dataclass(frozen=True)
class ShownSamples:
    """The previews of a dataset, or why there are none."""

    previews: tuple[Preview, ...] = ()
    why_missing: str = ""


def preview_samples(
    digest: str, rep_in: Rep | None, rep_out: Rep | None, objects: Objects
) -> ShownSamples:
    """Return the previews of the inputs and targets of a dataset, with its known concrete reps."""
    missing = "The samples are missing: an admin can look for them with intertwine admin verify."
    try:
        path = objects.path(digest)
        if path is None:
            return ShownSamples(why_missing=missing)
        samples = Samples.read(path)
    except BucketError as error:
        _LOG.warning("the samples of the dataset %s cannot be read: %s", digest, error)
        return ShownSamples(why_missing="The samples cannot be read now: the bucket fails.")
    except FileNotFoundError:  # deleted meanwhile
        return ShownSamples(why_missing=missing)
    return ShownSamples(
        (
            _preview("X", "Inputs", samples.X, rep_in),
            _preview("Y", "Targets", samples.Y.reshape(len(samples), -1), rep_out),
        )
    )


def _preview(name: str, what: str, array: Shaped[np.ndarray, "n d"], rep: Rep | None) -> Preview:
    rows, width = array.shape
    shown = min(width, _COLUMNS)
    summarized = min(rows, max(_ROWS, _MOST_ENTRIES // width))
    fits = rep is not None and rep.size() == width  # the rep of class labels has their scores
    return Preview(
        name=name,
        what=what,
        terms=tuple(_shown_terms(rep, shown)) if rep is not None and fits else (),
        columns=tuple(range(shown)),
        rows=tuple(tuple(map(_text, row)) for row in array[:_ROWS, :shown]),
        summary=tuple(_summary(array[:summarized, :shown])),
        summarized=summarized,
        left_out=width - shown,
    )


def _shown_terms(rep: Rep, columns: int) -> Iterator[Term]:
    """Yield the terms of a rep, each copy by itself, until they have as many columns."""
    for text, size in _copies(rep):
        if columns <= 0:
            return
        yield Term(text, min(size, columns))
        columns -= size


def _copies(rep: Rep) -> Iterator[tuple[str, int]]:
    """Yield the text and size of each term that is not empty; there can be billions of copies."""
    parts = rep.terms if isinstance(rep, Sum) else ((1, rep),)
    for multiplicity, term in parts:
        if term.size():
            yield from repeat((str(term), term.size()), multiplicity)


def _summary(array: Shaped[np.ndarray, "n d"]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the minimum, the mean and the maximum of each column."""
    # divided first: the sum of large numbers overflows, and their mean does not
    numbers: Float[np.ndarray, "n d"] = array / np.float64(len(array))
    yield "Minimum", tuple(map(_text, array.min(axis=0)))
    yield "Mean", tuple(map(_text, numbers.sum(axis=0)))
    yield "Maximum", tuple(map(_text, array.max(axis=0)))


def _text(value: np.generic) -> str:
    """Return a number with four digits, and a label in full."""
    return f"{value:.4g}" if isinstance(value, np.floating) else f"{value}"
