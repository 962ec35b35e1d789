"""The base class of the two tasks on coloured cubes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from intertwine.datasets.dataset import Dataset
from intertwine.datasets.scrambling import one_hot
from intertwine.datasets.standardisation import Stats, moments, no_moments
from intertwine.groups import Group
from intertwine.reps import Scalar, Vector


class ColouredCube(Dataset):
    """Cubes of six colours in two classes: 6V → 2V⁰, a channel per colour and a score per class."""

    def __init__(
        self,
        colours: Int[np.ndarray, "n facelets"],
        is_whole: Bool[np.ndarray, " n"],
        symmetry: Group,
        settings: Mapping[str, Any],
    ) -> None:
        super().__init__(
            one_hot(colours),
            is_whole.astype(np.int64),
            rep_in=6 * Vector,
            rep_out=2 * Scalar,
            symmetry=symmetry,
            settings=settings,
        )

    @cached_property
    def stats(self) -> Stats:
        """Means and scales of X; those of the scores are 0 and 1."""
        return Stats.rounded(
            *moments(self.X, self.rep_in(self.symmetry)), *no_moments(self.rep_out)
        )
