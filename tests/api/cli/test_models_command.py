"""`intertwine models`: a service's models from a shell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.example_models import TrainedModel, bytes_only, small_model, trained
from helpers.program import Ended, intertwine
from helpers.service import running_service
from intertwine.nn import load
from intertwine_api.storage.database import Database
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models

X = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)


def publish(data: Path) -> None:
    """Give a service that is still to be started some models."""
    data.mkdir()
    database = Database(f"sqlite:///{data / 'intertwine.db'}")
    off = TrainedModel({}, b"off", {}, equivariance_error=0.01, is_equivariant=False)
    try:
        database.migrate()
        registry = Models(database, FolderObjects(data / "objects"))
        registry.publish("small", "local", None, bytes_only(b"first"))
        registry.publish("small", "local", None, trained(small_model()))
        registry.publish("off", "ann", None, off)
    finally:
        database.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("models") / "data"
    publish(data)
    with running_service(data, jobs="0") as http:
        yield str(http.base_url)


def models(url: str, *arguments: str | Path, cwd: Path | None = None) -> Ended:
    return intertwine("models", *arguments, cwd=cwd, env={"INTERTWINE_URL": url})


def test_list_shows_a_line_for_each(url: str) -> None:
    header, *rows = models(url, "list").out.splitlines()
    columns = ["NAME", "VERSION", "OWNER", "FRAMEWORK", "TEST", "LOSS", "EQUIVARIANCE", "ERROR"]
    assert header.split() == columns
    assert [row.split() for row in rows] == [
        ["off", "1", "ann", "JAX", "-", "1.0e-02", "(not!)"],
        ["small", "2", "local", "JAX", "0.25", "3.0e-08"],
    ]
    assert [model["name"] for model in models(url, "list", "--json").json] == ["off", "small"]


def test_show_tells_what_is_known(url: str) -> None:
    shown = models(url, "show", "small").out
    assert "equivariance error  3e-08\n" in shown
    assert "test_loss           0.25\n" in shown
    assert re.search("framework +JAX\n", shown)
    assert models(url, "show", "small", "--version", "1", "--json").json["version"] == 1


def test_get_brings_it_here_without_jax(url: str, tmp_path: Path) -> None:
    ended = models(url, "get", "small", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "small, version 2, is in small: intertwine.nn.load reads it\n"
    assert np.allclose(load(tmp_path / "small")(X), small_model()(X))
    folder = tmp_path / "deep" / "er"
    ended = models(url, "get", "small", "--version", "2", "-o", folder, "--json")
    assert ended.json == {"name": "small", "version": 2, "folder": str(folder)}
    assert np.allclose(load(folder)(X), small_model()(X))


@pytest.mark.parametrize("which", [("nothing",), ("small", "--version", "9")], ids=" ".join)
def test_one_that_is_not_there_is_bad_input(
    url: str, which: tuple[str, ...], tmp_path: Path
) -> None:
    ended = models(url, "get", *which, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("intertwine: ")
    assert list(tmp_path.iterdir()) == []
