"""Signatures of manifests: of trusted keys, and of what was signed, to the last bit."""

from __future__ import annotations

import dataclasses
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from helpers.example_stores import digest, key
from intertwine_cache import Keyring, Manifest, fingerprint
from intertwine_cache.signing import signer_of

MANIFEST = Manifest(key("a"), digest(b"a"), 7, 1.5, {"rank": 3, "certificate": {"residual": 1e-16}})


@pytest.fixture
def ours(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "theirs")


def test_a_signature_counts_for_those_who_trust_its_key(
    tmp_path: Path, ours: Keyring, theirs: Keyring
) -> None:
    signed = theirs.sign(MANIFEST)
    assert signer_of(signed) == theirs.public_key
    assert theirs.trusts(signed)
    assert not ours.trusts(signed)
    assert not ours.trusts(MANIFEST)
    assert Keyring(tmp_path / "third", [theirs.public_key]).trusts(signed)


def test_it_survives_the_file_and_readers_without_signatures_see_a_manifest(ours: Keyring) -> None:
    signed = ours.sign(MANIFEST)
    again = Manifest.from_bytes(signed.key, signed.to_bytes())
    assert again == signed
    assert ours.trusts(again)
    assert {**again.details, "signature": None} == {**MANIFEST.details, "signature": None}


def test_a_signed_manifest_keeps_its_signature(ours: Keyring, theirs: Keyring) -> None:
    signed = theirs.sign(MANIFEST)
    assert ours.sign(signed) == signed


@pytest.mark.parametrize(
    "changed",
    [
        {"key": key("b")},
        {"digest": digest(b"b")},
        {"size": 8},
        {"created": 2.0},
    ],
    ids=["key", "digest", "size", "created"],
)
def test_a_changed_manifest_is_not_signed(ours: Keyring, changed: dict[str, Any]) -> None:
    assert signer_of(dataclasses.replace(ours.sign(MANIFEST), **changed)) is None


def test_neither_is_one_with_changed_details(ours: Keyring) -> None:
    signed = ours.sign(MANIFEST)
    changed = dataclasses.replace(signed, details={**signed.details, "rank": 4})
    assert signer_of(changed) is None
    assert ours.trusts(ours.sign(changed))  # signed anew


@pytest.mark.parametrize(
    "signature",
    [
        None,
        {},
        [],
        "x",
        {"key": "", "value": ""},
        {"key": 3, "value": 4},
        {"key": "é", "value": "é"},
        {"key": "A" * 44, "value": "A" * 88},
        {"key": [], "value": {}},
    ],
)
def test_what_is_no_signature_is_none(ours: Keyring, signature: Any) -> None:
    details = {**MANIFEST.details, "signature": signature}
    assert signer_of(dataclasses.replace(MANIFEST, details=details)) is None


def test_the_signature_of_one_key_is_not_that_of_another(ours: Keyring, theirs: Keyring) -> None:
    signed = theirs.sign(MANIFEST)
    forged = {**signed.details["signature"], "key": ours.public_key}
    details = {**signed.details, "signature": forged}
    assert not ours.trusts(dataclasses.replace(signed, details=details))


def test_the_secret_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "key"
    keyring = Keyring(path)
    assert not keyring.trusts(MANIFEST)
    assert not path.exists()  # nothing is made before there is something to sign
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(Keyring(path).public_key)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {keyring.public_key}
    assert len(found) == 8
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "no key", "ab" * 31, "ab" * 33])
def test_a_file_that_is_no_key_is_refused_with_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(ValueError, match="does not have a secret key: move it away"):
        Keyring(path).sign(MANIFEST)


@pytest.mark.parametrize("text", ["", "abc", "é" * 44, "A" * 40, "A" * 48])
def test_what_is_no_public_key_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="is not a public key: give 32 bytes in base64"):
        Keyring(tmp_path / "key", [text])


def test_a_fingerprint_is_the_key_for_people(ours: Keyring) -> None:
    groups = fingerprint(ours.public_key).split()
    assert [len(group) for group in groups] == [4] * 16
