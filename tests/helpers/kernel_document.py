"""The library's decisions for a fixed catalogue of groups and reps, as one JSON document.

As a program it prints the document: `processors` compares those of several BLAS kernels. Names,
orders, ranks, methods, digests and keys are values, equal or not. Entries of bases are numbers,
which are equal up to rounding.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache, reduce
from itertools import islice
from typing import Any

import numpy as np
from intertwine.bases import Basis
from intertwine.groups import SO, C, D, Group, parse_group
from intertwine.irreps import clebsch_gordan, decompose, verdict_of
from intertwine.irreps.irrep import decomposer_for
from intertwine.operators import dense
from intertwine.reps import Rep, Scalar, V, basis_key, canonical, parse
from intertwine.vis import orbit_labels, sparsify_basis

from helpers.oblique_groups import REDUCTIVE, discrete, lie
from helpers.rounded_groups import PASTED, mapped, of, to_digits
from helpers.support import CASES

CATALOGUE = (
    *("SO(2)", "SO(3)", "O(3)", "SO(4)", "SO13p()", "O13()", "Sp(1)", "Sp(2)", "SL(3)", "SU(3)"),
    *("U(2)", "S(4)", "Z(5)", "D(5)", "C(7)", "Z(3)*S(3)", "O(5)", "GL(2)", "Cube()"),
    *("SU(2) on ℝ⁴", "SU(3) on ℝ⁶", "SL(2,ℤ)", "a boost and a parity", "Scaling(3)"),
)
FRAMED = ("SO(3)", "O(3)", "SO13p()", "O13()", "Sp(2)", "D(5)", "S(4)", "SU(3)", "U(2)")
REPS: tuple[Rep, ...] = (V, V.T, V**2, V * V.T, 3 * V + V**2 + 2 * Scalar, V**3)
SPARSE: tuple[Rep, ...] = (V * V.T >> V * V.T, V + V**2 >> V + Scalar)
LARGE_SPARSE = (
    *(("V**3*V.T**3", "U(2)"), ("V**2>>V**2", "SO(2)"), ("V**4", "D(5)"), ("V**6", "Sp(2)")),
    *(("V**2>>V**2", "SU(3)"), ("2V+3V0>>V+V**2+V0", "SO(3)"), ("V**3>>V**3", "SO(3)")),
)
_DECOMPOSED = 64
"""The largest rep whose change of basis is written out."""
_MULTIPLIED = 100
"""The largest product of irreps that is decomposed."""
_SOLVED = 1000
"""The largest rep that is solved."""
_SPARSIFIED, _COLUMNS = 260, 8
"""The largest basis that is made sparse: the search takes seconds for dozens of columns."""

Section = Callable[[], Iterator[tuple[str, Any]]]


@cache
def groups() -> dict[str, Group]:
    """The catalogue: groups as they are given, turned, stretched, by redundant generators, by some
    of their elements, by digits that are then refined, and as copies.

    Nothing here goes through a BLAS, so that every kernel is given the same bits.
    """
    found = {name: REDUCTIVE.get(name) or parse_group(name) for name in CATALOGUE}
    rng = np.random.default_rng(16)
    for name in FRAMED:
        group = found[name]
        for stretch in (1, 4, 32):
            found[f"{name} stretched by {stretch}"] = _moved(group, stretch, rng)
        found[f"{name}, redundantly"] = _redundantly(_moved(group, 4, rng))
    for name, elements in _point_groups().items():
        chosen = [elements[i] for i in rng.choice(len(elements), min(len(elements), 9), False)]
        found[f"elements of {name}"] = of(*chosen)
        found[f"elements of {name}, obliquely"] = _moved(of(*chosen), 4, rng)
    for k in (3, 7, 8):
        found[f"C({k}) of six digits, refined"] = mapped(C(k), to_digits(6)).refined()
        found[f"D({k}) in float32, refined"] = mapped(D(k), to_digits("float32")).refined()
    found["pasted, refined"] = of(PASTED, np.diag([1.0, -1, -1])).refined()
    rounded = mapped(_moved(SO(3), 4, rng), to_digits(8))
    found["SO(3) of eight digits, refined"] = rounded.refined()
    clock = np.diag(np.exp(2j * np.pi * np.arange(5) / 5))
    found["shift and clock"] = of(np.roll(np.eye(5), 1, axis=0), clock)
    charges = [1, 4, 18, 31, 34, 38, 39, 43, 51, 53, 56, 57]
    found["names that would collide"] = Group(lie_algebra=[np.diag(1j * np.array(charges))])
    found["a turn times 1,000"] = of(1000 * np.array([[0.6, -0.8], [0.8, 0.6]]))
    found["a copy"], found["another copy"] = SO(3).copies(2)
    return found


def _product(*matrices: Any) -> Any:
    """A matrix product without BLAS."""
    return reduce(lambda a, b: np.einsum("ij,jk->ik", a, b, optimize=False), matrices)


def _moved(group: Group, stretch: int, rng: np.random.Generator) -> Group:
    """The group in a frame R₁DR₂ of that condition: Rᵢ turn each plane by the angle of a triangle
    of sides 3, 4, 5 or 5, 12, 13, and D has powers of two.
    """
    d = group.d

    def turned() -> Any:
        result = np.eye(d)
        for i in range(d):
            for j in range(i):
                cosine, sine = ((3 / 5, 4 / 5), (5 / 13, 12 / 13))[int(rng.integers(2))]
                plane = np.eye(d)
                plane[i, i] = plane[j, j] = cosine
                plane[i, j], plane[j, i] = -sine, sine
                result = _product(result, plane)
        return result

    left, right = turned(), turned()
    scales = (
        np.geomspace(1, stretch, d)
        if d == 2 or stretch == 1
        else 2.0 ** rng.integers(0, stretch.bit_length(), d)
    )
    frame = _product(left, np.diag(scales), right)
    inverse = _product(right.T, np.diag(1 / scales), left.T)
    moved = mapped(group, lambda m: _product(inverse, m, frame))
    return moved.refined(0)  # some have few decimals, which are exact


def _redundantly(group: Group) -> Group:
    """Discrete generators, each times the elements exp of Lie generators, and these beside them."""
    elements = [_exponential(a) for a in lie(group)]
    if not elements:
        return of(*discrete(group), *(_product(h, h) for h in discrete(group)))
    several = [_product(h, elements[0]) for h in discrete(group)]
    return Group(lie_algebra=lie(group), discrete_generators=[*elements[:1], *several], d=group.d)


def _exponential(matrix: Any) -> Any:
    """exp(A/2), by its series."""
    term = result = np.eye(len(matrix), dtype=matrix.dtype)
    for k in range(1, 40):
        term = _product(term, matrix) / (2 * k)
        result = result + term
    return result


def _point_groups() -> dict[str, list[Any]]:
    """Elements of the reflection groups A₃, B₃ and H₃."""
    half, fifth, quarter = 0.5, np.cos(np.pi / 5), np.sqrt(0.5)
    found = {}
    for name, (p, q) in {"A3": (half, half), "B3": (half, quarter), "H3": (fifth, half)}.items():
        r = np.sqrt(1 - p**2)
        roots = ((1, 0, 0), (-p, r, 0), (0, -q / r, np.sqrt(1 - (q / r) ** 2)))
        reflections = [np.eye(3) - 2 * np.multiply.outer(x, x) for x in map(np.array, roots)]
        elements = [np.eye(3)]
        for e in elements:
            for g in reflections:
                new = _product(g, e)
                if all(np.abs(new - f).max() > 1e-6 for f in elements):
                    elements.append(new)
        found[name] = elements
        found[f"{name}, rotations"] = [e for e in elements if np.linalg.det(e) > 0]
    return found


def _keys() -> Iterator[tuple[str, Any]]:
    """Digests of groups and keys of bases, also after a change of frame."""
    for name, group in groups().items():
        verdict = verdict_of(group)
        yield (
            name,
            {
                "digest": group.digest,
                "keys": [basis_key(rep(group)) for rep in REPS],
                "canonical": repr(canonical(REPS[4](group)).rep),
                "kind": verdict.kind,
                "defects": len(group.defects),
            },
        )


def _decompositions() -> Iterator[tuple[str, Any]]:
    """Irreps in their order, the change of basis, their matrices, and products of them."""
    for name, group in groups().items():
        for rep in REPS:
            if rep(group).size() > _DECOMPOSED:
                continue
            found = decompose(rep(group), store=False)
            irreps = found.multiplicities
            yield (
                f"{name} {rep}",
                {
                    "irreps": [[i.name, i.size(), i.type, m] for i, m in irreps.items()],
                    "matrix": numbers(found.matrix()),
                },
            )
        images = {
            i.name: [numbers(dense(x)) for x in (*i.generators.lie, *i.generators.discrete)]
            for i in islice(irreps, 6)
        }
        units = {i.name: numbers(i.endomorphisms) for i in islice(irreps, 6)}
        products = {
            f"{a.name}*{b.name}": {c.name: numbers(x) for c, x in clebsch_gordan(a, b).items()}
            for a, b in zip(irreps, islice(irreps, 1, 3), strict=False)
            if a.size() * b.size() <= _MULTIPLIED
        }
        catalogue = decomposer_for(group, is_complex=group.is_complex).catalogue
        yield (
            f"{name} irreps",
            {
                "found": [i.name for i in catalogue.irreps],
                "images": images,
                "units": units,
                "products": products,
            },
        )


def _bases() -> Iterator[tuple[str, Any]]:
    """Rank, method, and a projection of every case; canonical bases, where the method has them."""
    for case in CASES:
        if case.size > _SOLVED:
            continue
        rep = case.build()
        yield f"{case}", _solved(rep)
    for name, group in groups().items():
        for rep in (V**2 >> V**2, V**2 + V >> V):
            if rep(group).size() <= _SOLVED:
                yield f"{name} {rep}", _solved(rep(group))


def _solved(rep: Rep) -> Any:
    basis = rep.equivariant_basis(store=False)
    vector = np.random.default_rng(3).standard_normal(rep.size())
    certificate = basis.certificate
    found = {
        "rank": basis.rank,
        "method": certificate.method,
        "parts": list(certificate.parts),
        "projection": numbers(basis.project(vector)),
        "clusters": orbit_labels(basis).labels.tolist(),
    }
    if certificate.method == "irreps":
        found["columns"] = numbers(basis @ vector[: basis.rank])
    return found


def _sparse() -> Iterator[tuple[str, Any]]:
    """Sparse bases: where their entries are, exactly, and what these are."""
    for name, group in groups().items():
        for rep in SPARSE:
            if rep(group).size() <= _SPARSIFIED:
                basis = rep(group).equivariant_basis(store=False)
                if basis.rank <= _COLUMNS:
                    yield f"{name} {rep}", _entries(basis)
    for text, name in LARGE_SPARSE:
        yield f"{name} {text}", _entries(parse(text)(parse_group(name)).equivariant_basis())


def _entries(basis: Basis) -> Any:
    sparse = sparsify_basis(basis)
    where = np.argwhere(sparse.T)
    return {"where": where.tolist(), "entries": numbers(sparse.T[tuple(where.T)])}


SECTIONS: dict[str, Section] = {
    "keys": _keys,
    "decompositions": _decompositions,
    "bases": _bases,
    "sparse": _sparse,
}


def numbers(array: Any) -> list[float]:
    """The entries as floating-point numbers, real ones first: what may differ by rounding."""
    flat = np.ravel(np.asarray(array))
    parts = [flat.real, flat.imag] if np.iscomplexobj(flat) else [flat]
    return [float(x) for part in parts for x in part]


def document(sections: Iterable[str]) -> dict[str, Any]:
    """Some sections of the document, or all."""
    return {section: dict(SECTIONS[section]()) for section in sections}


if __name__ == "__main__":
    json.dump(document(sys.argv[1:] or SECTIONS), sys.stdout)
