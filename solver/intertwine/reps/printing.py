"""Print reps as text that `parse` reads back, and as LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from intertwine.reps.functors.functor import Functor
from intertwine.reps.syntax import (
    Base,
    Dual,
    Rep,
    ScalarRep,
    Sum,
    Tensor,
    groups_or_none,
    is_a,
    is_own,
    same,
)
from intertwine.scanner import superscript


def as_written(rep: Rep) -> str:
    """Return the rep as it was written; with group names only if there are several groups."""
    return _text(rep, with_groups=len(groups_or_none(rep)) > 1)


def with_group(rep: Rep) -> str:
    """Return the rep with its group, so that the text is complete."""
    groups = groups_or_none(rep)
    if len(groups) != 1 or groups[0] is None:
        return as_written(rep)
    if not (is_a(rep, Tensor) or is_a(rep, Sum)):
        return _text(rep, with_groups=True)
    text = _text(rep, with_groups=False)
    power_of_v = is_a(rep, Tensor) and set(map(type, rep.factors)) == {Base}
    return f"{text}({groups[0]!r})" if power_of_v else f"({text})({groups[0]!r})"


def latex(rep: Rep) -> str:
    """Return the rep in LaTeX, without its groups."""
    if _has_name(rep):
        return rep.latex_name()
    if is_a(rep, Sum):
        terms = (latex(part) if m == 1 else f"{m}{_latex_factor(part)}" for m, part in rep.terms)
        return r"\oplus ".join(terms) or "0"
    if is_a(rep, Tensor):
        factors = (
            _powered(_latex_factor(f, power=n > 1), n, _latex_power) for f, n in _runs(rep.factors)
        )
        return r"\otimes ".join(factors)
    if is_a(rep, Dual):
        return f"{latex(rep.rep)}^{{*}}"
    return "V" if is_a(rep, Base) else "V^{0}"


def _has_name(rep: Rep) -> bool:
    """Return whether a rep prints by a name: a user-defined rep or class with its own text."""
    return is_own(rep) or type(rep).__str__ is not Base.__str__


def _text(rep: Rep, with_groups: bool) -> str:
    if _has_name(rep):
        return _over(rep, str(rep), with_groups)
    if is_a(rep, Sum):
        return "+".join(_term(m, part, with_groups) for m, part in rep.terms) or "0"
    if is_a(rep, Tensor):
        return "⊗".join(
            _powered(_factor(factor, with_groups), count, superscript)
            for factor, count in _runs(rep.factors)
        )
    if is_a(rep, Dual):
        return f"{_text(rep.rep, with_groups)}*"
    if is_a(rep, ScalarRep):
        return "V⁰"
    return _over(rep, "V", with_groups)


def _over(rep: Rep, name: str, with_groups: bool) -> str:
    return f"{name}({rep.G!r})" if with_groups and rep.G is not None else name


def _term(multiplicity: int, rep: Rep, with_groups: bool) -> str:
    text = _text(rep, with_groups)
    if multiplicity == 1:
        return text
    # a multiplicity binds to the first factor: a sum there needs parentheses around all
    opens_with_sum = is_a(rep, Tensor) and is_a(rep.factors[0], Sum)
    return f"{multiplicity}({text})" if opens_with_sum else f"{multiplicity}{text}"


def _factor(rep: Rep, with_groups: bool) -> str:
    text = _text(rep, with_groups)
    return f"({text})" if is_a(rep, Sum) else text


def _latex_factor(rep: Rep, power: bool = False) -> str:
    if is_a(rep, Sum):
        return rf"\left({latex(rep)}\right)"
    if power and isinstance(rep, Functor):
        return rf"\left({latex(rep)}\right)"
    return f"{{{latex(rep)}}}" if power and is_a(rep, Dual) else latex(rep)


def _latex_power(exponent: int) -> str:
    return f"^{{{exponent}}}"


def _powered(text: str, count: int, power: Callable[[int], str]) -> str:
    return text if count == 1 else f"{text}{power(count)}"


def _runs(factors: Iterable[Rep]) -> list[tuple[Rep, int]]:
    """Return adjacent equal factors with their count."""
    runs: list[tuple[Rep, int]] = []
    for factor in factors:
        # (2V)² would be read as 2(V⊗2V): multiplicities move to the front of a product
        copies = is_a(factor, Sum) and len(factor.terms) == 1
        if runs and same(runs[-1][0], factor) and not copies:
            runs[-1] = (factor, runs[-1][1] + 1)
        else:
            runs.append((factor, 1))
    return runs
