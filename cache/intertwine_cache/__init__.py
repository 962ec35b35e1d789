"""A store for results that are expensive to compute: named by request, stored by content.

The store does not interpret its entries. The solver finds it through the entry point
`intertwine.store`.
"""

from intertwine_cache.chain import Chain
from intertwine_cache.credentials import forget_key, keep_key, service_key
from intertwine_cache.manifest import Manifest
from intertwine_cache.place import (
    Places,
    default_keyring,
    default_place,
    default_places,
    default_store,
    far_tiers,
    open_store,
    open_store_at,
    trust,
)
from intertwine_cache.signing import SIGNING_KEY, Keyring, fingerprint
from intertwine_cache.store import Store, require_room
from intertwine_cache.tiers.statistics import TierStatistics, read_statistics
from intertwine_cache.verification import Finding, verify

__all__ = [
    "SIGNING_KEY",
    "Chain",
    "Finding",
    "Keyring",
    "Manifest",
    "Places",
    "Store",
    "TierStatistics",
    "default_keyring",
    "default_place",
    "default_places",
    "default_store",
    "far_tiers",
    "fingerprint",
    "forget_key",
    "keep_key",
    "open_store",
    "open_store_at",
    "read_statistics",
    "require_room",
    "service_key",
    "trust",
    "verify",
]
