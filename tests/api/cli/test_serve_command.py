"""The command `intertwine serve`: what it refuses to start."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.documents import run_shell
from helpers.program import called, intertwine
from helpers.service import problem, service_process


class TestOpenDoors:
    @pytest.mark.slow
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
    def test_other_addresses_than_loopback_are_refused(self, host: str, tmp_path: Path) -> None:
        ended = intertwine("serve", "--host", host, "--port", "0", "--data", tmp_path / "data")
        assert ended.code == 2
        assert not (tmp_path / "data").exists()
        assert "--allow-unauthenticated" in ended.err
        assert "because the service has no keys and so no authentication" in ended.err
        assert "intertwine keys create" in ended.err

    @pytest.mark.slow
    def test_with_a_key_they_are_not(self, tmp_path: Path) -> None:
        made = intertwine("keys", "create", "alice", "--data", tmp_path / "data")
        settings = {"host": "0.0.0.0", "workers": "1", "jobs": "0"}
        with service_process(tmp_path / "data", **settings) as service:
            problem(httpx.get(f"{service.address}/v1/bases", timeout=60), 401, "unauthorized")
            headers = {"authorization": f"Bearer {made.out.strip()}"}
            assert (
                httpx.get(f"{service.address}/v1/bases", headers=headers, timeout=60).status_code
                == 200
            )

    def test_checking_for_keys_creates_no_database(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/lab/x.db"
        data = tmp_path / "data"
        ended = called("serve", "--host", "0.0.0.0", "--data", data, "--database", url)
        assert ended.code == 2
        assert "intertwine keys create" in ended.err
        assert list(tmp_path.iterdir()) == []


class TestRequiredKeys:
    """An empty data folder, as when a volume is not mounted, opens no service."""

    @pytest.mark.slow
    def test_an_empty_folder_is_closed_with_the_setting(self, tmp_path: Path) -> None:
        settings = {"host": "0.0.0.0", "workers": "1", "jobs": "0", "require_keys": "true"}
        data = tmp_path / "data"
        with service_process(data, **settings, allow_unauthenticated="true") as service:
            assert "access: keys required (0 active keys)\n" in service.announced
            log = (tmp_path / "data.log").read_text()
            assert "nobody can use the service until it has a key" in log
            assert "intertwine keys create OWNER --scope admin" in log
            for path in ("/v1/bases", "/v1/jobs", "/metrics"):
                problem(httpx.get(service.address + path, timeout=60), 401, "unauthorized")
            for path in ("/healthz", "/readyz"):
                assert httpx.get(service.address + path, timeout=60).status_code == 200
            assert "keys required" in httpx.get(f"{service.address}/system", timeout=60).text
            token = intertwine("keys", "create", "alice", "--data", data).out.strip()
            headers = {"authorization": f"Bearer {token}"}
            answer = httpx.get(f"{service.address}/v1/bases", headers=headers, timeout=60)
            assert answer.status_code == 200
            service.end()
            service.start()
            assert "access: keys required (1 active key)\n" in service.announced

    @pytest.mark.slow
    def test_a_service_stays_closed_if_it_loses_its_keys(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        assert intertwine("keys", "create", "alice", "--data", data).code == 0
        with service_process(data, workers="1", jobs="0") as service:
            assert "access: keys required (1 active key)\n" in service.announced
            service.end()
            for file in data.glob("intertwine.db*"):
                file.unlink()
            service.start()
            assert "access: keys required (0 active keys)\n" in service.announced
            problem(httpx.get(f"{service.address}/v1/bases", timeout=60), 401, "unauthorized")

    @pytest.mark.slow
    def test_an_open_service_says_so(self, tmp_path: Path) -> None:
        with service_process(tmp_path / "data", workers="1", jobs="0") as service:
            assert "access: open to everybody on this machine\n" in service.announced
            page = httpx.get(f"{service.address}/system", timeout=60).text
            assert "open to everybody on this machine" in page
            assert (tmp_path / "data.log").read_text() == ""

    @pytest.mark.slow
    def test_a_service_open_to_the_network_says_so_loudly(self, tmp_path: Path) -> None:
        settings = {"host": "0.0.0.0", "allow_unauthenticated": "true", "jobs": "0"}
        with service_process(tmp_path / "data", workers="1", **settings) as service:
            assert "access: OPEN TO THE NETWORK WITHOUT KEYS\n" in service.announced
            log = (tmp_path / "data.log").read_text()
            assert "warning: everybody who can reach 0.0.0.0 can read and delete all data" in log
            assert "INTERTWINE_REQUIRE_KEYS=true" in log


class TestWhatCannotBe:
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

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("env", "said"),
        [
            ({"INTERTWINE_CACHE_SIZE": "much"}, "is a size such as 500MB or 20GB, not 'much'"),
            ({"INTERTWINE_CACHE": "off"}, "name a folder with --data"),
        ],
        ids=["a limit that is no size", "no store"],
    )
    def test_an_unusable_store_is_an_error(self, env: dict[str, str], said: str) -> None:
        ended = intertwine("serve", "--port", "0", env=env)
        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err
        assert "Traceback" not in ended.err

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("tiers", "said"),
        [
            ("/a,ftp://host", "a cache cannot be at 'ftp://host'"),
            ("/a,s3://lab?readonly", "the only option of an address is ?read-only"),
        ],
    )
    def test_an_unusable_tier_is_an_error(self, tiers: str, said: str, tmp_path: Path) -> None:
        arguments = ("--port", "0", "--data", tmp_path / "data")
        ended = intertwine("serve", *arguments, env={"INTERTWINE_CACHE": tiers})
        assert ended.code == 2
        assert ended.err.startswith("intertwine: ")
        assert said in ended.err

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("nonsense", "the URL of the database cannot be read"),
            ("mysql://host/name", "begins with mysql"),
            ("postgresql://nobody:secret@127.0.0.1:1/name", "cannot be used: "),
        ],
    )
    def test_an_unusable_database_is_an_error(self, url: str, said: str, tmp_path: Path) -> None:
        ended = intertwine("serve", "--port", "0", "--data", tmp_path, "--database", url)
        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err
        assert "secret" not in ended.err
        assert "Traceback" not in ended.err

    @pytest.mark.slow
    def test_a_port_in_use_is_an_error(self, client: httpx.Client, tmp_path: Path) -> None:
        port = str(client.base_url.port)
        ended = intertwine("serve", "--port", port, "--data", tmp_path / "data")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == (
            f"intertwine: cannot listen on 127.0.0.1:{port}: address already in use. Give another "
            f"port with --port; 0 picks a free one\n"
        )

    @pytest.mark.slow
    @pytest.mark.parametrize("host", ["192.0.2.1", "::9", "nowhere.invalid"])
    def test_an_address_of_another_machine_is_an_error(self, host: str, tmp_path: Path) -> None:
        more = ("--port", "0", "--allow-unauthenticated", "--data", tmp_path)
        ended = intertwine("serve", "--host", host, *more)
        assert (ended.code, ended.out) == (2, "")
        shown = "[::9]" if host == "::9" else host
        assert ended.err.startswith(f"intertwine: cannot listen on {shown}:0: ")
        assert ended.err.endswith(". Give another --host\n")


class TestTheLineToTry:
    @pytest.mark.slow
    def test_it_finds_a_basis(self, tmp_path: Path) -> None:
        with service_process(tmp_path / "data", workers="1", jobs="0") as service:
            assert "Bearer" not in service.announced
            assert answer_to(service.announced, tmp_path)["rank"] == 6

    @pytest.mark.slow
    def test_with_a_key_it_does_so_too(self, tmp_path: Path) -> None:
        key = intertwine("keys", "create", "alice", "--data", tmp_path / "data").out.strip()
        with service_process(tmp_path / "data", workers="1", jobs="0") as service:
            assert "-H 'authorization: Bearer itw_…'" in service.announced
            assert answer_to(service.announced.replace("itw_…", key), tmp_path)["rank"] == 6
            assert answer_to(service.announced, tmp_path)["code"] == "unauthorized"


def answer_to(announced: str, folder: Path) -> dict[str, Any]:
    """The answer to the line of curl that a service prints as it starts."""
    _, _, behind = announced.partition("try it:\n")
    line, _, _ = behind.partition("stop it")
    ended = run_shell(line, folder)
    assert ended.returncode == 0, ended.stdout
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


class TestComingAndGoing:
    @pytest.mark.slow
    def test_a_hangup_is_ignored(self, tmp_path: Path) -> None:
        with service_process(tmp_path / "data", workers="1", jobs="0") as service:
            service.hang_up()
            time.sleep(0.5)
            assert httpx.get(f"{service.address}/readyz", timeout=60).status_code == 200
            service.end()
            said = (tmp_path / "data.log").read_text()
            assert "SIGHUP is ignored: settings are read at the start" in said

    @pytest.mark.slow
    def test_it_prints_its_folders_and_the_running_jobs(self, tmp_path: Path) -> None:
        endless = {"kind": "solve", "rep": "V**8", "group": "SO(4)", "method": "krylov"}
        with service_process(tmp_path / "data", workers="1", jobs="1") as service:
            assert service.announced.count("\n") > 3
            assert f"database: sqlite:///{tmp_path}/data/intertwine.db" in service.announced
            assert "jobs: at most 1 at once" in service.announced
            here = httpx.post(f"{service.address}/v1/jobs", json=endless, timeout=60).json()[
                "links"
            ]["self"]
            while httpx.get(service.address + here, timeout=60).json()["state"] != "running":
                time.sleep(0.1)
            left = service.end()
            assert left == "1 job keeps running; the next `intertwine serve` supervises it\n"
            service.start()
            assert "1 job keeps running from before" in service.announced
            assert httpx.post(f"{service.address}{here}:cancel", timeout=60).json()["attempt"] == 1
