"""How bases are found: the methods, the chooser between them, and the check of every result."""

from intertwine.invariants.auto import METHODS
from intertwine.invariants.backends import BACKENDS
from intertwine.invariants.progress import Progress
from intertwine.invariants.solve import solve
from intertwine.invariants.tolerances import Tolerances

__all__ = ["BACKENDS", "METHODS", "Progress", "Tolerances", "solve"]
