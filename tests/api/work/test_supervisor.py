"""The process around a job's process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers.example_jobs import program, soon
from intertwine_api.work.executor import Exit
from intertwine_api.work.folder import JobFolder

MB = 10**6


class Supervised:
    """A supervisor that runs a Python program."""

    def __init__(
        self,
        folder: Path,
        text: str,
        memory: int = 1000 * MB,
        seconds: float = 30.0,
        grace: float = 10.0,
    ) -> None:
        self.files = JobFolder(folder)
        arguments: list[str | Path] = [folder, "--attempt", "1", "--memory", str(memory)]
        arguments += ["--seconds", str(seconds), "--grace", str(grace), "--", *program(text)]
        command = [sys.executable, "-m", "intertwine_api.work.supervisor", *arguments]
        self._process = subprocess.Popen(command, start_new_session=True)
        self.pid = self._process.pid

    def ended(self) -> Exit:
        """How the program ended; the supervisor has ended too."""
        assert self._process.wait(timeout=30) == 0
        ended = self.files.exit(1)
        assert ended is not None
        return ended

    def printed(self) -> str:
        """What the program printed."""
        return self.files.last_lines()


class TestAProgramThatEndsByItself:
    def test_is_noted_with_its_exit_code_and_what_it_took(self, tmp_path: Path) -> None:
        text = "import time; kept = b'x' * 100_000_000; time.sleep(0.5); raise SystemExit(3)"
        ended = Supervised(tmp_path, text).ended()
        assert (ended.code, ended.signal, ended.cause) == (3, None, None)
        assert 100 * MB < ended.peak_bytes < 200 * MB
        assert 0.5 < ended.seconds < 10

    def test_is_noted_with_its_signal(self, tmp_path: Path) -> None:
        ended = Supervised(tmp_path, "import os; os.kill(os.getpid(), 11)").ended()
        assert (ended.code, ended.signal, ended.cause) == (None, "SIGSEGV", None)

    def test_leaves_no_process_behind(self, tmp_path: Path) -> None:
        text = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid)"
        supervised = Supervised(tmp_path, text)
        assert supervised.ended().code == 0
        left = int(supervised.printed())
        soon(lambda: not psutil.pid_exists(left) or psutil.Process(left).status() == "zombie")

    def test_has_its_outputs_in_the_log_under_a_head_and_no_input(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_text("of an earlier attempt\n")
        text = "import sys; print('out', flush=True); print('err' + input(), file=sys.stderr)"
        supervised = Supervised(tmp_path, text)
        assert supervised.ended().code == 1
        first, head, *printed = (tmp_path / "log").read_text().splitlines()
        assert first == "of an earlier attempt"
        assert head.startswith("--- attempt 1, ")
        assert printed[0] == "out"
        assert printed[-1] == "EOFError: EOF when reading a line"

    def test_runs_in_the_group_with_less_priority(self, tmp_path: Path) -> None:
        supervised = Supervised(tmp_path, "import os; print(os.getpgrp(), os.nice(0))")
        assert supervised.ended().code == 0
        assert supervised.printed() == f"{supervised.pid} {os.nice(0) + 15}"

    @pytest.mark.skipif(
        not Path("/proc/self/autogroup").exists(), reason="the kernel has no autogroups"
    )
    def test_its_session_has_less_priority_too(self, tmp_path: Path) -> None:
        supervised = Supervised(tmp_path, "print(open('/proc/self/autogroup').read())")
        assert supervised.ended().code == 0
        assert supervised.printed().split()[1:] == ["nice", "15"]

    @pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
    def test_and_its_supervisor_hold_no_file_of_whoever_started_them(self, tmp_path: Path) -> None:
        shared = os.open(tmp_path, os.O_RDONLY)
        os.set_inheritable(shared, True)
        files = f"set(os.listdir('/proc/%d/fd' % pid)) & {{'{shared}'}}"
        text = f"import os\nfor pid in (os.getpid(), os.getppid()): print({files})"
        arguments = [str(tmp_path), "--attempt", "1", "--memory", "1000000000", "--seconds", "9"]
        arguments += ["--grace", "1", "--", *program(text)]
        command = [sys.executable, "-m", "intertwine_api.work.supervisor", *arguments]
        subprocess.run(command, close_fds=False, check=True, timeout=30)
        os.close(shared)
        assert JobFolder(tmp_path).last_lines().count("set()") == 2


def test_a_program_that_cannot_be_started_is_noted(tmp_path: Path) -> None:
    arguments = [str(tmp_path), "--attempt", "1", "--memory", "1", "--seconds", "1"]
    command = [sys.executable, "-m", "intertwine_api.work.supervisor", *arguments]
    subprocess.run([*command, "--grace", "1", "--", "/no/such"], check=True, timeout=30)
    ended = JobFolder(tmp_path).exit(1)
    assert ended is not None
    assert ended.code == 127
    assert "/no/such" in JobFolder(tmp_path).last_lines()


class TestLimits:
    def test_of_memory_count_all_processes_together(self, tmp_path: Path) -> None:
        half = "import time; kept = b'x' * 80_000_000; time.sleep(60)"
        text = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {half!r}]); {half}"
        ended = Supervised(tmp_path, text, memory=150 * MB).ended()
        assert (ended.signal, ended.cause) == ("SIGKILL", "memory")
        assert 150 * MB < ended.peak_bytes < 300 * MB
        assert ended.seconds < 10  # it is not asked first

    def test_of_time(self, tmp_path: Path) -> None:
        ended = Supervised(tmp_path, "import time; time.sleep(60)", seconds=1).ended()
        assert (ended.signal, ended.cause) == ("SIGTERM", "time")
        assert 1 < ended.seconds < 5


STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
print("ready", flush=True)
while True: time.sleep(60)
"""


class TestASupervisorThatIsTerminated:
    def test_asks_its_program_to_end(self, tmp_path: Path) -> None:
        text = "import time; print('ready', flush=True); time.sleep(60)"
        supervised = Supervised(tmp_path, text)
        soon(supervised.printed)
        os.kill(supervised.pid, signal.SIGTERM)
        ended = supervised.ended()
        assert (ended.signal, ended.cause) == ("SIGTERM", None)

    @pytest.mark.slow
    def test_kills_a_program_that_does_not_want_to(self, tmp_path: Path) -> None:
        supervised = Supervised(tmp_path, STUBBORN, grace=1)
        soon(supervised.printed)
        os.killpg(supervised.pid, signal.SIGTERM)
        time.sleep(0.3)
        os.killpg(supervised.pid, signal.SIGTERM)  # told twice: the grace does not begin anew
        ended = supervised.ended()
        assert (ended.signal, ended.cause) == ("SIGKILL", None)
        assert "asked" in supervised.printed()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_supervisor_is_small_and_sleeps(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, "print('ready', flush=True); import time; time.sleep(60)")
    soon(supervised.printed)
    process = psutil.Process(supervised.pid)
    before = sum(process.cpu_times()[:2])
    time.sleep(1)
    assert sum(process.cpu_times()[:2]) - before < 0.1
    assert process.memory_info().rss < 40 * MB
    process.terminate()
    assert supervised.ended().signal == "SIGTERM"
