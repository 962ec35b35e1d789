"""A process killed before or after any step leaves a store that serves nothing false.

Its children are real processes and end by SIGKILL; see `killed.py` for how the steps are found.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.example_stores import (
    age,
    content,
    digest,
    faults,
    flip,
    key,
    overwrite,
    publish,
    quarantined,
)
from intertwine_cache import Store
from intertwine_cache.eviction import ABANDONED, remove_abandoned

CONTENT = b"head" * 16 + b"data" * 5000 + b"tail"
PROGRAM = Path(__file__).with_name("killed.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@dataclass(frozen=True)
class Child:
    """What a killed process left: its store, and the step that it was killed before or after."""

    store: Store
    step: str
    number: int
    how: str

    def __str__(self) -> str:
        return f"{self.how} step {self.number}, {self.step}"


def kill(folder: Path, act: str, *hows: str) -> tuple[list[str], list[Child]]:
    """The steps of an act on the store in the folder, and what each child left there."""
    done = subprocess.run(
        [sys.executable, PROGRAM, folder, act, *hows], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    steps = said["steps"]
    children = [
        Child(Store(Path(root)), steps[number], number, how)
        for root, number, how in said["children"]
    ]
    assert len(children) == (len(hows) or 2) * len(steps) > 0
    return steps, children


def check_it_serves_nothing_false(child: Child, known: dict[str, bytes]) -> None:
    """Each key has its content or nothing, and the next publish of each succeeds."""
    for name, whole in known.items():
        assert content(child.store, name) in (None, whole), child
    for manifest in child.store.manifests():
        whole = next(whole for name, whole in known.items() if key(name) == manifest.key)
        assert manifest.digest == digest(whole), child
    for name, whole in known.items():
        publish(child.store, name, whole)
        assert content(child.store, name) == whole, child
    assert faults(child.store) == {}, child


def empty(store: Store) -> None:
    """Nothing is there yet, not even the folder."""


def beside_another(store: Store) -> None:
    """Another key has another content."""
    publish(store, "b", b"another")


def with_the_same_bytes(store: Store) -> None:
    """Another key has the same content, so that the blob is replaced by itself."""
    publish(store, "b", CONTENT)


def taken(store: Store) -> None:
    """The key was published already."""
    publish(store, "a", CONTENT)


def with_a_blob_of_nobody(store: Store) -> None:
    """An earlier publisher was killed between blob and manifest."""
    publish(store, "a", CONTENT)
    store.layout.manifest(key("a")).unlink()


PLACES = [
    beside_another,
    pytest.param(empty, marks=pytest.mark.slow),
    pytest.param(with_the_same_bytes, marks=pytest.mark.slow),
    pytest.param(taken, marks=pytest.mark.slow),
    pytest.param(with_a_blob_of_nobody, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("prepare", PLACES, ids=lambda prepare: prepare.__name__)
def test_a_publisher_killed_at_any_step(
    prepare: Callable[[Store], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = Store(tmp_path / "store")
    prepare(before)
    known = {"a": CONTENT} | ({"b": content(before, "b") or b""} if "b" in _names(before) else {})
    steps, children = kill(tmp_path, "publish")
    for kind in ("write", "sync_file", "rename", "link", "sync_folder"):
        assert f"disk.{kind}" in steps
    named = False
    for child in children:
        assert faults(child.store) == {}, child
        for name in _names(before):
            assert content(child.store, name) == known[name], child
        # what is there once is there after every later step
        named = named or (child.step == "os.link" and child.how == "after")
        if named:
            assert content(child.store, "a") == CONTENT, child
        assert quarantined(child.store) == {}, child
        check_it_serves_nothing_false(child, known)
        _check_nothing_stays_behind(child, known)
    assert named
    assert caplog.messages == []  # whoever comes next finds the entry or a miss, and no complaint


@pytest.fixture(scope="module")
def publishers(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[Child]]:
    return kill(tmp_path_factory.mktemp("publishers"), "publish")


def test_a_name_is_given_only_to_what_is_on_the_disk(
    publishers: tuple[list[str], list[Child]],
) -> None:
    """The blob's bytes, its name, then the manifest's bytes, its name: each waits for the last.

    A kill does not lose what was written and not synced, but a power failure does.
    """
    steps, _ = publishers
    disk = [step.removeprefix("disk.") for step in steps if step.startswith("disk.")]
    order = [step for step in disk if step not in ("make_folder", "put_new")]
    blob = order[: order.index("rename")]
    assert blob.count("write") == 3  # as many as the publisher wrote
    assert "sync_file" in blob[blob[::-1].index("write") * -1 :]
    after = order[order.index("rename") :]
    assert after.index("sync_folder") < after.index("write")
    manifest = [step for step in after[after.index("write") :] if step != "sync_folder"]
    assert manifest == ["write", "sync_file", "link"]
    assert after[-1] == "sync_folder"


def test_a_reader_killed_at_any_step_of_putting_aside(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    publish(store, "a", CONTENT)
    publish(store, "b", b"another")
    flip(store.layout.blob(digest(CONTENT)))
    steps, children = kill(tmp_path, "read")
    assert "os.replace" in steps
    for child in children:
        assert content(child.store, "a") is None, child
        assert content(child.store, "b") == b"another", child
        check_it_serves_nothing_false(child, {"a": CONTENT, "b": b"another"})


@pytest.mark.parametrize("act", ["remove", "clear", "evict", "reject"])
def test_a_deleter_killed_at_any_step(act: str, tmp_path: Path) -> None:
    """A manifest goes before its blob: never is there a name without its bytes."""
    store = Store(tmp_path / "store")
    publish(store, "a", CONTENT)
    publish(store, "b", b"another")
    publish(store, "c", CONTENT)
    for number, name in enumerate("acb"):
        age(store.layout.manifest(key(name)), 3600 * (10 - number))
    steps, children = kill(tmp_path, act)
    assert "os.unlink" in steps or "os.replace" in steps
    for child in children:
        if act != "reject":
            assert faults(child.store) == {}, child
        check_it_serves_nothing_false(child, {"a": CONTENT, "b": b"another", "c": CONTENT})


def test_a_repair_killed_at_any_step(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for name in "abcd":
        publish(store, name, CONTENT if name == "a" else name.encode())
    flip(store.layout.blob(digest(CONTENT)))
    overwrite(store.layout.manifest(key("b")), b"{}")
    store.layout.blob(digest(b"c")).unlink()
    _, children = kill(tmp_path, "repair")
    for child in children:
        assert content(child.store, "d") == b"d", child
        known = {"a": CONTENT, "b": b"b", "c": b"c", "d": b"d"}
        check_it_serves_nothing_false(child, known)


def test_half_a_temporary_file_is_never_taken_for_anything(
    publishers: tuple[list[str], list[Child]],
) -> None:
    """Some child was killed with part of the blob written, under no name but a temporary one."""
    _, children = publishers
    sizes = {
        path.stat().st_size
        for child in children
        for path in child.store.layout.temporaries.glob("*")
    }
    assert any(0 < size < len(CONTENT) for size in sizes)
    whole = {digest(CONTENT)}
    for child in children:
        assert {path.name for path in child.store.layout.all_blobs()} <= whole, child
        assert all(
            hashlib.sha256(path.read_bytes()).hexdigest() == path.name
            for path in child.store.layout.all_blobs()
        )


@pytest.mark.slow
@pytest.mark.parametrize("act", ["publish", "read", "reject", "remove", "clear", "evict", "repair"])
def test_a_disk_that_fills_at_any_step_raises_no_error(act: str, tmp_path: Path) -> None:
    """No step's failure reaches the caller: the child would end otherwise."""
    store = Store(tmp_path / "store")
    publish(store, "b", b"another")
    publish(store, "c", CONTENT)
    if act in ("read", "reject", "remove", "repair"):
        publish(store, "a", CONTENT)
    if act in ("read", "repair"):
        flip(store.layout.blob(digest(CONTENT)))
    _, children = kill(tmp_path, act, "fail")
    for child in children:
        check_it_serves_nothing_false(child, {"a": CONTENT, "b": b"another", "c": CONTENT})


def _names(store: Store) -> str:
    return "".join(name for name in "ab" if store.manifest(key(name)) is not None)


def _check_nothing_stays_behind(child: Child, known: dict[str, bytes]) -> None:
    """When what the killed process left is old, it goes, and nothing else does."""
    layout = child.store.layout
    for path in (*layout.temporaries.glob("*"), *layout.all_blobs()):
        age(path, ABANDONED + 60)
    remove_abandoned(layout)
    assert list(layout.temporaries.glob("*")) == [], child
    assert {path.name for path in layout.all_blobs()} == set(map(digest, known.values())), child
    for name, whole in known.items():
        assert content(child.store, name) == whole, child
