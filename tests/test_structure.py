"""The shape of the code: who may import whom, what is light to start, and what is never used.

The imports are read from the sources, those inside functions too; nothing is run to find them.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import statistics
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import intertwine
import pytest
from helpers.program import python
from intertwine import errors

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"intertwine": "solver", "intertwine_cache": "cache", "intertwine_api": "api"}

#: The layers of the service, and those that each may import. A command imports further layers
#: where it runs.
LAYERS: dict[str, tuple[str, ...]] = {
    "wire": (),
    "storage": ("wire",),
    "work": ("storage", "wire"),
    "server": ("work", "storage", "wire"),
    "client": ("wire",),
    "catalogue": (),
    "cli": ("client", "wire"),
}

#: The order of the library: each part may import those before it, and itself.
#: `torch_dtypes`, `torch_namespace`, `arrays`, `integers`, `packages`, `scanner` and `whole_files`
#: are foundations: dtypes of PyTorch beside those of NumPy, its functions under NumPy's names,
#: which array library a value belongs to, whether it is an integer, whether a package is installed,
#: how text is cut into tokens, and how a file is written.
ORDER = (
    ("errors",),
    ("packages", "torch_dtypes"),
    ("torch_namespace",),
    ("arrays", "blas_threads", "integers", "memory", "notebook", "scanner", "whole_files"),
    ("torch_compilation",),
    ("operators",),
    ("groups",),
    ("reps",),
    ("bases",),
    ("irreps",),
    ("invariants",),
    ("polynomials",),
    ("verify",),
    ("architecture",),
    ("saving",),
    ("nn", "torch", "exact", "vis", "datasets", "installation"),
    ("training",),
    ("prepared_model",),
    ("compiled_model", "eager_model"),
)

#: The imports that go up, all of them inside a function that is called when all is loaded.
UPWARD = {
    ("intertwine.groups.semidirect", "reps"),  # an action satisfies relations as a rep does
    ("intertwine.invariants.arrivals", "exact"),  # counts the invariants of a basis from elsewhere
    ("intertwine.reps.syntax", "invariants"),  # rep.equivariant_basis()
    ("intertwine.reps", "verify"),  # equivariance_error, which EMLP has in its reps
    ("intertwine.reps", "vis"),  # vis and sparsify_basis, likewise
    ("intertwine.nn.exporting", "torch"),  # models of JAX as files that PyTorch writes
    ("intertwine.reps", "nn"),  # bilinear_weights, likewise
    ("intertwine.datasets.dataset", "nn"),  # default_aug, a model that draws group elements
    ("intertwine.groups", "verify"),  # rel_err, which EMLP has in its groups
}
#: What is imported for its types alone, and so not at all.
FOR_TYPES = {("intertwine.reps.syntax", "bases")}

CACHE = "intertwine_cache"
PROGRAM = "intertwine_api.__main__"
HEAVY = ("jax", "jaxlib", "sympy", "matplotlib", "fastapi", "scipy.linalg", "tqdm")
WEB = (
    "fastapi",
    "starlette",
    "pydantic_settings",
    "uvicorn",
    "httpx",
    "sqlalchemy",
    "alembic",
    "obstore",
)
#: The keys of services, which the client and the far tiers of the store have in common.
OF_KEYS = "intertwine_api.client.address"
#: The far tiers of the store, which only a store that has some imports.
OF_TIERS = {
    ("intertwine_cache.tiers.bucket", "obstore"),
    ("intertwine_cache.tiers.object_store", "obstore"),
    ("intertwine_cache.tiers.service", "httpx"),
}


@dataclass(frozen=True)
class Import:
    """An import statement: `module` imports `target`, in a function or not, for types or not."""

    module: str
    target: str
    deferred: bool
    for_types: bool

    @property
    def part(self) -> str:
        """The part of the library that is imported."""
        return self.target.split(".")[1] if "." in self.target else ""


@cache
def paths() -> dict[str, Path]:
    """The file of every module of the product."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder / package).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def sources() -> dict[str, tuple[Path, ast.Module]]:
    """Every module of the product with its syntax tree."""
    return {
        name: (path, ast.parse(path.read_text(encoding="utf-8"))) for name, path in paths().items()
    }


