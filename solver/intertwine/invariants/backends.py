"""A common interface to the array libraries that solves run on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from jaxtyping import Num

from intertwine.arrays import Array
from intertwine.errors import Unavailable, UnknownMethod

BACKENDS = ("numpy", "jax")


class Backend(ABC):
    """An array library in float64 on one device: `xp` is its namespace, like NumPy's."""

    name: str
    device: str
    xp: Any

    @abstractmethod
    def active(self) -> AbstractContextManager[Any]:
        """Return the context in which to compute."""

    @abstractmethod
    def put(self, array: Num[np.ndarray, "..."]) -> Array:
        """Return the array on the device."""

    @abstractmethod
    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function of arrays, compiled if the library can."""


class NumpyBackend(Backend):
    """NumPy on the CPU."""

    name, device, xp = "numpy", "cpu", np

    def active(self) -> AbstractContextManager[Any]:
        """Return an empty context."""
        return nullcontext()

    def put(self, array: Num[np.ndarray, "..."]) -> Array:
        """Return the array itself."""
        return array

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function itself."""
        return function


class JaxBackend(Backend):
    """JAX on any device it has, in float64 inside the solve only."""

    name = "jax"

    def __init__(self, device: str | None = None) -> None:
        try:
            import jax
        except ImportError as error:
            raise Unavailable(
                "the backend 'jax' needs JAX: install it with pip install 'intertwine[jax]'"
            ) from error
        self._jax, self.xp = jax, jax.numpy
        self._device = self._find(device)
        self.device = f"{self._device.platform}:{self._device.id}"

    def _find(self, wanted: str | None) -> Any:
        if wanted is None:
            return self._jax.devices()[0]
        platform, _, index = wanted.partition(":")
        try:
            if platform and (index.isdecimal() or wanted == platform):
                return self._jax.devices(platform)[int(index or 0)]
        except (RuntimeError, IndexError):
            pass
        known = ", ".join(f"{d.platform}:{d.id}" for d in self._jax.devices())
        raise Unavailable(f"JAX has no device {wanted!r} here; it has {known}")

    def active(self) -> AbstractContextManager[Any]:
        """Enable float64 on the device."""
        from contextlib import ExitStack

        stack = ExitStack()
        stack.enter_context(self._jax.enable_x64(True))
        stack.enter_context(self._jax.default_device(self._device))
        return stack

    def put(self, array: Num[np.ndarray, "..."]) -> Array:
        """Return the array on the device."""
        return self._jax.device_put(array, self._device)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function under `jax.jit`."""
        return self._jax.jit(function)


def get_backend(name: str, device: str | None = None) -> Backend:
    """Return the backend of this name. Raises `UnknownMethod`, or `Unavailable` on this machine."""
    if name == "numpy":
        if device not in (None, "cpu"):
            raise Unavailable(f"NumPy runs on the CPU, not on {device!r}; use backend='jax'")
        return NumpyBackend()
    if name == "jax":
        return JaxBackend(device)
    raise UnknownMethod(f"unknown backend {name!r}; there are {', '.join(('auto', *BACKENDS))}")
