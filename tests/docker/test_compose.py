"""The compose files and the Dockerfile as texts: what only a container engine can enforce."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from helpers.documents import ROOT
from intertwine_api.work.settings import Settings

FOLDER = ROOT / "docker"
FILES = sorted(path.name for path in FOLDER.glob("compose*.yaml"))
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
UNITS = {"MB": 10**6, "GB": 10**9}
#: For the service itself: its program, models in memory, and requests in flight.
OF_THE_SERVICE = 2 * 10**9


def compose(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return document


def service() -> dict[str, Any]:
    found: dict[str, Any] = compose("compose.yaml")["services"]["intertwine"]
    return found


def image_settings() -> dict[str, str]:
    """The variables that the Dockerfile sets for the service."""
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    return dict(re.findall(r"(INTERTWINE_\w+)=(\S+)", last))


def memory_of(text: str) -> int:
    found = re.fullmatch(r"(\d+)([MG]B)", text)
    assert found, text
    return int(found[1]) * UNITS[found[2]]


class TestSettings:
    @pytest.mark.parametrize("name", FILES)
    def test_every_variable_is_a_setting(self, name: str) -> None:
        known = {f"INTERTWINE_{field.upper()}" for field in Settings.model_fields}
        known |= {"INTERTWINE_CACHE_SIZE", "INTERTWINE_PROGRAMS"}  # of the store
        given = compose(name)["services"]["intertwine"].get("environment", {})
        assert {v for v in given if v.startswith("INTERTWINE_")} <= known
        assert image_settings().keys() <= known

    def test_nothing_opens_the_service(self) -> None:
        assert image_settings()["INTERTWINE_REQUIRE_KEYS"] == "true"
        for path in FOLDER.iterdir():
            assert "ALLOW_UNAUTHENTICATED" not in path.read_text(encoding="utf-8")
        for port in service()["ports"]:
            assert port.startswith("127.0.0.1:"), port

    def test_the_memory_limit_covers_the_workers_and_jobs(self) -> None:
        given = service()["environment"]
        workers = given["INTERTWINE_WORKERS"] + 1  # one more, for short turns
        solves = workers * given["INTERTWINE_SOLVE_MEMORY"]
        jobs = given["INTERTWINE_JOBS"] * given["INTERTWINE_JOB_MEMORY"]
        limit = memory_of(service()["deploy"]["resources"]["limits"]["memory"])
        assert limit >= solves + jobs + OF_THE_SERVICE

    def test_the_published_port_is_that_of_the_image(self) -> None:
        port = image_settings()["INTERTWINE_PORT"]
        assert f"EXPOSE {port}" in DOCKERFILE
        assert [entry.rpartition(":")[2] for entry in service()["ports"]] == [port]


def test_the_next_container_is_the_same_host_of_jobs() -> None:
    """Otherwise it waits until the leases of the last one's jobs have expired."""
    assert service()["hostname"] == "${JOB_HOST:-intertwine}"
    for name in FILES:
        assert "hostname" not in compose(name)["services"]["intertwine"] or name == "compose.yaml"


class TestConfinement:
    @pytest.mark.parametrize("name", ["intertwine", "postgres"])
    def test_services_have_limits_and_few_rights(self, name: str) -> None:
        file = "compose.postgres.yaml" if name == "postgres" else "compose.yaml"
        found = compose(file)["services"][name]
        assert found["cap_drop"] == ["ALL"]
        assert found["security_opt"] == ["no-new-privileges:true"]
        assert found["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
        assert found["pids_limit"] > 0
        assert found["restart"] == "unless-stopped"
        assert "privileged" not in found
        assert "network_mode" not in found

    def test_the_root_file_system_of_the_service_is_read_only(self) -> None:
        assert service()["read_only"] is True
        assert [mount.partition(":")[0] for mount in service()["tmpfs"]] == ["/tmp"]
        assert [volume.partition(":")[2] for volume in service()["volumes"]] == ["/data"]
        assert "cap_add" not in service()

    def test_logs_are_bounded(self) -> None:
        assert service()["logging"]["options"].keys() == {"max-size", "max-file"}

    def test_the_service_may_end_in_order(self) -> None:
        from intertwine_api.cli.serve import _GRACE

        assert int(service()["stop_grace_period"].removesuffix("s")) > _GRACE + 10


class TestVariants:
    def test_the_cuda_variant_reserves_a_gpu(self) -> None:
        found = compose("compose.cuda13.yaml")["services"]["intertwine"]
        (device,) = found["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
        assert found["build"]["args"] == {"LOCK": "cuda13"}
        assert found["image"] != service()["image"]

    def test_every_lock_that_is_named_exists(self) -> None:
        for name in ("compose.yaml", "compose.cuda13.yaml"):
            args = compose(name)["services"]["intertwine"]["build"]["args"]
            assert (FOLDER / f"{args['LOCK']}.lock").is_file()

    def test_postgresql_is_the_database_once_it_is_healthy(self) -> None:
        services = compose("compose.postgres.yaml")["services"]
        assert services["intertwine"]["depends_on"] == {
            "postgres": {"condition": "service_healthy"}
        }
        assert "@postgres/" in services["intertwine"]["environment"]["INTERTWINE_DATABASE"]
        assert services["postgres"]["healthcheck"]["test"][1] == "pg_isready"
        assert "ports" not in services["postgres"]
        # without a password, compose refuses to start
        assert "${POSTGRES_PASSWORD:?" in services["postgres"]["environment"]["POSTGRES_PASSWORD"]


class TestPins:
    def test_images_are_pinned_by_digest(self) -> None:
        bases = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
        assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}"}
        pulled = [
            found["image"]
            for name in FILES
            for found in compose(name)["services"].values()
            if "build" not in found and "image" in found
        ]
        assert len(bases) == len(pulled) == 1
        for image in (*bases, *pulled):
            assert re.search(r":\S+@sha256:[0-9a-f]{64}$", image), image

    @pytest.mark.parametrize("name", ["build", "cpu", "cuda13"])
    def test_packages_are_pinned_with_hashes(self, name: str) -> None:
        lock = (FOLDER / f"{name}.lock").read_text(encoding="utf-8")
        assert "==" in lock
        for entry in re.split(r"\n(?=\S)", lock.strip()):
            assert re.match(r"[a-z0-9.-]+(\[\w+\])?==\S+", entry), entry
            assert "--hash=sha256:" in entry, entry

    def test_the_image_has_the_versions_that_are_tested(self) -> None:
        tested = pins("requirements.lock")
        for name in ("cpu", "cuda13"):
            own = pins(f"docker/{name}.lock")
            assert {
                "equinox",
                "optax",
                "psycopg-binary",
                "fastapi",
                "opentelemetry-sdk",
            } <= own.keys()
            for package in own.keys() & tested.keys():
                assert own[package] <= tested[package], package
        assert {"jax-cuda13-plugin", "jax-cuda13-pjrt"} <= pins("docker/cuda13.lock").keys()

    def test_every_installation_checks_the_hashes(self) -> None:
        commands = re.sub(r"\\\n\s*", "", DOCKERFILE)
        found = re.findall(r"pip (?:install|sync) [^&\n]+", commands)
        assert len(found) == 3
        for command in found:
            assert "--require-hashes" in command or "--no-deps /wheels" in command, command


def pins(path: str) -> dict[str, set[str]]:
    """The versions of the packages in a lock; some have one for each version of Python."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([a-z0-9][a-z0-9._-]*)(?:\[\w+\])?==([^ \\]+)", line):
            found.setdefault(match[1], set()).add(match[2])
    return found