@cache
def imports(module: str) -> tuple[Import, ...]:
    """Every import statement of a module."""
    path, tree = sources()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]

    def visit(node: ast.AST, deferred: bool, for_types: bool) -> Iterator[Import]:
        targets: list[str] = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *filter(None, [node.module])]) if node.level else node.module
            assert base
            inner = [f"{base}.{alias.name}" for alias in node.names]
            targets = [name if name in sources() else base for name in inner]
        for target in dict.fromkeys(targets):
            yield Import(module, target, deferred, for_types)
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, deferred or function, for_types or typing)

    return tuple(visit(tree, False, False))


def all_imports() -> list[Import]:
    return [found for module in sources() for found in imports(module)]


def top(name: str) -> str:
    return name.partition(".")[0]


def layer_of(name: str) -> str | None:
    """The layer of a module of the service; None for its root, and for other packages."""
    parts = name.split(".")
    is_inside = parts[0] == "intertwine_api" and len(parts) > 1 and name != PROGRAM
    return parts[1] if is_inside else None


def level(part: str) -> int:
    """Where a part stands in the order of the library."""
    return next(i for i, parts in enumerate(ORDER) if part in parts)


class TestImports:
    def test_every_package_of_the_library_has_a_level(self) -> None:
        parts = {name.split(".")[1] for name in sources() if name.startswith("intertwine.")}
        assert parts <= {part for parts in ORDER for part in parts}
        assert {"errors", "operators", "groups", "reps", "bases", "invariants"} <= parts

    def test_imports_run_one_way_inside_the_library(self) -> None:
        breaches = set()
        for found in all_imports():
            if not found.module.startswith("intertwine.") or top(found.target) != "intertwine":
                continue
            own = found.module.split(".")[1]
            if found.part in ("", own):  # the root is light, and knows no part before it is asked
                continue
            if level(found.part) >= level(own):
                breaches.add((found.module, found.part, found.deferred, found.for_types))
        allowed = {(*pair, True, False) for pair in UPWARD}
        allowed |= {(*pair, False, True) for pair in FOR_TYPES}
        assert breaches - allowed == set()
        assert allowed - breaches == set(), "an exception that nobody needs any more"

    def test_the_foundations_import_nothing_of_the_library(self) -> None:
        known = {
            "errors": set(),
            "arrays": {"torch_dtypes", "torch_namespace"},
            "torch_namespace": {"torch_dtypes"},
            "memory": {"errors"},
            "packages": {"errors"},
            "scanner": {"errors"},
        }
        for part, below in known.items():
            found = [i for i in imports(f"intertwine.{part}") if top(i.target) == "intertwine"]
            assert {i.part for i in found} <= below, part

    def test_the_root_of_the_library_imports_none_of_it(self) -> None:
        assert {top(found.target) for found in imports("intertwine")} <= {
            "__future__",
            "importlib",
            "typing",
        }

    def test_solver_and_cache_import_neither_each_other_nor_the_api(self) -> None:
        strangers = {
            "intertwine": {"intertwine_api", "intertwine_cache"},
            "intertwine_cache": {"intertwine_api", "intertwine"},
        }
        breaches = [
            found
            for found in all_imports()
            if top(found.target) in strangers.get(top(found.module), set())
        ]
        assert breaches == []

    def test_the_solver_names_no_higher_package(self) -> None:
        for name, (path, tree) in sources().items():
            if top(name) == "intertwine":
                texts = [
                    node.value
                    for node in ast.walk(tree)
                    if isinstance(node, ast.Constant) and isinstance(node.value, str)
                ]
                spoken = [text for text in texts if re.match(r"intertwine_(api|cache)\b", text)]
                assert spoken == [], path

    def test_the_library_has_no_web_and_no_database(self) -> None:
        breaches = [
            found
            for found in all_imports()
            if top(found.module) != "intertwine_api"
            and top(found.target) in WEB
            and not (found.deferred and (found.module, top(found.target)) in OF_TIERS)
        ]
        assert breaches == []
        # a training's recipe is validated by pydantic, wherever it is read
        validated = {i.module for i in all_imports() if top(i.target) == "pydantic"}
        recipes = {name for name in validated if top(name) == "intertwine"}
        assert all(name.startswith("intertwine.training.recipe.") for name in recipes)

    def test_heavy_packages_are_imported_where_they_are_used(self) -> None:
        may_be_heavy = ("nn", "datasets", "training", "vis", "exact")
        for found in all_imports():
            part = found.module.partition(".")[2].partition(".")[0]
            if top(found.module) != "intertwine" or part in may_be_heavy:
                continue
            if any(f"{found.target}.".startswith(f"{name}.") for name in HEAVY):
                assert found.deferred or found.for_types, found

    def test_the_command_line_needs_no_web_framework_to_start(self) -> None:
        at_the_start = {"intertwine_api", "intertwine_api.wire.vocabulary"}
        at_the_start |= {name for name in sources() if layer_of(name) == "cli"}
        for found in all_imports():
            if found.module in at_the_start and not found.deferred and not found.for_types:
                target = found.target
                is_light = top(target) in sys.stdlib_module_names or target == "click"
                assert is_light or target in at_the_start, found

    def test_nothing_is_imported_by_a_star(self) -> None:
        for path, tree in sources().values():
            stars = [
                node.lineno
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
            ]
            assert stars == [], path

    def test_an_upward_import_is_detected(self) -> None:
        # the walk itself must see what it forbids: the documented exceptions, wherever they stand
        seen = {(found.module, found.part, found.deferred) for found in all_imports()}
        assert {(*pair, True) for pair in UPWARD} <= seen


