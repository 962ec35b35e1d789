"""An irrep as a rep like any other: in expressions, in text, in layers."""

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
from intertwine.reps.generator_images import (
    Images,
    act_by_complex_numbers,
    images,
    matrix_of,
)
from intertwine.reps.parsing import register_notation
from intertwine.reps.syntax import Base, Dual, Rep, is_a

_SEARCHED_POWERS = 8
_SEARCHED_SIZE = 5_000
"""An irrep that nobody has found is looked for in T(p, q) with p + q and size up to these."""


def decomposer_for(group: Group, *, is_complex: bool) -> Decomposer:
    """The decomposer of a group in the frame where it is closed under adjoints.

    Raises `MethodNotApplicable` where the group is not seen to be reductive, and
    `RoundedGenerators` where its generators look rounded.
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

    The name has the dimension and a digest of traces (a longer one where irreps of one group would
    have equal names): it is the same in every process, however the irrep was found. Its matrices
    are in a canonical basis (docs/how-it-works.md), unitary (or closed under adjoints) in the
    group's straight frame. An irrep that was not found so far is
    looked for in V, V*, V⊗V, …; `InvalidRep` is raised where it does not occur there.
    """

    name: str
    G: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not IRREP_NAME.fullmatch(self.name):
            raise InvalidRep(f"{self.name!r} is no irrep's name; one looks like W3_5a1f2c")

    @classmethod
    def is_name(cls, text: str) -> bool:
        """Whether a text is a name of the right form."""
        return IRREP_NAME.fullmatch(text) is not None

    @property
    def is_over_complex_numbers(self) -> bool:
        """Whether it is one over ℂ."""
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
        """The dual; over an orthogonal group the irrep itself."""
        orthogonal = self.G is not None and self.G.is_orthogonal
        return self if orthogonal and not self.is_over_complex_numbers else Dual(self)

    @property
    def type(self) -> str:
        """ℝ, ℂ or ℍ: what commutes with it (over ℂ always ℂ)."""
        return self.entry.type

    @property
    def endomorphisms(self) -> Inexact[np.ndarray, "e d d"]:
        """A basis E of what commutes with it, E₀ = 1 and tr(EᵢᴴEⱼ) = d δᵢⱼ."""
        return self.entry.endomorphisms.copy()

    @property
    def generators(self) -> Images:
        """Its matrices: dλ(Aₖ) and λ(hᵢ) for the group's generators as they were given."""
        self._require_group()
        return images(self)

    @property
    def _identity(self) -> str | None:
        """Its name: in a key it stands for its matrices, which may not have been looked for."""
        changed = any(getattr(type(self), n) is not getattr(Irrep, n) for n in ("rho", "drho"))
        return None if changed else f"irrep {self.name}"  # a subclass may act by itself

    def rho(self, M: Any) -> Array:
        """λ(g), in the array library of g."""
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
        """It in its group's catalogue. Raises `InvalidRep` where it is not found."""
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
    """An irrep's name in the text of a rep."""
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
    """An atom in the frame where its group is closed under adjoints, and the matrix S that leads
    from there to the given one: ρ(g) = S ρ'(g) S⁻¹. None stands for 1.

    Raises `MethodNotApplicable` where nobody knows what the change of frame does to the atom.
    """
    verdict = verdict_of(atom.G)
    if verdict.straight is None or verdict.frame is None:
        return atom, None
    inner = atom.rep if is_a(atom, Dual) else atom
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
        f"irreps would be found in another frame of {atom.G!r} (of condition "
        f"{verdict.condition:.3g}), and what that does to {atom} is not known"
    )


def _image(
    decomposer: Decomposer, index: int, element: Array, lie: bool, known: dict[int, Array]
) -> Array:
    """The image of an element under a catalogued irrep, along the way it was found."""
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
    """Decompose V, V*, V⊗V, … until an irrep of the name is found."""
    base = Base(decomposer.group)
    if act_by_complex_numbers([base]) and not np.issubdtype(decomposer.dtype, np.complexfloating):
        return  # an irrep over ℝ is in no tensor of complex matrices
    letters = (base,) if base == base.T else (base, base.T)
    for power in range(1, _SEARCHED_POWERS + 1):
        if base.size() ** power > _SEARCHED_SIZE:
            return
        for atoms in product(letters, repeat=power):
            if list(atoms) != sorted(atoms, key=letters.index):
                continue
            try:
                decomposer.decompose(atoms)
            except SplitError as error:
                raise MethodNotApplicable(
                    f"no irreps are found of {decomposer.group!r}: {error}"
                ) from error
            if decomposer.catalogue.named(name) is not None:
                return
