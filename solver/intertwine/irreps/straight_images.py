"""Reps that are given by images of generators, in the frame where their matrices are unitary."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import InvalidRep, MethodNotApplicable
from intertwine.groups.group import Group
from intertwine.irreps.actions import adjoint
from intertwine.irreps.compact_frame import unitary_frame
from intertwine.irreps.reductivity import verdict_of
from intertwine.operators import Permutation, dense
from intertwine.reps.generator_images import Images, acts_unitarily
from intertwine.reps.generator_rep import GeneratorRep
from intertwine.reps.syntax import Base, Rep

_OBLIQUE = 3e3  # a larger condition of a frame leaves too few digits
_UNITARY = 1e-9  # the largest error of images in the frame found
_ADJOINT = 1e-9  # the same for images of adjoints
_REMEMBERED = 64


@lru_cache(_REMEMBERED)
def straightened(atom: Rep) -> tuple[Rep, Inexact[np.ndarray, "n n"] | None]:
    """Return ρ' over the group's straight frame for a rep ρ given by images, and the matrix T.

    ρ(g) = T ρ'(S⁻¹gS) T⁻¹ for the group's frame S. None means T = 1. Irreps are found among
    matrices that are closed under adjoints, as the group is in that frame. For a compact group, T
    makes the images unitary. Raises `MethodNotApplicable` if no such T is found, and for images of
    another group that are not closed under adjoints as they are.
    """
    verdict = verdict_of(atom.G)
    if verdict.straight is None or verdict.frame is None:
        if acts_unitarily(atom) and acts_unitarily(Base(atom.G)):
            return atom, None
        group, found = atom.G, atom._given_images()
    else:
        group = verdict.straight
        found = _transported(atom, group, verdict.frame)
    rep = GeneratorRep(group, found, atom.size())
    if not acts_unitarily(Base(group)):
        _require_adjoints(rep, atom)
        return (atom if group is atom.G else rep), None
    if acts_unitarily(rep):
        return rep, None
    return _in_unitary_frame(rep, atom)


def _transported(atom: Rep, group: Group, frame: Inexact[np.ndarray, "d d"]) -> Images:
    """Return the images of the generators of a group's straight form."""
    back = np.linalg.inv(frame)
    lie = [frame @ np.asarray(dense(a)) @ back for a in group.lie_generators]
    discrete = [frame @ np.asarray(dense(h)) @ back for h in group.group_generators]
    try:
        return Images(
            tuple(np.asarray(dense(atom.drho(a))) for a in lie),
            tuple(np.asarray(dense(atom.rho(h))) for h in discrete),
        )
    except (InvalidRep, MethodNotApplicable) as error:
        raise MethodNotApplicable(
            f"irreps need another frame of {atom.G!r}, whose generators have no known images under "
            f"{atom}: {error}"
        ) from error


def _in_unitary_frame(rep: GeneratorRep, atom: Rep) -> tuple[Rep, Inexact[np.ndarray, "n n"]]:
    lie, discrete = _stacked(rep)
    norms = np.array([np.linalg.norm(a) or 1.0 for a in lie])
    frame = unitary_frame(lie / norms[:, None, None] if len(lie) else lie, discrete, _OBLIQUE)
    if frame is None:
        raise _unknown(atom)
    back = np.linalg.inv(frame)
    lie, discrete = back @ lie @ frame, back @ discrete @ frame
    straight_lie = (lie - adjoint(lie)) / 2
    u, _, vh = np.linalg.svd(discrete)
    straight = u @ vh
    scale = max(1.0, float(np.abs(lie).max(initial=0.0)))
    off = float(np.abs(lie - straight_lie).max(initial=0.0)) / scale
    off = max(off, float(np.abs(discrete - straight).max(initial=0.0)))
    if not off <= _UNITARY:
        raise _unknown(atom)
    images = Images(tuple(straight_lie), tuple(straight))
    return GeneratorRep(rep.G, images, rep.size()), frame


def _require_adjoints(rep: GeneratorRep, atom: Rep) -> None:
    """Raise `MethodNotApplicable` unless ρ(gᴴ) = ρ(g)ᴴ for the generators."""
    for images, elements, act in (
        (rep.generators.lie, rep.G.lie_generators, rep.drho),
        (rep.generators.discrete, rep.G.group_generators, rep.rho),
    ):
        for image, element in zip(images, elements, strict=True):
            if isinstance(image, Permutation) and isinstance(element, Permutation):
                continue
            matrix = np.asarray(dense(image))
            try:
                found = np.asarray(act(np.asarray(dense(element)).conj().T))
            except (InvalidRep, MethodNotApplicable) as error:
                raise _unknown(atom) from error
            scale = max(1.0, float(np.abs(matrix).max(initial=0.0)))
            if not np.abs(found - matrix.conj().T).max(initial=0.0) <= _ADJOINT * scale:
                raise _unknown(atom)


def _stacked(
    rep: GeneratorRep,
) -> tuple[Inexact[np.ndarray, "k n n"], Inexact[np.ndarray, "l n n"]]:
    n = rep.size()
    lie = [np.asarray(dense(a)) for a in rep.generators.lie]
    discrete = [np.asarray(dense(h)) for h in rep.generators.discrete]
    dtype = np.result_type(np.float64, *lie, *discrete)
    return (
        np.array(lie, dtype=dtype).reshape(-1, n, n),
        np.array(discrete, dtype=dtype).reshape(-1, n, n),
    )


def _unknown(atom: Rep) -> MethodNotApplicable:
    return MethodNotApplicable(
        f"irreps need the images under {atom} to be closed under adjoints, as those of a unitary "
        f"rep are, and no frame is found where they are. Give images in a basis nearer to an "
        f"orthonormal one, with all digits"
    )
