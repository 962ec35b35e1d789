"""The far tiers of a store: other folders, object stores, services and web folders.

All have the same layout of files below a root, which any file server can serve::

    manifests/ab/<key>.json
    blobs/ab/<digest>

A tier transfers bytes and does not check them; its readers do.
"""
