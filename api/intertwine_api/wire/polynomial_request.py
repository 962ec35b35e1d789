"""Parse requests for Hilbert series and polynomial maps, estimate their cost, and compute them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from intertwine.errors import NotConcrete
from intertwine.groups import require_exact
from intertwine.invariants import Cost
from intertwine.polynomials import (
    describe_maps,
    describe_series,
    generators,
    molien,
    polynomial_basis,
)
from intertwine.polynomials.cost import estimate_maps, estimate_series
from intertwine.reps import Rep, Scalar, basis_key, read_rep
from intertwine.reps.syntax import atoms

from intertwine_api.wire.basis_request import POLYNOMIALS, ParsedRequest

#: What is asked: a Hilbert series, generators of the invariants, or all equivariant polynomials.
PolynomialTask = Literal["molien", "generators", "polynomials"]


def parse_polynomials(
    task: PolynomialTask, document: Mapping[str, Any]
) -> tuple[ParsedRequest, Cost]:
    """Parse ``{rep, rep_out?, group?, degree}`` for a worker, and estimate its cost.

    Raises the library's errors for invalid reps, groups and degrees, and for too many monomials.
    """
    rep, rep_out = _reps(document)
    degree = document["degree"]
    estimate = estimate_series if task == "molien" else estimate_maps
    cost = estimate(rep, degree, rep_out)
    # equal reps may print differently, and the answer has their texts
    key = f"{task} {degree} {basis_key(rep)} {basis_key(rep_out)} {rep} {rep_out}"
    whole = json.dumps({**document, "polynomials": task}, sort_keys=True)
    request = ParsedRequest(
        key=POLYNOMIALS + key,
        rep=rep,
        canonical=rep,
        method="auto",
        backend="auto",
        tolerance=None,
        task=whole,
    )
    return request, cost


def find_polynomials(task: PolynomialTask, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of the answer. Raises the library's errors."""
    rep, rep_out = _reps(document)
    degree = document["degree"]
    if task == "molien":
        return describe_series(molien(rep, degree, rep_out), rep, rep_out)
    if task == "generators":
        return describe_maps(generators(rep, degree))
    return describe_maps(polynomial_basis(rep, rep_out, degree))


def _reps(document: Mapping[str, Any]) -> tuple[Rep, Rep]:
    group = document.get("group")
    reps = document.get("reps")
    rep = read_rep(document["rep"], group, reps)
    text = document.get("rep_out")
    rep_out = Scalar if text is None else read_rep(text, group, reps)
    for each in (rep, rep_out):
        if not each.is_concrete:
            raise NotConcrete(f"{each} has no group: give one, or write it in the text: V(SO(3))")
        for atom in atoms(each):
            require_exact(atom.G)
    return rep, rep_out
