"""A model compiled in advance, one program for each batch size. Needs the extra ``nn``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from intertwine.prepared_model import Outputs, PreparedModel, Rows

#: Bytes of a compiled program besides its constants: 4 to 9 MB were measured for an EMLP on a CPU.
PROGRAM_BYTES = 6 * 2**20
_CONSTANT_BYTES = 2**20
"""Weights of at most this size are constants of the programs, and each program has a copy of them.

A forward of one row then takes 24 µs instead of 48 (an EMLP of width 384, with 0.33 MB in 27
arrays): the arrays are not passed in each call, and XLA chooses their layout. With larger weights,
programs would take more memory than `PROGRAM_BYTES`.
"""


class CompiledModel(PreparedModel):
    """A model with programs compiled in advance, one for each of `sizes`, the largest batch last.

    Only the program of ``sizes[-1]`` is compiled at once: `compile` adds the smaller ones, which
    are faster for few rows.

    The model is not baked. So its outputs equal those of the downloaded model, and wide networks
    are faster (64 rows of an EMLP of width 384 take 0.16 ms, and 1.6 ms baked). The programs are
    freed with the model: they are not in JAX's own cache, because a process can map only a limited
    number.
    """

    def __init__(self, model: Any, sizes: Sequence[int]) -> None:
        import equinox as eqx
        import jax

        from intertwine.nn.layer import is_double

        double = is_double(model)
        super().__init__(model, sizes, is_double=double)
        self._precision: Callable[[], AbstractContextManager[Any]] = (
            partial(jax.enable_x64, True) if double else nullcontext
        )
        self._weights, self._rest = eqx.partition(model, eqx.is_array)
        self._weight_bytes: int = sum(array.nbytes for array in jax.tree.leaves(self._weights))
        self._programs: dict[int, Callable[[Rows], Any]] = {}
        self._constants = self._buffers = 0
        self.compile(self.sizes[-1])

    @property
    def compiled(self) -> frozenset[int]:
        """The batch sizes that have a program."""
        return frozenset(self._programs)

    @property
    def nbytes(self) -> int:
        """The estimated memory of the model in bytes: weights, all programs, and buffers.

        It includes the programs of `sizes` that are not compiled yet, each with its own constants.
        """
        constants = len(self.sizes) * self._constants
        return self._weight_bytes + self._buffers + self.overhead(self.sizes) + constants

    @staticmethod
    def overhead(sizes: Sequence[int]) -> int:
        """Return the estimated memory of the programs of a model, without their constants."""
        return len(sizes) * PROGRAM_BYTES

    def compile(self, size: int) -> None:
        """Compile the program for batches of `size` rows, and run it once."""
        import equinox as eqx
        import jax

        from intertwine.nn.layer import in_pieces

        def call(x: Any, weights: Any = self._weights) -> Any:
            return in_pieces(eqx.combine(weights, self._rest), x)

        x = np.zeros((size, self.width), self.dtype)
        arguments = () if self._weight_bytes <= _CONSTANT_BYTES else (self._weights,)
        # a GPU's default float32 products are less precise, which breaks equivariance
        with self._precision(), jax.default_matmul_precision("highest"):
            traced = jax.jit(call).trace(x, *arguments)
            program = traced.lower().compile()
            self.empty = np.asarray(program(x, *arguments))[:0]
        self._programs[size] = lambda x: program(x, *arguments)
        constants = sum(each.size * each.dtype.itemsize for each in traced.jaxpr.consts)
        self._constants = max(self._constants, constants)
        used = program.memory_analysis()  # None where the backend does not know
        if used is not None:
            self._buffers = max(self._buffers, used.temp_size_in_bytes + used.output_size_in_bytes)

    def __call__(self, rows: Rows) -> Outputs:
        """Return the model's outputs, computed by the smallest program that fits the rows."""
        size = min(size for size in self._programs if size >= len(rows))
        x = rows
        if size > len(rows):
            x = np.zeros((size, self.width), self.dtype)
            x[: len(rows)] = rows
        with self._precision():
            outputs = np.asarray(self._programs[size](x))
        return outputs[: len(rows)]
