"""The client is small to import, and what it gives away is public."""

from __future__ import annotations

import importlib
import inspect

import intertwine_api
import pytest
from helpers.program import python
from intertwine_api import client

HEAVY = (
    *("jax", "fastapi", "starlette", "sqlalchemy", "pydantic", "numpy", "scipy", "sympy"),
    *("httpx", "anyio", "tqdm", "IPython", "matplotlib", "intertwine.reps", "intertwine.bases"),
)
PRINT = "\nimport sys; print(*sys.modules)"


def test_importing_it_loads_nothing_that_is_heavy() -> None:
    loaded = python("from intertwine_api.client import Client, AsyncClient" + PRINT).split()
    assert not set(loaded) & set(HEAVY)


def test_neither_does_the_short_way_in() -> None:
    assert not set(python("from intertwine_api import remote" + PRINT).split()) & set(HEAVY)


def test_asking_about_jobs_loads_no_arrays() -> None:
    program = "from intertwine_api import remote\nlab = remote('http://127.0.0.1:1', retries=0)\n"
    program += "try: lab.jobs()\nexcept ConnectionError: pass"
    assert not set(python(program + PRINT).split()) & {"numpy", "jax", "pydantic", "fastapi"}


@pytest.mark.slow
def test_it_takes_less_than_a_quarter_of_a_second() -> None:
    clock = "import time; begun = time.perf_counter()\nfrom intertwine_api.client import Client\n"
    best = min(float(python(clock + "print(time.perf_counter() - begun)")) for _ in range(5))
    assert best < 0.25


def test_the_short_way_in_is_the_client_s() -> None:
    assert intertwine_api.remote is client.remote
    with intertwine_api.remote("http://lab.example.org/here/") as lab:
        assert isinstance(lab, client.Client)
        assert lab.url == "http://lab.example.org/here"
    with pytest.raises(AttributeError, match="module 'intertwine_api' has no attribute 'remot'"):
        intertwine_api.remot  # type: ignore[attr-defined] # noqa: B018


@pytest.mark.parametrize("name", client.__all__)
def test_everything_public_is_explained(name: str) -> None:
    value = getattr(client, name)
    assert value.__doc__
    for method, function in inspect.getmembers(value, inspect.isfunction):
        assert method.startswith("_") or function.__doc__, f"{name}.{method}"


@pytest.mark.parametrize(
    ("one", "other"),
    [("Client", "AsyncClient"), ("Job", "AsyncJob"), ("RemoteModel", "AsyncRemoteModel")],
)
def test_what_is_awaited_is_called_as_what_is_not(one: str, other: str) -> None:
    """The two have the same methods with the same arguments."""

    def methods(name: str) -> dict[str, list[tuple[str, object]]]:
        found = inspect.getmembers(getattr(client, name), inspect.isfunction)
        return {
            method: [
                (p.name, p.default)
                for p in inspect.signature(function).parameters.values()
                if p.name != "connection"
            ]
            for method, function in found
            if not method.startswith("_")
        }

    assert methods(one) == methods(other)


def test_every_module_of_it_says_what_it_is() -> None:
    from pathlib import Path

    for path in Path(client.__file__).parent.glob("*.py"):
        name = "intertwine_api.client" + ("" if path.stem == "__init__" else f".{path.stem}")
        assert importlib.import_module(name).__doc__
