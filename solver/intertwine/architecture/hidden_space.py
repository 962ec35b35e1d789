"""The irreps of a hidden layer, and their multiplicities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from intertwine.architecture.by_content import ByContent
from intertwine.architecture.features import Kind
from intertwine.architecture.irrep_space import irrep_space_of
from intertwine.groups import Group
from intertwine.reps import Rep, Scalar

_MOST_COPIES = 8
_SHARE = 2  # an added irrep takes at most one part in so many of the width


@dataclass(frozen=True, eq=False)
class HiddenSpace(ByContent):
    """⊕ m_λ λ, in irrep coordinates only. `kinds` always has the trivial irrep."""

    kinds: Mapping[str, Kind]
    multiplicities: Mapping[str, int]
    trivial: str

    @classmethod
    def of(cls, rep: Rep, group: Group, is_complex: bool) -> HiddenSpace:
        """Return the space of a rep, over ℂ or ℝ."""
        space = irrep_space_of(rep, group, is_complex)
        with_scalars = irrep_space_of(rep + Scalar, group, is_complex)
        assert with_scalars.trivial is not None
        return cls(with_scalars.kinds, space.multiplicities, with_scalars.trivial)

    @property
    def size(self) -> int:
        """The number of coordinates."""
        return sum(m * self.kinds[name].dimension for name, m in self.multiplicities.items())

    def grown(
        self, names: Iterable[str], kinds: Mapping[str, Kind], width: int, least: int
    ) -> HiddenSpace:
        """Return the space with at least `least` copies of each of these irreps. An irrep that it
        lacks gets as many copies as a layer of this width has room for, at most eight.
        """
        found = {**self.multiplicities}
        for name in sorted(names, key=lambda n: (kinds[n].dimension, n)):
            suited = min(_MOST_COPIES, width // (_SHARE * kinds[name].dimension))
            found[name] = max(found.get(name, suited), least)
        own = {name: kinds[name] for name in found if name not in self.kinds}
        return HiddenSpace({**self.kinds, **own}, found, self.trivial)
