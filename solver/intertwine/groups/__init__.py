"""Matrix groups, given by the generators of their base representation."""

from typing import Any

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
from intertwine.groups.description import describe_catalogue, describe_group, group_order
from intertwine.groups.document import (
    group_document,
    group_from_json,
    group_to_json,
    read_group,
)
from intertwine.groups.embedding import Embed
from intertwine.groups.finite_groups import (
    Q8,
    A,
    BinaryIcosahedral,
    BinaryOctahedral,
    BinaryTetrahedral,
    Clifford,
    Dic,
    Hyperoctahedral,
    Klein,
    Pauli,
)
from intertwine.groups.generators import limited_entries
from intertwine.groups.group import Group
from intertwine.groups.lie_groups import G2, SE, E, Galilei, Heisenberg, Poincare, Spin
from intertwine.groups.lie_structure import LieAlgebra, lie_algebra
from intertwine.groups.magnetic_groups import MAGNETIC_CLASSES, MagneticPointGroup
from intertwine.groups.noise import noise2sample, noise2samples
from intertwine.groups.point_groups import (
    CRYSTAL_CLASSES,
    CrystalClass,
    Icosahedral,
    Octahedral,
    PointGroup,
    Tetrahedral,
)
from intertwine.groups.product import DirectProduct
from intertwine.groups.refinement import Refinement
from intertwine.groups.rounding import Defect, require_exact
from intertwine.groups.semidirect import SemidirectProduct, WreathProduct
from intertwine.groups.text import parse_group

__all__ = [
    "CATALOGUE",
    "CRYSTAL_CLASSES",
    "G2",
    "GL",
    "MAGNETIC_CLASSES",
    "O11",
    "O13",
    "Q8",
    "SE",
    "SL",
    "SO",
    "SO13",
    "SU",
    "A",
    "BinaryIcosahedral",
    "BinaryOctahedral",
    "BinaryTetrahedral",
    "C",
    "Clifford",
    "CrystalClass",
    "Cube",
    "D",
    "Defect",
    "Dic",
    "DirectProduct",
    "DkeR3",
    "E",
    "Embed",
    "Galilei",
    "Group",
    "Heisenberg",
    "Hyperoctahedral",
    "Icosahedral",
    "Klein",
    "LieAlgebra",
    "Lorentz",
    "MagneticPointGroup",
    "O",
    "O2eR3",
    "Octahedral",
    "Pauli",
    "Poincare",
    "PointGroup",
    "Refinement",
    "RubiksCube",
    "S",
    "SO2eR3",
    "SO11p",
    "SO13p",
    "Scaling",
    "SemidirectProduct",
    "Sp",
    "Spin",
    "Tetrahedral",
    "Trivial",
    "U",
    "WreathProduct",
    "Z",
    "ZksZnxZn",
    "describe_catalogue",
    "describe_group",
    "group_document",
    "group_from_json",
    "group_order",
    "group_to_json",
    "lie_algebra",
    "limited_entries",
    "noise2sample",
    "noise2samples",
    "parse_group",
    "read_group",
    "require_exact",
]


def __getattr__(name: str) -> Any:
    """Load `rel_err`, which EMLP has among its groups, from a package above this one."""
    if name == "rel_err":
        from intertwine.verify import rel_err

        return rel_err
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
