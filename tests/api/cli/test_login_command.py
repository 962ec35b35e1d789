"""`intertwine login` and `logout`, and that everything which asks a service uses the key."""

from __future__ import annotations

import os
import pty
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from helpers.example_jobs import soon
from helpers.patience import PATIENCE
from helpers.program import PROGRAM, Ended, environment
from helpers.service import ServiceProcess, service_process
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a service with keys, and its keys by their scope."""
    service = ServiceProcess(tmp_path_factory.mktemp("service") / "data", jobs="0")
    database = Database(f"sqlite:///{service.data}/intertwine.db")
    database.migrate()
    scopes = ("bases:solve", "jobs:write")
    keys = {scope: Keys(database).create("ann", [scope])[1] for scope in scopes}
    database.close()
    with service_process(service.data, service=service):
        yield service.address, keys


class User:
    """A user with a configuration folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = environment(XDG_CONFIG_HOME=str(folder))
        self.env.pop("INTERTWINE_KEY", None)

    def run(self, *arguments: str, typed: str = "", **env: str) -> Ended:
        ended = subprocess.run(
            [PROGRAM, *arguments],
            input=typed,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    @property
    def credentials(self) -> Path:
        return self.folder / "intertwine" / "credentials.json"


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path / "config")


@pytest.mark.slow
def test_the_kept_key_is_used_until_the_logout(
    user: User, service: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    address, keys = service
    key = keys["bases:solve"]
    asked = ("cache", "trust", address, "--json")
    assert user.run(*asked).code == 2
    done = user.run("login", f"{address}/", "--key-stdin", "--json", typed=f"{key}\n")
    assert done.json == {"service": address, "kept": str(user.credentials)}
    assert user.credentials.stat().st_mode & 0o777 == 0o600
    assert user.run(*asked).json["trusted"] == address
    assert user.run(*asked, INTERTWINE_KEY="itw_wrong").code == 2  # overrides the kept key

    # a far tier, in the same environment
    headers = {"authorization": f"Bearer {key}"}
    httpx.post(
        f"{address}/v1/bases", json={"rep": "V**2", "group": "SO(3)"}, headers=headers, timeout=60
    )
    solved = ("basis", "V**2", "--group", "SO(3)", "--json")
    store = f"{tmp_path / 'near'},{address}"
    assert user.run(*solved, INTERTWINE_CACHE=store).json["cached"]

    out = user.run("logout", address)
    assert (out.code, out.err) == (0, "")
    assert user.run(*asked).code == 2
    again = user.run("logout", address)
    assert again.code == 2
    assert "there is no kept key of" in again.err
    assert key not in "".join((done.out, done.err, out.out, again.err))


def test_the_prompt_hides_the_key(user: User, service: tuple[str, dict[str, str]]) -> None:
    address, keys = service
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "login", address],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=user.env,
        start_new_session=True,  # no terminal but this
    )
    os.close(terminal)
    shown = b""
    give_up = time.monotonic() + PATIENCE
    while b"API key of" not in shown:
        assert time.monotonic() < give_up
        shown += os.read(main, 1000)
    # the prompt is printed before the echo is off
    soon(lambda: not termios.tcgetattr(main)[3] & termios.ECHO)
    os.write(main, keys["bases:solve"].encode() + b"\n")
    try:
        while piece := os.read(main, 1000):
            shown += piece
    except OSError:  # Linux reports the end of a terminal so
        pass
    os.close(main)
    assert process.wait(PATIENCE) == 0, shown
    assert str(user.credentials).encode() in shown
    assert keys["bases:solve"].encode() not in shown
    assert keys["bases:solve"] in user.credentials.read_text()


@pytest.mark.slow
def test_a_key_for_other_things_than_bases_is_kept(
    user: User, service: tuple[str, dict[str, str]]
) -> None:
    address, keys = service
    assert user.run("login", address, "--key-stdin", typed=keys["jobs:write"]).code == 0
    assert user.run("jobs", "list", "--remote", address, "--json").json == []
    # also the default address
    assert user.run("jobs", "list", "--json", INTERTWINE_URL=address).json == []


@pytest.mark.parametrize(
    ("address", "typed", "code", "message"),
    [
        ("", "itw_0000_guess", 2, "the key is unknown, expired or revoked"),
        ("", "", 2, "no key was given"),
        ("", "two words", 2, "a key is one word"),
        ("http://lab.example.org", "itw_x", 2, "is not encrypted"),
        ("ftp://lab.example.org", "itw_x", 2, "is not the address of a service"),
    ],
)
def test_what_is_wrong_is_not_kept(
    user: User,
    service: tuple[str, dict[str, str]],
    address: str,
    typed: str,
    code: int,
    message: str,
) -> None:
    ended = user.run("login", address or service[0], "--key-stdin", typed=typed)
    assert (ended.code, ended.out) == (code, "")
    assert message in ended.err
    assert not typed or typed not in ended.err
    assert not user.credentials.exists()


@pytest.mark.slow
def test_without_a_terminal_it_does_not_wait(user: User) -> None:
    ended = user.run("login", "https://lab.example.org")
    assert ended.code == 2
    assert "give the key with --key-stdin" in ended.err


@pytest.mark.slow
def test_an_invalid_file_is_reported(user: User, service: tuple[str, dict[str, str]]) -> None:
    user.credentials.parent.mkdir(parents=True)
    user.credentials.write_text("[]")
    for arguments in (("logout", service[0]), ("jobs", "list", "--remote", service[0])):
        ended = user.run(*arguments)
        assert (ended.code, ended.out) == (2, "")
        assert "credentials.json does not have keys of services" in ended.err
    ended = user.run("login", service[0], "--key-stdin", typed=service[1]["bases:solve"])
    assert (ended.code, ended.out) == (2, "")
    assert "the key is not kept: " in ended.err
    assert user.credentials.read_text() == "[]"
    tiers = f"{user.folder / 'near'},{service[0]}"
    ended = user.run("basis", "V", "--group", "SO(3)", INTERTWINE_CACHE=tiers)
    assert ended.code == 2
    assert "credentials.json does not have keys of services" in ended.err
