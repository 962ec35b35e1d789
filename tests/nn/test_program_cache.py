"""Compiled programs are kept in the store's folder, which no other user can change."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import pytest
from helpers.program import environment
from helpers.support import run_python
from intertwine.bases.store import find_store
from intertwine.nn import program_cache
from intertwine.nn.program_cache import PROGRAMS, use_program_cache

_COUNT = """
import warnings
warnings.simplefilter("error")
import jax
events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
def count(event):
    return sum(one == "/jax/compilation_cache/" + event for one in events)
"""
#: Makes networks, and says what their training steps compile to.
_NETWORKS = (
    _COUNT
    + """
import hashlib
import equinox as eqx
import numpy as np
from intertwine.groups import SO, O, S, SO13p
from intertwine.nn import EMLP
from intertwine.reps import Scalar, V
networks = {
    "SO(3)": (2 * V + Scalar, V**2, SO(3)),
    "O(3)": (5 * Scalar + 5 * V, V**2, O(3)),
    "O(5)": (2 * V, Scalar, O(5)),
    "SO13p": (4 * V, Scalar, SO13p()),
    "S(5)": (V, V**2, S(5)),
}
digests = {}
for name, (rep_in, rep_out, group) in networks.items():
    model = EMLP(rep_in, rep_out, group, 32, 2)
    weights, rest = eqx.partition(model, eqx.is_array)
    def gradient(weights, x, rest=rest):
        return jax.grad(lambda w: (eqx.combine(w, rest)(x) ** 2).mean())(weights)
    lowered = jax.jit(gradient).lower(weights, np.ones((4, model.rep_in.size()), np.float32))
    digests[name] = hashlib.sha256(lowered.as_text().encode()).hexdigest()
    if name == "O(5)":
        lowered.compile()
place = jax.config.jax_compilation_cache_dir
answer([digests, count("cache_hits"), count("cache_misses"), place])
"""
)
#: Compiles a program of its own.
_OWN = (
    _COUNT
    + """
import sys
import intertwine.nn
import jax.numpy as jnp
@jax.jit
def many(x):
    for i in range(50):
        x = jnp.sin(x) @ x / 3 + i
    return x
value = float(many(jnp.ones((3, 3)))[0, 0])
place = jax.config.jax_compilation_cache_dir or None
answer([count("cache_hits"), count("cache_misses"), place, value])
"""
)
#: Every program is kept, however fast a machine compiles it.
ENVIRONMENT = {
    "JAX_COMPILATION_CACHE_DIR": "",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    PROGRAMS: "",
}


def own(**variables: Any) -> Any:
    """The hits, the misses, the folder and the value of a process that compiles one program."""
    ended = run_python(_OWN, env={**ENVIRONMENT, **{n: str(v) for n, v in variables.items()}})
    assert ended.status == 0, ended.stderr
    return ended.value


def entries(root: Path) -> list[Path]:
    """The files of the program that `own` compiles."""
    return sorted(root.rglob("jit_many-*-cache"))


def test_processes_that_tests_start_share_programs_and_this_one_keeps_none() -> None:
    assert Path(environment()[PROGRAMS]).is_dir()
    assert PROGRAMS not in os.environ
    assert not jax.config.jax_compilation_cache_dir


@pytest.mark.slow
def test_a_process_that_loads_bases_has_the_programs_of_one_that_solved(tmp_path: Path) -> None:
    """Also with other threads: rounding shows in no program."""
    env = {**ENVIRONMENT, "INTERTWINE_CACHE": str(tmp_path)}
    first = run_python(_NETWORKS, env={**env, "OMP_NUM_THREADS": "1"})
    again = run_python(_NETWORKS, env={**env, "OMP_NUM_THREADS": "2"})
    assert first.status == again.status == 0, first.stderr + again.stderr
    digests, hits, misses, place = first.value
    assert misses > 0
    assert Path(place).parent == tmp_path / "programs"
    assert again.value == [digests, hits + misses, 0, place]


class Settings:
    """The settings of a JAX that nobody has changed."""

    jax_compilation_cache_dir = None
    jax_enable_compilation_cache = True
    jax_persistent_cache_min_compile_time_secs = 1.0
    jax_compilation_cache_max_size = -1

    def update(self, name: str, value: Any) -> None:
        setattr(self, name, value)


def test_programs_of_single_layers_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Linear` over V(S(200)) compiles for 0.05 s, which is most of the time of its first call."""
    settings = Settings()
    monkeypatch.setattr(program_cache, "_CONFIG", settings)
    monkeypatch.setenv(PROGRAMS, str(tmp_path))
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", raising=False)
    use_program_cache()
    assert settings.jax_compilation_cache_dir is not None
    assert 0 < settings.jax_persistent_cache_min_compile_time_secs < 0.05


