"""The index of the store's entries: what it lists, and what it reads again."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.example_stores import age, key, publish
from intertwine_api.server.store_index import Shrinkage, StoreIndex
from intertwine_cache import Manifest, Store

#: Entries by name, in the order of their last use, with their sizes.
SIZES = {"a": 30, "b": 10, "c": 50, "d": 20}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    for number, (name, size) in enumerate(SIZES.items()):
        publish(store, name, name.encode() * size, canonical=f"V^{name}", group="SO(3)")
        age(store.layout.manifest(key(name)), 3600 * (10 - number))
    return store


def names(keys: list[str]) -> str:
    """The names of entries with these keys."""
    return "".join({key(name): name for name in SIZES}[each] for each in keys)


def test_the_entries_are_those_of_the_store(store: Store) -> None:
    contents = StoreIndex(store).read()
    assert [entry.key for entry in contents.entries] == [each.key for each in store.manifests()]
    assert sum(entry.bytes for entry in contents.entries) == store.statistics()["bytes"]
    assert contents.is_whole
    assert names([entry.key for entry in contents.largest(3)]) == "cad"
    assert names([entry.key for entry in contents.least_used(3)]) == "abc"


@pytest.mark.parametrize(
    ("text", "found"), [("v^A", "a"), ("so(3)", "abcd"), ("V^a SO", "a"), ("^", "abcd"), (".*", "")]
)
def test_a_search_finds_parts_of_reps_and_groups(store: Store, text: str, found: str) -> None:
    contents = StoreIndex(store).read()
    assert sorted(names([entry.key for entry in contents.matching(text)])) == list(found)


@pytest.mark.parametrize("limit", [0, 20, 69, 70, 79, 80, 109, 110, 10**6])
def test_it_foretells_what_shrinking_deletes(store: Store, limit: int) -> None:
    publish(store, "e", b"a" * 30)  # the same blob as that of "a", used last
    foretold = StoreIndex(store).read().shrinkage(limit)
    before = store.statistics()
    freed = store.shrink(limit)
    after = store.statistics()
    assert foretold == Shrinkage(before["entries"] - after["entries"], freed)
    assert freed == before["bytes"] - after["bytes"]


def test_only_entries_that_were_used_are_read_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def manifest(self: Store, key: str) -> Manifest | None:
        read.append(key)
        return original(self, key)

    original = Store.manifest
    monkeypatch.setattr(Store, "manifest", manifest)
    index = StoreIndex(store)
    index.read()
    assert sorted(names(read)) == list("abcd")
    read.clear()
    index.read()
    assert read == []
    assert store.read(key("b")) is not None
    read.clear()
    assert names([entry.key for entry in index.read().least_used(4)]) == "acdb"
    assert names(read) == "b"


def test_deleted_and_invalid_entries_are_left_out(store: Store) -> None:
    index = StoreIndex(store)
    index.read()
    store.remove(key("a"))
    store.layout.manifest(key("b")).write_bytes(b"[]")
    assert sorted(names([entry.key for entry in index.read().entries])) == ["c", "d"]
    store.clear()
    assert index.read().entries == ()


@pytest.mark.parametrize(("most", "is_whole"), [(3, False), (4, True)])
def test_it_says_whether_it_has_all_entries(store: Store, most: int, is_whole: bool) -> None:
    contents = StoreIndex(store, most).read()
    assert len(contents.entries) == most
    assert contents.is_whole == is_whole


def test_names_of_other_types_and_long_names_are_searched_in_part(store: Store) -> None:
    publish(store, "odd", b"o", canonical="x" * 1000, group=["y"])
    contents = StoreIndex(store).read()
    (entry,) = contents.matching("xxx")
    assert entry.text == "x" * 400
    assert list(contents.matching("y")) == []
