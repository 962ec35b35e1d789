"""A basis with an exact bound on its rank in its certificate."""

from __future__ import annotations

from dataclasses import replace

from intertwine.bases import Basis
from intertwine.errors import InvalidRep, SolveError
from intertwine.exact.modular import rank_bound
from intertwine.reps.syntax import Rep


def prove(rep: Rep, basis: Basis) -> Basis:
    """Return the basis with the upper bound on its rank from `rank_bound` in its certificate.

    Floating point shows that the columns are invariant and independent: the rank is at least r. The
    exact bound shows that it is at most r. Raises the errors of `rank_bound`, `SolveError` if the
    two contradict each other, and `InvalidRep` for a basis with constraints.
    """
    if basis.certificate.constraints:
        raise InvalidRep(
            "the exact bound is on all invariants, and this basis has further constraints: prove "
            "the basis without them"
        )
    bound = rank_bound(rep)
    if bound.bound < basis.rank:
        raise SolveError(
            f"{basis.rank} invariants of {rep!r} were found, but modulo {bound.prime} there are at "
            f"most {bound.bound}. Please report this"
        )
    certificate = replace(basis.certificate, rank_bound=bound.bound)
    return Basis(basis.storage, certificate, cached=basis.cached, of=rep)
