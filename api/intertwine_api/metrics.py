"""What the service counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """Counters of one app, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "intertwine_requests",
            "Requests answered, by route and status",
            ["route", "status"],
            registry=self.registry,
        )
        self.solves = Counter(
            "intertwine_solves",
            "Solves ended: solved here, joined with another process's, or failed",
            ["outcome"],
            registry=self.registry,
        )
        self.solve_seconds = Histogram(
            "intertwine_solve_seconds",
            "Seconds from a request for a solve to its end",
            buckets=(0.01, 0.1, 1, 10, 60, 600),
            registry=self.registry,
        )
        self.lookups = Counter(
            "intertwine_cache_lookups",
            "Looks for a basis, by the level that had it",
            ["level"],
            registry=self.registry,
        )
        self.queue = Gauge("intertwine_queue", "Solves waiting or running", registry=self.registry)
        self.bytes_sent = Counter(
            "intertwine_blob_bytes", "Bytes of blobs sent", registry=self.registry
        )
        self.store_bytes = Gauge(
            "intertwine_store_bytes", "Bytes of blobs in the store", registry=self.registry
        )
