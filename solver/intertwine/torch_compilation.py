"""Let torch.compile take methods of the library as one operation each.

TorchDynamo, the front of torch.compile, follows Python code and stops at what it does not know:
NumPy's dtypes, caches, locks, SciPy. A method that is decorated by `one_operation` is not followed.
Its operations on tensors are in the compiled program all the same, since later stages of
torch.compile run it, with arrays of NumPy as constants of the program. An operator that such a
method returns is written out there.

PyTorch keeps compiled programs on disk. It finds a program without tracing its operations if it
knows them by name, as it does those of `torch.library`. Objects with a `_content` have such
operations, whose names have digests of the content and of the library's source.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from functools import cache, wraps
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from intertwine.arrays import is_torch

#: The operations that compiled programs contain. TorchDynamo reads attributes of a module one by
#: one, and so sees those that were added while it follows a program.
_operations = ModuleType("operations")
_methods: dict[str, Callable[..., Any]] = {}
_owners: dict[str, weakref.WeakSet[Any]] = {}


class OfTorchCompile:
    """Base class of classes with methods that are `one_operation` each."""

    _takes_one_shape = False
    """Whether tensors have one shape, so that no program for others is made."""

    def _content(self) -> str | None:
        """Return a digest of everything that the methods depend on beside tensors, the same in each
        process; None if it is unknown.
        """
        return None

    def _operation(self, name: str, count: int) -> str:
        """Make a method of this object an operation of torch.compile on so many tensors, and return
        its name.
        """
        torch, content = sys.modules["torch"], self._content()
        if content is not None and not torch.compiler.is_exporting() and not _is_transformed():
            return _named_operation(self, name, count, content)
        takes_one_shape = self._takes_one_shape
        owner, method = weakref.ref(self), _methods[name]

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


def _named_operation(owner: OfTorchCompile, name: str, count: int, content: str) -> str:
    """Return the name of the operation that all objects with this content share: a method that
    returns a tensor. It is kept while the process runs.
    """
    whole = f"{name.replace(' ', '_')}_{sha256(f'{content} {_source()}'.encode()).hexdigest()}"
    owners = _owners.setdefault(whole, weakref.WeakSet())
    owners.add(owner)
    if not hasattr(_operations, whole):
        method = _methods[name]
        tensors = ", ".join(f"Tensor x{i}" for i in range(count))
        library = _library()
        library.define(f"{whole}({tensors}) -> Tensor")
        # later stages of torch.compile look into composite operations
        library.impl(
            whole,
            lambda *tensors: method(next(iter(owners)), *tensors),
            "CompositeImplicitAutograd",
        )
        operation = getattr(sys.modules["torch"].ops.intertwine, whole).default
        setattr(_operations, whole, operation)
    return whole


def _is_transformed() -> bool:
    """Return whether a transform of `torch.func` is traced. For operations of `torch.library`,
    `vmap` would be a loop.
    """
    return sys.modules["torch"]._C._functorch.peek_interpreter_stack() is not None


@cache
def _library() -> Any:
    return sys.modules["torch"].library.Library("intertwine", "FRAGMENT")


@cache
def _source() -> str:
    """Return a digest of the library's source: programs of another version may differ."""
    found, folder = sha256(), Path(__file__).parent
    for file in sorted(folder.rglob("*.py")):
        source = file.read_bytes()
        found.update(f"{file.relative_to(folder).as_posix()} {len(source)} ".encode() + source)
    return found.hexdigest()


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
        return getattr(_operations, self._operation(name, len(arguments)))(*arguments)

    return called
