"""What a reader of the explorer asks: a rep and a group as typed, and what they mean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query
from intertwine.errors import IntertwineError, ParseError
from intertwine.invariants import Cost, estimate
from intertwine.reps import Rep, canonical, describe_rep, read_rep
from intertwine.scanner import superscript
from intertwine.training.recipe.description import Generators
from pydantic import ValidationError

from intertwine_api.server.problem_responses import validation_problem
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.settings import Settings

_LONGEST_ADDRESS = 6_000  # characters of a link
_GENERATORS = '{"lie_algebra": [...], "discrete_generators": [...]}'
_ARROWS = (">>", "<<")
_OPEN, _CLOSED = "([", ")]"


@dataclass(frozen=True)
class Question:
    """A rep and a group as typed: the group's text, or its generators as JSON."""

    rep: str = ""
    group: str = ""
    generators: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed."""
        return not (self.rep or self.group or self.generators)

    @property
    def query(self) -> str:
        """The question as the query of an address."""
        fields = {"rep": self.rep, "group": self.group, "generators": self.generators}
        return urlencode({name: text for name, text in fields.items() if text})

    @property
    def group_query(self) -> str:
        """The group alone, as the query of its page's address."""
        fields = {"name": self.group, "generators": self.generators}
        return urlencode({name: text for name, text in fields.items() if text})

    def group_document(self) -> str | dict[str, Any] | None:
        """Return the group as in a request of the API; None if the rep's text has to name it.

        Raises `ParseError` for a text that is not JSON, and `ProblemError` for generators that are
        not of the documented form, or that come with the text of a group.
        """
        if not self.generators:
            return self.group or None
        if self.group:
            detail = "there are a group and generators: give one of them"
            raise ProblemError.of("invalid-request", detail)
        try:
            document = json.loads(self.generators)
        except json.JSONDecodeError as error:
            hint = error.msg[:1].lower() + error.msg[1:]
            raise ParseError(self.generators, error.pos, "JSON", hint) from error
        except (ValueError, RecursionError) as error:  # a number of too many digits, or too deep
            raise ProblemError.of("invalid-request", f"the generators: {error}") from error
        if not isinstance(document, dict):
            detail = f"the generators are not a JSON object: write {_GENERATORS}"
            raise ProblemError.of("invalid-request", detail)
        try:
            return Generators.model_validate(document).model_dump(exclude_none=True)
        except ValidationError as error:
            raise ProblemError(validation_problem(error.errors(include_url=False))) from error

    def document(self) -> dict[str, Any]:
        """Return the request of the API. Raises the errors of `group_document`."""
        group = self.group_document()
        return {"rep": self.rep, **({} if group is None else {"group": group})}


def explorer_address(request: Mapping[str, Any], longest: int = _LONGEST_ADDRESS) -> str:
    """Return the address of a request's rep and group in the explorer, relative to the root.

    It is empty if it would be longer than `longest`, or if the request defines reps of its own.
    """
    rep, group = request.get("rep"), request.get("group")
    if not isinstance(rep, str) or request.get("reps"):
        return ""
    if isinstance(group, str):
        question = Question(rep, group=group)
    elif group is None:
        question = Question(rep)
    else:
        question = Question(rep, generators=json.dumps(group, separators=(",", ":")))
    address = f"?{question.query}"
    return address if len(address) <= longest else ""


def _question(
    rep: Annotated[str, Query(description="the text of a rep")] = "",
    group: Annotated[str, Query(description="the text of a group")] = "",
    generators: Annotated[str, Query(description="a group's generators as JSON")] = "",
) -> Question:
    return Question(rep.strip(), group.strip(), generators.strip())


#: The question of a page's address, as a route's argument.
TheQuestion = Annotated[Question, Depends(_question)]


@dataclass(frozen=True)
class Meaning:
    """What a question means. `size`, `cost` and `course` are None if the rep has no group.

    `course` says in words how the service would solve it.
    """

    rep: str
    canonical: str
    group: str | None
    dimension: str
    size: int | None
    cost: Cost | None
    course: str | None


def read_meaning(question: Question, settings: Settings) -> Meaning:
    """Parse a question and estimate the cost of its answer.

    Raises the library's errors, and `ProblemError` for generators of another form.
    """
    document = question.document()
    rep = read_rep(document["rep"], document.get("group"))
    found = describe_rep(rep)
    cost = estimate(canonical(rep).rep) if rep.is_concrete else None
    return Meaning(
        rep=found["rep"],
        canonical=found["canonical"],
        group=found["group"],
        dimension=_polynomial(found["dimension"]),
        size=found["size"],
        cost=cost,
        course=None if cost is None else _course(cost, settings),
    )


def _polynomial(text: str) -> str:
    """Return a polynomial such as d**2 + 3*d as d² + 3d."""
    powers = re.sub(r"\*\*(\d+)", lambda power: superscript(int(power[1])), text)
    return powers.replace("*", "")


def _course(cost: Cost, settings: Settings) -> str:
    if cost.operations > settings.solve_operations or cost.memory > settings.solve_memory:
        return "it is refused, because it exceeds the limit of this service"
    if cost.operations > settings.solve_job_operations:
        return "it is solved as a job in the queue of this service"
    return "it is solved at once, while the page waits"


def as_maps(text: str, rep: Rep) -> tuple[Rep, Rep] | None:
    """Return the reps (in, out) if the text of a concrete rep is of the form ``in >> out``."""
    place = _only_arrow(text)
    if place is None:
        return None
    try:
        source, target = map(read_rep, (text[:place], text[place + 2 :]))
    except IntertwineError:  # such as a part of a larger expression
        return None
    if rep.G is not None:
        source, target = (part if part.is_concrete else part(rep.G) for part in (source, target))
    if not (source.is_concrete and target.is_concrete):
        return None
    if text[place : place + 2] == "<<":
        source, target = target, source
    return (source, target) if (source >> target) == rep else None


def _only_arrow(text: str) -> int | None:
    """Return the place of the only arrow outside of brackets; None without one, or with several."""
    depth, places = 0, []
    for at, character in enumerate(text):
        depth += (character in _OPEN) - (character in _CLOSED)
        if depth == 0 and text[at : at + 2] in _ARROWS:
            places.append(at)
    return places[0] if len(places) == 1 else None
