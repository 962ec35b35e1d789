"""A disk that is full, read-only, gone or no disk at all: the basis is delivered all the same.

What the user sees is a line in the log. Real mounts, where the system lets a test have its own;
what needs none runs everywhere.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.example_bases import basis_of, orthonormal
from helpers.example_stores import (
    content,
    digest,
    faults,
    flip,
    key,
    publish,
    quarantined,
    run_with_mounts,
)
from helpers.support import run_python
from intertwine.bases import Basis, Dense
from intertwine.bases.store import obtain
from intertwine_cache import Store, verify

KEY = key("a request")


def solve() -> Basis:
    return basis_of(Dense(orthonormal(200, 20)))


def check_all_of_it_is_quiet(store: Store) -> None:
    """Nothing that can be asked of a store raises, or finds anything."""
    assert store.read(KEY) is None
    assert store.manifest(KEY) is None
    assert store.blob(digest(b"")) is None
    assert list(store.manifests()) == []
    assert store.publish(KEY, lambda write: write(b"content"), {}) is None
    store.reject(KEY, "no basis")
    assert not store.remove(KEY)
    assert store.clear() == 0
    assert store.statistics()["entries"] == store.statistics()["bytes"] == 0
    assert list(verify(store)) == list(verify(store, repair=True)) == []
    with store.claim(KEY):
        pass
    basis = obtain(store, KEY, {}, solve)
    assert not basis.cached
    assert np.array_equal(basis.dense(), orthonormal(200, 20))
    store.wait_for_eviction()


class TestNoFolder:
    def test_a_file_where_the_folder_should_be(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "store"
        path.write_bytes(b"mine")
        check_all_of_it_is_quiet(Store(path))
        assert path.read_bytes() == b"mine"
        assert f"cannot write to {path}: " in caplog.text

    def test_a_folder_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        check_all_of_it_is_quiet(Store(tmp_path / "file" / "store"))

    def test_a_folder_where_nobody_can_make_one(self) -> None:
        if not Path("/proc/self").exists():
            pytest.skip("this system has no /proc")
        check_all_of_it_is_quiet(Store(Path("/proc/self/store")))

    def test_a_link_to_itself(self, tmp_path: Path) -> None:
        (tmp_path / "store").symlink_to(tmp_path / "store")
        check_all_of_it_is_quiet(Store(tmp_path / "store"))

    def test_a_link_to_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "store").symlink_to(tmp_path / "nothing")
        basis = obtain(Store(tmp_path / "store"), KEY, {}, solve)
        assert basis.shape == (200, 20)

    @pytest.mark.parametrize("name", ["blobs", "manifests", "temporary", "locks", "checked"])
    def test_a_file_in_the_place_of_one_of_its_folders(self, tmp_path: Path, name: str) -> None:
        store = Store(tmp_path)
        (tmp_path / "v1").mkdir()
        (tmp_path / "v1" / name).write_bytes(b"mine")
        basis = obtain(store, KEY, {}, solve)
        assert np.array_equal(basis.dense(), orthonormal(200, 20))
        store.wait_for_eviction()
        assert list(verify(store)) == []

    def test_a_quarantine_that_cannot_be_made_leaves_a_miss(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        publish(store, "a", b"content")
        (tmp_path / "v1" / "quarantine").write_bytes(b"mine")
        flip(store.layout.blob(digest(b"content")))
        assert store.read(key("a")) is None
        assert store.read(key("a")) is None


class TestDeletedWhileInUse:
    """`rm -r` of the whole folder at any moment."""

    def test_between_two_uses(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        for _ in range(3):
            publish(store, "a", b"content")
            assert content(store, "a") == b"content"
            shutil.rmtree(store.layout.root)
            assert content(store, "a") is None
            assert store.statistics()["entries"] == 0

    def test_while_a_basis_is_in_use(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        obtain(store, KEY, {}, solve)
        basis = obtain(store, KEY, {}, solve)
        assert basis.cached
        shutil.rmtree(store.layout.root)
        assert np.array_equal(basis.dense(), orthonormal(200, 20))

    def test_while_one_solves(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")

        def meanwhile() -> Basis:
            shutil.rmtree(store.layout.root)
            return solve()

        assert np.array_equal(obtain(store, KEY, {}, meanwhile).dense(), orthonormal(200, 20))
        assert obtain(store, KEY, {}, solve).cached

    @pytest.mark.parametrize("piece", [0, 1, 2])
    def test_while_one_publishes(
        self, tmp_path: Path, piece: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = Store(tmp_path / "store")

        def write_to(write: Callable[[bytes], Any]) -> None:
            for number in range(3):
                if number == piece:
                    shutil.rmtree(store.layout.root)
                write(b"content")

        assert store.publish(KEY, write_to, {}) is None
        assert f"cannot write to {store.layout.root}: " in caplog.text
        assert obtain(store, KEY, {}, solve).shape == (200, 20)
        assert obtain(store, KEY, {}, solve).cached

    @pytest.mark.slow
    def test_while_many_read_and_publish(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        ended, wrong = threading.Event(), []

        def use(number: int) -> None:
            mine, turn = Store(store.layout.root, limit=10**5), 0
            while not ended.is_set():
                turn += 1
                try:
                    name = str((number + turn) % 7)
                    basis = obtain(mine, key(name), {}, solve)
                    if not np.array_equal(basis.dense(), orthonormal(200, 20)):
                        wrong.append(f"{name} is another basis")
                except BaseException as error:
                    wrong.append(repr(error))
            mine.wait_for_eviction()

        threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(30):
            ended.wait(0.03)
            shutil.rmtree(store.layout.root, ignore_errors=True)
        ended.set()
        for thread in threads:
            thread.join()
        assert wrong == []
        publish(store, "a", b"content")
        assert content(store, "a") == b"content"


def prelude(*lines: str) -> str:
    """The imports of a program about a store, and what it does first."""
    tests = Path(__file__).resolve().parent.parent
    return textwrap.dedent(
        f"""
        import hashlib, json, logging, os, sys
        from pathlib import Path
        sys.path.insert(0, {str(tests)!r})
        import numpy as np
        from helpers.example_bases import basis_of, orthonormal
        from helpers.example_stores import content, digest, faults, key, leftovers, publish
        from helpers.example_stores import quarantined
        from intertwine.bases import Dense
        from intertwine.bases.store import obtain
        from intertwine_cache import Store, verify
        KEY = key("a request")
        ROOT = Path(sys.argv[1])
        BASIS = basis_of(Dense(orthonormal(200, 20)))
        """
    ) + "\n".join(map(textwrap.dedent, lines))


def said(done: Any) -> Any:
    """What a program printed last, as JSON."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class TestReadOnly:
    @pytest.fixture
    def kept(self, tmp_path: Path) -> Store:
        """A store with a basis under KEY, and a spoilt one."""
        store = Store(tmp_path / "store")
        obtain(store, KEY, {}, solve)
        publish(store, "spoilt", b"content")
        flip(store.layout.blob(digest(b"content")))
        return store

    READ_ONLY = """
        mount("--bind", ROOT, ROOT)
        mount("-o", "remount,bind,ro", ROOT)
        try:
            (ROOT / "file").touch()
            raise SystemExit("it can be written")
        except OSError:
            pass
        store = Store(ROOT)
    """

    def test_what_is_there_is_served(self, kept: Store) -> None:
        done = run_with_mounts(
            prelude(
                self.READ_ONLY,
                """
                def never(): raise AssertionError
                found = [obtain(store, KEY, {}, never) for _ in range(2)]
                equal = [bool(np.array_equal(basis.dense(), BASIS.dense())) for basis in found]
                print(json.dumps([[basis.cached for basis in found], equal]))
                """,
            ),
            kept.layout.root,
        )
        assert said(done) == [[kept.name] * 2, [True, True]]
        assert done.stderr == ""  # there is nothing to complain about

    def test_what_is_not_there_is_solved_and_the_log_says_why_it_is_not_kept(
        self, kept: Store
    ) -> None:
        done = run_with_mounts(
            prelude(
                self.READ_ONLY,
                """
                basis = obtain(store, key("another"), {}, lambda: BASIS)
                print(json.dumps([basis.cached, list(basis.shape)]))
                """,
            ),
            kept.layout.root,
        )
        assert said(done) == ["", [200, 20]]
        assert f"cannot write to {kept.layout.root}: " in done.stderr
        assert "Read-only file system" in done.stderr
        assert "Traceback" not in done.stderr

    def test_what_is_spoilt_is_a_miss_although_it_cannot_be_put_aside(self, kept: Store) -> None:
        done = run_with_mounts(
            prelude(
                self.READ_ONLY,
                """
                found = [store.read(key("spoilt")), store.blob(digest(b"content"))]
                basis = obtain(store, key("spoilt"), {}, lambda: BASIS)
                found += [basis.cached, list(basis.shape), len(faults(store))]
                found += [len(list(verify(store, repair=True)))]
                print(json.dumps(found))
                """,
            ),
            kept.layout.root,
        )
        assert said(done) == [None, None, "", [200, 20], 2, 2]
        assert "Traceback" not in done.stderr

    def test_what_cannot_be_deleted_is_not_said_to_be(self, kept: Store) -> None:
        done = run_with_mounts(
            prelude(
                self.READ_ONLY,
                """
                print(json.dumps([store.remove(KEY), store.clear(), store.read(KEY) is not None]))
                """,
            ),
            kept.layout.root,
        )
        assert said(done) == [False, 0, True]
        assert "cannot delete" in done.stderr

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
    def test_a_store_of_another_user_is_read(self, kept: Store) -> None:
        """Permissions stop everybody but root, so the program becomes somebody else."""
        program = prelude(
            """
            # whatever is imported later may be out of its reach
            import mmap, resource, intertwine.invariants, safetensors
            os.chmod(ROOT.parent, 0o755)
            os.chdir(ROOT)
            os.setuid(54321)
            def never(): raise AssertionError
            store = Store(Path("."))
            basis = obtain(store, KEY, {}, never)
            other = obtain(store, key("another"), {}, lambda: BASIS)
            answer([basis.cached, other.cached, list(other.shape)])
            """
        )
        done = run_python(program, str(kept.layout.root))
        assert done.status == 0, done.stderr
        assert done.value == [".", "", [200, 20]]
        assert "Permission denied" in done.stderr


