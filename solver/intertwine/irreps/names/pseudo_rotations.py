"""Names of the irreps of SO(p, q), SO(1, 3), O(1, 3) and O(1, 1): weights, and signs of components.

In tensors of V, the action of the identity component determines that of PT, the reflection of a
time and a space direction (−1 if p and q are odd): the complexified identity component contains it.
Only in other reps, such as those given by generators, it may have the other sign: then a name ends
in `PT=-`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Inexact, Num

from intertwine.groups.elementary import unit_matrix
from intertwine.irreps.element_images import IrrepImages
from intertwine.irreps.names.highest_weights import (
    Lorentz,
    Rotations,
    highest_weight,
    rotation,
)
from intertwine.irreps.names.scheme import Step

_SIGN = 1e-6
_SIGNED = re.compile(r"(.*?)\s*((?:\s(?:P|T|PT)=[-+])*)")
_BOOSTS = re.compile(r"m\s*=\s*±?\s*(\d{1,3})|(\d{1,3})")


def _boost(n: int, i: int, j: int) -> Num[np.ndarray, "n n"]:
    found: Num[np.ndarray, "n n"] = unit_matrix(n, i, j) + unit_matrix(n, j, i)
    return found


def _sign(space: Inexact[np.ndarray, "n k"], matrix: Num[np.ndarray, "n n"]) -> int | None:
    """Return the sign by which a matrix acts on a highest weight vector; None if it does not."""
    value = complex(np.vdot(space[:, 0], matrix @ space[:, 0]))
    return None if abs(abs(value.real) - 1) > _SIGN else round(value.real)


def _with_signs(name: str, signs: dict[str, int]) -> str:
    """Return a name with the signs that are −1."""
    return " ".join([name, *(f"{letter}=-" for letter, sign in signs.items() if sign < 0)])


def _separated(text: str) -> tuple[str, dict[str, int]]:
    """Return a name without its signs, and the signs."""
    match = _SIGNED.fullmatch(text)
    assert match is not None
    signs = (part.split("=") for part in match[2].split())
    return match[1], {letter: -1 if sign == "-" else 1 for letter, sign in signs}


class PseudoRotations(Rotations):
    """SO(p, q): the weights of SO(p + q), such as [2, 1], ``l=2`` or ``m=1``, and the sign of PT.

    The first row is the weight of the boost of the first and the last coordinate; the next ones are
    those of the planes that pairs of the others span, in their order. An irrep over ℝ has both
    signs of the last row if p − q is 2 modulo 4.
    """

    def __init__(self, p: int, q: int) -> None:
        super().__init__(p + q)
        self._time = p
        self._is_paired = (p - q) % 4 == 2
        self._is_inverted = p * q % 2 == 1  # the other component is that of −1
        self.example = "m=1" if p + q == 2 else self.example

    def _cartan(self, images: IrrepImages) -> list[Num[np.ndarray, "n n"]]:
        n = self.n
        found = [images.lie(_boost(n, 0, n - 1))]
        for i in range(1, n - 2, 2):
            if (i < self._time) == (i + 1 < self._time):
                found.append(-1j * images.lie(rotation(n, i, i + 1)))
            else:
                found.append(images.lie(_boost(n, i, i + 1)))
        return found

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep."""
        weights = super().name(images)
        found = highest_weight(self._cartan(images))
        if weights is None or found is None:
            return None
        rows, space = found
        sign = _sign(space, images.generators[0])
        if sign is None:
            return None
        count = sum(rows) if self._is_inverted else rows[0]
        return _with_signs(weights, {"PT": sign * (-1) ** int(count)})

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        own, signs = _separated(text)
        if not signs.keys() <= {"PT"}:
            return None
        weights = super().read(own, is_complex)
        return None if weights is None else _with_signs(weights, signs)

    def step(self, name: str) -> Step | None:
        """Return a step to this irrep from a smaller one, or None."""
        return None if _separated(name)[1] else super().step(name)


class LorentzWithReflections(Lorentz):
    """SO(1, 3) and O(1, 3): pairs of spins as for SO⁺(1, 3), and signs of the components.

    SO(1, 3), of the generator −1, has the sign PT, by which −1 acts, times (−1)^2a. O(1, 3) has the
    generators −1 and T, which reverses time. If a ≠ b, its irreps are sums (a, b)+(b, a), also over
    ℂ, with a sign PT. If a = b, the sign T is that of the reversal of time on the highest weight
    vector, and P is PT times T. So tensors such as V have no signs, (0, 0) P=- T=- is a
    pseudoscalar, and (0, 0) T=- changes its sign under the reversal of time alone.
    """

    def __init__(self, has_reversal: bool) -> None:
        self._has_reversal = has_reversal

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep."""
        found = highest_weight(self._cartan(images))
        if found is None:
            return None
        (a, b), space = found
        sign = _sign(space, images.generators[0])
        if sign is None:
            return None
        signs = {"PT": sign * (-1) ** int(2 * a)}
        if self._has_reversal and a == b:
            reversal = _sign(space, images.generators[1])
            if reversal is None:
                return None
            signs = {"P": signs["PT"] * reversal, "T": reversal}
        return _with_signs(self._text(a, b, images.is_complex), signs)

    def _text(self, a: Fraction, b: Fraction, is_complex: bool) -> str:
        return super()._text(a, b, is_complex and not self._has_reversal)

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        own, signs = _separated(text)
        pairs = super().read(own, is_complex and not self._has_reversal)
        if pairs is None:
            return None
        has_both = self._has_reversal and "+" not in pairs
        if not signs.keys() <= ({"P", "T"} if has_both else {"PT"}):
            return None
        return _with_signs(pairs, dict(sorted(signs.items())))

    def step(self, name: str) -> Step | None:
        """Return a step to this irrep from a smaller one, or None."""
        return None if _separated(name)[1] else super().step(name)


class BoostsWithReflections:
    """O(1, 1): the weights ``m=±1`` of the boost, and ``m=0``, with signs as those of O(1, 3).

    For m=0, T is the sign of the reversal of time, and P is that of −1 times T. For other weights,
    PT is the sign of −1 times (−1)^m.
    """

    example = "m=±1"

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep."""
        found = highest_weight([images.lie(_boost(2, 0, 1))])
        if found is None or found[0][0].denominator > 1:
            return None
        (m,), space = found
        signs = [_sign(space, h) for h in images.generators] if m == 0 else [
            _sign(space, images.generators[0])
        ]  # fmt: skip
        return self._text(int(m), signs)

    def _text(self, m: int, signs: Sequence[int | None]) -> str | None:
        inversion, reversal = signs[0], signs[-1]
        if inversion is None or reversal is None:
            return None
        if m == 0:
            return _with_signs("m=0", {"P": inversion * reversal, "T": reversal})
        return _with_signs(f"m=±{m}", {"PT": inversion * (-1) ** m})

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        own, signs = _separated(text)
        match = _BOOSTS.fullmatch(own)
        if match is None:
            return None
        m = int(match[1] or match[2])
        if not signs.keys() <= ({"PT"} if m else {"P", "T"}):
            return None
        return _with_signs(f"m=±{m}" if m else "m=0", dict(sorted(signs.items())))

    def step(self, name: str) -> Step | None:
        """Return a step to this irrep from a smaller one, or None."""
        m = int(name[3:]) if name[2:3] == "±" and name[3:].isdecimal() else 0
        return (Step(f"m=±{m - 1}") if m > 1 else Step("m=0")) if m else None
