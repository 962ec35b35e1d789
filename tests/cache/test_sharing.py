"""Many threads and processes share a folder: one of them solves, and none sees anything false."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.example_stores import content, faults, key, leftovers, publish, quarantined, until
from helpers.patience import PATIENCE, quickest
from helpers.support import run_python
from intertwine.bases import from_bytes
from intertwine_cache import Store

PROGRAM = Path(__file__).with_name("crowd.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def crowd(roles: str, folder: Path, count: int, seconds: float) -> list[Any]:
    """Start so many processes at once, in these roles, and return their answers."""
    done = subprocess.run(
        [sys.executable, PROGRAM, roles, folder, str(count), str(seconds)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["ended"] == [0] * count, done.stderr
    answers: list[Any] = said["answers"]
    return answers


def lines(path: Path) -> list[str]:
    """The lines of a log, none where there is no log yet."""
    return path.read_text().splitlines() if path.exists() else []


class TestOneSolve:
    def test_sixteen_processes_with_one_key_solve_once_and_agree(self, tmp_path: Path) -> None:
        answers = crowd("ask", tmp_path, 16, 0.5)
        assert len(lines(tmp_path / "solves")) == 1
        name = Store(tmp_path / "store").name
        assert sorted(cached for cached, _, _ in answers) == [""] + [name] * 15
        assert all(entries == answers[0][1:] for _, *entries in answers)
        store = Store(tmp_path / "store")
        assert store.statistics()["entries"] == store.statistics()["blobs"] == 1
        assert faults(store) == {}
        assert leftovers(store) == []

    def test_a_stored_basis_is_read_without_waiting(self, tmp_path: Path) -> None:
        crowd("ask", tmp_path, 1, 0.0)
        with Store(tmp_path / "store").claim(key("a")):  # somebody else has the lock meanwhile
            answers = crowd("ask", tmp_path, 4, 0.0)
        assert [cached for cached, *_ in answers] == [Store(tmp_path / "store").name] * 4
        assert len(lines(tmp_path / "solves")) == 1

    def test_without_locks_several_solve_and_all_get_the_first_result(self, tmp_path: Path) -> None:
        """The lock only saves work; that everybody has one basis is the publish's doing."""
        Store(tmp_path / "store").layout.lock(key("a")).mkdir(parents=True)  # no file to lock
        answers = crowd("ask without locks", tmp_path, 4, 4)
        assert len(lines(tmp_path / "solves")) == 4
        assert [cached for cached, *_ in answers] == [""] * 4
        first = content(Store(tmp_path / "store"), "a")
        assert first is not None
        kept = from_bytes(first)
        for _, entries, certificate in answers:
            assert entries == kept.dense().ravel()[:5].tolist()
            assert certificate == kept.certificate.to_json()

    @pytest.mark.slow
    def test_sixteen_fresh_interpreters_call_equivariant_basis(self, tmp_path: Path) -> None:
        """As users do: nothing is shared between them but the folder."""
        program = """
            import os, sys, time
            from pathlib import Path
            from intertwine.groups import SO
            from intertwine.reps import V
            import intertwine.invariants
            from intertwine_cache import Store
            folder = Path(sys.argv[1])
            rep = (V**4 * V.T**2)(SO(3))
            (folder / f"ready-{os.getpid()}").touch()
            while not (folder / "go").exists():
                time.sleep(0.005)
            begun = []
            def progress(_):
                if not begun:
                    begun.append(True)
                    log = os.open(folder / "solves", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                    os.write(log, f"{os.getpid()}\\n".encode())
                    time.sleep(0.5)
            basis = rep.equivariant_basis(store=Store(folder / "store"), progress=progress)
            answer([basis.cached, basis.dense().tobytes().hex(), basis.certificate.to_json()])
        """
        done: list[Any] = []
        threads = [
            threading.Thread(
                target=lambda: done.append(run_python(program, str(tmp_path), timeout=900))
            )
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        until(lambda: len(list(tmp_path.glob("ready-*"))) == 16 or bool(done), seconds=600)
        (tmp_path / "go").touch()
        for thread in threads:
            thread.join()
        assert [one.status for one in done] == [0] * 16, [one.stderr for one in done]
        assert len(lines(tmp_path / "solves")) == 1
        name = Store(tmp_path / "store").name
        assert sorted(one.value[0] for one in done) == [""] + [name] * 15
        assert all(one.value[1:] == done[0].value[1:] for one in done)


class TestAnOwnerThatDies:
    SOLVING = """
        import os, sys, time
        from pathlib import Path
        from intertwine.bases.store import obtain
        from intertwine_cache import Store

        def solve():
            Path(sys.argv[2]).touch()
            time.sleep(600)

        obtain(Store(Path(sys.argv[1])), sys.argv[3], {}, solve)
    """

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """A process in the middle of its solve."""
        arguments = [str(folder / "store"), str(folder / "solving"), key("a")]
        owner = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(self.SOLVING), *arguments],
            stderr=subprocess.PIPE,
        )
        until(lambda: (folder / "solving").exists() or owner.poll() is not None)
        assert owner.poll() is None, owner.communicate()[1]
        return owner

    def test_a_waiter_takes_over_at_once(self, tmp_path: Path) -> None:
        folders = iter("abcde")

        def seconds() -> float:
            folder = tmp_path / next(folders)
            folder.mkdir()
            owner = self.start(folder)
            entered: list[float] = []

            def wait() -> None:
                with Store(folder / "store").claim(key("a")):
                    entered.append(time.monotonic())

            waiter = threading.Thread(target=wait)
            waiter.start()
            waiter.join(0.3)
            assert entered == []
            killed = time.monotonic()
            owner.send_signal(signal.SIGKILL)
            owner.communicate()
            waiter.join(PATIENCE)
            assert owner.returncode == -signal.SIGKILL
            return entered[0] - killed

        assert quickest(seconds, 5) < 5

    @pytest.mark.slow
    def test_one_waiter_solves_and_the_others_read(self, tmp_path: Path) -> None:
        owner = self.start(tmp_path)
        killer = threading.Timer(4.0, owner.kill)  # by then all of them wait
        killer.start()
        try:
            answers = crowd("ask", tmp_path, 8, 0.3)
        finally:
            killer.join()
            owner.communicate()
        assert len(lines(tmp_path / "solves")) == 1
        name = Store(tmp_path / "store").name
        assert sorted(cached for cached, *_ in answers) == [""] + [name] * 7
        assert all(entries == answers[0][1:] for _, *entries in answers)

    def test_the_store_is_in_order_then(self, tmp_path: Path) -> None:
        owner = self.start(tmp_path)
        owner.kill()
        owner.communicate()
        store = Store(tmp_path / "store")
        assert faults(store) == {}
        assert content(store, "a") is None
        publish(store, "a", b"content")
        assert content(store, "a") == b"content"

    def test_readers_do_not_wait_for_the_lock(self, tmp_path: Path) -> None:
        owner = self.start(tmp_path)
        store = Store(tmp_path / "store")
        try:
            assert content(store, "a") is None
            publish(store, "b", b"content")
            assert content(store, "b") == b"content"
            assert faults(store) == {}
        finally:
            owner.kill()
            owner.communicate()


