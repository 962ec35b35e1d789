"""Homomorphisms of groups, given on generators, and the reps that they pull back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import Array
from intertwine.errors import InvalidRep
from intertwine.groups import Group
from intertwine.groups.generators import Generator
from intertwine.integers import is_integer
from intertwine.operators import Permutation, dense
from intertwine.reps.generator_images import Images, images
from intertwine.reps.generator_rep import GeneratorRep, checked_generator_images, named
from intertwine.reps.homomorphism import in_word
from intertwine.reps.own_matrices import image_of, matrix_of
from intertwine.reps.relations import Relations
from intertwine.reps.syntax import (
    Base,
    Dual,
    Rep,
    ScalarRep,
    Sum,
    Tensor,
    atoms,
    direct_sum,
    is_a,
    tensor,
)

_OUTSIDE = 1e-9  # an element this far from a Lie algebra, relative to its norm, is not in it
_TRACELESS = 1e-12  # with a smaller trace, determinants are 1

_LARGEST_POWER = 1_000_000

#: A product of discrete generators: (generator, power) from left to right.
Word = tuple[tuple[int, int], ...]


class Homomorphism:
    """The homomorphism φ: G → H with given φ(hₖ) and dφ(Aₖ) for the generators of G.

    `images` has an element of H for each discrete generator of G, and `lie` an element of the Lie
    algebra of H for each Lie generator. They are checked as in `Rep.from_generators`. `note` says
    what was not checked; it is empty if all was.

    >>> parity = Homomorphism(Z(6), Z(2), Z(2).group_generators)
    >>> parity.pull_back(V).size()
    2

    Raises `InvalidRep` for images that violate a relation of G, or that are not in H.
    """

    def __init__(self, G: Group, H: Group, images: Any = (), lie: Any = ()) -> None:
        for group in (G, H):
            if not isinstance(group, Group) or not group.is_initialised:
                raise InvalidRep(f"a homomorphism is between groups such as SO(3), not {group!r}")
        self._source, self._target = G, H
        what = f"the map from the generators of {G!r} to {H!r}"
        self._words: tuple[Word, ...] | None = None
        if not (G.lie_generators or G.group_generators):
            self._images, self.note = Images((), ()), ""
            return
        checked = checked_generator_images(G, images, lie, what)
        self._images = checked.images
        size = (*self._images.lie, *self._images.discrete)[0].shape[0]
        if size != H.d:
            raise InvalidRep(f"{what}: elements of {H!r} have size {H.d}, and the images {size}")
        undecided = _require_in(H, self._images, what)
        self.note = "; ".join(filter(None, [checked.note, undecided]))

    @property
    def G(self) -> Group:
        """G, the source."""
        return self._source

    @property
    def H(self) -> Group:
        """H, the target."""
        return self._target

    @property
    def generators(self) -> Images:
        """The images of the generators of G."""
        return self._images

    def __call__(self, g: Any) -> Array:
        """Return φ(g), of shape (H.d, H.d). Raises the errors of `GeneratorRep.rho`."""
        return self._base.rho(g)

    def pull_back(self, R: Rep, name: str | None = None) -> Rep:
        """Return the rep R ∘ φ of G, for a rep R of H or one without a group.

        A sum, product or dual of reps becomes that of the reps pulled back. Parts of R over other
        groups remain as they are. The result prints as `name`; without it, parts by generators keep
        their names. Raises `InvalidRep` if no part is over H, and for the `name` of a sum or
        product. Raises `MethodNotApplicable` for a part whose matrices are not known for φ(hₖ).
        """
        whole = R if R.is_concrete else R(self.H)
        own = list(atoms(whole))
        if own and not any(atom.G == self.H for atom in own):
            raise InvalidRep(f"{R!r} is not a rep of {self.H!r}: {self!r} pulls back its reps only")
        found = self._pulled_back(whole)
        return found if name is None else named(found, name)

    def _pulled_back(self, R: Rep) -> Rep:
        if is_a(R, ScalarRep) or (R.G is not None and R.G != self.H):
            return R
        if is_a(R, Sum):
            return direct_sum([(m, self._pulled_back(part)) for m, part in R.terms])
        if is_a(R, Tensor):
            return tensor([self._pulled_back(factor) for factor in R.factors])
        if is_a(R, Dual):
            return self._pulled_back(R.rep).T
        if not (self._images.lie or self._images.discrete):
            return R.size() * Base(self.G) ** 0
        if is_a(R, Base):
            return self._base
        what = f"the pull-back of {R!r} to {self.G!r}"
        lie, discrete = self._images_under(R)
        checked = checked_generator_images(self.G, discrete, lie, what)
        name = R.given_name if isinstance(R, GeneratorRep) else None
        return GeneratorRep(self.G, checked.images, checked.size, name, checked.note)

    def _images_under(self, atom: Rep) -> tuple[list[Generator], list[Generator]]:
        known = images(atom)  # checks a user-defined rep
        lie: list[Generator] = [
            matrix_of(atom, "drho", np.asarray(dense(a))) for a in self._images.lie
        ]
        if self._words is not None:
            return lie, [_in_word(known.discrete, word, atom.size()) for word in self._words]
        return lie, [image_of(atom, h) for h in self._images.discrete]

    @property
    def _base(self) -> Rep:
        """V of H, pulled back."""
        own = Images(self.G.lie_generators, self.G.group_generators)
        found = GeneratorRep(self.G, self._images, self.H.d, note=self.note)
        is_inclusion = self.G.d == self.H.d and found == GeneratorRep(self.G, own, self.G.d)
        return Base(self.G) if is_inclusion else found

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Homomorphism):
            return NotImplemented
        if (self.G, self.H) != (other.G, other.H):
            return False
        has_none = not (self._images.lie or self._images.discrete)
        return has_none or bool(self._base == other._base)

    def __hash__(self) -> int:
        return hash((self.G, self.H))

    def __repr__(self) -> str:
        return f"<{self.G!r} → {self.H!r}{f' ({self.note})' if self.note else ''}>"


def Restrict(R: Rep, H: Any, name: str | None = None) -> Rep:
    """Return a rep R of a group G as a rep of a subgroup H of G.

    H is a group of matrices of the same size, whose generators lie in G, or a list of words in the
    discrete generators of G. A word is a list of generators' numbers k, or of pairs (k, power):
    ``[[0, 1], [(0, -1), 2]]`` are h₀h₁ and h₀⁻¹h₂. Powers, sums and duals of V become the same
    expression over H. `name` is as in `Homomorphism.pull_back`.

    Raises `InvalidRep` if H is not in G, or if R has no group or several ones.
    """
    if is_a(R, ScalarRep):
        return R
    if R.G is None:
        raise InvalidRep(f"{R!r} is not a rep of one group: restrict a rep over one, as in V(G)")
    if isinstance(H, Group):
        if H.d != R.G.d:
            raise InvalidRep(
                f"{H!r} acts on {H.d} dimensions, and {R.G!r} on {R.G.d}: a subgroup has matrices "
                f"of the same size. Write another embedding as a Homomorphism"
            )
        inclusion = Homomorphism(H, R.G, H.group_generators, lie=H.lie_generators)
        return inclusion.pull_back(R, name)
    return _inclusion_of_words(R.G, H).pull_back(R, name)


def subgroup_of(G: Group, H: Any) -> Group:
    """Return a subgroup that is given as a group or by words (see `Restrict`)."""
    return H if isinstance(H, Group) else _inclusion_of_words(G, H).G


def _inclusion_of_words(G: Group, words: Any) -> Homomorphism:
    """Return the inclusion of the subgroup that words in discrete generators generate."""
    read = tuple(_word(word, len(G.group_generators), G) for word in _listed(words))
    if not read:
        raise InvalidRep("a subgroup is given by at least one word, such as [[0, 1]] for h₀h₁")
    own = [_in_word(G.group_generators, word, G.d) for word in read]
    inclusion = Homomorphism(Group(discrete_generators=own, d=G.d), G, own)
    inclusion._words = read
    return inclusion


def _listed(words: Any) -> list[Any]:
    if isinstance(words, str) or not isinstance(words, Sequence):
        raise InvalidRep(f"a subgroup is a Group or a list of words, not {words!r}")
    return list(words)


def _word(word: Any, count: int, G: Group) -> Word:
    found = []
    for letter in _listed(word):
        k, power = letter if isinstance(letter, tuple) and len(letter) == 2 else (letter, 1)
        if not all(is_integer(n) for n in (k, power)) or not 0 <= k < count:
            raise InvalidRep(
                f"the letter {letter!r} of a word is not a generator of {G!r}: it is a number from "
                f"0 to {count - 1}, or a pair (number, power)"
            )
        if abs(power) > _LARGEST_POWER:
            raise InvalidRep(f"the power {power} in a word is larger than {_LARGEST_POWER:,}")
        found.append((int(k), int(power)))
    return tuple(found)


def _in_word(generators: Sequence[Generator], word: Word, size: int) -> Generator:
    """Return a product of powers of generators."""
    moves = [h for h in generators if isinstance(h, Permutation)]
    if moves and len(moves) == len(generators):
        return in_word(moves, [move.order for move in moves], word)
    powers = [np.linalg.matrix_power(np.asarray(dense(generators[k])), n) for k, n in word]
    one: Inexact[np.ndarray, "n n"] = np.eye(size)
    return reduce(np.matmul, powers, one)


def _require_in(H: Group, found: Images, what: str) -> str:
    """Raise `InvalidRep` for images that are not in H; return what could not be decided."""
    own = Relations(H, H.lie_generators, H.group_generators, H.d, repr(H))
    known = {_bytes(h) for h in H.group_generators}
    undecided, determinants = [], _determinants(H)
    if found.lie:
        for k, a in enumerate(found.lie):
            matrix = np.asarray(dense(a))
            if not np.any(matrix):
                continue
            outside = own.closure.coordinates(matrix)[1] if H.lie_generators else 1.0
            if outside > _OUTSIDE:
                raise InvalidRep(
                    f"{what}: the image of A[{k}] is not in the Lie algebra of {H!r}; "
                    f"{outside:.1g} of it is outside"
                )
    for k, h in enumerate(found.discrete):
        element = np.asarray(dense(h))
        if _bytes(h) in known or own.image(element) is not None:
            continue
        value = np.linalg.det(element)
        is_out = determinants and all(abs(value - each) > _OUTSIDE for each in determinants)
        if own.finds_every_element or is_out:
            raise InvalidRep(f"{what}: the image of h[{k}] is not in {H!r}:\n{element}")
        undecided.append(f"h[{k}]")
    if undecided:
        return f"not known to be in {H!r}: the images of {', '.join(undecided)}"
    return ""


def _determinants(H: Group) -> tuple[int, ...]:
    """Return 1, or 1 and −1, if all elements of H have such determinants; else nothing."""
    for a in H.lie_generators:
        matrix = np.asarray(dense(a))
        if not abs(np.trace(matrix)) <= _TRACELESS * float(np.linalg.norm(matrix)):
            return ()
    values = [np.linalg.det(np.asarray(dense(h))) for h in H.group_generators]
    if any(min(abs(value - 1), abs(value + 1)) > _TRACELESS for value in values):
        return ()
    return (1, -1) if any(value.real < 0 for value in values) else (1,)


def _bytes(generator: Generator) -> bytes:
    return np.asarray(dense(generator)).astype(complex).tobytes()
