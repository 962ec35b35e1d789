"""An irrep as a `Rep`, for expressions, text and layers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import Array, namespace
from intertwine.bases.store import find_store
from intertwine.errors import InvalidRep, MethodNotApplicable, SplitError
from intertwine.groups.group import Group
from intertwine.groups.rounding import require_exact
from intertwine.irreps import decomposition_store
from intertwine.irreps.decomposer import Decomposer, decomposer_of
from intertwine.irreps.irreducible import IRREP_NAME, Irreducible
from intertwine.irreps.reductivity import REDUCTIVE, verdict_of
from intertwine.operators import LinearOperator, dense
from intertwine.reps.functors import Functor, is_functor
from intertwine.reps.generator_images import (
    Images,
    act_by_complex_numbers,
    images,
    matrix_of_expression,
)
from intertwine.reps.own_matrices import matrix_of
from intertwine.reps.parsing import register_notation
from intertwine.reps.syntax import Base, Dual, Rep, ScalarRep, Sum, Tensor, atoms, is_a

_SEARCHED_POWERS = 8
_SEARCHED_SIZE = 5_000
"""An irrep that is not catalogued is searched in T(p, q) with p + q and size up to these."""


def decomposer_for(group: Group, *, is_complex: bool) -> Decomposer:
    """Return the decomposer of a group in the frame where it is closed under adjoints.

    Raises `MethodNotApplicable` if the group is not found to be reductive, and
    `RoundedGenerators` if its generators look rounded.
    """
    require_exact(group)
    verdict = verdict_of(group)
    if verdict.kind != REDUCTIVE:
        raise MethodNotApplicable(
            f"irreps need a group whose reps are completely reducible, and {group!r} is "
            f"{verdict.kind}: {verdict.reason}"
        )
    dtype = np.dtype(np.complex128 if is_complex else np.float64)
    return decomposer_of(verdict.straight or group, dtype)


@dataclass(frozen=True, repr=False)
class Irrep(Rep):
    """An irreducible rep λ of a group, by its name, such as ``W3_5a1f2c``.

    The name has the dimension and a digest of traces (longer if irreps of one group would have
    equal names): it is the same in every process. The matrices are in a canonical basis
    (docs/how-it-works.md), unitary (or closed under adjoints) in the group's straight frame. An
    irrep that is not catalogued yet is searched in V, V*, V⊗V, …; `InvalidRep` is raised if it does
    not occur there.
    """

    name: str
    G: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not IRREP_NAME.fullmatch(self.name):
            raise InvalidRep(f"{self.name!r} is not the name of an irrep, such as W3_5a1f2c")

    @classmethod
    def is_name(cls, text: str) -> bool:
        """Return whether a text has the form of an irrep's name."""
        return IRREP_NAME.fullmatch(text) is not None

    @property
    def is_over_complex_numbers(self) -> bool:
        """Whether it is an irrep over ℂ."""
        return self.name.startswith("Wc")

    @property
    def _is_over_complex_numbers(self) -> bool:
        return self.is_over_complex_numbers

    def size(self) -> int:
        """d, its dimension."""
        found = IRREP_NAME.fullmatch(self.name)
        assert found is not None
        return int(found[2])

    @property
    def T(self) -> Rep:
        """The dual; the irrep itself over an orthogonal group."""
        orthogonal = self.G is not None and self.G.is_orthogonal
        return self if orthogonal and not self.is_over_complex_numbers else Dual(self)

    @property
    def type(self) -> str:
        """ℝ, ℂ or ℍ: its commutant (over ℂ always ℂ)."""
        return self.entry.type

    @property
    def endomorphisms(self) -> Inexact[np.ndarray, "e d d"]:
        """A basis E of its commutant, with E₀ = 1 and tr(EᵢᴴEⱼ) = d δᵢⱼ."""
        return self.entry.endomorphisms.copy()

    @property
    def generators(self) -> Images:
        """Return its matrices dλ(Aₖ) and λ(hᵢ) for the group's generators as given."""
        self._require_group()
        return images(self)

    @property
    def _identity(self) -> str | None:
        """Its name, which replaces its matrices in keys: these may not have been computed."""
        changed = any(getattr(type(self), n) is not getattr(Irrep, n) for n in ("rho", "drho"))
        return None if changed else f"irrep {self.name}"  # a subclass may have its own action

    def rho(self, M: Any) -> Array:
        """Return λ(g), in the array library of g."""
        return self._image(self._straightened(M), lie=False)

    def drho(self, A: Any) -> Array:
        """dλ(A)."""
        return self._image(self._straightened(A), lie=True)

    def __str__(self) -> str:
        return self.name

    def latex_name(self) -> str:
        """W with its dimension and digest below."""
        _, _, digest = self.name.partition("_")
        return rf"W_{{{self.size()},\mathtt{{{digest}}}}}"

    @property
    def entry(self) -> Irreducible:
        """Its entry in the group's catalogue. Raises `InvalidRep` if it is not found."""
        decomposer = self._decomposer()
        found = decomposer.catalogue.named(self.name)
        store = find_store() if found is None else None
        if store is not None:
            decomposition_store.load(decomposer, store)
            found = decomposer.catalogue.named(self.name)
        if found is None:
            _search(decomposer, self.name)
            found = decomposer.catalogue.named(self.name)
        if found is None:
            raise InvalidRep(
                f"{self.G!r} has no irrep {self.name} in its tensors T(p, q) of size up to "
                f"{_SEARCHED_SIZE:,}: decompose a rep that contains it first"
            )
        return found

    def _decomposer(self) -> Decomposer:
        self._require_group()
        return decomposer_for(self.G, is_complex=self.is_over_complex_numbers)

    def _straightened(self, M: Any) -> Array:
        matrix = dense(M) if isinstance(M, LinearOperator) else M
        frame = verdict_of(self.G).frame
        if frame is None:
            return matrix
        xp = namespace(matrix)
        return xp.linalg.solve(xp.asarray(frame), matrix) @ xp.asarray(frame)

    def _image(self, element: Array, lie: bool) -> Array:
        entry = self.entry
        return _image(self._decomposer(), entry.index, element, lie, {})