class TestLayersOfTheService:
    def test_every_module_is_in_a_layer(self) -> None:
        modules = {name for name in sources() if top(name) == "intertwine_api"}
        assert {layer_of(name) for name in modules - {"intertwine_api", PROGRAM}} == set(LAYERS)

    def test_imports_run_one_way(self) -> None:
        breaches = []
        for found in all_imports():
            own, other = layer_of(found.module), layer_of(found.target)
            if own is None or other in (None, own) or other in LAYERS[own]:
                continue
            if own != "cli" or not (found.deferred or found.for_types):
                breaches.append(found)
        assert breaches == []

    def test_the_cache_is_known_from_the_storage_upward(self) -> None:
        knowing = {
            layer_of(found.module)
            for found in all_imports()
            if top(found.target) == CACHE and not (found.module == OF_KEYS and found.deferred)
        } - {None}
        assert knowing <= {"storage", "work", "server", "cli", "catalogue"}

    def test_there_are_no_import_cycles(self) -> None:
        # in the service imports inside functions count too; those of the library are in UPWARD
        graph: dict[str, set[str]] = {name: set() for name in sources()}
        for found in all_imports():
            late = found.deferred and top(found.module) == "intertwine"
            if found.target in graph and not found.for_types and not late:
                graph[found.module].add(found.target)
        for name in graph:  # a package and the modules that it shows are one thing
            graph[name].discard(name.rpartition(".")[0])
        list(TopologicalSorter(graph).static_order())  # raises CycleError

    @pytest.mark.parametrize("layer", ["wire", "storage", "work", "client", "cli"])
    def test_only_the_server_imports_a_web_framework(self, layer: str) -> None:
        modules = [
            name for name in sources() if layer_of(name) == layer and "migrations" not in name
        ]
        assert len(modules) > 5
        program = "\n".join(f"import {name}" for name in modules)
        loaded = set(python(program + "\nimport sys; print(*sys.modules)").split())
        assert not loaded & {"fastapi", "starlette", "uvicorn", "opentelemetry"}
        if layer == "wire":
            assert not loaded & {"sqlalchemy", "alembic", "jax"}

    def test_a_violation_is_detected(self) -> None:
        seen = {(layer_of(found.module), layer_of(found.target)) for found in all_imports()}
        assert {
            ("cli", "work"),
            ("server", "work"),
            ("work", "storage"),
            ("client", "wire"),
        } <= seen