class TestPermissions:
    """New files have those of the store's folder, whatever the umask of who writes them."""

    @pytest.mark.parametrize("umask", [0o022, 0o077])
    @pytest.mark.parametrize("mode", [0o700, 0o750, 0o755, 0o2770, 0o2775])
    def test_a_store_stays_open_to_those_whom_its_folder_lets_in(
        self, tmp_path: Path, mode: int, umask: int
    ) -> None:
        root = tmp_path / "store"
        root.mkdir()
        root.chmod(mode)
        before = os.umask(umask)
        try:
            store = Store(root)
            with store.claim(key("a")):
                publish(store, "a", b"content")
            store.read(key("a"))
        finally:
            os.umask(before)
        assert any(store.layout.blobs.iterdir())
        for path in root.rglob("*"):
            own = path.stat().st_mode & 0o2777
            if path.is_dir():
                assert own == mode, path
            elif store.layout.blobs in path.parents:
                assert own == mode & 0o444, path
            else:
                assert own == mode & 0o666, path


class TestAllAtOnce:
    """Readers and publishers, while others delete what they read."""

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "roles",
        [
            *(
                pytest.param(f"use,use,look{more}", marks=pytest.mark.slow)
                for more in ("", ",clear", ",evict,evict", ",repair", ",remove")
            ),
            "use,use,use,look,clear,evict,repair,remove",
        ],
    )
    def test_every_read_is_correct_and_only_corrupt_files_are_quarantined(
        self, tmp_path: Path, roles: str
    ) -> None:
        crowd(roles, tmp_path, len(roles.split(",")), 1.5)
        store = Store(tmp_path / "store")
        # a manifest may have lost its blob to two who deleted at once; a reader forgets it then
        assert set(quarantined(store).values()) <= {"its blob is missing"}
        assert set(faults(store).values()) <= {"its blob is missing"}
        assert leftovers(store) == []
        for name in "abcdefgh":
            assert content(store, name) in (None, name.encode() * 20_000)
            publish(store, name, name.encode() * 20_000)
        assert faults(store) == {}
