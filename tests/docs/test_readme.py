"""The README's claims, besides its code, which `test_pages` runs."""

from __future__ import annotations

import json
import re
import threading
import time
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import pytest
from helpers.documents import ADDRESS, ROOT, blocks, console, run_shell
from helpers.patience import PATIENCE, quickest
from helpers.program import KEYS
from helpers.servers import free_ports
from helpers.service import ServiceProcess, running_service, service_process
from intertwine_api.client import Client
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys
from nbclient import NotebookClient

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]


def test_its_make_targets_and_variables_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)\b", TEXT, re.MULTILINE))
    assert {"serve", "try", "test", "docs"} <= named <= targets
    assert {"serve", "try", "test", "check", "bench"} <= targets
    variables = re.findall(r"\b([A-Z]+)=", TEXT)
    assert all(re.search(rf"^{name} +\?=", makefile, re.MULTILINE) for name in variables)


def test_it_begins_with_two_commands() -> None:
    first = next(block for block in blocks(README) if block.language == "shell")
    assert first.text == "make serve\nmake test\n"


def test_the_notebook_has_five_lines() -> None:
    notebook = next(block for block in blocks(README) if block.language == "python")
    assert len(notebook.text.splitlines()) == 5


class TestOnALabsServer:
    """The second example, in a real notebook."""

    def notebook(self, address: str) -> NotebookClient:
        (example,) = (b for b in blocks(README) if b.language == "python" and ADDRESS in b.text)
        cell = nbformat.v4.new_code_cell(example.text.replace(ADDRESS, address))
        return NotebookClient(nbformat.v4.new_notebook(cells=[cell]), timeout=600)

    def require_as_promised(self, notebook: NotebookClient) -> str:
        """The losses were drawn, and the model that came back is equivariant; what the bar said."""
        (cell,) = notebook.nb.cells
        (picture,) = (o for o in cell.outputs if o.output_type == "display_data")
        assert picture.data["image/png"]
        printed = {"stdout": "", "stderr": ""}
        for output in cell.outputs:
            if output.output_type == "stream":
                printed[output.name] += output.text
        assert printed["stdout"] == "(1, 9) True\n"
        assert "train loss" in printed["stderr"]
        assert "succeeded 100%|" in printed["stderr"]
        assert "Warning" not in printed["stderr"]
        return printed["stderr"]

    @pytest.mark.slow
    def test_the_example_takes_less_than_two_minutes(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data") as client:

            def seconds() -> float:
                notebook = self.notebook(str(client.base_url))
                begun = time.perf_counter()
                notebook.execute()
                taken = time.perf_counter() - begun
                self.require_as_promised(notebook)
                return taken

            assert quickest(seconds, 120, tries=2) < 120

    @pytest.mark.slow
    def test_the_example_survives_a_restart_of_the_server(self, tmp_path: Path) -> None:
        fixed = ServiceProcess(tmp_path / "data")
        (fixed.port,) = free_ports(1)  # nobody takes it while the service is away
        with (
            service_process(fixed.data, fixed) as service,
            Client(service.address) as lab,
        ):
            notebook = self.notebook(service.address)
            trouble = threading.Thread(target=self.kill_and_start_again, args=(service, lab))
            trouble.start()
            notebook.execute()
            trouble.join()
            (job,) = lab.jobs()
            assert (job.state, job.document["attempt"]) == ("succeeded", 1)
            events = list(job.events())
            assert [event.seq for event in events] == [*range(1, len(events) + 1)]
        assert "cannot be reached" in self.require_as_promised(notebook)

    def kill_and_start_again(self, service: ServiceProcess, lab: Client) -> None:
        """Kill the service when the training is on its way, and have it away for a while."""
        give_up = time.monotonic() + PATIENCE
        while not any(job.progress for job in lab.jobs(state="running")):
            assert time.monotonic() < give_up
            time.sleep(0.1)
        service.kill()
        time.sleep(3)
        service.start()


class TestInALab:
    """Two users who share nothing but a service."""

    def run(self, block: str, home: Path, key: str) -> tuple[list[str], str]:
        """Run the example in a home; the lines that it prints, and the line on the page."""
        install, login, *commands, printed = block.splitlines()
        assert install == "pip install '.[lab]'"
        home.mkdir(exist_ok=True)
        script = "\n".join([f"{login} --key-stdin >/dev/null", *commands])
        own = {"XDG_CONFIG_HOME": str(home / "config"), "XDG_CACHE_HOME": str(home / ".cache")}
        ended = run_shell(script, home, f"{key}\n", HOME=str(home), **own)
        assert ended.returncode == 0, ended.stdout
        (said,) = (line for line in ended.stdout.splitlines() if " invariants in " in line)
        return said, printed

    @pytest.mark.slow
    def test_what_one_has_solved_is_there_for_the_other(self, tmp_path: Path) -> None:
        (example,) = (b.text for b in blocks(README) if "intertwine login" in b.text)
        service = ServiceProcess(tmp_path / "data", jobs="0", workers="1")
        database = Database(f"sqlite:///{service.data}/intertwine.db")
        database.migrate()
        keys = {
            name: Keys(database).create(name, [scope])[1]
            for name, scope in (("ann", "bases:write"), ("bob", "bases:read"))
        }
        database.close()
        with service_process(service.data, service=service):
            block = example.replace("https://lab.example.org", service.address)
            said, printed = self.run(block, tmp_path / "ann", keys["ann"])
            assert said == printed.partition(", from ")[0]
            said, printed = self.run(block, tmp_path / "bob", keys["bob"])
            assert said == printed
        *_, setting, solve, printed = block.splitlines()
        home = tmp_path / "bob"
        ended = run_shell(f"{setting}\n{solve}", home, HOME=str(home))
        here = f"{printed.partition(', from ')[0]}, from {home}/.cache/intertwine"
        assert ended.stdout.splitlines()[0] == here


def test_make_try_solves_another_rep(tmp_path: Any) -> None:
    assert "make try REP='T(2,2)' GROUP='SO13p'" in TEXT
    ended = run_shell("intertwine basis --group=SO13p -- 'T(2,2)'", tmp_path)
    assert "4 invariants in 256 dimensions" in ended.stdout


def test_the_example_of_json_has_the_keys_in_their_order() -> None:
    (example,) = (block for block in blocks(README) if block.language == "console")
    ((command, shown),) = console(example)
    assert command.endswith("--json")
    keys = list(json.loads(re.sub(r" \.\.\.", " 0", shown)))
    assert keys == KEYS


def test_the_extras_are_those_of_the_project() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert sorted(listed) == sorted(PROJECT["optional-dependencies"])


def test_it_names_the_oldest_python_and_the_jax_that_it_gets() -> None:
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert f"Python {oldest} is the oldest" in TEXT
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^jax==(\S+)(?: ; (.*?))?(?: \\)?$", lock, re.MULTILINE)
    (ours,) = (version for version, marker in pins if "python_full_version < '3.12'" in marker)
    assert f"JAX {ours}" in TEXT


def test_the_licence_and_the_paper_are_named() -> None:
    assert f"Licence: [{PROJECT['license']}](LICENSE)" in TEXT
    assert "2104.09459" in TEXT
    for author in ("Finzi", "Welling", "Wilson"):
        assert author in TEXT
