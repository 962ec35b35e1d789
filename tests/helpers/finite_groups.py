"""Finite groups by their elements, whose ranks are means of characters."""

from __future__ import annotations

from functools import cache
from math import prod

import numpy as np


def reflections(*cosines: float) -> list[np.ndarray]:
    """The simple reflections of the Coxeter group of a chain of angles, in a straight frame."""
    n = len(cosines) + 1
    gram = np.eye(n) - np.diag(cosines, 1) - np.diag(cosines, -1)
    roots = np.linalg.cholesky(gram)
    return [np.eye(n) - 2 * np.outer(r, r) / (r @ r) for r in roots]


def elements_of(generators: list[np.ndarray]) -> list[np.ndarray]:
    """All elements of a small finite group, by products."""
    found = [np.eye(len(generators[0]))]
    for e in found:
        for g in generators:
            if all(np.abs(g @ e - f).max() > 1e-6 for f in found):
                found.append(g @ e)
    return found


def rank_by_characters(elements: list[np.ndarray], p: int, q: int = 0) -> int:
    """The mean of χ^p χ̄^q."""
    traces = np.array([np.trace(e) for e in elements])
    mean = np.mean(traces**p * traces.conj() ** q)
    assert abs(mean - round(mean.real)) < 1e-6
    return round(mean.real)


@cache
def small_groups() -> dict[str, list[np.ndarray]]:
    """Elements of groups of rotations and reflections, of orders 6 to 120."""
    half, fifth, quarter = 0.5, np.cos(np.pi / 5), np.cos(np.pi / 4)
    chains = {"A3": (half, half), "B3": (half, quarter), "H3": (fifth, half), "A2": (half,)}
    groups = {name: elements_of(reflections(*cosines)) for name, cosines in chains.items()}
    rotations = {
        f"{name} rotations": [e for e in elements if np.linalg.det(e) > 0]
        for name, elements in groups.items()
    }
    return {**groups, **rotations}


def generates(elements: list[np.ndarray], order: int) -> bool:
    """Whether some elements generate a group of that order."""
    return len(elements_of(elements)) == order


def size(d: int, p: int, q: int) -> int:
    """The size of T(p, q)."""
    return prod([d] * (p + q))
