"""Training data: pairs of inputs and targets, with or without their reps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from intertwine.arrays import Array, in_numpy, is_jax, is_torch
from intertwine.errors import InvalidSetting
from intertwine.groups import Group
from intertwine.reps import Rep


@runtime_checkable
class Data(Protocol):
    """Samples of a map x ↦ y with ρ_in(g)x ↦ ρ_out(g)y, as made by `intertwine.datasets`.

    X has shape (n, d_in) and Y (n, d_out). Reps without a group get `symmetry`.
    """

    X: Any
    Y: Any
    rep_in: Any
    rep_out: Any
    symmetry: Any


#: Samples without reps: X of shape (n, …) and Y of shape (n, …).
Pair = tuple[Any, Any]


class DeviceSamples(NamedTuple):
    """Inputs and targets on the device of the model, in the dtype of its weights."""

    x: Shaped[Any, "n ..."]
    y: Shaped[Any, "n ..."]

    @property
    def digest(self) -> str:
        """The sha256 of the two arrays, with their shapes and dtypes."""
        found = hashlib.sha256()
        for array in map(in_numpy, self):
            found.update(f"{array.dtype.name}{array.shape}".encode())
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()


def samples_of(
    data: Data | Pair | Any,
    dtype: np.dtype[Any] | type[np.inexact[Any]],
    name: str = "the data",
    put: Callable[[Shaped[np.ndarray, "n ..."]], Array] = np.asarray,
) -> DeviceSamples:
    """Return the samples, cast to `dtype`, or to the complex dtype of its precision if they are
    complex. Integer targets are class labels and stay integers. `put` puts an array on the device.

    Raises `InvalidSetting` for data that are empty, of unequal lengths, not finite, or of another
    type.
    """
    given_x, given_y = _inputs_and_targets(data, name)
    x, y = cast(in_numpy(given_x), dtype), in_numpy(given_y)
    y = y if np.issubdtype(y.dtype, np.integer) else cast(y, dtype)
    if not x.ndim or not y.ndim or len(x) != len(y) or not len(x):
        raise InvalidSetting(
            f"{name} have inputs of shape {x.shape} and targets of shape {y.shape}: give at least "
            f"one sample, and as many targets as inputs"
        )
    for part, array in (("inputs", x), ("targets", y)):
        _require_finite(array, f"the {part} of {name}")
    return DeviceSamples(put(x), put(y))


def reps_of(
    data: Data | Any, rep_in: Rep | None, rep_out: Rep | None, group: Group | None
) -> tuple[Rep, Rep]:
    """Return the concrete reps of inputs and targets: those given, or else those of the data.

    Raises `InvalidSetting` if there are no reps, `NotConcrete` if no group is known.
    """
    if isinstance(data, Data):
        rep_in, rep_out = rep_in or data.rep_in, rep_out or data.rep_out
    if rep_in is None or rep_out is None:
        raise InvalidSetting(
            "plain arrays do not say how the group acts on them: give data with rep_in, rep_out "
            "and symmetry, like those of intertwine.datasets, or the arguments rep_in and rep_out "
            "where the function has them"
        )
    if group is None and isinstance(data, Data):
        rep_in, rep_out = (r if r.is_concrete else r(data.symmetry) for r in (rep_in, rep_out))
    elif group is not None:
        rep_in, rep_out = rep_in(group), rep_out(group)
    for rep in (rep_in, rep_out):
        rep.size()  # raises `NotConcrete` without a group
    return rep_in, rep_out


def are_labels(targets: Shaped[Any, "n ..."]) -> bool:
    """Return whether targets of any library are class labels: integers."""
    if is_torch(targets):
        is_number = targets.is_floating_point() or targets.is_complex()
        return not is_number and str(targets.dtype) != "torch.bool"
    return bool(np.issubdtype(targets.dtype, np.integer))


def weights_dtype(model: Any) -> np.dtype[Any] | None:
    """Return the common dtype of the weights (inexact JAX arrays) of a model of JAX; None without
    weights.
    """
    import jax

    dtypes = {leaf.dtype for leaf in jax.tree.leaves(model) if is_weight(leaf)}
    return np.result_type(*dtypes) if dtypes else None


def is_weight(leaf: Any) -> bool:
    """Return whether a leaf of a model is trained: inexact JAX arrays are, NumPy arrays not."""
    if not is_jax(leaf):
        return False
    import jax.numpy as jnp

    return bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


def _inputs_and_targets(data: Any, name: str) -> Pair:
    if isinstance(data, tuple) and len(data) == 2:
        return data
    if hasattr(data, "X") and hasattr(data, "Y"):
        return data.X, data.Y
    what = type(data).__name__
    if isinstance(data, tuple | list):
        what += f" of {len(data)}"
    raise InvalidSetting(
        f"{name} are a tuple (X, Y) of inputs and targets, or an object with X and Y such as those "
        f"of intertwine.datasets, not a {what}"
    )


def cast(array: Shaped[np.ndarray, "..."], dtype: Any) -> Shaped[np.ndarray, "..."]:
    """Return an array in `dtype`, or in the complex dtype of its precision if it is complex."""
    with np.errstate(over="ignore"):  # `_require_finite` finds overflows
        return array.astype(
            np.result_type(dtype, np.complex64) if np.iscomplexobj(array) else dtype
        )


def _require_finite(array: Shaped[np.ndarray, "n ..."], what: str) -> None:
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise InvalidSetting(
            f"{what} are not finite in row {row} ({int(bad.sum()):,} of {len(bad):,} rows, as "
            f"{array.dtype.name}): remove or correct those rows"
        )
