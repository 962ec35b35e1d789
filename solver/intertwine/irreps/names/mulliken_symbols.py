"""Mulliken symbols: names of the irreps of point groups, of the plane and of space.

R. S. Mulliken, "Report on notation for the spectra of polyatomic molecules", J. Chem. Phys. 23
(1955) 1997. The group's type and axes are read from its elements:

- A and B have dimension 1, and the principal rotation is 1 and −1. (It is about the axis of highest
  order: a proper rotation, or an improper one if that has twice the order, as in S4 and D2d.) E, T,
  G and H have dimensions 2, 3, 4 and 5. Over ℂ, the two halves of an E of an abelian part are ¹E
  and ²E, written 1E and 2E: the principal rotation is exp(2πik/n) in 1Ek (that about [111] in 1E of
  T).
- 1 and 2: the twofold axis C2' perpendicular to the principal one, or else the mirror σv, is 1 and
  −1. If there are two classes, C2' is along x (else y), and σv is perpendicular to y (else x):
  the mirror xz of C2v, C4v and C6v. In Ek, the principal rotation has the trace 2 cos(2πk/n).
- D2 and D2h: B1, B2 and B3 have the character 1 on the twofold axes z, y and x.
- T1 and T2 of O and Td: the fourfold axis (improper in Td) has the traces 1 and −1. T1 and T2 of I:
  the rotation by 72° has the traces (1 + √5)/2 and (1 − √5)/2.
- g and u: the inversion is 1 and −1. ' and '': the mirror σh perpendicular to the principal axis is
  1 and −1, in groups without an inversion.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from intertwine.irreps.element_images import IrrepImages
from intertwine.irreps.names.scheme import Step

_SAME = 1e-6  # angles, axes and entries nearer than this are equal
_SYMBOL = re.compile(r"([12]?)(A|B|E|T|G|H)(\d{0,3})([gu]?)('{0,2})")

_Matrix = Float[np.ndarray, "3 3"]
_Vector = Float[np.ndarray, " 3"]


class _Rotation:
    """A rotation, or its product with the inversion: its angle in turns, up to 1/2, and its axis.

    `improper` is the order of the element as a rotation times the perpendicular reflection.
    """

    def __init__(self, matrix: _Matrix) -> None:
        self.matrix = matrix
        self.is_proper = bool(np.linalg.det(matrix) > 0)
        turn = matrix if self.is_proper else -matrix
        cosine = float(np.clip((np.trace(turn) - 1) / 2, -1, 1))
        angle = float(np.arccos(cosine)) / (2 * np.pi)
        self.angle = angle if self.is_proper else 0.5 - angle  # −Cₙ is a rotation by half more
        both = (turn + turn.T) / 2 - cosine * np.eye(3)
        axis = both[:, int(np.argmax(np.abs(both).sum(axis=0)))]
        size = float(np.linalg.norm(axis))
        self.axis: _Vector = axis / size if size > _SAME else np.zeros(3)
        skew = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
        self.sense = float(skew @ _upward(self.axis))

    def turns_by(self, turns: float) -> bool:
        """Return whether it turns by this angle."""
        return abs(self.angle - turns) <= _SAME

    def is_along(self, axis: _Vector) -> bool:
        """Return whether its axis is this one."""
        return abs(abs(float(self.axis @ axis)) - 1) <= _SAME

    def is_across(self, axis: _Vector) -> bool:
        """Return whether its axis is perpendicular to this one."""
        return bool(np.any(self.axis)) and abs(float(self.axis @ axis)) <= _SAME


def _upward(axis: _Vector) -> _Vector:
    """Return the direction of an axis whose last nonzero coordinate is positive."""
    nonzero = [x for x in axis if abs(x) > _SAME]
    return axis if not nonzero or nonzero[-1] > 0 else -axis


_Preferences = tuple[_Vector, ...]
_X, _Y, _Z = (np.array(axis) for axis in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
_XYZ = np.ones(3) / np.sqrt(3)


def _chosen(found: Sequence[_Rotation], preferred: _Preferences) -> _Matrix | None:
    """Return the element along the first preferred axis that occurs, else the first element."""
    for axis in preferred:
        for each in found:
            if each.is_along(axis):
                return each.matrix
    return found[0].matrix if found else None


class MullikenSymbols:
    """The Mulliken symbols of a finite group of orthogonal matrices of size 2 or 3."""

    def __init__(self, elements: Sequence[Float[np.ndarray, "d d"]]) -> None:
        space = [np.pad(g, (0, 3 - len(g))) for g in elements]
        if len(elements[0]) == 2:
            space = [g + np.diag([0.0, 0.0, 1.0]) for g in space]
        self._d = len(elements[0])
        all_elements = [_Rotation(g) for g in space]
        inversion = -np.eye(3)
        self._inversion = any(np.abs(g - inversion).max() <= _SAME for g in space)
        moving = [each for each in all_elements if np.any(each.axis)]
        proper = [each for each in moving if each.is_proper]
        orders = {round(1 / each.angle) for each in proper if _is_generator(each)}
        threefold: list[_Vector] = []
        for each in proper:
            if each.turns_by(1 / 3) and not any(each.is_along(axis) for axis in threefold):
                threefold.append(each.axis)
        self._is_cubic = len(threefold) > 1
        self._fivefold = self._is_cubic and 5 in orders
        self._second: _Matrix | None = None
        self._horizontal: _Matrix | None = None
        self._twofold: list[_Matrix] = []
        if self._is_cubic:
            self._order = 5 if self._fivefold else 4
            turns = [each for each in moving if each.turns_by(1 / self._order)]
            turns = [each for each in turns if each.is_proper] or turns
            self._principal = turns[0].matrix if turns else None
            self._sign = self._principal  # of A1, A2, T1 and T2
            if not turns:  # T and Th: the principal rotation is a threefold one
                turns = [each for each in proper if each.turns_by(1 / 3)]
                diagonal = [e for e in turns if e.is_along(_XYZ) and e.sense > 0]
                self._principal = (diagonal or turns)[0].matrix
                self._order = 3
        else:
            self._set_axial(moving, proper)
        self.example = "A1"

    def _set_axial(self, moving: list[_Rotation], proper: list[_Rotation]) -> None:
        """Find the elements that name the irreps of a group with one principal axis."""
        least = min((each.angle for each in proper), default=1.0)
        improper = [each for each in moving if not each.is_proper and each.angle > _SAME]
        smallest = min((each.angle for each in improper), default=1.0)
        is_improper = not self._inversion and abs(2 * smallest - least) <= _SAME
        pool, angle = (improper, smallest) if is_improper else (proper, least)
        turns = [each for each in pool if each.turns_by(angle)]
        axis = next((z for z in (_Z, _Y, _X) if any(e.is_along(z) for e in turns)), None)
        if axis is None:
            axis = turns[0].axis if turns else _Z
        along = [each for each in turns if each.is_along(axis)]
        counterclockwise = [each for each in along if each.sense > 0]
        self._principal = (counterclockwise or along)[0].matrix if along else None
        self._order = round(1 / angle) if along else 1
        halves = [each for each in proper if each.turns_by(0.5) and each.is_across(axis)]
        if len({tuple(np.round(np.abs(e.axis), 6)) for e in halves}) == 2 and self._order == 2:
            self._twofold = [
                m for m in (_chosen(turns, (z,)) for z in _axes(turns)) if m is not None
            ]
        mirrors = [e for e in moving if not e.is_proper and e.turns_by(0.0)]
        upright = [each for each in mirrors if each.is_across(axis)]
        flat = [each for each in mirrors if each.is_along(axis)]
        if not along:  # Cs: its mirror is the horizontal one
            upright, flat = [], mirrors
        self._second = _chosen(halves, (_X, _Y)) if halves else _chosen(upright, (_Y, _X, _Z))
        self._horizontal = flat[0].matrix if flat and not self._inversion else None
        self._sign = self._principal

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep."""

        def trace(element: _Matrix | None) -> complex:
            if element is None:
                return complex(images.dimension)
            return complex(np.trace(images.element(element[: self._d, : self._d])))

        ends = ""
        if self._inversion:
            ends = "g" if trace(-np.eye(3)).real > 0 else "u"
        elif self._horizontal is not None:
            ends = "'" if trace(self._horizontal).real > 0 else "''"
        return self._letter(images, trace) + ends

    def _letter(self, images: IrrepImages, trace: object) -> str:
        character = trace
        assert callable(character)
        turned, d = character(self._principal), images.dimension
        if self._is_cubic:
            letter = {1: "A", 2: "E", 3: "T", 4: "G", 5: "H"}[d]
            if letter == "A" and abs(turned.imag) > _SAME:  # half of an E, over ℂ
                return "1E" if turned.imag > 0 else "2E"
            if letter in "EGH" or self._sign is None or (self._fivefold and letter == "A"):
                return letter
            return f"{letter}{1 if character(self._sign).real > 0 else 2}"
        if d == 1 and abs(turned.imag) <= _SAME:
            if self._twofold:
                signs = [character(element).real > 0 for element in self._twofold]
                return "A" if all(signs) else f"B{1 + signs.index(True)}"
            letter = "A" if turned.real > 0 else "B"
            if self._second is None:
                return letter
            return f"{letter}{1 if character(self._second).real > 0 else 2}"
        angle = float(np.arccos(np.clip(turned.real / d, -1, 1))) / (2 * np.pi)
        k = round(angle * self._order)
        half = "" if d == 2 else "1" if turned.imag > 0 else "2"
        return f"{half}E{k if self._order not in (3, 4) else ''}"

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        text = text.translate({ord("′"): "'", ord("″"): "''"})
        match = _SYMBOL.fullmatch(text)
        if match is None or (match[1] and match[2] != "E"):
            return None
        return text if is_complex else text.lstrip("12")  # over ℝ, a half is the whole E

    def step(self, name: str) -> Step | None:
        """Return None: irreps are searched in tensors."""
        return None


def _is_generator(turn: _Rotation) -> bool:
    """Return whether a rotation is by the n-th part of a turn."""
    return turn.angle > _SAME and abs(1 / turn.angle - round(1 / turn.angle)) <= 1e-3


def _axes(turns: Sequence[_Rotation]) -> list[_Vector]:
    """Return three perpendicular twofold axes in the order z, y, x."""
    axes = [each.axis for each in turns if each.is_proper]
    left, found = list(axes), []
    for place in (2, 1, 0):
        best = max(range(len(left)), key=lambda k: abs(left[k][place]))
        found.append(left.pop(best))
    return found
