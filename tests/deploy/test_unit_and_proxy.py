"""The systemd unit and nginx configuration: valid, and consistent with the settings."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.documents import ROOT
from intertwine_api.cli.serve import _GRACE
from intertwine_api.work.settings import Settings

UNIT = ROOT / "deploy" / "intertwine.service"
NGINX = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")


class TestUnit:
    @pytest.fixture
    def service(self) -> configparser.SectionProxy:
        parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment]  # systemd's names have capitals
        parser.read(UNIT)
        return parser["Service"]

    def test_it_requires_keys_and_has_few_rights(self, service: configparser.SectionProxy) -> None:
        settings = dict(entry.split("=", 1) for entry in service["Environment"].split())
        assert settings["INTERTWINE_REQUIRE_KEYS"] == "true"
        assert {name.removeprefix("INTERTWINE_").lower() for name in settings} <= (
            Settings.model_fields.keys()
        )
        assert settings["INTERTWINE_DATA"] == f"/var/lib/{service['StateDirectory']}"
        assert service["User"] not in ("", "root")
        assert service["CapabilityBoundingSet"] == ""
        assert service["NoNewPrivileges"] == "true"
        assert service["UMask"] == "0077"

    def test_jobs_survive_a_restart(self, service: configparser.SectionProxy) -> None:
        assert service["KillMode"] == "process"
        assert int(service["TimeoutStopSec"]) > _GRACE + 10

    @pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
    def test_systemd_accepts_it(self, tmp_path: Path) -> None:
        text = UNIT.read_text(encoding="utf-8")
        # the program need not be installed there
        program = "/opt/intertwine/bin/intertwine"
        assert program in text
        (tmp_path / UNIT.name).write_text(text.replace(program, "/bin/true"))
        checked = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", tmp_path / UNIT.name],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (checked.returncode, checked.stderr) == (0, "")


class TestProxy:
    def test_its_limits_are_those_of_the_settings(self) -> None:
        settings = Settings()
        assert directive("client_max_body_size") == "1g"
        assert settings.dataset_bytes == 2**30
        assert seconds("proxy_read_timeout") > settings.wait_most
        assert seconds("proxy_read_timeout") > 2 * settings.event_heartbeat

    def test_event_streams_and_uploads_pass_through(self) -> None:
        assert directive("proxy_buffering") == directive("proxy_request_buffering") == "off"
        assert directive("proxy_http_version") == "1.1"

    def test_the_service_sees_the_host(self) -> None:
        assert "proxy_set_header Host $http_host;" in NGINX

    @pytest.mark.slow
    @pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
    def test_nginx_accepts_it(self, tmp_path: Path) -> None:
        certificate, key = tmp_path / "fullchain.pem", tmp_path / "privkey.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
                *("-subj", "/CN=lab.example.org", "-keyout", key, "-out", certificate),
            ],
            capture_output=True,
            check=True,
        )
        own = NGINX.replace("/etc/ssl/intertwine", str(tmp_path))
        (tmp_path / "intertwine.conf").write_text(own)
        (tmp_path / "nginx.conf").write_text(
            f"pid {tmp_path}/pid; events {{}}\nhttp {{ include {tmp_path}/intertwine.conf; }}\n"
        )
        checked = subprocess.run(
            ["nginx", "-t", "-q", "-c", tmp_path / "nginx.conf"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stderr


def directive(name: str) -> str:
    """The value of a directive that is given once."""
    (value,) = re.findall(rf"^\s*{name} ([^;]+);", NGINX, re.MULTILINE)
    return str(value)


def seconds(name: str) -> int:
    """A time of nginx, in seconds."""
    return int(directive(name).removesuffix("s"))
