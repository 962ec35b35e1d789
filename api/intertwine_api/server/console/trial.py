"""A trial of a model: outputs for a few vectors, before and after a random element of its group."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from intertwine.errors import ParseError
from intertwine.groups import Group
from intertwine.operators import as_signed_permutation
from intertwine.reps import Rep, Sum
from intertwine.reps.syntax import groups_of, is_a, rho_of
from intertwine.training.recipe.equivariance_check import is_rounding
from intertwine.training.recipe.task_symmetry import TaskSymmetry
from jaxtyping import Inexact, Shaped

from intertwine_api.server.console.shown_matrices import ShownMatrix, number_text, shown_matrix
from intertwine_api.server.inference import Signature
from intertwine_api.server.routes.forward import read_vectors
from intertwine_api.wire.problems import ProblemError

MOST_VECTORS = 16
LARGEST_REP = 2_000
"""The largest rep whose matrices a trial applies: those of some reps are dense."""
_LARGEST_GROUP = 128  # dimensions
_MOST_ENTRIES = 10**6  # of a group's generators, which are multiplied to sample an element
_MOST_SHOWN = 64  # coordinates of a vector
_ALL_SHOWN = 256  # coordinates of all vectors

Vectors = Inexact[np.ndarray, "k n"]


def read_input(text: str, signature: Signature, seed: int) -> Shaped[np.ndarray, "..."]:
    """Return the vectors of a JSON text, or one random vector if the text is empty.

    The text is a list of numbers, a list of such lists, or a document of the API with `inputs` and
    `imaginary`. Random coordinates have a normal distribution. Raises `ParseError` for a text that
    is not JSON, and `ProblemError` for other documents, and for no or too many vectors.
    """
    if not text:
        return random_vectors(signature, 1, seed)
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        hint = error.msg[:1].lower() + error.msg[1:]
        raise ParseError(text, error.pos, "JSON, such as [0.5, 1, 0]", hint) from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, or too deep
        raise ProblemError.of("invalid-request", f"the input: {error}") from error
    found = read_vectors(document if isinstance(document, dict) else {"inputs": document})
    rows = found[None] if found.ndim == 1 and found.size else found
    if not len(rows):
        raise ProblemError.of(
            "invalid-request",
            f"there are no vectors: give one to {MOST_VECTORS}, each of {signature.rep_in.size():,}"
            f" numbers ({signature.rep_in!r})",
        )
    if len(rows) > MOST_VECTORS:
        detail = (
            f"{len(rows):,} vectors exceed the limit of {MOST_VECTORS} of this page: call the "
            f"model from Python, or with POST /v1/models/{signature.version.name}:forward"
        )
        raise ProblemError.of("too-large", detail, limit_rows=MOST_VECTORS)
    return rows


def random_vectors(signature: Signature, count: int, seed: int) -> Vectors:
    """Return vectors of the input rep whose coordinates have a normal distribution."""
    rng, shape = np.random.default_rng(seed), (count, signature.rep_in.size())
    real = rng.standard_normal(shape)
    if not np.issubdtype(signature.dtype, np.complexfloating):
        return real
    return real + 1j * rng.standard_normal(shape)


def typical_vectors(signature: Signature, rows: Shaped[np.ndarray, "k n"]) -> Vectors:
    """Return random vectors as long as the given ones; for zero, of the length of a random one."""
    found = random_vectors(signature, len(rows), seed=0)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    own = np.linalg.norm(found, axis=1, keepdims=True)
    return found * np.where(lengths > 0, lengths / np.where(own > 0, own, 1.0), 1.0)


def why_no_element(signature: Signature) -> str:
    """Return why a trial draws no element of a model's group, in words; empty if it draws one."""
    reps = signature.rep_in, signature.rep_out
    for rep in reps:
        if rep.size() > LARGEST_REP:
            return f"{rep!r} has size {rep.size():,}, and this page acts on at most {LARGEST_REP:,}"
    groups = _groups(signature)
    if not groups:
        return "no group acts on its inputs and outputs"
    for group in groups:
        if group.d > _LARGEST_GROUP or group.entries > _MOST_ENTRIES:
            return (
                f"{group!r} has {group.entries:,} numbers in its generators, of size {group.d:,}; "
                f"this page draws elements of groups of at most {_MOST_ENTRIES:,}, and size "
                f"{_LARGEST_GROUP}"
            )
    return ""


