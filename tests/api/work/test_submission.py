"""Submission without JAX and PyTorch: trainings are refused if this host would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import intertwine
import intertwine_api
import intertwine_cache
import pytest
from helpers.program import environment
from helpers.service import SO3, problem

pytestmark = pytest.mark.slow  # a service is started

TRAINING = {
    "kind": "train",
    "dataset": {"name": "Inertia", "size": 30},
    "model": {"type": "EMLP", "ch": 8},
}
IN_PYTORCH = {**TRAINING, "framework": "torch"}
MISSING = ("jax", "jaxlib", "equinox", "optax", "torch")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of this environment, but none of JAX and PyTorch."""
    folder = tmp_path_factory.mktemp("packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if re.split(r"[-.]", path.name)[0] not in MISSING:
            (folder / path.name).symlink_to(path)
    return folder


@contextmanager
def service_without_frameworks(packages: Path, data: Path, jobs: int) -> Iterator[httpx.Client]:
    """A service that finds only these packages, besides the project's own."""
    own = [Path(m.__path__[0]).parent for m in (intertwine, intertwine_cache, intertwine_api)]
    serve = ["serve", "--port", "0", "--data", str(data), "--jobs", str(jobs)]
    service = subprocess.Popen(
        [sys.executable, "-S", "-P", "-m", "intertwine_api", *serve],
        env=environment(PYTHONPATH=os.pathsep.join(map(str, [*own, packages]))),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert service.stdout is not None
        address = re.search(r"http://[\d.:]+", service.stdout.readline())
        assert address
        transport = httpx.HTTPTransport(retries=10)  # it listens a moment later
        with httpx.Client(base_url=address[0], transport=transport, timeout=60) as client:
            yield client
    finally:
        service.terminate()
        service.communicate(timeout=30)


def test_a_training_is_refused_where_it_cannot_run(packages: Path, tmp_path: Path) -> None:
    with service_without_frameworks(packages, tmp_path, jobs=1) as client:
        refused = problem(client.post("/v1/jobs", json=TRAINING), 422, "unavailable")
        assert refused["detail"] == (
            "this service cannot run this job of the kind 'train', because packages are not "
            "installed there: jax, equinox, optax. Its operator can install 'intertwine[nn]' and "
            "restart it"
        )
        refused = problem(client.post("/v1/jobs", json=IN_PYTORCH), 422, "unavailable")
        assert refused["detail"] == (
            "this service cannot run this job of the kind 'train', because packages are not "
            "installed there: torch. Its operator can install 'intertwine[torch]' and restart it"
        )
        assert client.get("/v1/jobs").json()["data"] == []
        solve = {"kind": "solve", "rep": "V**2", "group": "SO(3)"}
        assert client.post("/v1/jobs", json=solve).status_code == 202
        assert client.post("/v1/bases", json=SO3).json()["rank"] == 6


def test_it_is_accepted_for_other_hosts(packages: Path, tmp_path: Path) -> None:
    with service_without_frameworks(packages, tmp_path, jobs=0) as client:
        for training in (TRAINING, IN_PYTORCH):
            assert client.post("/v1/jobs", json=training).json()["state"] == "queued"
