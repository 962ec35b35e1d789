"""The precision of layers: dtypes of weights, of inputs and of results, and products of matrices in
half precision.

The same rule holds for every layer, in JAX and in PyTorch. A layer with weights computes in the
precision of its weights and returns it, whatever that of x. A layer without weights keeps that of
x; whole numbers count as float32. Complex x stays complex.

With weights in half precision, matrices of weights are multiplied in half precision, and the terms
of each product are summed in float32. Everything else is computed in float32: constants such as
changes of basis and Clebsch–Gordan coefficients, sums, gates. Rounded constants would be those of
maps that are not equivariant; the same weight rounded for all components of an irrep keeps the map
equivariant. A layer rounds its results to half precision once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jaxtyping import Inexact

from intertwine.arrays import Array, converted, dtype_name, namespace
from intertwine.errors import InvalidSetting

HALF = ("bfloat16", "float16")
_REAL = ("float32", "float64", *HALF)
_COMPLEX = {"float32": "complex64", "float64": "complex128"}
_INTEGERS = ("bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
READ = (*_INTEGERS, *_REAL, *_COMPLEX.values())
"""The dtypes of x."""


def weights_kind(name: str, *, is_complex: bool) -> str:
    """Return the dtype of weights, by name: the given one, or the complex one of that precision if
    `is_complex`.

    Raises `InvalidSetting` for dtypes that layers do not take: whole numbers, 8 bits, and half
    precision where numbers are complex.
    """
    allowed = (*_COMPLEX, *_COMPLEX.values()) if is_complex else (*_REAL, *_COMPLEX.values())
    if name not in allowed:
        why = "the group acts by complex numbers, so " if is_complex else ""
        raise InvalidSetting(
            f"{why}weights are {', '.join(allowed)}, not {name}: give one of these as dtype="
        )
    return _COMPLEX.get(name, name) if is_complex else name


def kinds_of(given: str, weights: str | None) -> tuple[str, str]:
    """Return the dtype that a layer computes in, and that of its results, by names. `given` is that
    of x, and `weights` that of the weights; None without weights.

    Raises `InvalidSetting` for x and for weights in other dtypes than those that layers take, and
    for complex x in a layer in half precision.
    """
    if given not in READ:
        raise InvalidSetting(
            f"x is of dtype {given}, and layers take {', '.join(READ)}: convert it, for example to "
            f"float32"
        )
    if weights is not None and weights not in (*_REAL, *_COMPLEX.values()):
        raise InvalidSetting(
            f"the weights were converted to {weights}, and layers compute in "
            f"{', '.join((*_REAL, *_COMPLEX.values()))}: convert the model to one of these"
        )
    own = weights or ("float32" if given in _INTEGERS else given)
    is_complex = given in _COMPLEX.values()
    if own in HALF:
        if is_complex:
            raise InvalidSetting(
                f"x is complex, and the weights are {own}, which has no complex numbers: give real "
                f"x, or make the layer with dtype float32"
            )
        return "float32", own
    found = _COMPLEX.get(own, own) if is_complex else own
    return found, found


def weighted_product(
    left: Inexact[Array, "n k"], right: Inexact[Array, "k m"]
) -> Inexact[Array, "n m"]:
    """Return the matrix product of weights and features, in the precision of the features.

    If weights are in half precision and features are not, features are rounded to half precision
    first, and terms are summed in float32.
    """
    if left.dtype == right.dtype:
        found = left @ right
        # under torch.autocast, the product is in half precision
        return found if found.dtype == left.dtype else converted(found, left.dtype)
    xp = namespace(left, right)
    if is_half(left.dtype) or is_half(right.dtype):
        half, wide = sorted((left.dtype, right.dtype), key=is_half, reverse=True)
        operands = converted(left, half), converted(right, half)
        found = xp.matmul(*operands, preferred_element_type=wide)
    else:
        found = xp.matmul(left, right)
    return found


def require_trainable(dtypes: Iterable[Any]) -> None:
    """Raise `InvalidSetting` if weights of any of these dtypes are in half precision, in which a
    step that is smaller than half the spacing of numbers changes nothing.
    """
    for dtype in dtypes:
        if is_half(dtype):
            name = dtype_name(dtype)
            raise InvalidSetting(
                f"the weights are {name}, in which most steps of an optimizer are rounded to "
                f"nothing: train in float32, and convert the trained model, in JAX by "
                f'jax.tree.map(lambda weight: weight.astype("{name}"), model), in PyTorch by '
                f"model.to(torch.{name})"
            )


def is_half(dtype: Any) -> bool:
    """Return whether a dtype of any library is of half precision."""
    return dtype_name(dtype) in HALF
