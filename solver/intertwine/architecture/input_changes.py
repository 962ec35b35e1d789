"""Changes of an input's parts, and which of them a network's output sees.

The group moves all parts at once. If one part alone is scaled or turned, outputs should change in a
way that the group does not explain: a network that never does so has a symmetry that the group does
not have. Networks are tested at initialization, with random weights: a change that the output does
not see then, it sees for no weights.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.architecture.block_shape import BlockShape
from intertwine.architecture.features import Features
from intertwine.architecture.initialization import first_features
from intertwine.architecture.irrep_space import IrrepSpace
from intertwine.architecture.reach import Fusion
from intertwine.architecture.sparse_basis import sparse_basis_of
from intertwine.groups import Group
from intertwine.irreps import Irrep
from intertwine.operators import dense
from intertwine.reps.syntax import drho_of, rho_of

#: Roots of unity by which parts of the input, and parts of the output, are multiplied.
Change = tuple[dict[str, Any], dict[str, Any]]
#: A part of the input that is turned, the parts that are present, and a part of the output.
Turn = tuple[str, frozenset[str], str]

_EXAMPLES, _SEEN = 8, 1e-9
_ELEMENTS, _DRAWN = 2, 6
"""The numbers of group elements that are tried and drawn: those that move the most are tried."""


def sees(
    blocks: Sequence[BlockShape], space_in: IrrepSpace, change: Change, outputs: Sequence[str]
) -> bool:
    """Return whether, for some weights, outputs change differently from what `change` says."""
    before, after = _images(blocks, space_in, [{}, change[0]], outputs)
    return any(_differ(after[name], change[1].get(name, 1), before[name]) for name in outputs)


def possible_turns(
    space_in: IrrepSpace, outputs: Collection[str], fusion: Fusion
) -> frozenset[Turn]:
    """Return the turns that outputs might see: of one part of the input against one other, and of
    each part against all others.

    If factors of a group move one part each, as in SO(4), they turn the parts independently and
    there is nothing to see: the orbit of both under the group has as many dimensions as the two
    orbits together.
    """
    parts = _parts(space_in, fusion)
    several = {frozenset(pair) for pair in combinations(parts, 2)}
    several |= {frozenset(parts)} if len(parts) > 2 else set()

    def orbit(some: Collection[str]) -> int:
        names = [name for part in sorted(some) for name in parts[part]]
        return _orbit_dimension(names, space_in, fusion.group)

    def may_be_seen(turned: str, rest: Collection[str]) -> bool:
        if not fusion.group.lie_generators:
            return True
        return orbit((turned, *rest)) < orbit((turned,)) + orbit(rest)

    return frozenset(
        (turned, present, target)
        for present in several
        for turned in (sorted(present) if len(present) > 2 else sorted(present)[:1])
        if may_be_seen(turned, present - {turned})
        for target in outputs
    )


def seen_turns(
    blocks: Sequence[BlockShape],
    space_in: IrrepSpace,
    outputs: Sequence[str],
    turns: Collection[Turn],
    fusion: Fusion,
) -> frozenset[Turn]:
    """Return the turns that outputs see.

    If a symmetric matrix and a vector turn against each other, invariants of both change, unless
    they meet in scalars alone. An output ν does not see a turn if it stays, or turns with the part.
    """
    if not turns:
        return frozenset()
    parts = _parts(space_in, fusion)
    moving = {*space_in.multiplicities, *outputs} - {fusion.trivial}
    matrices = _turning(sorted(moving), fusion.group)
    pairs = sorted({(turned, tuple(sorted(present))) for turned, present, _ in turns})
    changes: list[dict[str, Any]] = []
    for turned, present in pairs:
        absent = {n: 0 for part, names in parts.items() if part not in present for n in names}
        changes.append(absent)
        for i in range(_ELEMENTS):
            changes.append({**absent, **{n: matrices[n][i] for n in parts[turned]}})
    images, found = _images(blocks, space_in, changes, outputs), set[Turn]()
    for k, (turned, present) in enumerate(pairs):
        before, *after = images[k * (_ELEMENTS + 1) : (k + 1) * (_ELEMENTS + 1)]
        for name in outputs:
            with_it = matrices.get(name, [1] * _ELEMENTS)
            if any(
                _differ(x[name], 1, before[name]) and _differ(x[name], by, before[name])
                for x, by in zip(after, with_it, strict=True)
            ):
                found.add((turned, frozenset(present), name))
    return frozenset(found)


def _parts(space_in: IrrepSpace, fusion: Fusion) -> dict[str, list[str]]:
    """Return the irreps of the input that turn, each with its dual: x and x̄ turn together."""
    found: dict[str, list[str]] = {}
    for name in space_in.multiplicities:
        if name == fusion.trivial:
            continue
        dual = (part for part in found if fusion.trivial in fusion.of(part, name))
        found.setdefault(next(dual, name), []).append(name)
    return found


def _orbit_dimension(names: Sequence[str], space_in: IrrepSpace, group: Group) -> int:
    """Return the dimension of the orbit of a vector that has only these irreps."""
    rng, tangents = np.random.default_rng(0), []
    for name in names:
        irrep = Irrep(name, group)
        x = rng.standard_normal((irrep.size(), space_in.multiplicities[name]))
        images = [dense(drho_of(irrep, dense(a))) for a in group.lie_generators]
        tangents.append(np.array([(np.asarray(image) @ x).ravel() for image in images]))
    return int(np.linalg.matrix_rank(np.concatenate(tangents, axis=1), 1e-8))


def _turning(names: Sequence[str], group: Group) -> dict[str, list[Any]]:
    """Return ρ(g) of irreps in the coordinates of features, for a few elements g."""
    drawn: dict[str, list[Any]] = {}
    elements = group.samples(_DRAWN)
    for name in names:
        irrep = Irrep(name, group)
        basis = sparse_basis_of(irrep)
        images = (np.asarray(dense(rho_of(irrep, element))) for element in elements)
        drawn[name] = [basis.conj().T @ image @ basis for image in images]
    moved = [
        min(np.abs(every[i] - np.eye(len(every[i]))).max() for every in drawn.values())
        for i in range(_DRAWN)
    ]
    kept = np.argsort(moved)[-_ELEMENTS:]
    return {name: [every[i] for i in kept] for name, every in drawn.items()}


def _images(
    blocks: Sequence[BlockShape],
    space_in: IrrepSpace,
    changes: Sequence[Mapping[str, Any]],
    outputs: Sequence[str],
) -> list[dict[str, Any]]:
    """Return the outputs of freshly initialized blocks for a few inputs under each change."""
    rng = np.random.default_rng(0)
    features: Features = {}
    for name, m in space_in.multiplicities.items():
        x = rng.standard_normal((space_in.kinds[name].dimension, m, _EXAMPLES))
        if space_in.is_complex:
            x = x + 1j * rng.standard_normal(x.shape)
        every = [_moved(x, change.get(name, 1)) for change in changes]
        features[name] = [*np.concatenate(every, axis=2)]
    for block in blocks:
        features = first_features(block, features, rng)
    parts = {name: np.split(np.array(features[name]), len(changes), axis=2) for name in outputs}
    return [{name: part[i] for name, part in parts.items()} for i in range(len(changes))]


def _moved(x: Inexact[np.ndarray, "d m b"], by: Any) -> Inexact[np.ndarray, "d m b"]:
    found: Inexact[np.ndarray, "d m b"] = by * x if np.ndim(by) == 0 else np.tensordot(by, x, 1)
    return found


def _differ(after: Any, by: Any, before: Any) -> bool:
    return bool(np.abs(after - _moved(before, by)).max() > _SEEN * np.abs(before).max())
