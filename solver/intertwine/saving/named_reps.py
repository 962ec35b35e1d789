"""Custom reps in saved models: which rep a name stands for, and whether it is still the same.

A model's numbers are valid only with the reps for which it was made. A file therefore has the
projections of each named rep's generator images on fixed vectors, which differ between reps, but
only by rounding between machines.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import FormatError, IntertwineError
from intertwine.operators import dense
from intertwine.reps import Rep
from intertwine.reps.generator_images import images
from intertwine.reps.syntax import atoms

#: A custom rep, with or without its group, or its class.
Given = Rep | type[Rep]

_CLOSE = 1e-6
_GOLDEN = 0.6180339887498949


def stands_for(given: Given, rep: Rep) -> bool:
    """Return whether a model's rep is the one given, is that one over its group, or has the class
    given.
    """
    if isinstance(given, type):
        return type(rep) is given
    if given == rep:
        return True
    unbound = type(given) is type(rep) and not given.is_concrete and rep.G is not None
    return bool(unbound and given(rep.G) == rep)


def image_prints(rep: Rep) -> list[list[float]] | None:
    """Return the size of each atom and two projections of each generator's image; None without a
    group.
    """
    if not rep.is_concrete:
        return None
    found = []
    for atom in atoms(rep):
        known = images(atom)
        matrices = [np.asarray(dense(g)) for g in (*known.lie, *known.discrete)]
        prints = [number for matrix in matrices for number in _projections(matrix)]
        found.append([float(atom.size()), *prints])
    return found


def with_state(cls: type[Rep], state: Mapping[str, Any]) -> Rep:
    """Return a rep of a class with the saved attributes."""
    rep: Rep = cls.__new__(cls)
    rep.__dict__.update(state)
    return rep


def require_same(name: str, rep: Rep, saved: Sequence[Sequence[float]] | None) -> None:
    """Raise `FormatError` if the generator images of a rep differ from the saved ones."""
    if saved is None:
        return
    try:
        found = image_prints(rep)
    except IntertwineError as error:
        raise FormatError(f"the rep given as {name!r} cannot be used: {error}") from error
    if found is None:
        raise FormatError(f"the rep given as {name!r} has no group: give it over its group")
    if [atom[0] for atom in found] != [atom[0] for atom in saved]:
        raise FormatError(
            f"the rep given as {name!r} is not the one that was saved: its size is {rep.size()}, "
            f"that of the saved one {_size(saved)}. Were the names exchanged?"
        )
    for mine, theirs in zip(found, saved, strict=True):
        a, b = np.array(mine), np.array(theirs)
        if a.shape != b.shape or not np.all(np.abs(a - b) <= _CLOSE * (1 + np.abs(b).max())):
            raise FormatError(
                f"the rep given as {name!r} is not the one that was saved: {rep!r} maps the "
                f"generators to other matrices. Were the names exchanged?"
            )


def over(given: Rep, group: Any) -> Rep:
    """Return a rep that was given without its group over the saved group."""
    return given if given.is_concrete or group is None else copy.copy(given)(group)


def _size(saved: Sequence[Sequence[float]]) -> str:
    return " and ".join(f"{atom[0]:g}" for atom in saved)


def _projections(matrix: Inexact[np.ndarray, "n n"]) -> tuple[float, ...]:
    """Return uᵀMv for two fixed pairs of vectors, as real and imaginary parts."""
    n = len(matrix)
    steps = np.arange(1, n + 1)
    found: list[float] = []
    for k in (1, 2):
        left = np.cos(2 * np.pi * (steps * _GOLDEN * k % 1))
        right = np.cos(2 * np.pi * (steps**2 * _GOLDEN * (k + 2) % 1) + k)
        value = complex(left @ matrix @ right)
        found += [value.real, value.imag]
    return tuple(found)
