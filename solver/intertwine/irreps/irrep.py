"""An irrep as a `Rep`, for expressions, text and layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import Array, namespace
from intertwine.bases.store import find_store
from intertwine.errors import InvalidRep, MethodNotApplicable, NotConcrete, SplitError
from intertwine.groups.group import Group
from intertwine.groups.rounding import require_exact
from intertwine.irreps import decomposition_store
from intertwine.irreps.decomposer import Decomposer, decomposer_of
from intertwine.irreps.e3nn_gauge import e3nn_basis, e3nn_name
from intertwine.irreps.element_images import image_of
from intertwine.irreps.irreducible import IRREP_NAME, Irreducible
from intertwine.irreps.names.schemes import (
    field_of,
    irrep_names,
    irrep_of_name,
    is_known_form,
    reachable,
)
from intertwine.irreps.reductivity import REDUCTIVE, verdict_of
from intertwine.irreps.straight_images import straightened
from intertwine.operators import LinearOperator, dense
from intertwine.reps.functors.functor import Functor, is_functor
from intertwine.reps.generator_images import (
    Images,
    act_by_complex_numbers,
    images,
    matrix_of_expression,
)
from intertwine.reps.parsing import register_function, register_notation
from intertwine.reps.syntax import Base, Dual, Rep, ScalarRep, Sum, Tensor, atoms, is_a
from intertwine.torch_compilation import one_operation

_SEARCHED_POWERS = 8
_SEARCHED_SIZE = 5_000
"""An irrep that is not catalogued is searched in T(p, q) with p + q and size up to these, then in
products of irreps with V (see `names.reachable`)."""


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
    """An irreducible rep λ of a group, by its name: ``Irrep("l=2", SO(3))``, ``Irrep("2e", O(3))``.

    docs/recipes.md lists the usual names of irreps by group; `label` is that of this irrep. Every
    irrep also has a name such as ``W3_5a1f2c``, made of its dimension and a digest of traces
    (longer if two irreps of a group would have equal names). It is the same in every process:
    `name` has it once the group is known, and keys and files contain it. The matrices are in a
    canonical basis (docs/how-it-works.md), unitary (or closed under adjoints) in the group's
    straight frame. An irrep that is not catalogued yet is searched in V, V*, V⊗V, …; `InvalidRep`
    is raised if it does not occur there.
    """

    name: str
    G: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.name, str) and IRREP_NAME.fullmatch(self.name):
            return
        is_text = isinstance(self.name, str) and is_known_form(self.name)
        if not is_text or (self.G is None and self.name.isdecimal()):
            raise InvalidRep(
                f"{self.name!r} is not the name of an irrep, such as W3_5a1f2c, l=2 or T2g"
            )
        if self.G is not None:
            found = irrep_named(self.name, self.G)
            object.__setattr__(self, "name", found.name)  # frozen

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

    def __call__(self, G: Group) -> Rep:
        """Return the irrep over a group."""
        if self.G is None and not self.is_name(self.name) and isinstance(G, Group):
            return type(self)(self.name, G)
        return super().__call__(G)

    def size(self) -> int:
        """Return the dimension d. Raises `NotConcrete` for a name that needs its group."""
        found = IRREP_NAME.fullmatch(self.name)
        if found is None:
            raise NotConcrete(f"{self} has no group yet: call the rep with one, as in rep(SO(3))")
        return int(found[2])

    @property
    def label(self) -> str:
        """The usual name, such as l=2; `name` if irreps of its group have none."""
        if self.G is None:
            return self.name
        names = irrep_names(self._decomposer(), self.G)
        known = None if names is None else names.name(self.entry.index)
        return self.name if known is None else known

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

    def to_e3nn(self) -> Inexact[np.ndarray, "d d"]:
        """Return the unitary X with X λ(g) X⁻¹ = D(g), e3nn's matrix, for SO(3), O(3) and SU(2).

        X maps components in this library's basis to those of e3nn, which are those of
        `SphericalHarmonics`. It is real for SO(3) and O(3). The copy of l in V^l, as `decompose`
        returns it, becomes a positive multiple of Y_l(v) for v ⊗ … ⊗ v. Raises
        `MethodNotApplicable` for other groups and half-integral spins.
        """
        self._require_group()
        if verdict_of(self.G).frame is not None:
            raise MethodNotApplicable(
                f"e3nn's matrices are those of rotations, and {self.G!r} acts by rotations only in "
                f"another frame"
            )
        return e3nn_basis(self._decomposer(), self.entry.index)

    @property
    def e3nn_name(self) -> str:
        """The name in e3nn, such as ``2e``; ``l=2`` and ``j=2``, without a parity, are even.

        Raises the errors of `to_e3nn`.
        """
        return e3nn_name(self._decomposer(), self.entry.index)

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

    @one_operation
    def rho(self, M: Any) -> Array:
        """Return λ(g), in the array library of g."""
        return self._image(self._straightened(M), lie=False)

    @one_operation
    def drho(self, A: Any) -> Array:
        """dλ(A)."""
        return self._image(self._straightened(A), lie=True)

    def __str__(self) -> str:
        return self.name if self.is_name(self.name) else f'Irrep("{self.name}")'

    def latex_name(self) -> str:
        """W with its dimension and digest below."""
        if not self.is_name(self.name):
            return rf"\mathrm{{{self.name}}}"
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
            _search(decomposer, self.name, self.size())
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
        frame = xp.asarray(frame)
        return xp.matmul(xp.linalg.solve(frame, matrix), frame)

    def _image(self, element: Array, lie: bool) -> Array:
        entry = self.entry
        return image_of(self._decomposer(), entry.index, element, lie, {})


def _read_name(text: str) -> Rep | None:
    """Read an irrep's name in the text of a rep."""
    return Irrep(text) if Irrep.is_name(text) else None


