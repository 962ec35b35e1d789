"""Groups: the catalogue, and what is known of each."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from intertwine.groups import describe_catalogue, describe_group, parse_group

from intertwine_api.problems import READING, SOLVING, documented
from intertwine_api.schemas import DecomposedRep, GroupDescription, GroupSummary
from intertwine_api.service import TheService

router = APIRouter(prefix="/v1", tags=["groups"])


@router.get(
    "/groups",
    summary="The catalogue of groups",
    operation_id="list_groups",
    response_model=list[GroupSummary],
)
def list_groups(service: TheService) -> list[GroupSummary]:
    """Each group of the catalogue, as it is written, with its summary."""
    return [GroupSummary(**entry) for entry in describe_catalogue()]


@router.get(
    "/groups/{name}",
    summary="What is known of a group",
    operation_id="get_group",
    response_model=GroupDescription,
    responses=documented("syntax", "invalid-group", "too-large", "invalid-request"),
)
def get_group(
    name: Annotated[str, Path(description="a text such as SO(3)", examples=["SO(3)"])],
    service: TheService,
) -> GroupDescription:
    """The group's size, generators and kind."""
    return GroupDescription(**describe_group(parse_group(name)))


@router.get(
    "/groups/{name}/irreps",
    summary="A group's irreps in its small tensors",
    operation_id="list_irreps",
    response_model=DecomposedRep,
    responses=documented(*READING, *SOLVING),
)
async def list_irreps(
    name: Annotated[str, Path(description="a text such as SO(3)", examples=["SO(3)"])],
    service: TheService,
    power: Annotated[int, Query(ge=1, le=6, description="the most factors of a tensor")] = 2,
) -> DecomposedRep:
    """The irreps in all T(p, q) with p + q up to `power`, and how often they occur there."""
    tensors = [f"T({p},{total - p})" for total in range(power + 1) for p in range(total + 1)]
    return DecomposedRep(**await service.decompose({"rep": "+".join(tensors), "group": name}))
