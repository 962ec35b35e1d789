"""Tiers for the tests of the cache.

The imports are inside the fixtures: pytest reads this file before it checks annotations.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers.patience import PATIENCE

if TYPE_CHECKING:
    from helpers.ceph import Ceph
    from intertwine_cache import Store
    from intertwine_cache.tiers.tier import Tier


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An S3 server with the bucket `lab`; the environment with which clients find it."""
    from helpers.example_tiers import s3_server

    with s3_server(tmp_path_factory.mktemp("s3")) as environment:
        yield environment


@pytest.fixture(scope="module")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    """The S3 gateway of Ceph with the bucket `lab`. Tests that use it are slow."""
    from helpers.ceph import ceph_gateway

    with ceph_gateway(tmp_path_factory.mktemp("ceph")) as gateway:
        yield gateway


@pytest.fixture(params=["folder", "s3", pytest.param("ceph", marks=pytest.mark.slow)])
def tier(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tier:
    """A writable, empty tier of each kind."""
    from helpers.example_tiers import far_tier

    match request.param:
        case "s3":
            environment = request.getfixturevalue("s3")
        case "ceph":
            environment = request.getfixturevalue("ceph").environment
        case _:
            environment = {}
    return far_tier(request.param, tmp_path, environment, monkeypatch)


@pytest.fixture
def impatient() -> None:
    """Chains wait for their tiers as briefly as they do for users (see `_patient`)."""


@pytest.fixture(autouse=True)
def _patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains wait for a tier that a busy machine has stopped: otherwise they pass it over."""
    if "impatient" not in request.fixturenames:
        monkeypatch.setattr("intertwine_cache.chain.PATIENCE_SECONDS", PATIENCE)
        monkeypatch.setattr("intertwine_cache.chain.BLOB_SECONDS", PATIENCE)


@pytest.fixture
def near(tmp_path: Path) -> Store:
    """An empty near folder."""
    from intertwine_cache import Store

    return Store(tmp_path / "near")
