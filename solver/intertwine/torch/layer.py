"""The base class of modules, their parameters, and vectors as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Inexact, Shaped

from intertwine.architecture.batch import Batch
from intertwine.architecture.initialization import WeightSpec, sampled
from intertwine.architecture.precision import kinds_of, weights_kind
from intertwine.architecture.seed import Seed
from intertwine.arrays import dtype_name, is_jax
from intertwine.errors import InvalidRep, InvalidSetting
from intertwine.reps import Rep
from intertwine.torch_compilation import OfTorchCompile

#: The types of the argument `key` of layers.
Key = int | Seed


class Layer(OfTorchCompile, torch.nn.Module):
    """A function of vectors, with its reps `rep_in` and `rep_out`.

    What a layer computes with constants of the library is `one_operation` of its tensors, so that
    torch.compile takes it whole.
    """

    def __init__(self, rep_in: Rep, rep_out: Rep) -> None:
        super().__init__()
        self.rep_in, self.rep_out = rep_in, rep_out
        self._size = rep_in.size()  # TorchDynamo does not follow `size`

    def rows(
        self, x: Any, weights: torch.dtype | None = None, *, rounded: bool = True
    ) -> tuple[Inexact[torch.Tensor, "b n"], Batch]:
        """Return x of shape (…, n) as a matrix with a vector per row, in the dtype that a layer
        with these weights' dtype computes in (`kinds_of`), and its batch axes. With `rounded`, the
        `Batch` rounds images to the dtype of the results.

        Raises `InvalidRep` for another n, and `InvalidSetting` for numbers that layers do not take.
        """
        x = as_tensor(x)
        if not x.ndim or x.shape[-1] != self._size:
            raise InvalidRep(
                f"{self.rep_in!r} has size {self._size}, and the input has the shape "
                f"{tuple(x.shape)}"
            )
        kind, found = kinds_of(
            dtype_name(x.dtype), None if weights is None else dtype_name(weights)
        )
        cast = x.to(getattr(torch, kind))
        flat = (cast if x.ndim > 1 else cast[None]).flatten(0, -2)  # −1 does not count empty rows
        rounded_to = getattr(torch, found) if rounded and found != kind else None
        return flat, Batch(tuple(x.shape[:-1]), rounded_to)

    def extra_repr(self) -> str:
        """Return the reps."""
        return f"{self.rep_in!r} → {self.rep_out!r}"


def as_tensor(x: Any) -> torch.Tensor:
    """Return x as a tensor. Raises `InvalidRep` for an array of JAX, whose gradients would be
    lost.
    """
    if isinstance(x, torch.Tensor):
        return x
    if is_jax(x):
        raise InvalidRep(
            "x is an array of JAX, and the model one of PyTorch: give torch.from_dlpack(x), or "
            "make the model by intertwine.nn: intertwine.nn.load reads a saved one"
        )
    return torch.tensor(x)  # `as_tensor` warns of arrays that are read-only


def uncompiled(model: Any) -> Any:
    """Return the module that was given to torch.compile, or the model."""
    return getattr(model, "_orig_mod", model)


def is_double(model: torch.nn.Module) -> bool:
    """Return whether a parameter or buffer of a module is in double precision."""
    numbers = (*model.parameters(), *model.buffers())
    return any(one.dtype in (torch.float64, torch.complex128) for one in numbers)


class Weights(torch.nn.Module):
    """Parameters by name, in an order that does not change.

    Names of irreps may have dots, which names of PyTorch may not: `state_dict` has ``·`` instead.
    """

    def __init__(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        super().__init__()
        self.names = tuple(parameters)
        for name, weight in parameters.items():
            self.register_parameter(_dotless(name), weight)

    @classmethod
    def of(cls, weights: Mapping[str, Inexact[np.ndarray, "..."]], dtype: torch.dtype) -> Weights:
        """Return numbers as parameters of this dtype."""
        return cls({name: parameter(weight, dtype) for name, weight in weights.items()})

    def values(self) -> list[torch.Tensor]:
        """Return the parameters, in the order of their names."""
        return [getattr(self, _dotless(name)) for name in self.names]

    def named(self, tensors: Iterable[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return as many of these tensors as there are parameters, by their names."""
        return dict(zip(self.names, tensors, strict=False))

    def __len__(self) -> int:
        return len(self.names)


def _dotless(name: str) -> str:
    return name.replace(".", "·")


def drawn(seed: Seed, specs: WeightSpec, dtype: torch.dtype) -> Weights:
    """Return normally distributed weights: the same numbers as in `intertwine.nn`."""
    return Weights.of(sampled(seed, specs, numpy_kind(dtype)), dtype)


def parameter(values: Shaped[np.ndarray, "..."], dtype: torch.dtype) -> torch.nn.Parameter:
    """Return numbers as a parameter of this dtype."""
    return torch.nn.Parameter(torch.from_numpy(np.ascontiguousarray(values)).to(dtype, copy=True))


def zeros(count: int, dtype: torch.dtype) -> torch.nn.Parameter:
    """Return zeros as a parameter."""
    return torch.nn.Parameter(torch.zeros(count, dtype=dtype))


def numpy_kind(dtype: torch.dtype) -> type[np.inexact[Any]]:
    """Return NumPy's real or complex dtype in double precision, in which weights are drawn."""
    return np.complex128 if dtype.is_complex else np.float64


def working(dtype: torch.dtype | None, is_complex: bool) -> torch.dtype:
    """Return the dtype of weights: the given one, or float32; the complex one of that precision if
    needed.

    Raises `InvalidSetting` for a dtype that layers do not support.
    """
    chosen = torch.float32 if dtype is None else dtype
    if not isinstance(chosen, torch.dtype):
        raise InvalidSetting(f"{dtype!r} is not a dtype of PyTorch such as torch.float32")
    found: torch.dtype = getattr(torch, weights_kind(dtype_name(chosen), is_complex=is_complex))
    return found
