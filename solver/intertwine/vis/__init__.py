"""Pictures of a basis, clusters of its entries that are equal up to sign, and a sparse form."""

from intertwine.vis.clusters import Clusters, orbit_labels
from intertwine.vis.picture import (
    TermMatrix,
    draw_basis,
    draw_invariants,
    draw_maps,
    term_matrices,
    vis,
)
from intertwine.vis.sparsity import sparsify_basis

__all__ = [
    "Clusters",
    "TermMatrix",
    "draw_basis",
    "draw_invariants",
    "draw_maps",
    "orbit_labels",
    "sparsify_basis",
    "term_matrices",
    "vis",
]