class TestFull:
    def test_a_disk_that_is_nearly_full_is_left_alone(self, tmp_path: Path) -> None:
        """A store never takes the last 64 MiB: others have more need of them."""
        done = run_with_mounts(
            prelude(
                """
                mount("-t", "tmpfs", "-o", "size=80m", "tmpfs", ROOT)
                store = Store(ROOT)
                kept = store.publish(KEY, lambda write: write(bytes(2**22)), {}) is not None
                more = store.publish(key("more"), lambda write: write(bytes(2**24)), {}) is not None
                (ROOT / "filler").write_bytes(bytes(13 * 2**20))
                basis = obtain(store, key("another"), {}, lambda: BASIS)
                free = os.statvfs(ROOT).f_bavail * os.statvfs(ROOT).f_frsize
                found = [kept, more, basis.cached, list(basis.shape), leftovers(store)]
                found += [store.read(KEY) is not None, faults(store), free > 2**25]
                print(json.dumps(found))
                """
            ),
            tmp_path,
        )
        assert said(done) == [True, False, "", [200, 20], [], True, {}, True]
        assert "bytes are free on the disk" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_disk_that_fills_while_it_is_written_to(self, tmp_path: Path) -> None:
        """The space was there when it was asked for; somebody else took it."""
        done = run_with_mounts(
            prelude(
                """
                mount("-t", "tmpfs", "-o", "size=80m", "tmpfs", ROOT)
                store = Store(ROOT)
                publish(store, "a", b"content")

                def write_to(write):
                    write(b"head")
                    with open(ROOT / "filler", "wb", buffering=0) as file:
                        try:
                            while file.write(bytes(2**20)):
                                pass
                        except OSError:
                            pass
                    # past the check, as if the disk had filled just behind it
                    import intertwine_cache.store
                    intertwine_cache.store.shutil.disk_usage = lambda path: PLENTY
                    write(bytes(2**20))

                import shutil
                PLENTY = shutil.disk_usage("/")._replace(free=2**40)
                kept = store.publish(KEY, write_to, {})
                basis = obtain(store, key("another"), {}, lambda: BASIS)
                found = [kept, leftovers(store), basis.cached, list(basis.shape)]
                print(json.dumps([*found, content(store, "a") == b"content", faults(store)]))
                """
            ),
            tmp_path,
        )
        assert said(done) == [None, [], "", [200, 20], True, {}]
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_disk_without_room_for_another_name(self, tmp_path: Path) -> None:
        done = run_with_mounts(
            prelude(
                """
                mount("-t", "tmpfs", "-o", "size=200m,nr_inodes=30", "tmpfs", ROOT)
                store = Store(ROOT)
                publish(store, "a", b"content")
                found = []
                for number in range(10):
                    basis = obtain(store, key(str(number)), {}, lambda: BASIS)
                    found.append(basis.shape == (200, 20))
                print(json.dumps([all(found), content(store, "a") == b"content", faults(store)]))
                """
            ),
            tmp_path,
        )
        assert said(done) == [True, True, {}]
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.slow
    @pytest.mark.parametrize("most", [0, 10, 5_000, 20_000])
    def test_a_file_that_may_not_grow(self, tmp_path: Path, most: int) -> None:
        """A limit on the size of files, which every Unix has, fails in the same places."""
        pytest.importorskip("resource", reason="limits are Unix's")
        program = prelude(
            """
            import resource, signal
            store = Store(ROOT)
            publish(store, "a", b"content")
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
            basis = obtain(store, KEY, {}, lambda: BASIS)
            again = obtain(store, KEY, {}, lambda: BASIS)
            store.wait_for_eviction()
            found = [basis.cached, again.cached, bool(np.array_equal(again.dense(), BASIS.dense()))]
            # read through a pipe, not a file: only those may not grow
            answer([*found, content(store, "a") == b"content", faults(store), leftovers(store)])
            """
        )
        done = run_python(program, str(tmp_path), str(most))
        assert done.status == 0, done.stderr
        assert done.value == ["", "", True, True, {}, []]
        assert "File too large" in done.stderr
        assert "Traceback" not in done.stderr
        assert quarantined(Store(tmp_path)) == {}

    def test_a_full_disk_still_serves_what_was_never_checked_here(self, tmp_path: Path) -> None:
        """There is no room for the note that it was checked; so it is checked again, and no more.

        And nothing is left there that was begun: the disk is full enough.
        """
        pytest.importorskip("resource", reason="limits are Unix's")
        store = Store(tmp_path)
        publish(store, "a", b"content")
        store.layout.checked(digest(b"content")).unlink()
        program = prelude(
            """
            import resource, signal
            store = Store(ROOT)
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            answer([content(store, "a") == b"content", leftovers(store)])
            """
        )
        done = run_python(program, str(tmp_path))
        assert done.status == 0, done.stderr
        assert done.value == [True, []]


