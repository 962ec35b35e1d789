"""Find bases: the methods, the choice between them, and the check of every result."""

from intertwine.invariants.auto import METHODS, require_known
from intertwine.invariants.backends import BACKENDS
from intertwine.invariants.by_approximation import require_tolerance
from intertwine.invariants.cost import Cost, estimate, estimate_decomposition
from intertwine.invariants.progress import Progress
from intertwine.invariants.solver import describe, in_order_of, solve
from intertwine.invariants.tolerances import Tolerances

__all__ = [
    "BACKENDS",
    "METHODS",
    "Cost",
    "Progress",
    "Tolerances",
    "describe",
    "estimate",
    "estimate_decomposition",
    "in_order_of",
    "require_known",
    "require_tolerance",
    "solve",
]