def private_names_of_others(module: str, tree: ast.Module) -> Iterator[str]:
    """Each private name of another of our modules that a module imports, or reads from it."""
    ours: set[str] = set()  # what the module calls other modules of ours
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            if node.level or top(base) in FOLDERS:
                for name in [*base.split("."), *(alias.name for alias in node.names)]:
                    if is_private(name):
                        yield f"{module}:{node.lineno} from {base} import {name}"
                ours |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if top(alias.name) in FOLDERS:
                    if any(map(is_private, alias.name.split("."))):
                        yield f"{module}:{node.lineno} import {alias.name}"
                    ours.add(alias.asname or alias.name)
    attributes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    for node in attributes:
        if is_private(node.attr) and ast.unparse(node.value) in ours:
            yield f"{module}:{node.lineno} {ast.unparse(node)}"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


class TestNames:
    def test_no_private_name_is_used_by_another_module(self) -> None:
        found = [
            use
            for module, (_, tree) in sources().items()
            for use in private_names_of_others(module, tree)
        ]
        assert found == []

    @pytest.mark.parametrize(
        "text",
        [
            "from intertwine.bases.storage import Storage, _BLOCK_BYTES",
            "def f():\n    from intertwine.reps.syntax import _bounded as bounded",
            "from . import _hidden",
            "import intertwine._hidden",
            "from intertwine._hidden import name",
            "from intertwine.reps import printing\nprinting._text(1)",
            "import intertwine.reps.printing\nintertwine.reps.printing._text(1)",
        ],
    )
    def test_the_use_of_a_private_name_is_detected(self, text: str) -> None:
        assert len(list(private_names_of_others("module", ast.parse(text)))) == 1

    def test_names_of_other_packages_and_attributes_are_allowed(self) -> None:
        text = "from numpy import _core\nfrom intertwine import __version__\nself._name\nrep._parts"
        assert list(private_names_of_others("module", ast.parse(text))) == []

    @pytest.mark.parametrize("package", FOLDERS)
    def test_no_function_shares_its_name_with_a_module(self, package: str) -> None:
        inside = {name: tree for name, (_, tree) in sources().items() if top(name) == package}
        modules = {name.rpartition(".")[2]: name for name in inside if name != package}
        shared = [
            f"{module}.{node.name} and {modules[node.name]}"
            for module, tree in inside.items()
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in modules
        ]
        assert shared == []

    @pytest.mark.parametrize(
        "package",
        sorted(
            name
            for name, path in paths().items()
            if path.name == "__init__.py"
            and name.startswith("intertwine.")
            and name.count(".") == 1
        ),
    )
    def test_every_public_name_of_a_package_exists_and_is_explained(self, package: str) -> None:
        if package == "intertwine.torch":
            pytest.importorskip("torch")
        module = importlib.import_module(package)
        assert module.__doc__
        assert len(set(module.__all__)) == len(module.__all__)
        assert not [name for name in module.__all__ if name.startswith("_")]
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert value.__doc__, f"{package}.{name} has no docstring"
                assert not value.__doc__.startswith(f"{name}("), "the one a dataclass made"

    @pytest.mark.parametrize("package", ["bases", "groups", "invariants", "operators", "reps"])
    def test_a_star_import_brings_what_is_public_and_no_modules(self, package: str) -> None:
        names: dict[str, object] = {}
        exec(f"from intertwine.{package} import *", names)
        modules = [n for n, value in names.items() if inspect.ismodule(value)]
        assert modules == []

    def test_the_root_finds_every_package_when_it_is_asked(self) -> None:
        packages = {
            name.removeprefix("intertwine.")
            for name, path in paths().items()
            if name.startswith("intertwine.")
            and path.name == "__init__.py"
            and name.count(".") == 1
        }
        if find_spec("torch") is None:
            packages.remove("torch")
        for name in sorted(packages | {"errors", "verify"}):
            assert getattr(intertwine, name) is importlib.import_module(f"intertwine.{name}")
            assert name in dir(intertwine)
        with pytest.raises(AttributeError, match="module 'intertwine' has no attribute 'nothing'"):
            intertwine.nothing  # noqa: B018

    def test_the_version_is_that_of_the_distribution(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert intertwine.__version__ == project["version"]

    def test_the_packages_are_those_that_are_built(self) -> None:
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        build = settings["tool"]["hatch"]["build"]
        built = build["targets"]["wheel"]["packages"]
        assert {"solver/intertwine", "api/intertwine_api"} <= set(built)
        assert build["dev-mode-dirs"] == [package.partition("/")[0] for package in built]
        for package in built:
            folder, _, name = package.partition("/")
            assert FOLDERS[name] == folder
            assert (ROOT / package / "py.typed").exists()


#: The one module that changes settings of JAX: those of its compilation cache.
_PROGRAM_CACHE = "intertwine.nn.program_cache"


class TestWhatIsNeverUsed:
    CALLS = ("eval", "exec", "compile", "__import__", "execfile", "input", "breakpoint")
    MODULES = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "code")
    ATTRIBUTES = ("sympify", "parse_expr", "S", "simplify_str", "system", "popen", "allow_pickle")

    def test_no_text_is_run_as_code(self) -> None:
        used = []
        for name, (_, tree) in sources().items():
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    if node.func.id in self.CALLS:
                        used.append(f"{name}:{node.lineno} {node.func.id}")
                elif isinstance(node, ast.Attribute):
                    owner = node.value.id if isinstance(node.value, ast.Name) else ""
                    if owner in ("sympy", "os", "builtins") and node.attr in (
                        *self.ATTRIBUTES,
                        *self.CALLS,
                    ):
                        used.append(f"{name}:{node.lineno} {owner}.{node.attr}")
        assert used == []

    def test_sympy_is_given_no_text_to_read(self) -> None:
        for found in all_imports():
            assert "sympy.parsing" not in found.target, found
        for name, (_, tree) in sources().items():
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and node.module == "sympy":
                    assert not {alias.name for alias in node.names} & set(self.ATTRIBUTES), name

    def test_nothing_is_pickled(self) -> None:
        assert [found for found in all_imports() if top(found.target) in self.MODULES] == []
        for name, (_, tree) in sources().items():
            for node in ast.walk(tree):
                if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                    assert isinstance(node.value, ast.Constant), name
                    assert node.value.value is False, f"{name}:{node.value.lineno}"

    def test_random_numbers_have_a_seed_of_their_own(self) -> None:
        allowed = {"default_rng", "Generator", "SeedSequence", "Philox"}
        used = []
        for name, (_, tree) in sources().items():
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Attribute)
                    and node.value.attr == "random"
                    and isinstance(node.value.value, ast.Name)
                    and node.value.value.id in ("np", "numpy")
                    and node.attr not in allowed
                ):
                    used.append(f"{name}:{node.lineno} np.random.{node.attr}")
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in ("default_rng", "SeedSequence", "Philox")
                    and not node.args
                ):
                    used.append(f"{name}:{node.lineno} {node.func.attr} without a seed")
        assert used == []

    def test_no_order_comes_from_hash_and_no_setting_of_jax_is_changed(self) -> None:
        for name, (_, tree) in sources().items():
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and node.attr == "update":
                    changes = "config" in ast.dump(node.value).lower()
                    assert not changes or name == _PROGRAM_CACHE, f"{name}:{node.lineno}"


