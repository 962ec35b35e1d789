"""A store for results that are expensive to compute: named by request, stored by content.

The store does not interpret its entries. The solver finds it through the entry point
`intertwine.store`.
"""

from intertwine_cache.manifest import Manifest
from intertwine_cache.place import default_place, default_store
from intertwine_cache.store import Store, require_room
from intertwine_cache.verification import Finding, verify

__all__ = [
    "Finding",
    "Manifest",
    "Store",
    "default_place",
    "default_store",
    "require_room",
    "verify",
]
