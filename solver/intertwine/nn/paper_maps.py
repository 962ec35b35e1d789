"""The bilinear layer of the paper, without the matrix that it is written with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, Int

from intertwine.nn.initial import Wanted
from intertwine.nn.linear_maps import Weights
from intertwine.reps import Rep, canonical
from intertwine.reps.canonical_form import Atoms, canonical_terms
from intertwine.reps.generator_images import act_by_complex_numbers
from intertwine.reps.syntax import tensor


@dataclass(frozen=True)
class Copies:
    """So many copies of a tensor, of so many components each, in a vector from index `at` on."""

    at: int
    count: int
    size: int

    def of(self, x: Inexact[Array, "b n"]) -> Inexact[Array, "b count size"]:
        """They in a batch."""
        whole = x[:, self.at : self.at + self.count * self.size]
        return whole.reshape(x.shape[0], self.count, self.size)


@dataclass(frozen=True, eq=False)
class Path:
    """A tensor K of the input that is a map from one of its terms to one of the output:
    y_o += Σ_{k,a} P[o, (k, a)] K_k x_a.

    `order` brings the components of K into those of a matrix.
    """

    name: str
    maps: Copies
    source: Copies
    order: Int[np.ndarray, "o i"]


@dataclass(frozen=True, eq=False)
class PaperMaps:
    """x ↦ W(x)x, W(x) being made of x itself (Finzi, Welling and Wilson 2021, §6.2).

    The rep of W is a sum of tensors; each of them is a linear combination of the tensors of the
    same kind in x that are not scalars: at most as many of them, the first, as one has components.
    Here they are contracted tensor by tensor, in the order in which no W(x) is built.
    """

    rep_in: Rep
    rep_out: Rep
    into: Int[np.ndarray, " n"]
    out: Int[np.ndarray, " m"]
    targets: Sequence[tuple[Copies, Sequence[Path]]]
    is_complex: bool

    @property
    def wanted(self) -> Wanted:
        """Shapes of the weights, and variances with which outputs have that of the inputs."""
        found = {}
        for term, paths in self.targets:
            for path in paths:
                fan_in = path.maps.count * path.source.count
                variance = 1 / (len(paths) * fan_in * path.source.size)
                found[path.name] = (term.count, fan_in), variance
        return found

    def apply(self, weights: Weights, x: Inexact[Array, "b n"]) -> Inexact[Array, "b m"]:
        """The image of a batch, a pure function."""
        b = x.shape[0]
        x = x[:, self.into]
        parts = [jnp.zeros((b, 0), x.dtype)]
        for term, paths in self.targets:
            y = jnp.zeros((b, term.count, term.size), x.dtype)
            for path in paths:
                maps = path.maps.of(x)[:, :, path.order]
                products = jnp.einsum("bkoi,bai->bkao", maps, path.source.of(x))
                flat = products.reshape(b, path.maps.count * path.source.count, term.size)
                y = y + jnp.einsum("op,bpi->boi", weights[path.name], flat)
            parts.append(y.reshape(b, term.count * term.size))
        return jnp.concatenate(parts, axis=1)[:, self.out]


@lru_cache(maxsize=256)
def paper_maps_of(rep_in: Rep, rep_out: Rep) -> PaperMaps:
    """The paper's bilinear layer between concrete reps, of any groups, made once."""
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
                order = _canonical_places(hom, inverse=True).reshape(target.size, source.size)
                paths.append(Path(f"{i}→{o}", maps, source, order))
        targets.append((target, tuple(paths)))
    return PaperMaps(
        rep_in,
        rep_out,
        _canonical_places(rep_in),
        _canonical_places(rep_out, inverse=True),
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


def _canonical_places(rep: Rep, inverse: bool = False) -> Int[np.ndarray, " n"]:
    """p with x[p] in the canonical order; or back."""
    form, places = canonical(rep), np.arange(rep.size())
    if form.is_identity:
        return places
    permutation = form.permutation.H if inverse else form.permutation
    return np.asarray(permutation @ places).astype(int)
