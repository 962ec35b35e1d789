"""A model in memory: its weights, and a compiled program for each size of batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Shaped

from intertwine_api.inference.batch import Outputs, Rows
from intertwine_api.problems import Problem, ProblemError


class Loaded:
    """A model whose programs are compiled before anybody needs them, one for each of `sizes`.

    It is computed in the precision of its weights, and as it is rather than baked: so the answers
    are those of the model that one downloads, and wide networks are faster (64 rows of an EMLP of
    width 384 take 0.16 ms, and 1.6 ms baked). The programs are its own and go with it: JAX keeps
    none of them, of which a process can map only so many.
    """

    def __init__(self, model: Any, sizes: Sequence[int]) -> None:
        import equinox as eqx

        self.sizes = tuple(sizes)
        self.width: int = model.rep_in.size()
        self.dtype, self._precision = _numbers(model)
        self._rep = repr(model.rep_in)
        self._weights, self._rest = eqx.partition(model, eqx.is_array)
        self._programs: dict[int, Callable[..., Any]] = {}
        self.compile(self.sizes[-1])

    @property
    def compiled(self) -> frozenset[int]:
        """The sizes that have a program."""
        return frozenset(self._programs)

    def compile(self, size: int) -> None:
        """Make the program for batches of this size, and run it once."""
        import equinox as eqx
        import jax

        def call(weights: Any, x: Any) -> Any:
            return eqx.combine(weights, self._rest)(x)

        x = np.zeros((size, self.width), self.dtype)
        # a GPU would multiply float32 in fewer digits, and that would not be equivariant
        with self._precision(), jax.default_matmul_precision("highest"):
            program = jax.jit(call).lower(self._weights, x).compile()
            self.nothing: Outputs = np.asarray(program(self._weights, x))[:0]
        self._programs[size] = program

    def __call__(self, rows: Rows) -> Outputs:
        """The model's outputs, by the program with the least room that is enough."""
        size = min(size for size in self._programs if size >= len(rows))
        x = rows
        if size > len(rows):
            x = np.zeros((size, self.width), self.dtype)
            x[: len(rows)] = rows
        with self._precision():
            outputs = np.asarray(self._programs[size](self._weights, x))
        return outputs[: len(rows)]

    def rows(self, x: Shaped[np.ndarray, "..."]) -> Rows:
        """The inputs as the model takes them: vectors of its rep, of finite numbers, in its dtype.

        Raises `ProblemError` with ``invalid-request`` for anything else.
        """
        if x.ndim != 2 or x.shape[1] != self.width:
            given = f"an array of shape {x.shape}" if x.ndim != 2 else f"vectors of {x.shape[1]}"
            raise _refused(
                f"the model takes vectors of {self.width} numbers ({self._rep}), not {given}"
            )
        if np.iscomplexobj(x) and not np.issubdtype(self.dtype, np.complexfloating):
            raise _refused(f"the model takes real vectors ({self._rep}), and these are complex")
        with np.errstate(over="ignore"):  # what overflows is refused below
            rows = np.ascontiguousarray(x, self.dtype)
        if not np.isfinite(rows).all():
            raise _refused(f"the inputs have entries that are not finite as {self.dtype.name}")
        return rows


def load(config: Mapping[str, Any], blob: bytes, sizes: Sequence[int]) -> Loaded:
    """The model of `intertwine.nn.saving.to_config`, compiled for the largest of the sizes.

    Raises `FormatError` where the two are no whole model.
    """
    import jax
    from intertwine.nn.saving import from_config

    with jax.enable_x64(True):  # or weights in float64 could not be read
        model = from_config(config, blob)
    return Loaded(model, sizes)


def _numbers(model: Any) -> tuple[np.dtype[Any], Callable[[], AbstractContextManager[Any]]]:
    """The dtype of a model's inputs, and what JAX must be told to compute in its precision."""
    import jax
    from intertwine.reps.generator_images import act_by_complex_numbers
    from intertwine.reps.syntax import atoms
    from intertwine.training.data import weights_dtype

    weights = weights_dtype(model)
    double = weights is not None and np.finfo(weights).bits == 64
    is_complex = act_by_complex_numbers(atoms(model.rep_in))
    dtype = np.result_type(np.float64 if double else np.float32, np.complex64 if is_complex else 0)
    return dtype, partial(jax.enable_x64, True) if double else nullcontext


def _refused(detail: str) -> ProblemError:
    return ProblemError(Problem.of("invalid-request", detail))
