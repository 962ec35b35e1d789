"""What networks cannot represent if their reps are not sums of irreps of one group, and the remedy.

Schur's lemma does not apply there, so maps are solved for: between tensors, one copy of each, since
a hidden layer with a tensor carries on all copies of it or none, up to a linear combination.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from intertwine.architecture.layer_kit import LayerKit
from intertwine.architecture.network_shape import HiddenLayer
from intertwine.architecture.seed import Seed
from intertwine.errors import InvalidRep
from intertwine.reps import Rep
from intertwine.reps.canonical_form import canonical_terms
from intertwine.reps.syntax import direct_sum, groups_of, tensor

_MOST_ENTRIES = 1 << 16
"""The largest number of entries of quadratic maps that the solver finds."""
_SMALL = 0.1
"""The initial size of quadratic maps, relative to linear ones."""
_ZERO = 1e-8


def with_tensors(layer: HiddenLayer, source: Rep, rep_out: Rep) -> Rep:
    """Return the rep of a layer. One that may grow gets the tensors of input and output that it
    lacks, so that every linear map between these is a path. Tensors without a group of the input
    are left out: they would be constant.
    """
    if not layer.may_grow:
        return layer.rep
    own, known = {atoms for _, atoms in canonical_terms(layer.rep)}, {*groups_of(source)}
    terms = [tensor(atoms) for _, atoms in canonical_terms(source + rep_out) if atoms not in own]
    return direct_sum(
        [(1, layer.rep), *((1, term) for term in terms if known & {*groups_of(term)})]
    )


def squares(kit: LayerKit, source: Rep, rep_out: Rep, wide: Rep, seed: Seed) -> Any | None:
    """Return all equivariant quadratic maps to the tensors of the output, followed by a linear map
    into a layer that has them; None if there are none, or too many entries to solve for
    (`lost_maps` says so).
    """
    if not _are_solved_for(source, rep_out):
        return None
    square, tensors = kit.square(source), _tensors(rep_out)
    try:
        quadratic = kit.linear(square.rep_out, tensors, seed.child(0))
        into = kit.linear(tensors, wide, seed.child(1))
    except InvalidRep:  # the only one is zero
        return None
    small = dict.fromkeys(kit.weight_names(into), _SMALL)
    return kit.sequential([square, quadratic, kit.scaled(into, small)])


def lost_maps(source: Rep, layers: Sequence[HiddenLayer], rep_out: Rep) -> Iterator[str]:
    """Yield what the network may not represent although a larger one could, one sentence each."""
    if not _are_solved_for(source, rep_out):
        yield (
            f"the network may not represent every product of two parts of the input: quadratic "
            f"maps to the output have {_tensors(rep_out).size():,} × {source.size():,}² entries, "
            f"and at most {_MOST_ENTRIES:,} are solved for. Take smaller reps, or reps of one "
            f"reductive group"
        )
    if all(layer.may_grow for layer in layers):
        return
    given, wanted = _tensors(source), _tensors(rep_out)
    hidden = [_tensors(with_tensors(layer, source, rep_out)) for layer in layers]
    enough = _tensors(source + rep_out)
    remedy = f"Give an integer ch, or name hidden reps that have all of {enough!r}"
    linear = _passed([given, *hidden, wanted])
    if linear[0] < linear[1]:
        yield (
            f"the hidden reps that you name pass on {linear[0]} of the {linear[1]} linear maps "
            f"between tensors of the input and of the output, {given!r} and {wanted!r}. {remedy}"
        )
    elif _are_solved_for(source, rep_out):
        quadratic = _passed([given * given, wanted, *hidden, wanted])
        if quadratic[0] < quadratic[1]:
            yield (
                f"the network may not represent every product of two parts of the input: the "
                f"hidden reps that you name pass on {quadratic[0]} of {quadratic[1]} quadratic "
                f"maps between tensors of the input and of the output. {remedy}"
            )


def _tensors(rep: Rep) -> Rep:
    """Return the sum of the different tensors of a rep."""
    return direct_sum([(1, tensor(atoms)) for _, atoms in canonical_terms(rep)])


def _are_solved_for(source: Rep, rep_out: Rep) -> bool:
    return source.size() ** 2 * _tensors(rep_out).size() <= _MOST_ENTRIES


def _passed(reps: Sequence[Rep]) -> tuple[int, int]:
    """Return the dimension of the span of maps through all of these reps, and that of all
    equivariant maps from the first to the last. The former is the rank of more random maps than the
    latter.
    """
    every = (reps[0] >> reps[-1]).equivariant_basis().rank
    bases = [((a >> b).equivariant_basis(), (b.size(), a.size())) for a, b in pairwise(reps)]
    if not every or not all(basis.rank for basis, _ in bases):
        return 0, every
    rng, found = np.random.default_rng(0), []
    for _ in range(every + 1):
        through = np.eye(reps[0].size())
        for basis, shape in bases:
            through = (basis @ rng.standard_normal(basis.rank)).reshape(shape) @ through
        found.append(through.ravel() / max(np.abs(through).max(), np.finfo(float).tiny))
    return int(np.linalg.matrix_rank(np.array(found), tol=_ZERO * every)), every
