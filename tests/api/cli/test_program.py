"""The program itself: how it ends, and what it loads to start."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.program import PROGRAM, environment, python
from intertwine.groups import SO


class TestTheWayItEnds:
    @pytest.mark.parametrize(
        "arguments", [["--help"], ["basis", "--help"], ["groups"], ["groups", "--json"]], ids=str
    )
    def test_who_reads_no_further_hears_no_more(self, arguments: list[str]) -> None:
        reading, writing = os.pipe()
        os.close(reading)  # the reader has left before the first line
        with os.fdopen(writing, "wb") as nobody:
            ended = subprocess.run(
                [PROGRAM, *arguments],
                stdout=nobody,
                stderr=subprocess.PIPE,
                env=environment(),
                timeout=120,
                check=False,
            )
        assert ended.stderr == b""
        assert ended.returncode in (0, 1)

    def test_in_a_shell_with_head(self) -> None:
        ended = subprocess.run(
            ["sh", "-c", f'"{PROGRAM}" groups | head -1'],
            capture_output=True,
            env=environment(),
            timeout=120,
            check=False,
        )
        assert ended.stderr == b""
        assert ended.stdout.startswith(b"Trivial(n)")
        assert ended.stdout.count(b"\n") == 1

    def test_where_nothing_can_be_written_it_says_so(self) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("this system has no /dev/full")
        with Path("/dev/full").open("wb") as full:
            ended = subprocess.run(
                [PROGRAM, "groups"],
                stdout=full,
                stderr=subprocess.PIPE,
                env=environment(),
                timeout=120,
                check=False,
            )
        message = ended.stderr.decode()
        assert message.startswith("intertwine: ")
        assert "No space left" in message
        assert message.count("\n") == 1
        assert ended.returncode in (1, 2)

    def test_without_any_output_it_still_does_its_work(self, tmp_path: Path) -> None:
        command = f'exec "{PROGRAM}" basis "V**2" --group "SO(3)" -o q.npy >&-'
        ended = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=120,
            check=False,
        )
        assert ended.stderr == b""
        assert ended.returncode == 0
        assert np.load(tmp_path / "q.npy").shape == (9, 1)

    def test_interrupted_while_it_reads(self, tmp_path: Path) -> None:
        fifo = tmp_path / "group.json"
        os.mkfifo(fifo)
        running = subprocess.Popen(
            [PROGRAM, "basis", "V", "--generators", fifo],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        with fifo.open("w"):  # opens when the program does
            time.sleep(0.2)
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=120)
        assert (running.returncode, out, err) == (130, b"", b"interrupted\n")

    @pytest.mark.slow
    def test_interrupted_while_it_solves(self, tmp_path: Path) -> None:
        fifo = tmp_path / "group.json"
        os.mkfifo(fifo)
        running = subprocess.Popen(
            [
                *(PROGRAM, "basis", "V**8", "--generators", fifo),
                *("--method", "krylov", "-o", tmp_path / "q.npy"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        fifo.write_text(json.dumps({"lie_algebra": SO(4).lie_algebra.tolist()}))
        time.sleep(3)
        assert running.poll() is None  # it takes minutes
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=120)
        assert (running.returncode, out, err) == (130, b"", b"interrupted\n")
        assert [entry.name for entry in tmp_path.iterdir()] == ["group.json"]

    @pytest.mark.slow
    def test_interrupted_while_it_starts(self) -> None:
        program = (
            "import sys\n"
            "from intertwine_api.cli.program import interruptible\n"
            "with interruptible():\n"  # what comes before is Python's own start, not ours
            "    print('begins', flush=True)\n"
            "    from intertwine_api.cli.program import main\n"
            "    sys.exit(main(sys.argv[1:]))\n"
        )
        slow = ("basis", "V**8", "--group", "SO(4)", "--method", "krylov")
        for delay in (0.05, 0.1, 0.2, 0.4, 0.8):
            with subprocess.Popen(
                [sys.executable, "-c", program, *slow],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment(),
            ) as running:
                try:
                    assert running.stdout is not None
                    assert running.stdout.readline() == b"begins\n"
                    time.sleep(delay)
                    running.send_signal(signal.SIGINT)
                    _, err = running.communicate(timeout=120)
                finally:
                    running.kill()
            assert (running.returncode, err) == (130, b"interrupted\n")

    def test_interrupted_inside_an_import(self, tmp_path: Path) -> None:
        (tmp_path / "slow_to_import.py").write_text(
            "import os, signal, time\n"
            "try:\n"
            "    os.kill(os.getpid(), signal.SIGINT)\n"
            "    time.sleep(10)\n"
            "except BaseException:\n"
            "    raise ImportError('as jaxlib says it')\n"
        )
        program = (
            "from intertwine_api.cli.program import interruptible\n"
            "with interruptible():\n"
            "    import slow_to_import\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            env=environment(PYTHONPATH=str(tmp_path)),
        )
        assert (ended.returncode, ended.stderr) == (130, b"interrupted\n")


class TestLightToStart:
    HEAVY = ("fastapi", "starlette", "pydantic", "uvicorn", "sqlalchemy", "jax", "jaxlib", "sympy")
    PLOTS = ("matplotlib", "PIL", "IPython")

    @pytest.mark.parametrize(
        "arguments",
        [["--help"], ["--version"], ["parse", "--help"], ["basis", "--help"], ["groups", "SO(3)"]],
        ids=" ".join,
    )
    def test_nothing_heavy_is_loaded_for_what_does_not_need_it(self, arguments: list[str]) -> None:
        program = (
            "import sys\n"
            "from intertwine_api.cli.program import main\n"
            "main(sys.argv[1:])\n"
            "print('loaded', *sorted(sys.modules))\n"
        )
        assert not self.loaded(program, *arguments) & {*self.HEAVY, *self.PLOTS}

    def test_importing_the_package_loads_neither_the_solver_nor_numpy(self) -> None:
        program = "import sys, intertwine_api\nprint('loaded', *sys.modules)\n"
        heavy = {*self.HEAVY, *self.PLOTS, "numpy", "scipy", "intertwine"}
        assert not self.loaded(program) & heavy

    def test_a_solve_on_numpy_needs_neither_jax_nor_sympy(self) -> None:
        program = (
            "import sys\n"
            "from intertwine_api.cli.program import main\n"
            "main(['basis', 'V**2', '--group', 'SO(3)', '--json'])\n"
            "print('loaded', *sys.modules)\n"
        )
        assert not self.loaded(program) & {*self.HEAVY, *self.PLOTS}

    @pytest.mark.slow
    def test_the_help_takes_little_more_than_to_start_python(self) -> None:
        def seconds(*arguments: str) -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(
                [sys.executable, *arguments], env=environment(), capture_output=True, check=True
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        program = min(seconds("-m", "intertwine_api", "--help") for _ in range(5))
        assert program - min(seconds("-c", "pass") for _ in range(5)) < 0.15

    def loaded(self, program: str, *arguments: str) -> set[str]:
        """The modules that a program has loaded at its end, which it prints last."""
        _, _, modules = python(program, *arguments).rpartition("loaded ")
        return set(modules.split())


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [("httpx", ["jobs", "list"], "client"), ("sqlalchemy", ["keys", "list"], "serve")],
)
def test_what_is_not_installed_is_named_with_its_extra(
    module: str, arguments: list[str], extra: str
) -> None:
    program = f"""
import sys
sys.modules[{module!r}] = None
from intertwine_api.cli.program import main
sys.exit(main(sys.argv[1:]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    said = f"intertwine: this needs {module}: pip install 'intertwine[{extra}]'\n"
    assert (ended.returncode, ended.stderr) == (2, said)
