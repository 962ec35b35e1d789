"""A manifest is read back as it was written; nothing else is taken for one."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from helpers.example_stores import digest, key
from hypothesis import given
from hypothesis import strategies as st
from intertwine_cache import Manifest
from intertwine_cache.manifest import is_digest

KEY = key("T(3) of SO(3)")

texts = st.text(st.characters(codec="utf-8"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=8,
)
finite = st.floats(allow_nan=False, allow_infinity=False)
details = st.dictionaries(
    texts, st.recursive(st.none() | finite | texts, st.lists, max_leaves=4), max_size=4
)


def document(**changes: Any) -> dict[str, Any]:
    whole = json.loads(Manifest(KEY, digest(b""), 0, 1.5, {"rank": 3}).to_bytes())
    return {**whole, **changes}


@given(st.integers(0, 10**15), st.floats(0, 1e11), details)
def test_it_is_read_back_as_written(size: int, created: float, details: dict[str, Any]) -> None:
    manifest = Manifest(KEY, digest(b"bytes"), size, created, details)
    assert Manifest.from_bytes(KEY, manifest.to_bytes()) == manifest


def test_a_detail_that_utf8_cannot_hold_is_written_all_the_same() -> None:
    """A group may have any Python text for its name."""
    manifest = Manifest(KEY, digest(b""), 0, 0.0, {"group": "half a pair: \ud800"})
    assert Manifest.from_bytes(KEY, manifest.to_bytes()) == manifest


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_detail_that_json_cannot_hold_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Manifest(KEY, digest(b""), 0, 0.0, {"residual": number}).to_bytes()


@given(st.binary())
def test_arbitrary_bytes_are_no_manifest(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Manifest.from_bytes(KEY, content)


@given(json_values)
def test_arbitrary_json_is_no_manifest(value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Manifest.from_bytes(KEY, json.dumps(value).encode())


@given(st.sampled_from(sorted(document())), json_values)
def test_a_manifest_with_anything_in_place_of_an_entry_is_whole_or_refused(
    name: str, value: Any
) -> None:
    try:
        manifest = Manifest.from_bytes(KEY, json.dumps(document(**{name: value})).encode())
    except ValueError:
        return
    assert manifest.key == KEY
    assert is_digest(manifest.digest)
    assert type(manifest.size) is int
    assert math.isfinite(manifest.created)
    assert isinstance(manifest.details, dict)
    assert Manifest.from_bytes(KEY, manifest.to_bytes()) == manifest


def test_a_manifest_of_a_later_version_is_refused_by_its_version() -> None:
    later = json.dumps({"version": 2, "of": "another form"}).encode()
    with pytest.raises(ValueError, match=r"^version 2 is not 1$"):
        Manifest.from_bytes(KEY, later)


def test_a_manifest_of_another_key_is_refused() -> None:
    other = key("another")
    with pytest.raises(ValueError, match=f"a manifest of '{KEY}' stands under {other}"):
        Manifest.from_bytes(other, json.dumps(document()).encode())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
def test_a_time_that_no_clock_shows_is_refused(number: str) -> None:
    text = json.dumps(document(created=0)).replace('"created": 0', f'"created": {number}')
    with pytest.raises(ValueError, match="its size or time is no number"):
        Manifest.from_bytes(KEY, text.encode())


@pytest.mark.parametrize("size", [True, -1, 1.0, "1", None])
def test_a_size_that_no_file_has_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match="its size or time is no number"):
        Manifest.from_bytes(KEY, json.dumps(document(size=size)).encode())


@pytest.mark.parametrize(
    "text",
    ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", "\n" + "a" * 63, "ａ" * 64],
)
def test_only_64_small_hexadecimal_digits_are_a_digest(text: str) -> None:
    assert is_digest(KEY)
    assert not is_digest(text)


def whole_manifest() -> bytes:
    details = {"certificate": {"rank": 6, "residual": 2e-16, "notes": ["ρ"]}, "group": "SO(3)"}
    return Manifest(KEY, digest(b"bytes"), 4711, 1.7e9, details).to_bytes()


def test_a_flipped_bit_never_changes_what_a_manifest_says() -> None:
    content = whole_manifest()
    expected = Manifest.from_bytes(KEY, content)
    for position in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        with contextlib.suppress(ValueError):
            assert Manifest.from_bytes(KEY, bytes(flipped)) == expected, position


@pytest.mark.parametrize(
    "changes",
    [{"size": 4712}, {"digest": digest(b"others")}, {"details": {}}, {"created": 1.0}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_field_that_was_changed_does_not_have_the_checksum(changes: dict[str, Any]) -> None:
    changed = {**json.loads(whole_manifest()), **changes}
    with pytest.raises(ValueError, match="do not have its checksum"):
        Manifest.from_bytes(KEY, json.dumps(changed).encode())


def test_a_manifest_from_before_checksums_is_read() -> None:
    older = json.loads(whole_manifest())
    del older["checksum"]
    assert Manifest.from_bytes(KEY, json.dumps(older).encode()).size == 4711


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has the fields .*'checksun'"):
        Manifest.from_bytes(KEY, whole_manifest().replace(b"checksum", b"checksun"))


def test_details_with_keys_that_are_not_text_have_the_checksum_of_their_json() -> None:
    manifest = Manifest(KEY, digest(b""), 0, 0.0, {"counts": {10: 1, 9: 2}})
    assert Manifest.from_bytes(KEY, manifest.to_bytes()).details == {"counts": {"10": 1, "9": 2}}
