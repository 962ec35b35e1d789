"""Let torch.compile take methods of the library as one operation each.

TorchDynamo, the front of torch.compile, follows Python code and stops at what it does not know:
NumPy's dtypes, caches, locks, SciPy. A method that is decorated by `one_operation` is not followed.
Its operations on tensors are in the compiled program all the same, since later stages of
torch.compile run it, with arrays of NumPy as constants of the program. An operator that such a
method returns is written out there.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from intertwine.arrays import is_torch

#: The operations that compiled programs contain. TorchDynamo reads attributes of a module one by
#: one, and so sees those that were added while it follows a program.
_operations = ModuleType("operations")
_methods: dict[str, Callable[..., Any]] = {}


class OfTorchCompile:
    """Base class of classes with methods that are `one_operation` each."""

    _takes_one_shape = False
    """Whether tensors have one shape, so that no program for others is made."""

    def _operation(self, name: str) -> str:
        """Make a method of this object an operation of torch.compile, and return its name."""
        takes_one_shape = self._takes_one_shape
        torch, owner, method = sys.modules["torch"], weakref.ref(self), _methods[name]

        def operation(*tensors: Any) -> Any:
            if takes_one_shape:
                tensors = tuple(tensor.reshape(*map(int, tensor.shape)) for tensor in tensors)
            found = method(owner(), *tensors)
            return found if is_torch(found) else found.dense()  # programs are of tensors

        whole = f"{name} {id(self)}"
        if not hasattr(_operations, whole):
            setattr(_operations, whole, torch.compiler.allow_in_graph(operation))
            weakref.finalize(self, delattr, _operations, whole)
        return whole

    # TorchDynamo runs the method instead of following it. torch.compiler.assume_constant_result
    # sets this attribute too, but PyTorch may not be loaded yet.
    _operation._dynamo_marked_constant = True  # type: ignore[attr-defined]


def one_operation(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of tensors that is one operation for torch.compile.

    Its class is an `OfTorchCompile`, and it returns a tensor or an operator.
    """
    name = f"{method.__module__}.{method.__qualname__}".replace(".", " ")
    _methods[name] = method

    @wraps(method)
    def called(self: Any, *arguments: Any, **named: Any) -> Any:
        if not arguments or not is_torch(arguments[0]) or named:
            return method(self, *arguments, **named)
        if not sys.modules["torch"].compiler.is_dynamo_compiling():
            return method(self, *arguments)
        id(self)  # so that the program is for this object, and not for others of its class
        return getattr(_operations, self._operation(name))(*arguments)

    return called
