"""Irreps of any group: found, catalogued, and used to decompose every other rep.

How they are found is in docs/how-it-works.md.
"""

from intertwine.errors import SplitError
from intertwine.irreps.catalogue import Catalogue
from intertwine.irreps.decomposer import Decomposer, decomposer_of
from intertwine.irreps.decomposition import Decomposition, clebsch_gordan, decompose
from intertwine.irreps.irrep import Irrep, in_straight_frame
from intertwine.irreps.reductivity import REDUCTIVE, Verdict, judge, verdict_of
from intertwine.irreps.shelf import put_up, take_down

__all__ = [
    "REDUCTIVE",
    "Catalogue",
    "Decomposer",
    "Decomposition",
    "Irrep",
    "SplitError",
    "Verdict",
    "clebsch_gordan",
    "decompose",
    "decomposer_of",
    "in_straight_frame",
    "judge",
    "put_up",
    "take_down",
    "verdict_of",
]
