"""Matrix groups, given by the generators of their base representation."""

from intertwine.groups.catalogue import (
    CATALOGUE,
    GL,
    O11,
    O13,
    SL,
    SO,
    SO13,
    SU,
    C,
    D,
    DkeR3,
    Lorentz,
    O,
    O2eR3,
    S,
    Scaling,
    SO2eR3,
    SO11p,
    SO13p,
    Sp,
    Trivial,
    U,
    Z,
    ZksZnxZn,
)
from intertwine.groups.cubes import Cube, RubiksCube
from intertwine.groups.description import describe_catalogue, describe_group
from intertwine.groups.document import (
    group_document,
    group_from_json,
    group_to_json,
    read_group,
)
from intertwine.groups.embedding import Embed
from intertwine.groups.generators import limited_entries
from intertwine.groups.group import Group
from intertwine.groups.product import DirectProduct
from intertwine.groups.refinement import Refinement
from intertwine.groups.rounding import Defect, require_exact
from intertwine.groups.text import parse_group

__all__ = [
    "CATALOGUE",
    "GL",
    "O11",
    "O13",
    "SL",
    "SO",
    "SO13",
    "SU",
    "C",
    "Cube",
    "D",
    "Defect",
    "DirectProduct",
    "DkeR3",
    "Embed",
    "Group",
    "Lorentz",
    "O",
    "O2eR3",
    "Refinement",
    "RubiksCube",
    "S",
    "SO2eR3",
    "SO11p",
    "SO13p",
    "Scaling",
    "Sp",
    "Trivial",
    "U",
    "Z",
    "ZksZnxZn",
    "describe_catalogue",
    "describe_group",
    "group_document",
    "group_from_json",
    "group_to_json",
    "limited_entries",
    "parse_group",
    "read_group",
    "require_exact",
]
