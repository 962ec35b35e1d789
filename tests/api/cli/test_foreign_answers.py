"""Each command that asks a service ends with its own exit code if another program answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import click
import pytest
from helpers.honest_service import HonestService
from helpers.hostile_answers import HOSTILE, Hostile
from helpers.program import called, intertwine
from helpers.scripted_service import Reply, Request, scripted_service
from intertwine_api.cli.program import PROGRAM

CONFIG = """
name = "inertia"
dataset = { name = "Inertia", size = 100 }
model = { type = "MLP", ch = 8, num_layers = 1 }
training = { epochs = 1 }
"""
COMMANDS = {
    "train": ["CONFIG", "--watch", "-o", "OUTPUT"],
    "jobs list": [],
    "jobs show": ["training"],
    "jobs watch": ["training"],
    "jobs logs": ["training"],
    "jobs cancel": ["training", "solve"],
    "jobs retry": ["training", "solve"],
    "jobs delete": ["training", "solve"],
    "models list": [],
    "models show": ["small"],
    "models get": ["small", "-o", "OUTPUT"],
    "admin solves": [],
    "admin uploads": ["--end", "0" * 16],
}
#: Those that open an address in the browser, and request nothing themselves.
OPEN = {"open basis", "open group", "open job", "open model"}
#: Those that are not retried. The others take seconds each.
AT_ONCE = ("login page", "redirect to a login page", "nothing", "empty object", "endless body")


def remote_commands(group: click.Group, prefix: str = "") -> Iterator[str]:
    """The names of the commands with the option --remote."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from remote_commands(command, f"{prefix}{name} ")
        elif any("--remote" in parameter.opts for parameter in command.params):
            yield f"{prefix}{name}"


def test_every_command_is_here() -> None:
    assert set(remote_commands(PROGRAM)) - OPEN == COMMANDS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["", "JSON"])
@pytest.mark.parametrize("name", COMMANDS)
def test_the_exit_code_is_4(name: str, flags: list[str], tmp_path: Path) -> None:
    config = tmp_path / "inertia.toml"
    config.write_text(CONFIG)
    given = {"CONFIG": str(config), "OUTPUT": str(tmp_path / "model")}
    arguments = [*name.split(), *(given.get(part, part) for part in COMMANDS[name]), *flags]
    honest, broken = HonestService(), [kind for kind in HOSTILE if kind.name in AT_ONCE]
    with scripted_service(honest) as there:
        assert called(*arguments, "--remote", there.url).code == 0
        requests = there.asked
    for first in range(len(requests)):
        for hostile in broken:
            case = f"{hostile.name} at request {first}"
            with scripted_service(from_request(first, hostile, honest)) as there:
                ended = called(*arguments, "--remote", there.url)
            assert ended.code == 4, f"{case}: {ended}"
            assert f"intertwine: the answer of {there.url}" in ended.err, f"{case}: {ended}"


def from_request(first: int, hostile: Hostile, honest: HonestService) -> Callable[..., Reply]:
    """The answers of a service that are hostile from one request on."""
    numbers = count()

    def answer(request: Request) -> Reply:
        reply = honest(request)
        changed = None if next(numbers) < first else hostile.answer(reply)
        return changed or reply

    return answer


@pytest.mark.slow
def test_a_process_prints_a_sentence_and_no_traceback() -> None:
    (page,) = (kind for kind in HOSTILE if kind.name == "login page")
    with scripted_service(from_request(0, page, HonestService())) as there:
        ended = intertwine("jobs", "show", "a", "--remote", there.url)
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        f"intertwine: the answer of {there.url}/v1/jobs/a is not from Intertwine (expected "
        f"application/json): status 200, text/html, 'Sign in \\x1b[31m': check the address, "
        f"whether a login page or a proxy answers in place of the service, and whether the "
        f"service runs another version\n"
    )


@pytest.mark.slow
def test_a_key_over_plain_http_is_bad_input() -> None:
    ended = intertwine("jobs", "list", "--remote", "http://ann:pw@lab.example", "--key", "itw_x")
    assert ended.code == 2
    assert ended.err.startswith("intertwine: http://lab.example is not encrypted, so others could ")
    assert "INTERTWINE_ALLOW_HTTP=1" in ended.err
