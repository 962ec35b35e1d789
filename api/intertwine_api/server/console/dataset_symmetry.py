"""How a group acts on the samples of a dataset, as pages show it: canonical reps, and their fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from intertwine.errors import IntertwineError
from intertwine.groups import read_group
from intertwine.reps import Rep, canonical, read_rep
from intertwine.training.recipe.dataset_info import DatasetInfo
from intertwine.training.recipe.task_symmetry import TaskSymmetry

_LONGEST = 300  # characters of a text in a list that is parsed; longer ones are shown as given
_OWN = "own generators"


@dataclass(frozen=True)
class Symmetry:
    """Reps and group as texts, in canonical form; those that are not known are empty."""

    rep_in: str
    rep_out: str
    group: str


@dataclass(frozen=True)
class DescribedSymmetry:
    """What the page of a dataset says: the texts, the concrete reps, and in words whether they fit.

    A rep is None if it is not known, has no group, or cannot be read. `missing` has the names of
    what a training has to give besides.
    """

    texts: Symmetry
    rep_in: Rep | None
    rep_out: Rep | None
    missing: tuple[str, ...]
    fit: str


def listed_symmetry(info: DatasetInfo) -> Symmetry:
    """Return the texts for a list of datasets, where reading each group would take too long.

    Long reps, and reps of own generators, are as they were given.
    """
    if isinstance(info.group, Mapping):
        name = info.group.get("name")
        return Symmetry(info.rep_in or "", info.rep_out or "", str(name or _OWN))
    group = info.group or ""
    return Symmetry(_listed(info.rep_in or "", group), _listed(info.rep_out or "", group), group)


def _listed(text: str, group: str) -> str:
    if not text or len(text) + len(group) > _LONGEST:
        return text
    return _canonical(text, group)


@lru_cache(1024)
def _canonical(text: str, group: str) -> str:
    try:
        return str(canonical(read_rep(text, group or None)).rep)
    except IntertwineError:  # an earlier version could read it: the dataset's page says what fails
        return text


def describe_symmetry(info: DatasetInfo) -> DescribedSymmetry:
    """Return what the page of a dataset says of its group and reps."""
    try:
        group = "" if info.group is None else repr(read_group(info.group))
        rep_in, rep_out = _read(info.rep_in, info), _read(info.rep_out, info)
    except IntertwineError as error:
        given = info.group if isinstance(info.group, str) else _OWN if info.group else ""
        texts = Symmetry(info.rep_in or "", info.rep_out or "", given)
        return DescribedSymmetry(texts, None, None, (), _refusal(error))
    missing = [name for name, rep in (("rep_in", rep_in), ("rep_out", rep_out)) if rep is None]
    concrete_in, concrete_out = _concrete(rep_in), _concrete(rep_out)
    if info.group is None and None in (concrete_in, concrete_out):
        missing.append("group")
    fit = _fit(info) if not missing else f"Not known: a training has to give {_listing(missing)}."
    texts = Symmetry(_text(rep_in), _text(rep_out), group)
    return DescribedSymmetry(texts, concrete_in, concrete_out, tuple(missing), fit)


def _read(text: str | None, info: DatasetInfo) -> Rep | None:
    return None if text is None else read_rep(text, info.group)


def _concrete(rep: Rep | None) -> Rep | None:
    return rep if rep is not None and rep.is_concrete else None


def _text(rep: Rep | None) -> str:
    return "" if rep is None else str(canonical(rep).rep)


def _listing(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _fit(info: DatasetInfo) -> str:
    """Return whether a training can use the reps of a dataset, in words."""
    try:
        symmetry = TaskSymmetry.of(info.group, info.rep_in, info.rep_out)
        symmetry.require_fit(info, symmetry.loss_for(info, None))
    except IntertwineError as error:
        return _refusal(error)
    return "Yes: they have the sizes of the samples."


def _refusal(error: IntertwineError) -> str:
    return f"No: {str(error).partition(chr(10))[0]}"
