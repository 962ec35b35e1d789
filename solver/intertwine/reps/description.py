"""What is known about a rep, for `json.dumps`."""

from __future__ import annotations

from typing import Any

from intertwine.reps.canonical_form import canonical
from intertwine.reps.printing import latex
from intertwine.reps.symbolic_size import dimension
from intertwine.reps.syntax import Rep


def describe_rep(rep: Rep) -> dict[str, Any]:
    """Return the text, canonical form, group, size, symbolic dimension and LaTeX of a rep.

    The group is None for a rep over several groups, or over no group; the size if it has no group.
    """
    return {
        "rep": str(rep),
        "canonical": str(canonical(rep).rep),
        "group": None if rep.G is None else repr(rep.G),
        "size": rep.size() if rep.is_concrete else None,
        "dimension": str(dimension(rep)),
        "latex": latex(rep),
    }
