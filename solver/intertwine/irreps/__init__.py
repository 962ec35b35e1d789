"""Irreps of any group, a catalogue of them, and decompositions of other reps into them.

docs/how-it-works.md describes how they are found. `take_down` and `put_up` are earlier names of
`decomposition_store.load` and `decomposition_store.save`, kept for existing code.
"""

from intertwine.errors import SplitError
from intertwine.irreps.catalogue import Catalogue
from intertwine.irreps.character_tables import CharacterTable, character_table, describe_characters
from intertwine.irreps.coefficients import ClebschGordan, clebsch_gordan
from intertwine.irreps.decomposer import Decomposer, decomposer_of
from intertwine.irreps.decomposition import Decomposition, decompose
from intertwine.irreps.decomposition_store import load as take_down
from intertwine.irreps.decomposition_store import save as put_up
from intertwine.irreps.e3nn_coordinates import E3nnFrame, e3nn_frame
from intertwine.irreps.irrep import Irrep, in_straight_frame, irrep_named
from intertwine.irreps.reductivity import REDUCTIVE, Verdict, judge, verdict_of
from intertwine.irreps.root_systems import RootSystem, root_system
from intertwine.irreps.spherical_harmonics import SphericalHarmonics
from intertwine.irreps.weight_tables import WeightTable, describe_weights, weights

__all__ = [
    "REDUCTIVE",
    "Catalogue",
    "CharacterTable",
    "ClebschGordan",
    "Decomposer",
    "Decomposition",
    "E3nnFrame",
    "Irrep",
    "RootSystem",
    "SphericalHarmonics",
    "SplitError",
    "Verdict",
    "WeightTable",
    "character_table",
    "clebsch_gordan",
    "decompose",
    "decomposer_of",
    "describe_characters",
    "describe_weights",
    "e3nn_frame",
    "in_straight_frame",
    "irrep_named",
    "judge",
    "put_up",
    "root_system",
    "take_down",
    "verdict_of",
    "weights",
]
