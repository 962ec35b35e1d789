"""The bilinear layer of the paper, without building its matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Inexact, Int

from intertwine.architecture.by_content import ByContent
from intertwine.architecture.features import Weights, joined_channels, reordered, split
from intertwine.architecture.initialization import WeightSpec
from intertwine.architecture.irrep_space import canonical_places
from intertwine.architecture.precision import weighted_product
from intertwine.arrays import Array, index, namespace
from intertwine.reps import Rep
from intertwine.reps.canonical_form import Atoms, canonical_terms
from intertwine.reps.generator_images import act_by_complex_numbers
from intertwine.reps.syntax import tensor

_ELEMENTWISE = 5  # the time of a multiplication outside a matrix product, relative to one inside

#: The components of copies of a tensor, arrays of shape (count, batch).
Components = list[Any]


@dataclass(frozen=True)
class Copies:
    """Copies of a tensor, of `size` components each, in a vector from index `at` on."""

    at: int
    count: int
    size: int

    def components_of(self, whole: Inexact[Array, "n b"]) -> Components:
        """Return the copies in a batch, component by component."""
        by_component = whole.reshape(self.count, self.size, whole.shape[1]).swapaxes(0, 1)
        return [part[0] for part in split(by_component, [1] * self.size)]


@dataclass(frozen=True, eq=False)
class Path(ByContent):
    """Copies K of a tensor of the input that are maps from one of its terms to one of the output:
    y_o += Σ_{k,a} P[o, (k, a)] Σ_i K_{k,oi} x_{a,i}.

    `order[o, i]` is the component of K at the matrix entry (o, i).
    """

    name: str
    maps: Copies
    source: Copies
    order: Int[np.ndarray, "o i"]

    def apply(
        self, weight: Inexact[Array, "m ka"], maps: Components, vectors: Components
    ) -> Components:
        """Return the components of y. P is applied where it is cheaper: before or after K."""
        rows, columns = self.order.shape
        if self._mixes_first(len(weight)):
            count = self.maps.count
            by_map = split(weight, [weight.shape[1] // count] * count, axis=1)
            mixed = [weighted_product(joined_channels(by_map), v) for v in vectors]
            wide = [_spread(component, len(weight)) for component in maps]
            found = [
                sum(wide[self.order[o, i]] * mixed[i] for i in range(columns)) for o in range(rows)
            ]
            return [sum(split(y, [len(weight)] * self.maps.count)) for y in found]
        tiled = [joined_channels([v] * self.maps.count) for v in vectors]
        wide = [_spread(component, self.source.count) for component in maps]
        return [
            weighted_product(weight, sum(wide[self.order[o, i]] * tiled[i] for i in range(columns)))
            for o in range(rows)
        ]

    def matrices(
        self, weight: Inexact[Array, "m ka"], components: Mapping[int, Inexact[Array, "_ _ b"]]
    ) -> Inexact[Array, "b mo ai"]:
        """Return the block of W(x) between the two terms, for each vector x of a batch, from its
        terms of shape (count, size, batch).
        """
        whole = components[self.maps.at]
        maps = whole[: self.maps.count][:, index(self.order, whole)]
        parts = weight.reshape(len(weight), self.maps.count, self.source.count)
        found = namespace(weight).einsum("pka,koib->bpoai", parts, maps)
        return found.reshape(
            found.shape[0], len(weight) * self.order.shape[0], self.source.count * self.source.size
        )

    def _mixes_first(self, outputs: int) -> bool:
        rows, columns = map(int, self.order.shape)
        k, a = self.maps.count, self.source.count
        before = k * outputs * columns * (a + _ELEMENTWISE * rows)
        behind = k * a * rows * (outputs + _ELEMENTWISE * columns)
        return before < behind


@dataclass(frozen=True, eq=False)
class PaperMaps(ByContent):
    """x ↦ W(x)x, where W(x) is made of x itself (Finzi, Welling and Wilson 2021, §6.2).

    The rep of W is a sum of tensors. Each of them is a linear combination of the tensors of the
    same kind in x that are not scalars: the first ones, at most as many as one has components. They
    are contracted tensor by tensor, in an order that builds no W(x).
    """

    rep_in: Rep
    rep_out: Rep
    into: Int[np.ndarray, " n"]
    out: Int[np.ndarray, " m"]
    sources: Sequence[Copies]
    targets: Sequence[tuple[Copies, Sequence[Path]]]
    is_complex: bool

    @property
    def weight_spec(self) -> WeightSpec:
        """Shapes of the weights, and variances with which outputs have that of the inputs."""
        found = {}
        for term, paths in self.targets:
            for path in paths:
                fan_in = path.maps.count * path.source.count
                variance = 1 / (len(paths) * fan_in * path.source.size)
                found[path.name] = (term.count, fan_in), variance
        return found

    def apply(self, weights: Weights, x: Inexact[Array, "b n"]) -> Inexact[Array, "b m"]:
        """Return the image of a batch, a pure function."""
        terms = {
            term.at: term.components_of(part)
            for term, part in zip(self.sources, self._parts(x.T), strict=True)
        }
        heads = {
            maps: [component[: maps.count] for component in terms[maps.at]]
            for maps in {path.maps: None for _, paths in self.targets for path in paths}
        }
        xp = namespace(x)
        parts = [xp.zeros((0, x.shape[0]), dtype=x.dtype)]
        for term, paths in self.targets:
            found = [
                path.apply(weights[path.name], heads[path.maps], terms[path.source.at])
                for path in paths
            ]
            size = term.count * term.size
            parts.append(
                xp.stack([sum(c) for c in zip(*found, strict=True)], axis=1).reshape(size, -1)
                if found
                else xp.zeros((size, x.shape[0]), dtype=x.dtype)
            )
        y: Inexact[Array, "b m"] = reordered(joined_channels(parts), self.out).T
        return y

    def matrices(self, weights: Weights, x: Inexact[Array, "b n"]) -> Inexact[Array, "b m n"]:
        """Return the matrix W(x) for each vector of a batch: `apply` returns W(x)x without it."""
        xp = namespace(x)
        components = {
            term.at: part.reshape(term.count, term.size, x.shape[0])
            for term, part in zip(self.sources, self._parts(x.T), strict=True)
        }
        bands = [xp.zeros((x.shape[0], 0, x.shape[1]), dtype=x.dtype)]
        for term, paths in self.targets:
            height = term.count * term.size
            blocks = {
                path.source.at: path.matrices(weights[path.name], components) for path in paths
            }
            empty = {
                source.at: xp.zeros((x.shape[0], height, source.count * source.size), dtype=x.dtype)
                for source in self.sources
            }
            bands.append(xp.concatenate([*(empty | blocks).values()], axis=2))
        canonical = xp.concatenate(bands, axis=1)
        out, into = index(self.out, canonical), index(np.argsort(self.into), canonical)
        return canonical[:, out][:, :, into]

    def _parts(self, x: Inexact[Array, "n b"]) -> Sequence[Inexact[Array, "_ b"]]:
        sizes = [term.count * term.size for term in self.sources]
        return split(reordered(x, self.into), sizes) if sizes else ()


def _spread(x: Inexact[Array, "k b"], times: int) -> Inexact[Array, "kt b"]:
    """Return repeated rows, by a product with ones: the gradient of a broadcast is a slow sum."""
    xp = namespace(x)
    ones = xp.kron(xp.eye(len(x), dtype=x.dtype), xp.ones((times, 1), dtype=x.dtype))
    return xp.matmul(ones, x)


@lru_cache(maxsize=256)
def paper_maps_of(rep_in: Rep, rep_out: Rep) -> PaperMaps:
    """Return the paper's bilinear layer between concrete reps, of any groups, cached."""
    terms_in, terms_out = _terms(rep_in), _terms(rep_out)
    tensors = {atoms: copies for atoms, copies in terms_in if atoms}
    targets = []
    for o, (atoms_out, target) in enumerate(terms_out):
        paths = []
        for i, (atoms_in, source) in enumerate(terms_in):
            hom = tensor([*atoms_out, *(atom.T for atom in atoms_in)])
            [(_, atoms)] = canonical_terms(hom)
            if atoms in tensors:
                found = tensors[atoms]
                maps = Copies(found.at, min(found.count, found.size), found.size)
                order = np.argsort(canonical_places(hom)).reshape(target.size, source.size)
                paths.append(Path(f"{i}→{o}", maps, source, order))
        targets.append((target, tuple(paths)))
    return PaperMaps(
        rep_in,
        rep_out,
        canonical_places(rep_in),
        np.argsort(canonical_places(rep_out)),
        tuple(copies for _, copies in terms_in),
        tuple(targets),
        act_by_complex_numbers(atom for atoms, _ in terms_in + terms_out for atom in atoms),
    )


def _terms(rep: Rep) -> list[tuple[Atoms, Copies]]:
    found, at = [], 0
    for count, atoms in canonical_terms(rep):
        size = int(np.prod([atom.size() for atom in atoms], dtype=int))
        found.append((atoms, Copies(at, count, size)))
        at += count * size
    return found
