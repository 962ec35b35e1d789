"""Identities of losses, optimisers and models, from their behaviour: equal in every process."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import sys
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from intertwine.arrays import in_numpy, is_jax, is_torch, is_torch_module
from intertwine.groups import Group
from intertwine.reps import Rep
from intertwine.reps.syntax import groups_of

_SIMPLE = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), np.generic, np.dtype)
_LIBRARIES = frozenset(("builtins", "functools", "intertwine", "jax", "jaxlib", "jaxtyping"))
_LIBRARIES |= {"beartype", "equinox", "numpy", "optax", "torch", "typing"}
"""Libraries whose functions are identified by name alone."""
_RECORDED = {
    "intertwine.architecture.change_of_basis.DenseChange": (
        "intertwine.architecture.irrep_space.DenseChange"
    ),
    "intertwine.architecture.change_of_basis.StepwiseChange": (
        "intertwine.architecture.irrep_space.StepwiseChange"
    ),
    "intertwine.bases.matrix.DenseStorage": "intertwine.bases.matrix.Dense",
    "intertwine.bases.assembled.KroneckerStorage": "intertwine.bases.assembled.Kronecker",
}
"""The names that checkpoints record for classes that have since been renamed or moved."""
_COMPILED = "torch._dynamo"
"""The package of the modules that torch.compile makes around others."""
_DERIVED = "intertwine."
"""The package whose constants follow from reps, with rounding that depends on the machine."""


def name_of(value: Any) -> str:
    """Return the name of a function, or of the class of an object without a name."""
    if isinstance(value, str):
        return value
    if isinstance(value, functools.partial):
        given = [*map(_shown, value.args)]
        given += [f"{name}={_shown(one)}" for name, one in value.keywords.items()]
        return f"{name_of(value.func)}({', '.join(given)})"
    optax = sys.modules.get("optax")
    if optax is not None and isinstance(value, optax.GradientTransformation):
        return name_of(value.update)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    named = value if isinstance(name, str) else type(value)
    own = name if named is value else named.__qualname__
    full = f"{getattr(named, '__module__', None)}.{own}"
    return _RECORDED.get(full, full)


def identity_of(value: Any) -> str:
    """Return the name of a value, with a digest of its other distinguishing parts if it has any.

    Functions are told apart by their bytecode, constants, defaults and what they close over;
    objects by their class, its `__call__` and their fields; arrays by their numbers. Global
    variables that they read, and the code of functions that they call, are ignored.
    """
    if _is_known_by_name(value):
        return name_of(value)
    return f"{name_of(value)} ({_Digester().digest(value)[:16]})"


def is_of_this_library(kind: type) -> bool:
    """Return whether a class is one of Intertwine's, and no subclass of a user's."""
    return kind.__module__.startswith(_DERIVED)


def has_hash(value: Any) -> bool:
    """Return whether the value can be hashed: fields may be unhashable in a hashable class."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