class TestLocks:
    def test_one_key_has_one_holder_at_a_time_and_two_keys_two(self, tmp_path: Path) -> None:
        store, entered = Store(tmp_path), []

        def enter(name: str) -> None:
            with Store(tmp_path).claim(key(name)):
                entered.append(name)

        with store.claim(key("a")):
            threads = [threading.Thread(target=enter, args=(name,)) for name in ("a", "b")]
            for thread in threads:
                thread.start()
            threads[1].join(60)
            threads[0].join(0.2)
            assert entered == ["b"]
        threads[0].join(60)
        assert entered == ["b", "a"]

    @pytest.mark.parametrize("error", [RuntimeError("mine"), KeyboardInterrupt(), OSError("mine")])
    def test_a_holder_that_fails_lets_go_and_fails_as_it_did(
        self, tmp_path: Path, error: BaseException
    ) -> None:
        store = Store(tmp_path)
        with pytest.raises(type(error)) as raised, store.claim(KEY):
            raise error
        assert raised.value is error
        with store.claim(KEY):
            pass

    def test_without_locks_everybody_enters_and_the_log_says_so(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "v1").mkdir()
        (tmp_path / "v1" / "locks").write_bytes(b"mine")
        store = Store(tmp_path)
        with caplog.at_level(logging.WARNING), store.claim(KEY), store.claim(KEY):
            pass
        assert f"cannot lock in {tmp_path}: " in caplog.text

    def test_an_error_of_the_solve_does_not_come_with_one_of_the_lock(self, tmp_path: Path) -> None:
        """Otherwise the user reads first of a lock, which has nothing to do with it."""
        (tmp_path / "store").touch()
        store = Store(tmp_path / "store")
        with pytest.raises(ArithmeticError) as raised, store.claim(KEY):
            raise ArithmeticError("the rank is ambiguous")
        assert raised.value.__context__ is None

    def test_locking_makes_nothing_but_the_store(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        with store.claim(KEY):
            assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]
        assert faults(store) == {}
        assert store.statistics()["entries"] == 0
