"""Names become paths below the root, and no name becomes any other path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.example_stores import digest, key
from hypothesis import given
from hypothesis import strategies as st
from intertwine_cache.layout import Layout
from intertwine_cache.manifest import is_digest

KEY = key("T(3) of SO(3)")
LAYOUT = Layout(Path("root"))
NAMED = {
    "manifest": LAYOUT.manifest,
    "blob": LAYOUT.blob,
    "lock": LAYOUT.lock,
    "checked": LAYOUT.checked,
}
each = pytest.mark.parametrize("path_of", NAMED.values(), ids=NAMED.keys())

TRICKS = [
    "",
    ".",
    "..",
    "../../../../etc/passwd",
    "/etc/passwd",
    "..\\..\\windows",
    KEY + "/../../x",
    "../" + KEY[:61],
    KEY[:63] + "/",
    KEY[:63] + "\0",
    KEY + "\n",
    KEY.upper(),
    KEY + ".json",
    "%2e%2e%2f" + KEY[:55],
    "CON",
    "~" + KEY[1:],
    "٣" * 64,  # digits, but not ours
]


@each
@pytest.mark.parametrize("name", TRICKS)
def test_what_is_no_sha256_never_becomes_a_path(path_of, name: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="is no sha256 in hexadecimal") as raised:
        path_of(name)
    assert repr(name) in str(raised.value)


@each
@given(name=st.text())
def test_no_text_leads_out_of_the_root(path_of, name: str) -> None:  # type: ignore[no-untyped-def]
    try:
        path = path_of(name)
    except ValueError:
        assert not is_digest(name)
        return
    assert os.path.normpath(path) == str(path)
    assert path.is_relative_to("root")


@each
@given(name=st.binary().map(digest), other=st.binary().map(digest))
def test_different_names_have_different_paths_below_the_root(path_of, name, other) -> None:  # type: ignore[no-untyped-def]
    assert path_of(name).is_relative_to("root")
    assert (path_of(name) == path_of(other)) == (name == other)


def test_the_four_kinds_of_file_never_meet() -> None:
    assert len({path_of(KEY) for path_of in NAMED.values()}) == len(NAMED)


def test_every_temporary_name_is_new() -> None:
    names = {LAYOUT.temporary() for _ in range(1000)}
    assert len(names) == 1000
    assert {name.parent for name in names} == {LAYOUT.temporaries}


def test_the_root_is_marked_as_a_cache_for_backup_programs(tmp_path: Path) -> None:
    """By the convention of bford.info/cachedir, the first 43 bytes are fixed."""
    Layout(tmp_path / "store").create()
    tag = (tmp_path / "store" / "CACHEDIR.TAG").read_bytes()
    assert tag.startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")


def test_making_the_folders_again_changes_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.create()
    before = sorted(tmp_path.rglob("*"))
    (tmp_path / "CACHEDIR.TAG").write_text("mine")
    layout.create()
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "CACHEDIR.TAG").read_text() == "mine"


def test_listing_gives_what_has_the_right_name_and_nothing_else(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.create()
    for path in (
        layout.blob(KEY),
        layout.blobs / "ab" / "notes.txt",
        layout.blobs / KEY,
        layout.manifest(KEY),
        layout.manifests / KEY[:2] / "readme.json",
        layout.manifests / KEY[:2] / f"{key('other')}.json~",
    ):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert list(layout.all_blobs()) == [layout.blob(KEY)]
    assert list(layout.all_manifests()) == [layout.manifest(KEY)]


def test_listing_a_store_that_is_not_there_gives_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "none")
    assert list(layout.all_blobs()) == list(layout.all_manifests()) == []
