"""Routes of reps and groups: parse, decompose, describe."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from intertwine.groups import describe_catalogue, describe_group, parse_group
from intertwine.irreps import Irrep, describe_characters, describe_weights
from intertwine.reps import (
    Base,
    Dual,
    Functor,
    Rep,
    ScalarRep,
    Sum,
    Tensor,
    describe_rep,
    read_rep,
)
from intertwine.reps.generator_rep import GeneratorRep

from intertwine_api.server.access import BasesReader
from intertwine_api.server.problem_responses import PARSE_PROBLEMS, SOLVE_PROBLEMS, documented
from intertwine_api.server.service import TheService
from intertwine_api.wire.bases import (
    CharacterTableDocument,
    CovariantRequest,
    DecomposedRep,
    GroupDescription,
    GroupSummary,
    ParsedRep,
    PolynomialMapsDocument,
    PolynomialRequest,
    RepRequest,
    SeriesDocument,
    WeightTableDocument,
)

router = APIRouter(prefix="/v1")


@router.post(
    "/reps:parse",
    summary="Parse a rep",
    tags=["reps"],
    responses=documented(
        "syntax", "invalid-group", "invalid-rep", "too-large", "invalid-request", "malformed",
        "body-too-large",
    ),
)  # fmt: skip
async def parse_rep(asked: RepRequest, service: TheService, caller: BasesReader) -> ParsedRep:
    """Return the canonical form, size, LaTeX and syntax tree of a rep.

    A syntax error has its position.
    """
    return await service.work(caller, _parse, asked)


@router.post(
    "/reps:decompose",
    summary="Decompose a rep into irreps",
    tags=["reps"],
    responses=documented(*PARSE_PROBLEMS, *SOLVE_PROBLEMS),
)
async def decompose_rep(
    asked: RepRequest, service: TheService, caller: BasesReader, request: Request
) -> DecomposedRep:
    """Return the irreps in a rep of one reductive group, with their multiplicities."""
    document = asked.model_dump(exclude_none=True)
    return DecomposedRep(**await service.decompose(document, caller, request))


@router.post(
    "/reps:molien",
    summary="Count invariant polynomials",
    tags=["reps"],
    responses=documented(*PARSE_PROBLEMS, *SOLVE_PROBLEMS, "invalid-setting"),
)
async def count_polynomials(
    asked: CovariantRequest, service: TheService, caller: BasesReader, request: Request
) -> SeriesDocument:
    """Return the Hilbert series of a rep: how many invariant polynomials of each degree it has.

    With `rep_out`, it counts the equivariant polynomials with values in that rep.
    """
    document = asked.model_dump(exclude_none=True)
    found = await service.find_polynomials("molien", document, caller, request)
    return SeriesDocument(**found)


@router.post(
    "/reps:generators",
    summary="Find generators of the invariant polynomials",
    tags=["reps"],
    responses=documented(*PARSE_PROBLEMS, *SOLVE_PROBLEMS, "invalid-setting"),
)
async def find_generators(
    asked: PolynomialRequest, service: TheService, caller: BasesReader, request: Request
) -> PolynomialMapsDocument:
    """Return minimal generators of a rep's invariant polynomials up to a degree, as formulas."""
    document = asked.model_dump(exclude_none=True)
    found = await service.find_polynomials("generators", document, caller, request)
    return PolynomialMapsDocument(**found)


@router.post(
    "/reps:polynomials",
    summary="Find all equivariant polynomials",
    tags=["reps"],
    responses=documented(*PARSE_PROBLEMS, *SOLVE_PROBLEMS, "invalid-setting"),
)
async def find_polynomials(
    asked: CovariantRequest, service: TheService, caller: BasesReader, request: Request
) -> PolynomialMapsDocument:
    """Return a basis of the equivariant polynomials between two reps up to a degree, as formulas.

    Without `rep_out` they are the invariants.
    """
    document = asked.model_dump(exclude_none=True)
    found = await service.find_polynomials("polynomials", document, caller, request)
    return PolynomialMapsDocument(**found)