def _read_name(text: str) -> Rep | None:
    """Read an irrep's name in the text of a rep."""
    return Irrep(text) if Irrep.is_name(text) else None


register_notation("W", _read_name)


class StraightIrrep(Irrep):
    """An irrep of a group that is already in its straight frame."""

    def _decomposer(self) -> Decomposer:
        dtype = np.complex128 if self.is_over_complex_numbers else np.float64
        return decomposer_of(self.G, np.dtype(dtype))

    def _straightened(self, M: Any) -> Array:
        matrix: Array = dense(M) if isinstance(M, LinearOperator) else M
        return matrix


def in_straight_frame(atom: Rep) -> tuple[Rep, Inexact[np.ndarray, "n n"] | None]:
    """Return an atom in the frame where its group is closed under adjoints, and the matrix S from
    there to the given one: ρ(g) = S ρ'(g) S⁻¹. None means S = 1.

    Raises `MethodNotApplicable` if the effect of the change of frame on the atom is unknown.
    """
    verdict = verdict_of(atom.G)
    if verdict.straight is None or verdict.frame is None:
        return atom, None
    inner = atom.rep if is_a(atom, Dual) else atom
    if is_functor(inner):
        return _straight_functor(inner, is_dual=inner is not atom)
    if is_a(inner, Base):
        straight: Rep = Base(verdict.straight)
        return (
            (straight, verdict.frame)
            if inner is atom
            else (straight.T, np.linalg.inv(verdict.frame).T)
        )
    if isinstance(inner, Irrep) and inner._identity is not None:
        straight = StraightIrrep(inner.name, verdict.straight)
        return (straight if inner is atom else straight.T), None
    raise MethodNotApplicable(
        f"irreps need another frame of {atom.G!r} (of condition "
        f"{verdict.condition:.3g}), and its effect on {atom} is unknown"
    )


