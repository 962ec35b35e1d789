"""Irreps of any group: found, catalogued, and used to decompose every other rep (DESIGN §5.3)."""

from intertwine.irreps.catalogue import Catalogue
from intertwine.irreps.decomposer import Decomposer, decomposer_of
from intertwine.irreps.irrep import Irrep
from intertwine.irreps.splitting import SplitError

__all__ = ["Catalogue", "Decomposer", "Irrep", "SplitError", "decomposer_of"]
