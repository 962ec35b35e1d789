"""The command `intertwine serve`: what it refuses to start."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from program import intertwine


class TestOpenDoors:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
    def test_other_addresses_than_loopback_are_refused(self, host: str) -> None:
        ended = intertwine("serve", "--host", host, "--port", "0")
        assert ended.code == 2
        assert "--allow-unauthenticated" in ended.err
        assert "because the service asks nobody who they are" in ended.err

    def test_settings_that_cannot_be_are_refused(self) -> None:
        ended = intertwine("serve", env={"INTERTWINE_PORT": "http", "INTERTWINE_WORKERS": "0"})
        assert ended.code == 2
        assert ended.err.startswith("intertwine: port: ")
        assert "workers: " in ended.err
        assert "Traceback" not in ended.err

    def test_too_little_memory_to_start_a_worker_is_said(self) -> None:
        ended = intertwine("serve", env={"INTERTWINE_SOLVE_MEMORY": "100000000"})
        assert ended.code == 2
        assert ended.err.startswith("intertwine: solve_memory: Input should be greater")

    @pytest.mark.parametrize(
        ("env", "said"),
        [
            ({"INTERTWINE_CACHE_SIZE": "much"}, "is a size such as 500MB or 20GB, not 'much'"),
            ({"INTERTWINE_CACHE": "off"}, "name a folder with --data"),
        ],
        ids=["a limit that is no size", "no store"],
    )
    def test_a_store_that_cannot_be_is_said(self, env: dict[str, str], said: str) -> None:
        ended = intertwine("serve", "--port", "0", env=env)
        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err
        assert "Traceback" not in ended.err

    def test_a_port_that_is_taken_is_said(self, client: httpx.Client, tmp_path: Path) -> None:
        ended = intertwine("serve", "--port", str(client.base_url.port), "--data", tmp_path)
        assert ended.code == 2
        assert "in use" in ended.err
