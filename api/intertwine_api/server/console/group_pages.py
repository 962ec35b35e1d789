"""The pages of groups: the catalogue, a group's properties, and its character table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from intertwine.errors import IntertwineError
from intertwine.groups import (
    Group,
    describe_catalogue,
    describe_group,
    group_order,
    lie_algebra,
    read_group,
)
from intertwine.irreps import describe_characters, verdict_of

from intertwine_api.server.access import BasesReader
from intertwine_api.server.console.basis_summary import MOST_DECOMPOSED
from intertwine_api.server.console.question import Question
from intertwine_api.server.console.shell import may_start_work, render, render_problem
from intertwine_api.server.console.shown_matrices import ShownMatrix, shown_matrix
from intertwine_api.server.service import TheService
from intertwine_api.wire.problems import ProblemError

router = APIRouter(include_in_schema=False)

_MOST_GENERATORS = 12  # that are shown
_MOST_JUDGED = 24
"""The largest d of a group that is not orthogonal for which the page decides on reductivity."""
_MOST_DIGITS = 24  # of an order


def _asked(
    name: Annotated[str, Query(description="the text of a group")] = "",
    generators: Annotated[str, Query(description="a group's generators as JSON")] = "",
) -> Question:
    return Question("", name.strip(), generators.strip())


#: The group of a page's address, as a route's argument.
AskedGroup = Annotated[Question, Depends(_asked)]


@dataclass(frozen=True)
class _GroupPage:
    """What the page of a group shows. `order` is None for an infinite or very large group."""

    title: str
    facts: list[tuple[str, str]]
    generators: list[ShownMatrix]
    more: int
    is_finite: bool
    tensors: str
    """The rep whose irreps the page lists: the tensors of at most two factors, or of one."""
    loads_irreps: bool
    """Whether the page loads them without a click."""


@router.get("/groups", response_class=HTMLResponse)
async def show_groups(
    request: Request, asked: AskedGroup, service: TheService, caller: BasesReader
) -> HTMLResponse:
    """Return the catalogue; or for a group its properties and generators."""
    values: dict[str, Any] = {"question": asked, "group": None, "problem": None}
    if asked.is_empty:
        return render(request, "catalogue.html", {**values, "entries": _catalogue()})
    try:
        values["group"] = await service.work(caller, _describe, asked)
    except (IntertwineError, ProblemError) as error:
        return render_problem(request, "catalogue.html", {**values, "entries": _catalogue()}, error)
    tensors = Question(values["group"].tensors, asked.group, asked.generators)
    values["irreps"] = tensors.query
    return render(request, "group.html", values)


@router.get("/characters", response_class=HTMLResponse)
async def show_characters(
    request: Request, asked: AskedGroup, service: TheService, caller: BasesReader
) -> HTMLResponse:
    """Return a page with the character table of a finite group."""
    values: dict[str, Any] = {"question": asked, "table": None, "problem": None}
    if not may_start_work(request):
        return render(request, "characters.html", values)
    try:
        values["table"] = await service.work(caller, _characters, asked)
    except (IntertwineError, ProblemError) as error:
        return render_problem(request, "characters.html", values, error)
    return render(request, "characters.html", values)


def _catalogue() -> list[dict[str, str]]:
    """Return the entries of the catalogue, each with the address of its example."""
    return [
        {**entry, "query": urlencode({"name": entry["example"]})} for entry in describe_catalogue()
    ]


def _group(asked: Question) -> Group:
    document = asked.group_document()
    if document is None:
        raise ProblemError.of("invalid-request", "there is no group: name one, such as SO(3)")
    return read_group(document)


def _characters(asked: Question) -> dict[str, Any]:
    return describe_characters(_group(asked))


def _describe(asked: Question) -> _GroupPage:
    group = _group(asked)
    all_generators = [
        *((f"A{_subscript(k)}", a) for k, a in enumerate(group.lie_generators, 1)),
        *((f"h{_subscript(k)}", h) for k, h in enumerate(group.group_generators, 1)),
    ]
    shown = [shown_matrix(name, g) for name, g in all_generators[:_MOST_GENERATORS]]
    order = group_order(group)
    power = 2 if 1 + 2 * group.d + 3 * group.d**2 <= MOST_DECOMPOSED else 1
    return _GroupPage(
        title=repr(group),
        facts=_facts(group, order),
        generators=shown,
        more=len(all_generators) - len(shown),
        is_finite=order is not None,
        tensors=_tensors(power),
        loads_irreps=power == 2 or 1 + 2 * group.d <= MOST_DECOMPOSED,
    )


def _tensors(power: int) -> str:
    """Return the text of the sum of all T(p, q) with p + q up to `power`."""
    each = (f"T({p},{total - p})" for total in range(power + 1) for p in range(total + 1))
    return "+".join(each)


def _facts(group: Group, order: int | None) -> list[tuple[str, str]]:
    description = describe_group(group)
    lie, discrete = description["lie_generators"], description["discrete_generators"]
    kind = "unitary" if group.is_complex else "orthogonal"
    found = [
        ("Acts on", f"{group.d:,} {'complex' if group.is_complex else 'real'} dimensions"),
        ("Generators", f"{lie:,} of the Lie algebra, {discrete:,} discrete"),
        ("Matrices", "permutations" if group.is_permutation else
            kind if group.is_orthogonal else f"not {kind}"),
    ]  # fmt: skip
    if order is not None:
        found.append(("Order", _long_number(order)))
    elif not lie:
        found.append(("Order", "not counted: infinite, or more than 20,000 elements"))
    if lie:
        found += _lie_facts(group)
    found.append(("Reductive", _reductivity(group)))
    return [*found, ("Digest", description["digest"])]


def _lie_facts(group: Group) -> list[tuple[str, str]]:
    algebra = lie_algebra(group)
    if algebra is None:
        return [("Lie algebra", "not computed: it is large, or not clearly closed under brackets")]
    positive, negative = algebra.signature
    kind = "semisimple" if algebra.is_semisimple else "abelian" if algebra.is_abelian else ""
    parts = [f"dimension {algebra.dimension}", kind]
    if algebra.centre and not algebra.is_abelian:
        parts.append(f"with a centre of dimension {algebra.centre}")
    found = [("Lie algebra", ", ".join(filter(None, parts)))]
    if not algebra.is_abelian:
        found.append(("Killing form", f"{positive} positive and {negative} negative eigenvalues"))
    return found


def _reductivity(group: Group) -> str:
    if group.d > _MOST_JUDGED and not group.is_orthogonal:
        return f"not decided on this page for more than {_MOST_JUDGED} dimensions"
    if group.is_orthogonal and not group.lie_generators:
        return "yes: a group of orthogonal or unitary matrices"
    verdict = verdict_of(group)
    answer = {"reductive": "yes", "not reductive": "no"}.get(verdict.kind, "not decided")
    return f"{answer}: {verdict.reason}"


def _subscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _long_number(number: int) -> str:
    digits = str(number)
    if len(digits) <= _MOST_DIGITS:
        return f"{number:,}"
    return f"about {digits[0]}.{digits[1:3]} · 10^{len(digits) - 1}"