class TestErrors:
    def classes(self) -> dict[str, type[errors.IntertwineError]]:
        """Every error class of the library, wherever it is defined."""
        for module in pkgutil.walk_packages(intertwine.__path__, "intertwine."):
            if ".torch" in module.name:  # it needs PyTorch
                continue
            importlib.import_module(module.name)

        def below(cls: type[errors.IntertwineError]) -> Iterator[type[errors.IntertwineError]]:
            yield cls
            for inner in cls.__subclasses__():
                yield from below(inner)

        found = below(errors.IntertwineError)
        return {cls.__name__: cls for cls in found if top(cls.__module__) == "intertwine"}

    def drawn(self) -> dict[str, tuple[str | None, str]]:
        """The tree in the docstring: each class with its parent, and what is said of it."""
        tree: dict[str, tuple[str | None, str]] = {}
        ancestors: list[tuple[int, str]] = []
        for line in (errors.__doc__ or "").splitlines():
            match = re.match(r"^(?: {4})([│├└─ ]*)([A-Z]\w+)(?: {2,}(.*))?$", line)
            if match:
                depth, name, explained = len(match[1]), match[2], match[3] or ""
                while ancestors and ancestors[-1][0] >= depth:
                    ancestors.pop()
                tree[name] = (ancestors[-1][1] if ancestors else None, explained)
                ancestors.append((depth, name))
        return tree

    def test_the_tree_in_the_docstring_is_the_tree_of_the_classes(self) -> None:
        drawn, classes = self.drawn(), self.classes()
        assert set(drawn) == set(classes)
        for name, (parent, explained) in drawn.items():
            if parent is None:
                assert name == "IntertwineError"
            else:
                assert classes[parent] in classes[name].__bases__, name
                assert explained, name

    def test_every_error_stands_in_the_module_of_errors(self) -> None:
        assert {cls.__module__ for cls in self.classes().values()} == {"intertwine.errors"}

    def test_every_error_has_a_code_of_its_own_and_says_what_it_is(self) -> None:
        classes = self.classes()
        codes = [cls.__dict__["code"] for cls in classes.values()]
        assert len(set(codes)) == len(codes)
        for name, cls in classes.items():
            assert re.fullmatch(r"[a-z]+(-[a-z]+)*", cls.code), name
            assert cls.__doc__, name


