"""The extras of `pyproject.toml`: which of them `all` and the locks have."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest
from helpers.documents import ROOT
from helpers.program import python
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCKS = ("requirements.lock", "docker/build.lock", "docker/cpu.lock", "docker/cuda13.lock")
#: Extras that are installed by name only: PyTorch has gigabytes, and a build for each device.
SEPARATE = {"torch", "onnx"}


def locked(lock: str) -> set[str]:
    """The names of the packages in a lock."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}


def packages(extra: str) -> Iterator[str]:
    """The packages of an extra, and of those that it contains."""
    for requirement in map(Requirement, EXTRAS[extra]):
        if requirement.name == PROJECT["name"]:
            for contained in requirement.extras:
                yield from packages(contained)
        else:
            yield canonicalize_name(requirement.name)


def test_all_contains_every_extra_that_is_not_separate() -> None:
    (everything,) = map(Requirement, EXTRAS["all"])
    assert everything.name == PROJECT["name"]
    assert everything.extras == EXTRAS.keys() - {"all", *SEPARATE}


def test_the_lock_is_made_with_all() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (command,) = re.findall(
        r"^\t\$\(COMPILE\) (.*) --output-file requirements.lock$", makefile, re.M
    )
    assert command == "pyproject.toml --extra all --group dev"


@pytest.mark.parametrize("extra", sorted(EXTRAS.keys() - SEPARATE))
def test_the_lock_has_the_packages_of_an_extra(extra: str) -> None:
    assert {*packages(extra)} <= locked("requirements.lock")


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_has_packages_of_separate_extras(lock: str) -> None:
    separate = {name for extra in SEPARATE for name in packages(extra)} - {*packages("all")}
    assert separate == {"torch", "onnx", "onnxscript", "onnxruntime"}
    assert locked(lock) & separate == set()


def test_these_are_all_locks() -> None:
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "docker").glob("*.lock")} == set(
        LOCKS[1:]
    )


def test_layers_of_pytorch_name_their_extra_where_it_is_missing() -> None:
    script = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "try:\n"
        "    import intertwine.torch\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)"
    )
    assert python(script).strip() == (
        "these layers need PyTorch: pip install 'intertwine[torch]', or install the build for your "
        "machine as pytorch.org says"
    )