def irrep_named(text: str, group: Group, *, is_complex: bool | None = None) -> Irrep:
    """Return the irrep of a group by its usual name, such as l=2, [2, 1] or T2g.

    The irreps of a real group are by default those over ℝ. With ``is_complex=True`` they are those
    over ℂ, into which an irrep over ℝ may split. Raises `InvalidRep` for other texts, and for
    irreps that occur only in tensors of more than 24 factors V, or in products too large to search.
    """
    if not isinstance(text, str) or not is_known_form(text):
        raise InvalidRep(f"{text!r} is not the name of an irrep, such as l=2, [2, 1] or T2g")
    field = field_of(group) if is_complex is None else is_complex
    decomposer = decomposer_for(group, is_complex=field)
    return Irrep(irrep_of_name(decomposer, text, group).name, group)


def _read_known_name(text: str) -> Rep:
    """Return the irrep of a name, in the text of a rep."""
    if not isinstance(text, str):
        raise InvalidRep(f'the name of an irrep is a string, as in Irrep("l=2"), not {text}')
    return Irrep(text)


register_notation("W", _read_name)
register_function("Irrep", _read_known_name)


class StraightIrrep(Irrep):
    """An irrep of a group that is already in its straight frame."""

    def _decomposer(self) -> Decomposer:
        dtype = np.complex128 if self.is_over_complex_numbers else np.float64
        return decomposer_of(self.G, np.dtype(dtype))

    def _straightened(self, M: Any) -> Array:
        matrix: Array = dense(M) if isinstance(M, LinearOperator) else M
        return matrix


def in_straight_frame(atom: Rep) -> tuple[Rep, Inexact[np.ndarray, "n n"] | None]:
    """Return an atom ρ' in the group's straight frame, and the matrix S with ρ(g) = S ρ'(g) S⁻¹.

    The group is closed under adjoints in its straight frame. None means S = 1. A rep given by
    images is brought to a frame of its own (see `straightened`). Raises `MethodNotApplicable` if
    the effect of the change of frame on the atom is unknown.
    """
    inner = atom.rep if is_a(atom, Dual) else atom
    if inner._given_images() is not None:
        found, given = straightened(inner)
        if inner is atom:
            return found, given
        return found.T, None if given is None else np.linalg.inv(given).T
    verdict = verdict_of(atom.G)
    if verdict.straight is None or verdict.frame is None:
        return atom, None
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
    """Return `in_straight_frame` of a functor F: F of the part's straight rep and of its frame."""
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


def _search(decomposer: Decomposer, name: str, size: int) -> None:
    """Decompose V, V*, V⊗V, …, and then products of irreps with V, until an irrep is found."""
    base = Base(decomposer.group)
    if act_by_complex_numbers([base]) and not np.issubdtype(decomposer.dtype, np.complexfloating):
        return  # tensors of complex matrices have no irreps over ℝ
    try:
        for atoms in _small_tensors(base):
            decomposer.decompose(atoms)
            if decomposer.catalogue.named(name) is not None:
                return
        for index in reachable(decomposer, size):
            if decomposer.catalogue.irreps[index].name == name:
                return
    except SplitError as error:
        raise MethodNotApplicable(
            f"no irreps were found for {decomposer.group!r}: {error}"
        ) from error


def _small_tensors(base: Base) -> Iterator[tuple[Rep, ...]]:
    """Yield the factors of T(p, q) for growing p + q, while these are few and small."""
    letters = (base,) if base == base.T else (base, base.T)
    for power in range(1, _SEARCHED_POWERS + 1):
        if base.size() ** power > _SEARCHED_SIZE:
            return
        yield from (
            factors
            for factors in product(letters, repeat=power)
            if list(factors) == sorted(factors, key=letters.index)
        )
