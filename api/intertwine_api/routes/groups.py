"""Groups: the catalogue, and what is known of each."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from intertwine.groups import describe_catalogue, describe_group, parse_group

from intertwine_api.problems import documented
from intertwine_api.schemas import GroupDescription, GroupSummary
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