def _straight_functor(
    rep: Functor, *, is_dual: bool
) -> tuple[Rep, Inexact[np.ndarray, "n n"] | None]:
    """Return `in_straight_frame` of a functor's rep: F of the part's straight rep and frame."""
    part, frame = _straight_expression(rep.part)
    straight = rep.rebuilt(part)
    if frame is None or rep.size() == 1:  # scalars are the same in every frame
        return straight.T if is_dual else straight, None
    frame = np.asarray(rep.of_matrix(frame))
    return (straight.T, np.linalg.inv(frame).T) if is_dual else (straight, frame)


def _straight_expression(rep: Rep) -> tuple[Rep, Inexact[np.ndarray, "n n"] | None]:
    """Return `in_straight_frame` of a sum or product of atoms of one group."""
    known = {atom: in_straight_frame(atom) for atom in atoms(rep)}
    frames = {
        atom: np.eye(atom.size()) if frame is None else frame for atom, (_, frame) in known.items()
    }

    def replaced(part: Rep) -> Rep:
        if is_a(part, Tensor):
            return Tensor(tuple(map(replaced, part.factors)))
        if is_a(part, Sum):
            return Sum(tuple((m, replaced(term)) for m, term in part.terms))
        return part if is_a(part, ScalarRep) else known[part][0]

    if all(frame is None for _, frame in known.values()):
        return replaced(rep), None
    return replaced(rep), matrix_of_expression(rep, frames)


def _image(
    decomposer: Decomposer, index: int, element: Array, lie: bool, known: dict[int, Array]
) -> Array:
    """Return the image of an element under a catalogued irrep, through the irrep's origins."""
    if index in known:
        return known[index]
    xp, entry = namespace(element), decomposer.catalogue.irreps[index]
    if entry.origin is None:
        image = xp.zeros((1, 1)) if lie else xp.ones((1, 1))
    else:
        inside, w = entry.origin.inside, xp.asarray(entry.origin.isometry)
        if isinstance(inside, Rep):
            whole = _whole_image(inside, element, lie)
            image = w.conj().T @ whole @ w
        else:
            a, b = (_image(decomposer, part, element, lie, known) for part in inside)
            image = w.conj().T @ _product(a, b, lie) @ w
    known[index] = image
    return image


def _whole_image(rep: Rep, element: Array, lie: bool) -> Array:
    """Return ρ(element) or dρ(element). A NumPy element has a NumPy image, also under JAX reps."""
    if isinstance(element, np.ndarray):
        return matrix_of(rep, "drho" if lie else "rho", element)
    return rep.drho_dense(element) if lie else rep.rho_dense(element)


def _product(a: Array, b: Array, lie: bool) -> Array:
    xp = namespace(a)
    if not lie:
        return xp.kron(a, b)
    return xp.kron(a, xp.eye(b.shape[0])) + xp.kron(xp.eye(a.shape[0]), b)


def _search(decomposer: Decomposer, name: str) -> None:
    """Decompose V, V*, V⊗V, … until an irrep of this name is found."""
    base = Base(decomposer.group)
    if act_by_complex_numbers([base]) and not np.issubdtype(decomposer.dtype, np.complexfloating):
        return  # tensors of complex matrices have no irreps over ℝ
    letters = (base,) if base == base.T else (base, base.T)
    for power in range(1, _SEARCHED_POWERS + 1):
        if base.size() ** power > _SEARCHED_SIZE:
            return
        for factors in product(letters, repeat=power):
            if list(factors) != sorted(factors, key=letters.index):
                continue
            try:
                decomposer.decompose(factors)
            except SplitError as error:
                raise MethodNotApplicable(
                    f"no irreps were found for {decomposer.group!r}: {error}"
                ) from error
            if decomposer.catalogue.named(name) is not None:
                return
