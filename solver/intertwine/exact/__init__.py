"""Exact arithmetic: bounds on ranks, exact bases, ranks from character theory."""

from intertwine.exact.basis import ExactBasis, certify, exact_basis
from intertwine.exact.characters import character_rank
from intertwine.exact.modular import RankBound, rank_bound
from intertwine.exact.proof import prove
from intertwine.reps.finite_characters import finite_rank

__all__ = [
    "ExactBasis",
    "RankBound",
    "certify",
    "character_rank",
    "exact_basis",
    "finite_rank",
    "prove",
    "rank_bound",
]
