"""Optimisers of PyTorch: how a fit makes them, and what they keep between steps."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from intertwine.errors import InvalidSetting
from intertwine.training.identity import name_of

#: Makes an optimiser of parameters, with the argument `lr`.
Optimizer = Callable[..., torch.optim.Optimizer]


def optimizer_of(optimizer: Any, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimiser for a learning rate of 1, by which that of each step is multiplied.

    Raises `InvalidSetting` for anything else.
    """
    advice = (
        "give a class or function that is called with the parameters and lr, such as "
        "torch.optim.AdamW or functools.partial(torch.optim.AdamW, weight_decay=0.01)"
    )
    if isinstance(optimizer, torch.optim.Optimizer):
        raise InvalidSetting(f"the {name_of(optimizer)} has parameters already: {advice}")
    if not callable(optimizer):
        raise InvalidSetting(f"{name_of(optimizer)} is no optimizer of PyTorch: {advice}")
    try:
        made = optimizer(parameters, lr=1.0)
    except TypeError as error:
        raise InvalidSetting(
            f"{name_of(optimizer)} cannot be called with parameters and lr ({error}): {advice}"
        ) from error
    if not isinstance(made, torch.optim.Optimizer):
        raise InvalidSetting(f"{name_of(optimizer)} is no optimizer of PyTorch: {advice}")
    needed = inspect.signature(made.step).parameters.get("closure")
    if needed is not None and needed.default is inspect.Parameter.empty:
        raise InvalidSetting(
            f"{name_of(optimizer)} computes losses in its steps, which fit does not: {advice}"
        )
    return made


def moments_of(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the state of an optimiser for each parameter, and the numbers in its groups.

    Some optimisers keep counters and estimates in their groups. Learning rates are left out: the
    schedule sets them.
    """
    found = {
        f"{i}.{name}": value
        for i, parameter in enumerate(_parameters_of(optimizer))
        for name, value in optimizer.state.get(parameter, {}).items()
    }
    for i, group in enumerate(optimizer.param_groups):
        found |= {
            f"group {i}.{name}": value
            for name, value in group.items()
            if name != "lr" and isinstance(value, bool | int | float | torch.Tensor)
        }
    return found


def put_moments(moments: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> None:
    """Give an optimiser the moments that `moments_of` returned."""
    parameters = _parameters_of(optimizer)
    optimizer.state.clear()
    for key, value in moments.items():
        owner, _, name = key.partition(".")
        if owner.startswith("group "):
            optimizer.param_groups[int(owner.removeprefix("group "))][name] = value
        else:
            optimizer.state[parameters[int(owner)]][name] = value


def _parameters_of(optimizer: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
    return [one for group in optimizer.param_groups for one in group["params"]]
