"""Check annotated shapes while tests run, by jaxtyping and beartype.

jaxtyping's own import hook binds the arguments of every function anew at every call, which took
half of the time of all tests. Here this is done for the functions and dataclasses whose annotations
name a shape. Nothing of ours is imported: conftest.py comes before the annotations are checked.
"""

from __future__ import annotations

import ast
import re
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import Any

import jaxtyping

_OF_SHAPES = {
    name
    for name, value in vars(jaxtyping).items()
    if isinstance(value, type) and issubclass(value, jaxtyping.AbstractDtype)
}
_ALIAS = re.compile(
    rf"^(\w+)(?:: TypeAlias)? = .*\b(?:{'|'.join(sorted(_OF_SHAPES))})\[", re.MULTILINE
)


class CheckedAnnotations(MetaPathFinder):
    """Imports modules of some packages so that their annotations are checked."""

    def __init__(self, *packages: str) -> None:
        self._packages = packages

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in self._packages:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def check_annotations(*packages: str) -> CheckedAnnotations:
    """Check the annotations of these packages' modules as they are imported, as long as the result
    is in `sys.meta_path`.
    """
    imported = {name.partition(".")[0] for name in sys.modules}
    assert imported.isdisjoint(packages), "they were imported before"
    for package in packages:
        spec = PathFinder.find_spec(package)
        assert spec is not None
        for folder in spec.submodule_search_locations or ():
            for path in Path(folder).rglob("*.py"):
                _OF_SHAPES.update(_ALIAS.findall(path.read_text(encoding="utf-8")))
    finder = CheckedAnnotations(*packages)
    sys.meta_path.insert(0, finder)
    return finder


class _Loader(SourceFileLoader):
    def path_stats(self, path: Any) -> Any:
        raise OSError("checked modules are not kept as bytecode, beside those that are not checked")

    def source_to_code(self, data: Any, path: Any, **options: Any) -> Any:
        tree = _Decorated().visit(ast.parse(data, path))
        return super().source_to_code(ast.fix_missing_locations(tree), path, **options)


class _Decorated(ast.NodeTransformer):
    def visit_Module(self, node: ast.Module) -> ast.Module:
        after = [isinstance(line, ast.Expr) or _is_future(line) for line in node.body]
        start = after.index(False) if False in after else len(after)
        node.body[start:start] = ast.parse("import beartype, jaxtyping").body
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        if any(_names_a_shape(line) for line in node.body if isinstance(line, ast.AnnAssign)):
            node.decorator_list.insert(0, _shapes())  # above @dataclass
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        has_shapes = _names_a_shape(node.args) or (node.returns and _names_a_shape(node.returns))
        if has_shapes:
            node.decorator_list.append(_shapes())
        self.generic_visit(node)
        return node


def _shapes() -> ast.expr:
    return ast.parse("jaxtyping.jaxtyped(typechecker=beartype.beartype)", mode="eval").body


def _names_a_shape(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Name) and part.id in _OF_SHAPES for part in ast.walk(node))


def _is_future(line: ast.stmt) -> bool:
    return isinstance(line, ast.ImportFrom) and line.module == "__future__"
