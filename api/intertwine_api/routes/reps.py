"""Reps: what a text means."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from intertwine.irreps import Irrep
from intertwine.reps import Base, Dual, Rep, ScalarRep, Sum, Tensor, canonical, dimension, latex

from intertwine_api.asking import read_rep
from intertwine_api.problems import READING, SOLVING, documented
from intertwine_api.schemas import DecomposedRep, ParsedRep, RepRequest
from intertwine_api.service import TheService

router = APIRouter(prefix="/v1", tags=["reps"])


@router.post(
    "/reps:parse",
    summary="Read a rep's text",
    operation_id="parse_rep",
    response_model=ParsedRep,
    responses=documented(
        "syntax", "invalid-group", "invalid-rep", "too-large", "invalid-request", "malformed",
        "body-too-large",
    ),
)  # fmt: skip
async def parse_rep(asked: RepRequest, service: TheService) -> ParsedRep:
    """The rep's canonical form, size, LaTeX and syntax tree; for an error, where it is."""
    return await service.work(_parse, asked)


@router.post(
    "/reps:decompose",
    summary="Decompose a rep into irreps",
    operation_id="decompose_rep",
    response_model=DecomposedRep,
    responses=documented(*READING, *SOLVING),
)
async def decompose_rep(asked: RepRequest, service: TheService) -> DecomposedRep:
    """The irreps of a rep of one reductive group, with their multiplicities."""
    return DecomposedRep(**await service.decompose(asked.model_dump(exclude_none=True)))


def _parse(asked: RepRequest) -> ParsedRep:
    group = (
        asked.group
        if isinstance(asked.group, str | None)
        else asked.group.model_dump(exclude_none=True)
    )
    rep = read_rep(asked.rep, group)
    return ParsedRep(
        rep=str(rep),
        canonical=str(canonical(rep).rep),
        group=None if rep.G is None else repr(rep.G),
        size=rep.size() if rep.is_concrete else None,
        dimension=str(dimension(rep)),
        latex=latex(rep),
        ast=_tree(rep),
    )


def _tree(rep: Rep) -> dict[str, Any]:
    if isinstance(rep, Sum):
        terms = [{"multiplicity": m, "rep": _tree(part)} for m, part in rep.terms]
        return {"kind": "sum", "terms": terms}
    if isinstance(rep, Tensor):
        return {"kind": "tensor", "factors": [_tree(factor) for factor in rep.factors]}
    if isinstance(rep, Dual):
        return {"kind": "dual", "rep": _tree(rep.rep)}
    if isinstance(rep, ScalarRep):
        return {"kind": "scalar"}
    if isinstance(rep, Irrep):
        return {"kind": "irrep", "name": rep.name, "group": None if rep.G is None else repr(rep.G)}
    assert isinstance(rep, Base)
    return {"kind": "base", "group": None if rep.G is None else repr(rep.G)}
