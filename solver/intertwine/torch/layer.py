"""The base class of modules, their parameters, and vectors as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Inexact, Shaped

from intertwine.architecture.initialization import WeightSpec, sampled
from intertwine.architecture.seed import Seed
from intertwine.errors import InvalidRep, InvalidSetting
from intertwine.reps import Rep
from intertwine.torch_compilation import OfTorchCompile

#: The types of the argument `key` of layers.
Key = int | Seed

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_COMPLEX = {
    torch.float32: torch.complex64,
    torch.float64: torch.complex128,
}


class Layer(OfTorchCompile, torch.nn.Module):
    """A function of vectors, with its reps `rep_in` and `rep_out`.

    What a layer computes with constants of the library is `one_operation` of its tensors, so that
    torch.compile takes it whole.
    """

    def __init__(self, rep_in: Rep, rep_out: Rep) -> None:
        super().__init__()
        self.rep_in, self.rep_out = rep_in, rep_out
        self._sizes = rep_in.size(), rep_out.size()  # TorchDynamo does not follow `size`

    def rows(
        self, x: Any, dtype: torch.dtype | None = None
    ) -> tuple[Inexact[torch.Tensor, "b n"], tuple[Any, ...]]:
        """Return x of shape (…, n) as a matrix with a vector per row, and the shape of the images:
        the batch axes and the size of `rep_out`.

        Its dtype becomes that of the weights, or a larger one; without weights, a floating one.
        Raises `InvalidRep` for another n.
        """
        x = torch.as_tensor(x)
        size, to = self._sizes
        if not x.ndim or x.shape[-1] != size:
            raise InvalidRep(
                f"{self.rep_in!r} has size {size}, and the input has the shape {tuple(x.shape)}"
            )
        if dtype is None and not (x.is_floating_point() or x.is_complex()):
            dtype = torch.float32
        if dtype is not None and x.dtype != dtype:
            x = x.to(torch.promote_types(x.dtype, dtype))
        return x.reshape(-1, size), (*x.shape[:-1], to)

    def extra_repr(self) -> str:
        """Return the reps."""
        return f"{self.rep_in!r} → {self.rep_out!r}"


def uncompiled(model: Any) -> Any:
    """Return the module that was given to torch.compile, or the model."""
    return getattr(model, "_orig_mod", model)


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
    real = next((one for one, other in _COMPLEX.items() if other == chosen), chosen)
    allowed = (*_COMPLEX,) if is_complex else (*_DTYPES, *_COMPLEX.values())
    if not isinstance(chosen, torch.dtype) or (chosen not in allowed and real not in allowed):
        names = ", ".join(str(one).removeprefix("torch.") for one in allowed)
        raise InvalidSetting(f"weights are of dtype {names}, not {dtype!r}")
    return _COMPLEX[real] if is_complex else chosen
