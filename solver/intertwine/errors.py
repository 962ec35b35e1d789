"""All exceptions of the library, as one tree.

::

    IntertwineError
    ├── ParseError            a text that cannot be parsed, with offset and caret
    ├── InvalidGroup          generators that cannot be used
    ├── InvalidRep            a rep that cannot be built or solved
    │   └── NotConcrete       a rep that has no group yet
    ├── UnknownMethod         a method, backend or option that does not exist
    │   └── Unavailable       one that exists, but not on this machine
    ├── MethodNotApplicable   a requested method that cannot solve this rep
    │   └── SplitError        a rep that could not be split into irreps
    ├── TooLarge              work refused before it starts, with the size and the bound
    ├── FormatError           arrays or a file that do not hold a basis
    ├── InvalidSetting        a setting of a program that cannot be used
    ├── NotFound              a named thing that does not exist
    ├── NotEquivariant        a map that is not equivariant, as was asserted
    └── SolveError            a solve that ended without a proven answer
        ├── AmbiguousRank     singular values without a clear gap
        │   └── RoundedGenerators  generators that look rounded
        ├── Unproven          invariants that cannot be counted, so some may be missing
        ├── NotConverged      an iteration that stopped short of its tolerance
        └── NonFiniteLoss     a training loss or weight that is not finite

Each carries a stable `code` (used over HTTP and by scripts), and a message that says what
happened, the value, and what to do.
"""

from __future__ import annotations

from typing import ClassVar


class IntertwineError(Exception):
    """The root of the tree."""

    code: ClassVar[str] = "error"


class ParseError(IntertwineError, ValueError):
    """A text could not be read: `offset` says where, `expected` what would have been accepted."""

    code = "syntax"

    def __init__(self, text: str, offset: int, expected: str, hint: str = "") -> None:
        self.text, self.offset, self.expected, self.hint = text, offset, expected, hint
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The complaint, the line of the text around the offset, and a caret beneath it."""
        hint = f" ({self.hint})" if self.hint else ""
        return f"expected {self.expected} at character {self.offset + 1}{hint}\n{self.caret}"

    @property
    def caret(self) -> str:
        """At most 60 characters of the text around the offset, with a caret on a second line."""
        start = max(0, self.offset - 40)
        stop = min(len(self.text), start + 60)
        shown = "".join(c if c.isprintable() else " " for c in self.text[start:stop])
        lead = "…" if start else ""
        tail = "…" if stop < len(self.text) else ""
        column = len(lead) + self.offset - start
        return f"  {lead}{shown}{tail}\n  {' ' * column}^"

    def __reduce__(self) -> tuple[type[ParseError], tuple[str, int, str, str]]:
        return type(self), (self.text, self.offset, self.expected, self.hint)


class InvalidGroup(IntertwineError, ValueError):
    """The generators of a group cannot be used."""

    code = "invalid-group"


class InvalidRep(IntertwineError, ValueError):
    """A rep cannot be built, or what it maps group elements to is not a representation."""

    code = "invalid-rep"


class NotConcrete(InvalidRep):
    """An operation needs the rep's group, but the rep has none."""

    code = "not-concrete"


class UnknownMethod(IntertwineError, ValueError):
    """The requested method, backend or option does not exist."""

    code = "unknown-method"


class Unavailable(UnknownMethod):
    """The requested backend or device is not available on this machine."""

    code = "unavailable"


class MethodNotApplicable(IntertwineError, ValueError):
    """The requested method cannot solve this rep."""

    code = "method-not-applicable"


class SplitError(MethodNotApplicable):
    """A rep could not be split into irreps, as reps of reductive groups in a good frame can.

    The solver then uses another method where one applies.
    """

    code = "no-irreps"


class TooLarge(IntertwineError, ValueError):
    """Work is refused before it starts; the message states its size and the limit."""

    code = "too-large"


class FormatError(IntertwineError, ValueError):
    """Arrays or a file do not hold a basis in the documented format."""

    code = "format"


class InvalidSetting(IntertwineError, ValueError):
    """A setting of a program cannot be used."""

    code = "invalid-setting"


class NotFound(IntertwineError, LookupError):
    """A named thing does not exist."""

    code = "not-found"


class NotEquivariant(IntertwineError, AssertionError):
    """A map is not equivariant, though it was asserted to be."""

    code = "not-equivariant"


class SolveError(IntertwineError, ArithmeticError):
    """A solve ended without a proven answer."""

    code = "solve"


class AmbiguousRank(SolveError):
    """The singular values leave no clear gap, so the rank would be a guess."""

    code = "ambiguous-rank"


class RoundedGenerators(AmbiguousRank):
    """Generators are nearly unitary, of finite order or closed, so they were probably rounded."""

    code = "rounded-generators"


class Unproven(SolveError):
    """The invariants cannot be counted, so a basis may lack some. Nothing else is wrong with it."""

    code = "unproven"


class NotConverged(SolveError):
    """An iteration stopped before it reached its tolerance."""

    code = "not-converged"


class NonFiniteLoss(SolveError):
    """A training's loss or weight is no longer finite."""

    code = "non-finite-loss"


class ReachWarning(UserWarning):
    """A network cannot represent equivariant maps that another network could."""
