"""Which tiers have an entry, and whose signature it has there."""

from __future__ import annotations

from dataclasses import dataclass

from intertwine_cache.manifest import Manifest
from intertwine_cache.signing import Keyring, fingerprint, signer_of
from intertwine_cache.store import Store
from intertwine_cache.tiers.tier import Tier, TierError


@dataclass(frozen=True)
class TierAnswer:
    """What a tier says about a key: its state in words, and the reason if there is one.

    `manifest` is that of the entry; None if the tier has no usable one. `signer` is the fingerprint
    of the key that signed it.
    """

    tier: str
    state: str
    reason: str = ""
    manifest: Manifest | None = None
    signer: str | None = None
    is_trusted: bool = False


def ask_near(near: Store, key: str, keyring: Keyring) -> TierAnswer:
    """Return what the near store says. It verifies the blob, and the entry counts as used.

    The reason is why an entry of the key was quarantined.
    """
    found = near.read(key)
    if found is not None:
        return _having(near.name, found[0], keyring)
    reason = near.layout.quarantine / f"{key}.json.reason"
    said = reason.read_text("utf-8").strip() if reason.exists() else ""
    return TierAnswer(near.name, "does not have it", said)


def ask_far(tier: Tier, key: str, keyring: Keyring) -> TierAnswer:
    """Return what a far tier says, or why it cannot be asked."""
    try:
        found = tier.manifest(key)
    except TierError as error:
        return TierAnswer(tier.address, "cannot be reached", str(error))
    except ValueError as error:
        return TierAnswer(tier.address, "has an invalid manifest", str(error))
    if found is None:
        return TierAnswer(tier.address, "does not have it")
    return _having(tier.address, found, keyring)


def signer_fingerprint(manifest: Manifest) -> str | None:
    """Return the fingerprint of the key that signed a manifest; None without a valid signature."""
    signer = signer_of(manifest)
    return None if signer is None else fingerprint(signer)


def _having(tier: str, manifest: Manifest, keyring: Keyring) -> TierAnswer:
    return TierAnswer(
        tier,
        "has it",
        manifest=manifest,
        signer=signer_fingerprint(manifest),
        is_trusted=keyring.trusts(manifest),
    )
