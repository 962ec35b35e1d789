"""The base class of all datasets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Shaped

from intertwine.datasets.standardisation import Stats, moments
from intertwine.groups import Group
from intertwine.reps import Rep


class Dataset:
    """n points: inputs `X` of a rep `rep_in`, and targets `Y`, to be learned as a map to `rep_out`.

    ``data[i]`` is one point, (x, y); a slice or an array of indices gives a batch of them. A
    dataset also has a length, so `torch.utils.data.DataLoader` and our `Loader` accept it.

    Arrays are float32, the precision of networks: JAX would cast float64 at each step, and
    PyTorch's layers would refuse it. Results are computed from them in float64.

    Equal arguments give equal data, in every process. `n` is part of the seed: sets of different n
    share no points. For another set of the same n, give another `seed`. The `symmetry` does not
    change the data, only the group that models get.
    """

    def __init__(
        self,
        X: Shaped[np.ndarray, "n d_in"],
        Y: Shaped[np.ndarray, "n ..."],
        *,
        rep_in: Rep,
        rep_out: Rep,
        symmetry: Group,
        settings: Mapping[str, Any],
    ) -> None:
        self.X, self.Y = X, Y
        self.rep_in, self.rep_out, self.symmetry = rep_in, rep_out, symmetry
        self._settings = dict(settings)

    @cached_property
    def stats(self) -> Stats:
        """Means and scales of X and Y with which a standardized model stays equivariant."""
        return Stats.rounded(
            *moments(self.X, self.rep_in(self.symmetry)),
            *moments(self.Y, self.rep_out(self.symmetry)),
        )

    def default_aug(self, model: Any) -> Any:
        """Return the model as a `GroupAugmentation` by the symmetry of these data.

        (EMLP's method. `intertwine.training.fit` augments by itself.) Needs the extra `nn`.
        """
        from intertwine.nn import GroupAugmentation

        return GroupAugmentation(model, self.rep_in, self.rep_out, self.symmetry)

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        return self.X[index], self.Y[index]

    def __repr__(self) -> str:
        given = {**self._settings, "symmetry": self.symmetry}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in given.items())})"
