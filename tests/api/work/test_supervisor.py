"""The process around a job's process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers.example_jobs import is_dead, program, soon
from helpers.patience import PATIENCE
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
        seconds: float = 600.0,
        grace: float = 60.0,
    ) -> None:
        self.files = JobFolder(folder)
        arguments: list[str | Path] = [folder, "--attempt", "1", "--memory", str(memory)]
        arguments += ["--seconds", str(seconds), "--grace", str(grace), "--", *program(text)]
        command = [sys.executable, "-m", "intertwine_api.work.supervisor", *arguments]
        self._process = subprocess.Popen(command, start_new_session=True)
        self.pid = self._process.pid

    def ended(self) -> Exit:
        """How the program ended; the supervisor has ended too."""
        assert self._process.wait(timeout=PATIENCE) == 0
        return self.noted()

    def noted(self) -> Exit:
        """How the program ended, as it was noted."""
        ended = self.files.exit(1)
        assert ended is not None
        return ended

    def kill(self) -> None:
        """Kill the supervisor and the program."""
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(timeout=PATIENCE)

    def printed(self) -> str:
        """What the program printed."""
        return self.files.last_lines()

    def is_told_to_end(self) -> bool:
        """Whether it still runs; it is terminated once more."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        return self._process.poll() is None


def has_ended(pid: int) -> bool:
    try:
        return is_dead(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True


class TestAProgramThatEndsByItself:
    def test_is_noted_with_its_exit_code_and_what_it_took(self, tmp_path: Path) -> None:
        text = "import time; kept = b'x' * 100_000_000; time.sleep(0.5); raise SystemExit(3)"
        ended = Supervised(tmp_path, text).ended()
        assert (ended.code, ended.signal, ended.cause) == (3, None, None)
        assert 100 * MB < ended.peak_bytes < 200 * MB
        assert 0.5 < ended.seconds < PATIENCE

    def test_is_noted_with_its_signal(self, tmp_path: Path) -> None:
        ended = Supervised(tmp_path, "import os; os.kill(os.getpid(), 11)").ended()
        assert (ended.code, ended.signal, ended.cause) == (None, "SIGSEGV", None)

    def test_leaves_no_process_behind(self, tmp_path: Path) -> None:
        text = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"
        supervised = Supervised(tmp_path, text)
        assert supervised.ended().code == 0
        left = int(supervised.printed())
        soon(lambda: has_ended(left))

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
        arguments = [str(tmp_path), "--attempt", "1", "--memory", "1000000000", "--seconds", "600"]
        arguments += ["--grace", "1", "--", *program(text)]
        command = [sys.executable, "-m", "intertwine_api.work.supervisor", *arguments]
        subprocess.run(command, close_fds=False, check=True, timeout=PATIENCE)
        os.close(shared)
        assert JobFolder(tmp_path).last_lines().count("set()") == 2


def test_a_program_that_cannot_be_started_is_noted(tmp_path: Path) -> None:
    arguments = [str(tmp_path), "--attempt", "1", "--memory", "1", "--seconds", "600"]
    command = [sys.executable, "-m", "intertwine_api.work.supervisor", *arguments]
    subprocess.run([*command, "--grace", "1", "--", "/no/such"], check=True, timeout=PATIENCE)
    ended = JobFolder(tmp_path).exit(1)
    assert ended is not None
    assert ended.code == 127
    assert "/no/such" in JobFolder(tmp_path).last_lines()


class TestLimits:
    def test_of_memory_count_all_processes_together(self, tmp_path: Path) -> None:
        half = "import time; kept = b'x' * 80_000_000; time.sleep(600)"
        text = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {half!r}]); {half}"
        ended = Supervised(tmp_path, text, memory=150 * MB).ended()
        assert (ended.signal, ended.cause) == ("SIGKILL", "memory")
        assert 150 * MB < ended.peak_bytes < 300 * MB
        # it is not asked first: that would have ended it with SIGTERM

    def test_of_time(self, tmp_path: Path) -> None:
        ended = Supervised(tmp_path, "import time; time.sleep(600)", seconds=1).ended()
        assert (ended.signal, ended.cause) == ("SIGTERM", "time")
        assert 1 < ended.seconds < PATIENCE


STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
print("ready", flush=True)
while True: time.sleep(600)
"""


class TestASupervisorThatIsTerminated:
    def test_asks_its_program_to_end(self, tmp_path: Path) -> None:
        text = "import time; print('ready', flush=True); time.sleep(600)"
        supervised = Supervised(tmp_path, text)
        soon(supervised.printed)
        os.kill(supervised.pid, signal.SIGTERM)
        ended = supervised.ended()
        assert (ended.signal, ended.cause) == ("SIGTERM", None)

    @pytest.mark.slow
    def test_kills_a_program_that_does_not_want_to(self, tmp_path: Path) -> None:
        supervised = Supervised(tmp_path, STUBBORN, grace=3)
        soon(lambda: "ready" in supervised.printed())
        # it is told again and again: the grace does not begin anew
        soon(lambda: not supervised.is_told_to_end())
        ended = supervised.noted()
        assert (ended.signal, ended.cause) == ("SIGKILL", None)

    def test_asks_a_program_that_does_not_want_to(self, tmp_path: Path) -> None:
        supervised = Supervised(tmp_path, STUBBORN)
        soon(lambda: "ready" in supervised.printed())
        os.killpg(supervised.pid, signal.SIGTERM)
        soon(lambda: "asked" in supervised.printed())
        supervised.kill()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_supervisor_is_small_and_sleeps(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, "print('ready', flush=True); import time; time.sleep(600)")
    soon(lambda: "ready" in supervised.printed())
    process = psutil.Process(supervised.pid)
    before, begun = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(1)
    used = sum(process.cpu_times()[:2]) - before
    assert used < 0.1 * (time.monotonic() - begun)
    assert process.memory_info().rss < 40 * MB
    process.terminate()
    assert supervised.ended().signal == "SIGTERM"
