"""Checks of the arguments that groups are made from."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from intertwine.errors import InvalidGroup, TooLarge
from intertwine.integers import checked_integer

_MOST_PARTS = 10**12


def group_argument(value: Any, what: str, least: int = 1) -> int:
    """Return an integer argument of a group, such as "n of SO(n)".

    Raises `InvalidGroup` unless it is an integer ≥ `least`.
    """
    return checked_integer(value, what, least, InvalidGroup)


def parts_of_a_turn(value: Any, what: str) -> int:
    """Return k for rotations by 1/k of a turn, checked as by `group_argument`.

    Raises `TooLarge` for more than 10¹² parts: such rotations are the identity up to rounding.
    """
    number = group_argument(value, what)
    if number > _MOST_PARTS:
        raise TooLarge(
            f"{what} is {number:,}; at most {_MOST_PARTS:,}, since smaller angles are taken for "
            f"rounding errors"
        )
    return number


def with_named_arguments(init: Callable[..., None], name: str) -> Callable[..., None]:
    """Wrap the ``__init__`` of a group class: missing or surplus arguments raise `InvalidGroup`.

    The message shows the arguments that the class takes.
    """
    signature = inspect.signature(init)
    taken = [
        parameter.name if parameter.default is parameter.empty else f"[{parameter.name}]"
        for parameter in list(signature.parameters.values())[1:]
    ]

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            signature.bind(self, *args, **kwargs)
        except TypeError as error:
            raise InvalidGroup(f"{name}({', '.join(taken)}) cannot be made: {error}") from None
        init(self, *args, **kwargs)

    return __init__
