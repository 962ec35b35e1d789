"""Irreps of any group: found, catalogued, and used to decompose every other rep (DESIGN §5.3)."""

from intertwine.irreps.catalogue import Catalogue
from intertwine.irreps.decomposer import Decomposer, decomposer_of
from intertwine.irreps.irrep import Irrep
from intertwine.irreps.reductivity import REDUCTIVE, Verdict, judge, verdict_of
from intertwine.irreps.splitting import SplitError

__all__ = [
    "REDUCTIVE",
    "Catalogue",
    "Decomposer",
    "Irrep",
    "SplitError",
    "Verdict",
    "decomposer_of",
    "judge",
    "verdict_of",
]
