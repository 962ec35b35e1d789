"""Signatures of manifests: who vouches that a basis is complete.

A signature is ed25519 (Bernstein et al. 2012) over the manifest without it, as canonical JSON. It
is in the details of the manifest, so that versions without signatures read signed manifests too.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from intertwine_cache.manifest import Manifest

SIGNING_KEY = "signing-key"
"""The usual name of the file with a secret key."""
_FIELD = "signature"
_SECRET_BYTES = 32


class Keyring:
    """The public keys that a process trusts, in base64, and the secret key that it signs with.

    The secret key is in the file `own`, created at the first signature. Its public key is trusted.
    """

    def __init__(self, own: Path, trusted: Iterable[str] = ()) -> None:
        self._own, self._trusted = own, frozenset(_checked(key) for key in trusted)

    @cached_property
    def public_key(self) -> str:
        """The public key of this keyring's signatures."""
        return _public(_secret_key(_read_or_create(self._own)))

    def trusts(self, manifest: Manifest) -> bool:
        """Return whether a trusted key has signed a manifest."""
        signer = signer_of(manifest)
        return signer is not None and (signer in self._trusted or self._is_own(signer))

    def sign(self, manifest: Manifest) -> Manifest:
        """Return the manifest with a signature. Signed ones stay as they are."""
        return manifest if signer_of(manifest) is not None else self.vouch_for(manifest)

    def vouch_for(self, manifest: Manifest) -> Manifest:
        """Return the manifest with the signature of this keyring, instead of any other."""
        secret = _secret_key(_read_or_create(self._own))
        plain = _without_signature(manifest)
        signature = {"key": _public(secret), "value": _text(secret.sign(_message(plain)))}
        return replace(plain, details={**plain.details, _FIELD: signature})

    def _is_own(self, signer: str) -> bool:
        return self._own.exists() and signer == self.public_key


def signer_of(manifest: Manifest) -> str | None:
    """Return the public key whose signature a manifest has; None without a valid one."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    signature: Any = manifest.details.get(_FIELD)
    try:
        key, value = signature["key"], signature["value"]
        public = Ed25519PublicKey.from_public_bytes(_bytes(key))
        public.verify(_bytes(value), _message(_without_signature(manifest)))
    except (InvalidSignature, TypeError, KeyError, ValueError):
        return None
    return str(key)


def fingerprint(public_key: str) -> str:
    """Return a public key for people to compare: its bytes in hexadecimal, in groups of four."""
    digits = _bytes(public_key).hex()
    return " ".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def _without_signature(manifest: Manifest) -> Manifest:
    details = {name: value for name, value in manifest.details.items() if name != _FIELD}
    return replace(manifest, details=details)


def _message(manifest: Manifest) -> bytes:
    fields = [manifest.key, manifest.digest, manifest.size, manifest.created, manifest.details]
    return json.dumps(["intertwine manifest", *fields], sort_keys=True, allow_nan=False).encode()


def _checked(key: str) -> str:
    """Return a public key in base64 in its usual form. Raises `ValueError` for anything else."""
    try:
        content = _bytes(key)
    except ValueError:
        content = b""
    if len(content) != _SECRET_BYTES:
        raise ValueError(f"{key!r} is not a public key: give 32 bytes in base64")
    return _text(content)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError, AttributeError) as error:
        raise ValueError(f"{text!r} is not base64") from error


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _secret_key(secret: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(secret)


def _public(secret: Any) -> str:
    return _text(secret.public_key().public_bytes_raw())


def _read_or_create(path: Path) -> bytes:
    """Return the secret key in a file, created with a new one if it does not exist.

    Only its owner may read it. Raises `ValueError` if it is not a secret key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(os.urandom(_SECRET_BYTES).hex() + "\n")
        try:
            path.hardlink_to(new)
        except FileExistsError:
            pass  # another process was faster, and its key is read
        finally:
            new.unlink(missing_ok=True)
    try:
        secret = bytes.fromhex(path.read_text("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != _SECRET_BYTES:
        raise ValueError(f"{path} does not have a secret key: move it away, and a new one is made")
    return secret