class _Digester:
    """Digests of values, each made of those of its parts."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, bool], tuple[str, Any]] = {}

    def digest(self, value: Any, derived: bool = False) -> str:
        """Return the digest of a value; of `derived` constants, that of the shape alone."""
        key = id(value), derived
        if key not in self._seen:
            self._seen[key] = "", value  # kept alive, so that its id is not reused; cycles end
            found = hashlib.sha256()
            for part in self._parts(value, derived):
                found.update(f"{len(part)}:{part}".encode())
            self._seen[key] = found.hexdigest(), value
        return self._seen[key][0]

    def _parts(self, value: Any, derived: bool) -> Iterator[str]:
        yield name_of(type(value))
        if isinstance(value, _SIMPLE):
            yield repr(value)
        elif isinstance(value, np.ndarray) or is_jax(value):
            yield from self._array(value, derived)
        elif is_torch(value):
            yield from (str(value.dtype), self.digest(in_numpy(value)))
        elif is_torch_module(value):
            yield from self._module(value)
        elif isinstance(value, Group):
            yield value.digest
        elif isinstance(value, Rep):
            yield from (repr(value), *(group.digest for group in groups_of(value)))
        elif isinstance(value, list | tuple):
            yield from (self.digest(one, derived) for one in value)
        elif isinstance(value, Mapping):
            for key, one in value.items():
                yield from (self.digest(key), self.digest(one, derived))
        elif isinstance(value, set | frozenset):
            yield from sorted(map(self.digest, value))
        elif isinstance(value, CodeType):
            yield from (value.co_code.hex(), *value.co_names)
            yield from map(self.digest, value.co_consts)
        elif isinstance(value, MethodType):
            yield from map(self.digest, (value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            yield from map(self.digest, (value.func, value.args, value.keywords))
        elif _is_known_by_name(value) or isinstance(value, type | ModuleType):
            yield name_of(value)
        elif isinstance(value, FunctionType):
            yield from self._function(value)
        else:
            yield from self._object(value)

    def _array(self, value: Any, derived: bool) -> Iterator[str]:
        derived = derived and isinstance(value, np.ndarray)  # those of JAX are weights
        if is_jax(value):
            import jax

            if jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
                value = jax.random.key_data(value)
        array = np.asarray(value)
        yield f"{array.dtype}{array.shape}"
        if array.dtype == object:
            yield self.digest(array.tolist())
        elif not (derived and np.issubdtype(array.dtype, np.inexact)):
            yield hashlib.sha256(array.tobytes()).hexdigest()

    def _function(self, function: FunctionType) -> Iterator[str]:
        yield name_of(function)
        yield from (self.digest(_content(cell)) for cell in function.__closure__ or ())
        inner = getattr(function, "__wrapped__", None)
        if inner is not None:  # the code of a decorator contains addresses
            yield self.digest(inner)
            return
        yield from map(self.digest, (function.__defaults__, function.__kwdefaults__))
        if not _is_of_a_library(function):
            yield self.digest(function.__code__)

    def _module(self, module: Any) -> Iterator[str]:
        """Yield a module's class, what it computes with, and the form of its parameters."""
        torch, kind = sys.modules["torch"], type(module)
        if not _is_of_a_library(kind):
            yield self.digest(kind.forward)
        for name, parameter in module.named_parameters(recurse=False):
            yield f"{name} {parameter.dtype} {tuple(parameter.shape)} {parameter.requires_grad}"
        for name, part in (*module.named_buffers(recurse=False), *module.named_children()):
            yield from (name, self.digest(part))
        if kind.__module__.startswith(_COMPILED):
            return  # its own attributes are numbers of objects in this process
        derived = is_of_this_library(kind)
        for name, one in sorted(vars(module).items()):
            if name not in vars(torch.nn.Module()):
                yield from (name, self.digest(one, derived))

    def _object(self, value: Any) -> Iterator[str]:
        """Yield an object's class and fields; if it is of a library that hides them, its name."""
        kind, own = type(value), not _is_of_a_library(type(value))
        derived = is_of_this_library(kind)
        if own and callable(value):
            yield self.digest(kind.__call__)
        if dataclasses.is_dataclass(value):
            names = [field.name for field in dataclasses.fields(value)]
        else:
            names = sorted(vars(value)) if own and hasattr(value, "__dict__") else []
        for name in names:
            yield from (name, self.digest(getattr(value, name, None), derived))
        if not names:
            yield from (name_of(value), self.digest(getattr(value, "__wrapped__", None)))


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, _SIMPLE) else name_of(value)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that has no value yet
        return None


def _is_known_by_name(value: Any) -> bool:
    """Return whether the value is a module-level function of a library, without a closure."""
    name = getattr(value, "__qualname__", None)
    return (
        isinstance(name, str)
        and "<" not in name
        and not isinstance(value, MethodType | functools.partial)
        and _is_of_a_library(value)
    )


def _is_of_a_library(value: Any) -> bool:
    return str(getattr(value, "__module__", None)).partition(".")[0] in _LIBRARIES