class TestLightToStart:
    NEVER = ("jax", "jaxlib", "sympy", "matplotlib", "fastapi", "tqdm", "IPython")
    PRINT = "\nimport sys; print(*sys.modules)"

    @pytest.mark.parametrize(
        "program",
        [
            "import intertwine",
            "from intertwine.reps import V; from intertwine.groups import SO",
            "from intertwine.reps import V, Scalar, T, parse\nstr(parse('V**2*V.T+5V0'))",
            "from intertwine.reps import V; from intertwine.groups import SO\n"
            "V(SO(3)).equivariant_basis()",
            "from intertwine.reps import V; from intertwine.groups import SO13p\n"
            "Q = (V**2 * V.T**2)(SO13p()).equivariant_basis()\nassert Q.shape == (256, 4)",
            "from intertwine.reps import V; from intertwine.groups import S\n"
            "Q = (V**3)(S(4)).equivariant_basis(); Q @ Q.T @ Q.dense()",
            "import intertwine.verify, intertwine.bases, intertwine.invariants",
        ],
        ids=["the library", "names", "text", "a solve", "a krylov solve", "orbits", "all of it"],
    )
    def test_heavy_packages_are_not_loaded(self, program: str) -> None:
        loaded = set(python(program + self.PRINT).split())
        assert not loaded & set(self.NEVER)

    def test_the_library_itself_loads_not_even_numpy(self) -> None:
        assert "numpy" not in python("import intertwine" + self.PRINT).split()

    def seconds(self, statement: str) -> float:
        """How long a statement takes in a fresh interpreter."""
        clock = f"import time; begun = time.perf_counter()\n{statement}\n"
        return float(python(clock + "print(time.perf_counter() - begun)"))

    def compare(self, statement: str) -> float:
        """How much longer a statement takes than to import NumPy; the two take turns."""
        pairs = [(self.seconds(statement), self.seconds("import numpy")) for _ in range(8)]
        ours, numpys = (statistics.median(times) for times in zip(*pairs[1:], strict=True))
        return ours / numpys

    @pytest.mark.slow
    def test_importing_the_library_takes_at_most_twice_what_importing_numpy_takes(self) -> None:
        assert self.compare("import intertwine") <= 2

    @pytest.mark.slow
    def test_the_imports_of_a_first_line_take_little_more(self) -> None:
        names = "from intertwine.reps import V; from intertwine.groups import SO"
        assert self.compare(names) <= 3
