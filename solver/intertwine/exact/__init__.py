"""What floating point has no part in: bounds on ranks, exact bases, ranks from character theory."""

from intertwine.exact.basis import ExactBasis, certify, exact_basis
from intertwine.exact.characters import character_rank
from intertwine.exact.modular import RankBound, rank_bound
from intertwine.exact.proof import prove

__all__ = [
    "ExactBasis",
    "RankBound",
    "certify",
    "character_rank",
    "exact_basis",
    "prove",
    "rank_bound",
]
