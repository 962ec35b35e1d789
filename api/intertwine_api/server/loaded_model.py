"""A model of the service in memory, ready to be called, in the framework that wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from intertwine.compiled_model import CompiledModel
from intertwine.eager_model import EagerModel
from intertwine.prepared_model import PreparedModel, Rows
from intertwine.training.recipe.framework import FrameworkName, framework_of
from jaxtyping import Shaped

from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.host import use_one_torch_thread


class LoadedModel(PreparedModel):
    """A model of the service, which checks the inputs of a request."""

    def rows(self, x: Shaped[np.ndarray, "..."]) -> Rows:
        """Return the inputs in the model's dtype: finite vectors of its input rep.

        Raises `ProblemError` with ``invalid-request`` for all other inputs.
        """
        if x.ndim != 2 or x.shape[1] != self.width:
            given = f"an array of shape {x.shape}" if x.ndim != 2 else f"vectors of {x.shape[1]}"
            raise _refused(
                f"the model takes vectors of {self.width} numbers ({self.rep_in!r}), not {given}"
            )
        if np.iscomplexobj(x) and not np.issubdtype(self.dtype, np.complexfloating):
            raise _refused(f"the model takes real vectors ({self.rep_in!r}), not complex ones")
        with np.errstate(over="ignore"):  # overflow is refused below
            rows = np.ascontiguousarray(x, self.dtype)
        if not np.isfinite(rows).all():
            raise _refused(f"the inputs have entries that are not finite in {self.dtype.name}")
        return rows


class _InJax(LoadedModel, CompiledModel):
    """A model that JAX has compiled."""


class _InTorch(LoadedModel, EagerModel):
    """A model of PyTorch. Its operations are small, so they run in the calling thread alone."""

    def __init__(self, model: Any, sizes: Sequence[int]) -> None:
        use_one_torch_thread()
        super().__init__(model, sizes)


_LOADED: Mapping[FrameworkName, type[_InJax | _InTorch]] = {"jax": _InJax, "torch": _InTorch}


def load(config: Mapping[str, Any], blob: bytes, sizes: Sequence[int]) -> LoadedModel:
    """Return the model of a config and its weights, ready for the largest of the sizes.

    The framework that wrote the config computes it. Raises `FormatError` if the weights do not
    match, and `Unavailable` if the framework is not installed.
    """
    framework = framework_of(config)
    framework.require()
    return _LOADED[framework.name](framework.placed(framework.from_config(config, blob)), sizes)


def overhead(config: Mapping[str, Any], sizes: Sequence[int]) -> int:
    """Return the estimated memory of the model of a config besides its weights, in bytes."""
    return _LOADED[framework_of(config).name].overhead(sizes)


def _refused(detail: str) -> ProblemError:
    return ProblemError.of("invalid-request", detail)