@dataclass(frozen=True)
class Element:
    """A random element g of the groups of a model, and the vectors ρ_in(g)x."""

    matrices: dict[Group, Any]
    moved: Vectors

    @classmethod
    def drawn(cls, signature: Signature, rows: Shaped[np.ndarray, "k n"], seed: int) -> Element:
        """Draw an element other than 1, and apply it to vectors."""
        matrices = {group: group.sample(seed) for group in _groups(signature)}
        return cls(matrices, _act(signature.rep_in, matrices, rows))

    def shown(self) -> list[ShownMatrix]:
        """Return its matrices as a page shows them."""
        names = ["g"] if len(self.matrices) == 1 else [f"g of {group!r}" for group in self.matrices]
        found = []
        for name, (group, matrix) in zip(names, self.matrices.items(), strict=True):
            permutation = as_signed_permutation(matrix) if group.is_permutation else None
            found.append(shown_matrix(name, matrix if permutation is None else permutation))
        return found


@dataclass(frozen=True)
class Outputs:
    """The model's outputs: f(x), f(ρ_in(g)x), and f of random vectors as long as x."""

    plain: Vectors
    of_moved: Vectors
    typical: Vectors


@dataclass(frozen=True)
class Comparison:
    """f(ρ_in(g)x) beside ρ_out(g)f(x): their greatest difference, and whether it is rounding.

    `error` is the norm of the difference, relative to the outputs, or to those of random vectors of
    the same length if these are larger: outputs that vanish have no size of their own.
    """

    of_moved: Vectors
    moved_after: Vectors
    difference: float
    error: float
    is_rounding: bool


def compare(signature: Signature, element: Element, outputs: Outputs) -> Comparison:
    """Return the outputs for moved inputs beside the moved outputs."""
    of_moved = _in_double(outputs.of_moved)
    moved_after = _act(signature.rep_out, element.matrices, outputs.plain)
    difference = np.abs(of_moved - moved_after)
    sizes = float(np.linalg.norm(of_moved) + np.linalg.norm(moved_after))
    scale = max(sizes, 2 * float(np.linalg.norm(_in_double(outputs.typical))))
    error = float(np.linalg.norm(difference)) / scale if scale != 0 else 0.0
    symmetry = TaskSymmetry(signature.rep_in, signature.rep_out, None)
    return Comparison(
        of_moved,
        moved_after,
        float(difference.max(initial=0.0)),
        error,
        is_rounding(error, precision_of(signature), symmetry),
    )


def precision_of(signature: Signature) -> str:
    """Return the precision in which a model computes: "float32" or "float64"."""
    return np.finfo(signature.dtype).dtype.name


@dataclass(frozen=True)
class Term:
    """A term of a rep, and its coordinates in several vectors, as texts."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """Vectors of one rep side by side, by the terms of the rep; `rest` coordinates are left out."""

    terms: list[Term]
    rest: int


def split(rep: Rep, columns: list[Vectors], row: int) -> Split:
    """Return one row of several arrays, by the terms of their rep."""
    vectors = [column[row] for column in columns]
    most = min(_MOST_SHOWN, max(1, _ALL_SHOWN // len(columns[0])))
    found: list[Term] = []
    for name, start, stop in _places(rep):
        if start >= most:
            break
        stop, is_cut = min(stop, most), stop > most
        texts = (", ".join(map(number_text, vector[start:stop])) for vector in vectors)
        found.append(Term(name, tuple(f"{text}, …" if is_cut else text for text in texts)))
    return Split(found, max(0, rep.size() - most))


def _places(rep: Rep) -> Iterator[tuple[str, int, int]]:
    """Yield the name and the coordinates, from start to before stop, of each term of a rep."""
    at = 0
    for copies, term in rep.terms if is_a(rep, Sum) else ((1, rep),):
        name, size = str(term), term.size()
        for _ in range(copies):
            yield name, at, at + size
            at += size


def _groups(signature: Signature) -> tuple[Group, ...]:
    both = (*groups_of(signature.rep_in), *groups_of(signature.rep_out))
    return tuple(dict.fromkeys(both))


def _act(rep: Rep, matrices: dict[Group, Any], rows: Shaped[np.ndarray, "k n"]) -> Vectors:
    """Return ρ(g)x for each row, in double precision."""
    return np.asarray(rho_of(rep, matrices) @ _in_double(rows).T).T


def _in_double(rows: Shaped[np.ndarray, "k n"]) -> Vectors:
    return rows.astype(np.result_type(rows.dtype, np.float64))
