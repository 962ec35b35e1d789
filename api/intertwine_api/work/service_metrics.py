"""The metrics of the service, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class ServiceMetrics:
    """The metrics of one application, in a registry of its own."""

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
        self.jobs = Gauge(
            "intertwine_jobs",
            "Jobs in the database, by kind and state",
            ["kind", "state"],
            registry=self.registry,
        )
        self.bytes_sent = Counter(
            "intertwine_blob_bytes", "Bytes of blobs sent", registry=self.registry
        )
        self.store_bytes = Gauge(
            "intertwine_store_bytes", "Bytes of blobs in the store", registry=self.registry
        )
        self.forward_seconds = Histogram(
            "intertwine_forward_seconds",
            "Seconds from a call of a model to its outputs",
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1, 10),
            registry=self.registry,
        )
        self.forward_batch_rows = Histogram(
            "intertwine_forward_batch_rows",
            "Rows that were computed together; their sum is the rows in all",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self.forward_queue = Gauge(
            "intertwine_forward_queue_rows", "Rows that wait for a model", registry=self.registry
        )
        self.models_in_memory = Gauge(
            "intertwine_models_in_memory",
            "Models that are ready, or being loaded",
            registry=self.registry,
        )
