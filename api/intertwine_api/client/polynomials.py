"""Hilbert series and polynomial maps that the service finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intertwine.errors import FormatError, InvalidRep

from intertwine_api.client.connection import Session
from intertwine_api.client.messages import HttpResponse, Schema, json_request
from intertwine_api.client.retries import send
from intertwine_api.wire.wire_format import SentRep, over_group_of

if TYPE_CHECKING:
    from intertwine.groups import Group
    from intertwine.polynomials import HilbertSeries, PolynomialMaps
    from intertwine.reps import Rep

    #: A rep or its text, and a group, its text or its generators.
    SomeRep = str | Rep
    SomeGroup = str | Group | Mapping[str, Any] | None

_WAIT = 60  # seconds that the service may hold a request, by default


async def count_polynomials(
    session: Session, rep: SomeRep, degree: int, rep_out: SomeRep | None, group: SomeGroup
) -> HilbertSeries:
    """Return the Hilbert series of a rep, computed by the service."""
    from intertwine.polynomials.description import series_from

    inner, outer = _sent(rep, rep_out, group)
    response = await _ask(session, "molien", inner, outer, degree, Schema.SERIES)
    with response.decoding():
        return series_from(response.document)


async def find_generators(
    session: Session, rep: SomeRep, degree: int, group: SomeGroup
) -> PolynomialMaps:
    """Return generators of the invariant polynomials of a rep, found at the service."""
    inner, _ = _sent(rep, None, group)
    response = await _ask(session, "generators", inner, None, degree, Schema.POLYNOMIALS)
    return _maps(response, inner, None, degree)


async def find_polynomials(
    session: Session, rep: SomeRep, rep_out: SomeRep | None, degree: int, group: SomeGroup
) -> PolynomialMaps:
    """Return a basis of equivariant polynomials, found at the service."""
    inner, outer = _sent(rep, rep_out, group)
    response = await _ask(session, "polynomials", inner, outer, degree, Schema.POLYNOMIALS)
    return _maps(response, inner, outer, degree)


def _sent(
    rep: SomeRep, rep_out: SomeRep | None, group: SomeGroup
) -> tuple[SentRep, SentRep | None]:
    """Return both reps as they are sent, with one group."""
    inner = SentRep.of(rep, group)
    if rep_out is None:
        return inner, None
    from intertwine.reps import read_rep

    outer = SentRep.of(over_group_of(inner.rep, read_rep(rep_out, None)))
    if outer.group not in (None, inner.group):
        raise InvalidRep(
            f"{outer.rep!r} is not over the group of {inner.rep!r}: the service takes two reps of "
            f"one group"
        )
    if any(inner.reps[name] != outer.reps[name] for name in inner.reps.keys() & outer.reps.keys()):
        raise InvalidRep(f"{inner.rep!r} and {outer.rep!r} have different reps of one name")
    return inner, outer


async def _ask(
    session: Session,
    what: str,
    inner: SentRep,
    outer: SentRep | None,
    degree: int,
    answer: Schema,
) -> HttpResponse:
    values: dict[str, Any] = {} if outer is None else {"rep_out": outer.text}
    if outer is not None and outer.reps:
        values["reps"] = {**inner.reps, **outer.reps}
    request = json_request(
        "POST",
        f"/v1/reps:{what}",
        {**inner.document, **values, "degree": degree},
        answer=answer,
        idempotent=True,
        extra_seconds=_WAIT,
    )
    return await send(session, request)


def _maps(
    response: HttpResponse, inner: SentRep, outer: SentRep | None, degree: int
) -> PolynomialMaps:
    from intertwine.polynomials.description import maps_from
    from intertwine.reps import Scalar

    with response.decoding():
        if response.document["degree"] != degree:
            raise FormatError(f"the document does not have the maps up to degree {degree}")
        rep_out = Scalar if outer is None else outer.rep
        return maps_from(response.document, inner.rep, rep_out)