@router.post(
    "/reps:weights",
    summary="Get the weights of a rep",
    tags=["reps"],
    responses=documented(
        *PARSE_PROBLEMS, "method-not-applicable", "rounded-generators", "ambiguous-rank",
        "no-irreps",
    ),
)  # fmt: skip
async def get_weights(
    asked: RepRequest, service: TheService, caller: BasesReader
) -> WeightTableDocument:
    """Return the weights of a rep of one reductive Lie group, with their multiplicities."""
    return await service.work(caller, _weights, asked)


def _weights(asked: RepRequest) -> WeightTableDocument:
    return WeightTableDocument(**describe_weights(_read(asked)))


def _read(asked: RepRequest) -> Rep:
    group = (
        asked.group
        if isinstance(asked.group, str | None)
        else asked.group.model_dump(exclude_none=True)
    )
    return read_rep(asked.rep, group, asked.model_dump(exclude_none=True).get("reps"))


def _parse(asked: RepRequest) -> ParsedRep:
    rep = _read(asked)
    return ParsedRep(**describe_rep(rep), ast=_tree(rep))


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
    if isinstance(rep, Functor):
        return {"kind": "functor", "name": str(rep), "rep": _tree(rep.part)}
    if isinstance(rep, GeneratorRep):
        return {"kind": "generators", "name": str(rep), "group": repr(rep.G)}
    assert isinstance(rep, Base)
    return {"kind": "base", "group": None if rep.G is None else repr(rep.G)}


@router.get("/groups", summary="List the catalogue of groups", tags=["groups"])
def list_groups(service: TheService) -> list[GroupSummary]:
    """Return the groups of the catalogue, each as its text and a summary."""
    return [GroupSummary(**entry) for entry in describe_catalogue()]


@router.get(
    "/groups/{name}",
    summary="Get a group",
    tags=["groups"],
    responses=documented("syntax", "invalid-group", "too-large", "invalid-request"),
)
async def get_group(
    name: Annotated[str, Path(description="a text such as SO(3)", examples=["SO(3)"])],
    service: TheService,
    caller: BasesReader,
) -> GroupDescription:
    """Return the size, generators and kind of a group."""
    return await service.work(caller, _describe, name)


def _describe(name: str) -> GroupDescription:
    return GroupDescription(**describe_group(parse_group(name)))


@router.get(
    "/groups/{name}/irreps",
    summary="List irreps of a group",
    tags=["groups"],
    responses=documented(*PARSE_PROBLEMS, *SOLVE_PROBLEMS),
)
async def list_irreps(
    name: Annotated[str, Path(description="a text such as SO(3)", examples=["SO(3)"])],
    service: TheService,
    caller: BasesReader,
    request: Request,
    power: Annotated[int, Query(ge=1, le=6, description="the largest number of factors")] = 2,
) -> DecomposedRep:
    """Return the irreps in all tensors T(p, q) with p + q up to `power`, with multiplicities."""
    tensors = [f"T({p},{total - p})" for total in range(power + 1) for p in range(total + 1)]
    document = {"rep": "+".join(tensors), "group": name}
    return DecomposedRep(**await service.decompose(document, caller, request))


@router.get(
    "/groups/{name}/characters",
    summary="Get a character table",
    tags=["groups"],
    responses=documented(
        "syntax", "invalid-group", "too-large", "method-not-applicable", "invalid-request",
        "rounded-generators", "no-irreps",
    ),
)  # fmt: skip
async def get_characters(
    name: Annotated[str, Path(description="a text such as S(4)", examples=["S(4)"])],
    service: TheService,
    caller: BasesReader,
) -> CharacterTableDocument:
    """Return the character table of a finite group with at most 4,000 elements and 100 classes."""
    return await service.work(caller, _characters, name)


def _characters(name: str) -> CharacterTableDocument:
    return CharacterTableDocument(**describe_characters(parse_group(name)))
