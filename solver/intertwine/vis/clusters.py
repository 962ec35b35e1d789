"""Clusters of the entries of invariants: rows of a basis that are equal up to sign."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Inexact, Int, Num

from intertwine.bases import Basis

CLUSTER_GAP = 1e-8
"""Magnitudes closer than this, relative to the largest, are equal."""
_PROJECTIONS = 4


class Clusters(NamedTuple):
    """The cluster of each of n coordinates, and its sign there.

    `labels` counts clusters from 0 in order of first appearance; −1 is a coordinate on which every
    invariant vanishes. `signs` is relative to the first of each cluster: ±1, or a phase e^{iθ} for
    complex bases, and 0 where the label is −1.
    """

    labels: Int[np.ndarray, " n"]
    signs: Inexact[np.ndarray, " n"]

    @property
    def number(self) -> int:
        """The number of clusters, not counting the label −1."""
        return int(self.labels.max(initial=-1)) + 1


def orbit_labels(Q: Basis | Num[Any, "n r"], *, seed: int = 0) -> Clusters:
    """Return the clusters of coordinates that are equal up to one sign in every vector of the span
    of Q.

    i and j are in one cluster when rows i and j of Q are equal up to a sign (a phase, over ℂ),
    which depends only on the span. For a group of permutations the clusters are its orbits; in
    general they overlap less neatly with a basis: δᵢⱼδₖₗ, δᵢₖδⱼₗ and δᵢₗδⱼₖ make four.

    Rows are compared by their products with a few fixed random vectors, with a tolerance of
    `CLUSTER_GAP`; Q is only applied to these, and not written out.
    """
    return cluster_rows(project_random(Q, seed))


def project_random(Q: Basis | Num[Any, "n r"], seed: int = 0) -> Inexact[np.ndarray, "n k"]:
    """Return P g = Q Qᴴ g for a few random g, scaled to a largest entry of 1. It depends only on
    the span of Q.
    """
    matrix: Any = Q if isinstance(Q, Basis) else np.asarray(Q)
    adjoint = Q.H if isinstance(Q, Basis) else matrix.conj().T
    vectors = random_vectors(matrix.shape[0], matrix.dtype, seed)
    found = np.asarray(matrix @ (adjoint @ vectors))
    scale = np.abs(found).max(initial=0.0)
    return found / scale if scale > 0 else found


def random_vectors(size: int, dtype: Any, seed: int = 0) -> Inexact[np.ndarray, "n k"]:
    """Return a few fixed random vectors to compare rows with; complex ones for complex rows, since
    real ones do not distinguish a row from its conjugate.
    """
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((size, _PROJECTIONS))
    if np.issubdtype(dtype, np.complexfloating):
        return vectors + 1j * rng.standard_normal(vectors.shape)
    return vectors


def cluster_rows(rows: Inexact[np.ndarray, "n k"]) -> Clusters:
    """Return the clusters of rows that are equal up to a sign; the largest entry is about 1.

    |xⱼ| does not depend on the sign, nor change faster than x: clusters are split at the gaps of
    one column of magnitudes after another.
    """
    magnitudes = np.abs(rows)
    labels = np.zeros(len(rows), dtype=np.int64)
    for column in magnitudes.T:
        labels = _split_at_gaps(labels, column)
    labels[magnitudes.max(axis=1, initial=0.0) <= CLUSTER_GAP] = -1
    labels, firsts = _by_first_appearance(labels)
    return Clusters(labels, _signs(rows, labels, firsts))


def _split_at_gaps(
    labels: Int[np.ndarray, " n"], values: Float[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """Return labels that divide each cluster where its sorted values leave a gap."""
    order = np.lexsort((values, labels))
    apart = (np.diff(labels[order]) != 0) | (np.diff(values[order]) > CLUSTER_GAP)
    result = np.empty_like(labels)
    result[order] = np.concatenate([np.zeros(min(1, len(labels)), int), np.cumsum(apart)])
    return result


def _by_first_appearance(
    labels: Int[np.ndarray, " n"],
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " c"]]:
    """Return labels from 0 on by first appearance, −1 kept, and where each first appears."""
    names, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    vanishing = int(len(names) > 0 and names[0] == -1)
    order = vanishing + np.argsort(first[vanishing:])
    renamed = np.full(len(names), -1)
    renamed[order] = np.arange(len(order))
    return renamed[inverse], first[order]


def _signs(
    rows: Inexact[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], firsts: Int[np.ndarray, " c"]
) -> Inexact[np.ndarray, " n"]:
    """Return the sign of each row relative to the first of its cluster: a normalised product."""
    signs = np.zeros(len(rows), dtype=rows.dtype)
    kept = labels >= 0
    products = np.sum(rows[kept] * rows[firsts[labels[kept]]].conj(), axis=1)
    signs[kept] = products / np.abs(products)
    return signs
