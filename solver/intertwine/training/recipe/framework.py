"""The frameworks that train, JAX and PyTorch: they share networks, settings and files of models.

A framework is imported when one of its methods is first called.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, ClassVar, Literal

from intertwine.errors import InvalidSetting, Unavailable
from intertwine.packages import missing_packages
from intertwine.saving.model_tree import entries

#: The names of the frameworks, in requests and in the configs of saved models.
FrameworkName = Literal["jax", "torch"]

#: The framework of a request or of a saved model that names none.
DEFAULT: FrameworkName = "jax"


class Framework(ABC):
    """A framework that trains networks.

    `package` has its layers, `packages` are those that it needs, and `extra` installs them. `lacks`
    are the classes of saved models that only the other framework has.
    """

    name: ClassVar[FrameworkName]
    title: ClassVar[str]
    package: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    extra: ClassVar[str]
    lacks: ClassVar[frozenset[str]] = frozenset()

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed here."""
        return missing_packages(self.packages)

    def require(self, choice: str | None = None) -> None:
        """Raise `Unavailable` if a package is not installed here.

        `choice` is how the caller chooses a framework, such as ``--framework {}``. The error says
        so if another one is installed.
        """
        if self.missing:
            remedies = [f"pip install 'intertwine[{self.extra}]'"]
            if choice is not None:
                others = (each for each in _FRAMEWORKS.values() if not each.missing)
                remedies += [f"use {each.title}: {choice.format(each.name)}" for each in others]
            raise Unavailable(
                f"models of {self.title} need packages that are not installed here "
                f"({', '.join(self.missing)}): {', or '.join(remedies)}"
            )

    def require_layers(self, config: Mapping[str, Any]) -> None:
        """Raise `InvalidSetting` if this framework lacks a layer of a saved model."""
        lacking = sorted(self.lacks.intersection(entries(config.get("model"), "class")))
        if lacking:
            raise InvalidSetting(
                f"the saved model has layers that do not exist for {self.title}: "
                f"{', '.join(lacking)}. Train it with the framework {DEFAULT!r}"
            )

    def layer(self, name: str) -> Any:
        """Return the class of a layer or network, such as ``EMLP``."""
        return getattr(import_module(self.package), name)

    @property
    def saving(self) -> Any:
        """The module that has `to_config` and `from_config` for the models of this framework."""
        return import_module(f"{self.package}.saving")

    def from_config(self, config: Mapping[str, Any], blob: bytes) -> Any:
        """Return a saved model in the precision of its weights, whichever framework saved it.

        Raises `FormatError` for a model that this framework does not have.
        """
        with self.computing_in("float64"):  # otherwise float64 weights would be rounded
            return self.saving.from_config(config, blob)

    @abstractmethod
    def dtype(self, name: str) -> Any:
        """Return the dtype of a name, as the networks take it."""

    @abstractmethod
    def computing_in(self, dtype: str) -> AbstractContextManager[Any]:
        """Return a context in which networks compute in this precision."""

    @abstractmethod
    def training(self) -> AbstractContextManager[Any]:
        """Return a context in which matrix products have the full precision of their dtype."""

    @abstractmethod
    def placed(self, model: Any) -> Any:
        """Return the model on the device that trains it: a GPU if there is one."""

    def limits_of(self, model: Any) -> list[str]:
        """Return what the networks in a model cannot represent, one sentence each."""
        found: list[str] = import_module(f"{self.package}.emlp").limits_of(model)
        return found

    @abstractmethod
    def optimizer(self, weight_decay: float) -> Any:
        """Return Adam as `fit` takes it; with weight decay, AdamW."""


class _Jax(Framework):
    name = "jax"
    title = "JAX"
    package = "intertwine.nn"
    packages = ("jax", "equinox", "optax")
    extra = "nn"

    def dtype(self, name: str) -> Any:
        return name

    def computing_in(self, dtype: str) -> AbstractContextManager[Any]:
        from intertwine.training.precision import computing_in

        return computing_in(dtype)

    def training(self) -> AbstractContextManager[Any]:
        import jax

        context: AbstractContextManager[Any] = jax.default_matmul_precision("highest")
        return context  # by default a GPU rounds products

    def placed(self, model: Any) -> Any:
        return model

    def optimizer(self, weight_decay: float) -> Any:
        import optax

        if weight_decay == 0:
            return optax.adam
        return functools.partial(optax.adamw, weight_decay=weight_decay)


class _Torch(Framework):
    name = "torch"
    title = "PyTorch"
    package = "intertwine.torch"
    packages = ("torch",)
    extra = "torch"
    lacks = frozenset(
        (
            *("EMLPH", "MLPH", "EMLPode", "MLPode", "GroupAugmentation", "Parallel"),
            *("EquivariantPolynomial", "PolynomialFeatures", "Step"),
            *("BakedNetwork", "BakedBlock", "Dense", "Wiring"),
        )
    )

    def dtype(self, name: str) -> Any:
        import torch

        return {"float32": torch.float32, "float64": torch.float64}[name]

    def computing_in(self, dtype: str) -> AbstractContextManager[Any]:
        return nullcontext()  # tensors have the dtype that they were made with

    def training(self) -> AbstractContextManager[Any]:
        return nullcontext()  # by default no product is rounded

    def placed(self, model: Any) -> Any:
        import torch

        return model.to("cuda") if torch.cuda.is_available() else model

    def optimizer(self, weight_decay: float) -> Any:
        import torch

        if weight_decay == 0:
            return torch.optim.Adam
        return functools.partial(torch.optim.AdamW, weight_decay=weight_decay)


_FRAMEWORKS: Mapping[str, Framework] = {each.name: each for each in (_Jax(), _Torch())}


def framework_named(name: str) -> Framework:
    """Return the framework of a name. Raises `InvalidSetting` for an unknown one."""
    found = _FRAMEWORKS.get(name)
    if found is None:
        raise InvalidSetting(
            f"there is no framework {name!r}: give one of {', '.join(_FRAMEWORKS)}"
        )
    return found


def framework_of(config: Mapping[str, Any]) -> Framework:
    """Return the framework that wrote the config of a saved model; JAX if it does not say."""
    return framework_named(str(config.get("framework", DEFAULT)))


def framework_of_model(model: Any) -> Framework:
    """Return the framework of a network: PyTorch for its modules, else JAX."""
    from intertwine.arrays import is_torch_module

    return framework_named("torch" if is_torch_module(model) else "jax")