@pytest.mark.slow
class TestProcesses:
    def test_programs_are_kept_beside_the_store_and_do_not_disturb_it(self, tmp_path: Path) -> None:
        hits, misses, place, value = own(INTERTWINE_CACHE=tmp_path)
        assert misses > 0
        assert Path(place).parent == tmp_path / "programs"
        assert Path(place).stat().st_mode & 0o777 == 0o700
        assert own(INTERTWINE_CACHE=tmp_path) == [hits + misses, 0, place, value]
        [kept] = entries(tmp_path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("INTERTWINE_CACHE", str(tmp_path))
            store: Any = find_store()
            assert store.folder == tmp_path
            store.layout.create()
            assert store.statistics()["blobs"] == store.clear() == 0
        assert kept.exists()

    def test_users_settings_of_jax_are_not_changed(self, tmp_path: Path) -> None:
        theirs, ours = tmp_path / "theirs", tmp_path / "ours"
        place = own(INTERTWINE_CACHE=ours, JAX_COMPILATION_CACHE_DIR=theirs)[2]
        assert place == str(theirs)
        assert own(INTERTWINE_CACHE=ours, JAX_ENABLE_COMPILATION_CACHE="false")[2] is None
        assert not ours.exists()

    def test_the_cache_can_be_turned_off(self, tmp_path: Path) -> None:
        assert own(INTERTWINE_CACHE=tmp_path, INTERTWINE_PROGRAMS="off")[:3] == [0, 0, None]
        assert own(INTERTWINE_CACHE="off")[:3] == [0, 0, None]
        assert not entries(tmp_path)

    def test_the_variable_names_another_folder(self, tmp_path: Path) -> None:
        place = own(INTERTWINE_CACHE="off", INTERTWINE_PROGRAMS=tmp_path / "a")[2]
        assert Path(place).parent == tmp_path / "a"

    def test_invalid_settings_of_the_store_are_reported_by_solves_alone(self) -> None:
        assert own(INTERTWINE_CACHE="off,/tmp")[2] is None

    def test_damaged_programs_are_compiled_again(self, tmp_path: Path) -> None:
        value = own(INTERTWINE_CACHE=tmp_path)[3]
        [kept] = entries(tmp_path)
        kept.write_bytes(kept.read_bytes()[:100])
        program = _OWN.replace('simplefilter("error")', 'simplefilter("default")')
        ended = run_python(program, env={**ENVIRONMENT, "INTERTWINE_CACHE": str(tmp_path)})
        assert ended.status == 0
        assert ended.value[3] == value
        assert ended.stderr.count("Error reading persistent compilation cache entry") == 1

    def test_a_full_disk_is_no_error(self, tmp_path: Path) -> None:
        """Writes fail as on a full disk: no file may exceed one block."""
        limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))\n"
        env = {**ENVIRONMENT, "INTERTWINE_CACHE": str(tmp_path)}
        ended = run_python(_OWN.replace("import sys\n", limit), env=env)
        assert ended.status == 0, ended.stderr
        assert ended.stderr == ""

    def test_several_processes_at_once(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(4) as pool:
            found = [pool.submit(own, INTERTWINE_CACHE=tmp_path) for _ in range(4)]
            values = {one.result()[3] for one in found}
        assert len(values) == len(entries(tmp_path)) == 1


class TestFolders:
    """`_prepared` says why a folder is not used."""

    def test_only_the_user_can_read_and_change_it(self, tmp_path: Path) -> None:
        folder = tmp_path / "programs" / "x"
        assert program_cache._prepared(folder) == ""
        assert [one.stat().st_mode & 0o777 for one in (folder.parent, folder)] == [0o700, 0o700]
        assert program_cache._prepared(folder) == ""

    @pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
    @pytest.mark.parametrize("which", ["root", "programs"])
    def test_not_in_a_folder_that_others_may_replace(
        self, tmp_path: Path, mode: int, which: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = tmp_path / "root"
        folder = root / "programs" / "x"
        folder.mkdir(parents=True)
        shared = root if which == "root" else folder.parent
        shared.chmod(mode)
        monkeypatch.setattr(program_cache, "_is_own_group", lambda group: False)
        fault = program_cache._prepared(folder)
        if mode == 0o1777 and os.getuid() == 0:
            assert fault == ""  # root's own, as /tmp: others cannot exchange what is root's
        else:
            assert fault == f"other users may change {shared}, and programs are executable code"

    @pytest.mark.parametrize("which", ["store", "folder"])
    def test_not_behind_a_link_that_others_may_exchange(
        self, tmp_path: Path, which: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shared = tmp_path / "shared"
        (shared / "own").mkdir(parents=True)
        shared.chmod(0o777)
        (tmp_path / "link").symlink_to(shared / "own")
        name = "INTERTWINE_CACHE" if which == "store" else PROGRAMS
        monkeypatch.delenv(PROGRAMS, raising=False)
        monkeypatch.setenv(name, str(tmp_path / "link"))
        folder = program_cache._folder()
        assert folder is not None
        assert folder.is_relative_to(shared / "own")
        fault = program_cache._prepared(folder)
        assert fault == f"other users may change {shared}, and programs are executable code"

    def test_a_group_of_one_user_is_the_user(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o770)
        fault = program_cache._prepared(tmp_path / "programs")
        assert (fault == "") == program_cache._is_own_group(tmp_path.stat().st_gid)
        assert not program_cache._is_own_group(987654)

    def test_not_in_a_folder_of_another_user(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: user + 1)
        assert program_cache._others_may_change(tmp_path) == (user != 0)

    def test_not_on_a_disk_that_is_almost_full(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**8))
        fault = program_cache._prepared(tmp_path / "x")
        assert fault == f"the disk of {tmp_path / 'x'} is almost full"

    def test_a_file_in_its_place_is_no_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv(PROGRAMS, str(tmp_path / "file"))
        before = jax.config.jax_compilation_cache_dir
        with caplog.at_level(logging.INFO, "intertwine"):
            use_program_cache()
        assert jax.config.jax_compilation_cache_dir == before
        assert before is not None or "compiled programs are not kept" in caplog.text

    def test_incomplete_entries_of_killed_processes_are_deleted(self, tmp_path: Path) -> None:
        """JAX writes the time of the last use behind a program, and cannot evict without it."""
        names = ("whole-cache", "whole-atime", "half-cache", "now-cache")
        for name in names:
            (tmp_path / name).write_text("")
        old = time.time() - 3600
        for name in names[:-1]:
            os.utime(tmp_path / name, (old, old))
        assert program_cache._prepared(tmp_path) == ""
        left = sorted(path.name for path in tmp_path.iterdir())
        assert left == ["now-cache", "whole-atime", "whole-cache"]

    def test_each_kind_of_processor_has_its_own(self) -> None:
        assert len(program_cache._processor()) == 16
        assert program_cache._processor() == program_cache._processor()
