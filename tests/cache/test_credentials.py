"""The keys of services that a user has logged in to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.example_tiers import environment_of
from intertwine_cache import forget_key, keep_key, service_key

LAB = "https://lab.example.org"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration folder of a user without keys."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("INTERTWINE_KEY", raising=False)
    return tmp_path / "config" / "intertwine"


def test_a_kept_key_is_found_until_it_is_deleted() -> None:
    assert service_key(LAB) is None
    keep_key(LAB, "itw_one")
    keep_key(f"{LAB}/other", "itw_other")
    assert service_key(LAB) == "itw_one"
    keep_key(LAB, "itw_two")
    assert service_key(LAB) == "itw_two"
    assert forget_key(LAB)
    assert not forget_key(LAB)
    assert service_key(LAB) is None
    assert service_key(f"{LAB}/other") == "itw_other"


@pytest.mark.parametrize(
    "address",
    [
        f"{LAB}/",
        "HTTPS://Lab.Example.org",
        f"{LAB}:443",
        "https://ann:pw@lab.example.org",
        f" {LAB}",
    ],
)
def test_it_is_found_by_every_form_of_the_address(address: str) -> None:
    keep_key(LAB, "itw_one")
    assert service_key(address) == "itw_one"
    assert forget_key(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://lab.example.org",
        f"{LAB}:8443",
        f"{LAB}.evil.org",
        f"{LAB}/lab",
        "https://example.org",
    ],
)
def test_it_is_not_for_another_address(address: str) -> None:
    keep_key(LAB, "itw_one")
    assert service_key(address) is None


def test_the_environment_overrides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_key(LAB, "itw_one")
    monkeypatch.setenv("INTERTWINE_KEY", " itw_env ")
    assert service_key(LAB) == service_key("https://another.org") == "itw_env"
    monkeypatch.setenv("INTERTWINE_KEY", " ")
    assert service_key(LAB) == "itw_one"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_only_the_user_may_read_the_file(folder: Path) -> None:
    path = keep_key(LAB, "itw_one")
    assert path == folder / "credentials.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    keep_key(LAB, "itw_two")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "[]", "{", '{"https://lab.example.org": 7}'])
def test_an_invalid_file_is_an_error_and_stays(folder: Path, content: str) -> None:
    folder.mkdir(parents=True)
    (folder / "credentials.json").write_text(content)
    for act in (service_key, forget_key, lambda address: keep_key(address, "itw_one")):
        with pytest.raises(ValueError, match=r"credentials\.json does not have keys of services"):
            act(LAB)
    assert (folder / "credentials.json").read_text() == content


def test_processes_that_log_in_at_the_same_time_keep_all_keys(tmp_path: Path, folder: Path) -> None:
    program = (
        "import sys; from intertwine_cache import keep_key\n"
        "for n in range(20): keep_key(f'https://{sys.argv[1]}-{n}.org', 'itw_x')"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, name], env=environment_of(tmp_path))
        for name in "abc"
    ]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    for name in "abc":
        assert [service_key(f"https://{name}-{n}.org") for n in range(20)] == ["itw_x"] * 20
    assert {path.name for path in folder.iterdir()} <= {"credentials.json", "credentials.lock"}
