"""A rep that is given by the images of its group's generators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import Array, in_numpy, is_hidden, is_numpy, is_torch, namespace
from intertwine.errors import InvalidGroup, InvalidRep, MethodNotApplicable, TooLarge
from intertwine.groups import Group
from intertwine.groups.generators import Generator, read_discrete, read_lie_algebra
from intertwine.operators import Permutation, dense
from intertwine.operators.permutation import exact_permutation
from intertwine.reps.generator_images import Images, digest_of_images
from intertwine.reps.own_matrices import MAX_OWN_SIZE
from intertwine.reps.relations import Relations
from intertwine.reps.syntax import Rep

_NEAR = 1e-12  # an element this near to a generator has its image
_OUTSIDE = 1e-8  # a matrix this near to the Lie algebra, relative to its norm, is in it


class GeneratorRep(Rep):
    """The rep ρ of G with given ρ(hₖ) and dρ(Aₖ) for its generators. See `Rep.from_generators`.

    Equality and keys depend on the group and on the images, rounded to 1e-12, and not on the name.
    A solve uses the images as they are, and permutations stay permutations.
    """

    def __init__(
        self, G: Group, images: Images, size: int, name: str | None = None, note: str = ""
    ) -> None:
        if name is not None and not (isinstance(name, str) and name.isidentifier()):
            raise InvalidRep(
                f"{name!r} is no name of a rep: write letters, digits and _, as in 'P'"
            )
        digest = digest_of_images(size, images)
        own: dict[str, Any] = {"G": G, "_images": images, "_size": size, "_digest": digest}
        self.__dict__.update(own, _name=name, note=note)

    def __setattr__(self, name: str, value: Any) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def size(self) -> int:
        """Return the size of the images."""
        return int(self.__dict__["_size"])

    @property
    def generators(self) -> Images:
        """The images dρ(Aₖ) and ρ(hₖ) of the group's generators."""
        found: Images = self.__dict__["_images"]
        return found

    @property
    def given_name(self) -> str | None:
        """The name that the user gave; None for a rep that prints as its size and digest."""
        found: str | None = self.__dict__["_name"]
        return found

    def _given_images(self) -> Images:
        return self.generators

    def rho(self, M: Any) -> Array:
        """Return ρ(g), of shape (n, n).

        g is a generator, an element of a finite or permutation group, or exp A · h with a principal
        logarithm A in the Lie algebra and a short word h. Raises `MethodNotApplicable` for other
        elements, and for an element that JAX traces, or PyTorch: then write ρ as a class (`Rep`).
        """
        if is_hidden(M):
            hiding = "torch.compile, gradients" if is_torch(M) else "jax.jit, grad"
            raise MethodNotApplicable(
                f"rho of {self!r} finds an element among products of generators by its "
                f"numbers, which {hiding} and vmap hide. Write the rep as a class with rho"
            )
        element = in_numpy(dense(M))
        found = self._known(element)
        if found is None:
            found = self._relations().image(element)
        if found is None:
            raise MethodNotApplicable(
                f"rho of {self!r} is known for products of the generators of {self.G!r}, and this "
                f"element is not found among them. Use its `generators`, or write the rep "
                f"as a class with rho:\n{element}"
            )
        xp = namespace(M)
        image: Array = xp.asarray(found if xp is np else found.copy())
        return image

    def drho(self, A: Any) -> Array:
        """Return dρ(A), of shape (n, n), for A in the Lie algebra of the generators.

        Raises `InvalidRep` for an A that is not in it.
        """
        matrix = dense(A)
        if not self.generators.lie:
            if is_numpy(matrix) and np.any(matrix):
                raise InvalidRep(
                    f"{self.G!r} has no Lie generators: dρ of {self!r} is defined for 0 only"
                )
            return namespace(matrix).zeros((self.size(), self.size()))
        closure = self._relations().closure
        coordinates, outside = closure.coordinates(matrix)
        if not outside <= _OUTSIDE:
            raise InvalidRep(
                f"dρ of {self!r} is known on the Lie algebra of {self.G!r}, and {outside:.1g} of "
                f"this matrix is outside of it:\n{matrix}"
            )
        return closure.image(coordinates)

    def _known(self, element: Inexact[np.ndarray, "d d"]) -> Any:
        """Return the image of the identity or of a generator; None for another element."""
        one = np.eye(self.G.d)
        if element.shape != one.shape:
            raise InvalidRep(f"an element of {self.G!r} has shape {one.shape}, not {element.shape}")
        if np.array_equal(element, one):
            return np.eye(self.size())
        if len(self.G.group_generators) > 8 or element.shape[0] > 200:
            return None
        for h, image in zip(self.G.group_generators, self.generators.discrete, strict=True):
            known = np.asarray(dense(h))
            if np.abs(known - element).max() <= _NEAR * max(1.0, float(np.abs(known).max())):
                return np.asarray(dense(image))
        return None

    def _relations(self) -> Relations:
        found: Relations | None = self.__dict__.get("_known_relations")
        if found is None:
            images = self.generators
            found = Relations(self.G, images.lie, images.discrete, self.size(), repr(self))
            self.__dict__["_known_relations"] = found
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields, without what is computed from them."""
        return {k: value for k, value in vars(self).items() if k != "_known_relations"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rep):
            return NotImplemented
        if not isinstance(other, GeneratorRep):
            return False
        return bool(self.G == other.G and vars(self)["_digest"] == vars(other)["_digest"])

    def __hash__(self) -> int:
        return hash(("GeneratorRep", self.G, vars(self)["_digest"]))

    def __str__(self) -> str:
        name = self.__dict__["_name"]
        return name or f"R{self.size()}_{self.__dict__['_digest'][:6]}"

    def __repr__(self) -> str:
        note = self.__dict__["note"]
        return f"{super().__repr__()}{f' ({note})' if note else ''}"


def named(rep: Rep, name: str) -> GeneratorRep:
    """Return a rep by generators under another name.

    Raises `InvalidRep` for other reps, and for a name that is not an identifier.
    """
    if not isinstance(rep, GeneratorRep):
        raise InvalidRep(
            f"{rep!r} is not a single rep by generators, so it prints as an expression: leave out "
            f"name={name!r}"
        )
    return GeneratorRep(rep.G, rep.generators, rep.size(), name, vars(rep)["note"])


def rep_from_generators(
    G: Group, images: Any = (), lie: Any = (), name: str | None = None
) -> GeneratorRep:
    """Return the rep of G with these images of its generators. See `Rep.from_generators`."""
    if not isinstance(G, Group) or not G.is_initialised:
        raise InvalidRep(f"a rep is made for a group such as SO(3), not for {G!r}")
    what = f"{name or 'the map'} from the generators of {G!r}"
    found = checked_generator_images(G, images, lie, what)
    return GeneratorRep(G, found.images, found.size, name, found.note)


@dataclass(frozen=True, eq=False)
class CheckedImages:
    """Images of generators that passed the checks. `note` says what was not checked."""

    images: Images
    size: int
    note: str


def checked_generator_images(G: Group, discrete: Any, lie: Any, what: str) -> CheckedImages:
    """Read the images of a group's generators, and check that they are those of a representation.

    `what` names the map in errors. Raises `InvalidRep`, and `TooLarge` for large dense images.
    """
    found = Images(
        _read(lie, len(G.lie_generators), "Lie", what),
        _read(discrete, len(G.group_generators), "discrete", what),
    )
    sizes = {image.shape[0] for image in (*found.lie, *found.discrete)}
    if not sizes:
        raise InvalidRep(
            f"{what}: {G!r} has no generators, and its reps are trivial: use n * Scalar"
        )
    if len(sizes) > 1:
        raise InvalidRep(f"{what}: the images have mixed sizes {sorted(sizes)}; give all one size")
    size = sizes.pop()
    if size > MAX_OWN_SIZE and not all(isinstance(h, Permutation) for h in found.discrete):
        raise TooLarge(
            f"{what}: dense images have {size:,} rows; at most {MAX_OWN_SIZE:,} are read"
        )
    relations = Relations(G, found.lie, found.discrete, size, what)
    relations.check()
    return CheckedImages(found, size, relations.note)


def _read(values: Any, count: int, kind: str, what: str) -> tuple[Generator, ...]:
    """Return images as matrices or permutations, one for each generator."""
    try:
        items: Sequence[Any] = [] if values is None else list(values)
        read = (read_lie_algebra if kind == "Lie" else read_discrete)(items)
    except InvalidGroup as error:
        raise InvalidRep(f"{what}: the image of a generator cannot be used: {error}") from None
    except TypeError:
        raise InvalidRep(f"{what}: images are given as a list, not as {values!r}") from None
    if len(read) != count:
        word = "lie" if kind == "Lie" else "images"
        raise InvalidRep(
            f"{what}: it has {count} {kind} generators, and {len(read)} images are given for them. "
            f"Give one each, as in {word}=[…]"
        )
    if kind == "Lie":
        return read
    exact = (exact_permutation(image) for image in read)
    return tuple(p or image for p, image in zip(exact, read, strict=True))
