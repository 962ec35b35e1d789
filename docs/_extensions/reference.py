"""Reference entries for public names.

A page lists names in blocks, each under the package that they are imported from::

    ```{reference} intertwine.groups
    Group Embed
    ```

Each name becomes an entry with its signature and its docstring, in the order of the block.
"""

from __future__ import annotations

import importlib
import inspect
import re
from functools import cached_property
from typing import Any, is_typeddict

from public_names import home
from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_signature

BLOCK = re.compile(r"^```\{reference\} (?P<package>\S+)\n(?P<names>.*?)^```$", re.M | re.S)

#: Modules of constructors that are not worth showing, such as those of `object` and of protocols.
PYTHONS_OWN = (None, "builtins", "typing")

#: Summaries of data. Autodoc would show the docstring of their type.
SUMMARIES = {
    "intertwine.groups.CATALOGUE": "The groups that a text can name, by their names.",
    "intertwine.groups.CRYSTAL_CLASSES": "The 32 crystal classes.",
    "intertwine.invariants.BACKENDS": "The array libraries that can solve, besides `auto`.",
    "intertwine.invariants.METHODS": "The methods that can be asked for, besides `auto`.",
    "intertwine.irreps.REDUCTIVE": "The `kind` of a `Verdict` on a reductive group.",
    "intertwine.reps.Scalar": "The scalar rep V⁰, an instance of `ScalarRep`.",
    "intertwine.reps.V": "The base rep, an instance of `Base`. ``V(G)`` is that of a group.",
    "intertwine.reps.Vector": "The base rep under EMLP's name: the same object as `V`.",
}


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("source-read", expand_blocks)
    app.connect("autodoc-process-signature", as_written)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def expand_blocks(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace each block of names by the directives of autodoc, which are reStructuredText."""
    begun: set[str] = set()

    def directives(block: re.Match[str]) -> str:
        package = block["package"]
        kind = "currentmodule" if package in begun else "py:module"
        begun.add(package)
        entries = [entry(package, name) for name in block["names"].split()]
        return "\n".join(["```{eval-rst}", f".. {kind}:: {package}\n", *entries, "```"])

    source[0] = BLOCK.sub(directives, source[0])


def entry(package: str, name: str) -> str:
    """Return the directive for one name; an alias refers to the name in its own package."""
    value = getattr(importlib.import_module(package), name)
    owner = home(package, name)
    if owner != package:
        return f".. py:data:: {name}\n\n   The same as :py:obj:`{owner}.{name}`.\n"
    if inspect.isclass(value):
        kind = "exception" if issubclass(value, Exception) else "class"
        fields = typed_dict_fields(value) if is_typeddict(value) else ""
        return f".. auto{kind}:: {name}{fields}\n"
    if inspect.isroutine(value) or hasattr(value, "__wrapped__"):
        return f".. autofunction:: {name}\n"
    summary = SUMMARIES.get(f"{package}.{name}")
    if summary is None:
        return f".. autodata:: {name}\n"
    return f".. py:data:: {name}\n   :type: {type(value).__name__}\n\n   {summary}\n"


def as_written(
    app: Sphinx, kind: str, name: str, value: Any, options: Any, args: str | None, returns: str
) -> tuple[str, str] | None:
    """Return the signature with its annotations as the source has them.

    Evaluated, ``Float[np.ndarray, "n r"]`` would lose its form, and a type alias its name.
    """
    if args is None:
        return None
    if kind in ("property", "attribute"):
        getter = value.fget if isinstance(value, property) else None
        if isinstance(value, cached_property):
            getter = value.func
        return (args, getter.__annotations__.get("return", "")) if getter else None
    signature = signature_of(value)
    if signature is None:
        return "", ""
    signature = signature.replace(parameters=without_self(signature))
    written = stringify_signature(signature, show_return_annotation=False)
    returned = "" if inspect.isclass(value) else signature.return_annotation
    text = returned if isinstance(returned, str) else ""
    return re.sub(r"<[^<>]*>", "...", written), text


def typed_dict_fields(kind: type) -> str:
    """Return the keys of a typed dictionary as keyword arguments, which autodoc leaves out."""
    fields = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=getattr(hint, "__forward_arg__", hint)
        )
        for name, hint in kind.__annotations__.items()
    ]
    return stringify_signature(inspect.Signature(fields))


def signature_of(value: Any) -> inspect.Signature | None:
    """Return the signature of a function, or of the constructor of a class, if it has one."""
    called = constructor(value) if inspect.isclass(value) else value
    try:
        return inspect.signature(called) if called is not None else None
    except (TypeError, ValueError):
        return None


def without_self(signature: inspect.Signature) -> list[inspect.Parameter]:
    """Return the parameters that a caller gives."""
    return [p for p in signature.parameters.values() if p.name not in ("self", "cls")]


def constructor(kind: type) -> Any:
    """Return a class's ``__init__`` or ``__new__``, unless it is one of Python's own."""
    for base in kind.__mro__:
        for method in ("__init__", "__new__"):
            found = vars(base).get(method)
            if found and getattr(found, "__module__", None) not in PYTHONS_OWN:
                return found
    return None
