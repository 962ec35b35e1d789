"""The metrics of the service, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.samples import Sample

from intertwine_api.work.gpu_usage import GpuUsage

_SOLVE_BUCKETS = (0.01, 0.1, 1, 10, 60, 600)


class ServiceMetrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, namespace="intertwine", registry=self.registry)
        gauge = partial(Gauge, namespace="intertwine", registry=self.registry)
        histogram = partial(Histogram, namespace="intertwine", registry=self.registry)
        self.requests = counter(
            "requests", "Requests answered, by route and status", ["route", "status"]
        )
        self.request_seconds = histogram(
            "request_seconds",
            "Seconds from a request to the end of its response, by route",
            ["route"],
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60),
        )
        self.auth_failures = counter(
            "auth_failures", "Requests without a valid key where one is required"
        )
        self.solves = counter(
            "solves",
            "Solves ended: solved here, joined with another process's, checked, or failed",
            ["outcome"],
        )
        self.solve_seconds = histogram(
            "solve_seconds",
            "Seconds from a request for a solve to its end",
            buckets=_SOLVE_BUCKETS,
        )
        self.solve_wait_seconds = histogram(
            "solve_wait_seconds",
            "Seconds that a solve waited for a worker, by method",
            ["method"],
            buckets=_SOLVE_BUCKETS,
        )
        self.solve_run_seconds = histogram(
            "solve_run_seconds",
            "Seconds that a worker spent on a solve, by method",
            ["method"],
            buckets=_SOLVE_BUCKETS,
        )
        self.lookups = counter(
            "cache_lookups",
            "Lookups of bases, by the level that had the basis: disk, memory, or a solve in flight",
            ["level"],
        )
        self.queue = gauge("queue", "Solves waiting or running")
        self.jobs = gauge("jobs", "Jobs in the database, by kind and state", ["kind", "state"])
        self.oldest_queued = gauge(
            "jobs_oldest_queued_seconds", "Seconds that the oldest queued job has waited"
        )
        self.owner_bytes = gauge(
            "owner_bytes", "Bytes of datasets and of models, by owner", ["owner", "kind"]
        )
        self.disk_free = gauge("disk_free_bytes", "Free bytes of the disk of a folder", ["folder"])
        self.gpu_used = gauge("gpu_memory_used_bytes", "Memory in use of a GPU", ["device"])
        self.gpu_total = gauge("gpu_memory_bytes", "Memory of a GPU", ["device"])
        self.gpu_utilization = gauge(
            "gpu_utilization_ratio", "The part of the time in which a GPU computes", ["device"]
        )
        self.bytes_sent = counter("blob_bytes", "Bytes of blobs sent")
        self.store_bytes = gauge("store_bytes", "Bytes of blobs in the store")
        self.forward_seconds = histogram(
            "forward_seconds",
            "Seconds from a call of a model to its outputs",
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1, 10),
        )
        self.forward_batch_rows = histogram(
            "forward_batch_rows",
            "Rows that were computed together; their sum is the rows in all",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        )
        self.forward_queue = gauge("forward_queue_rows", "Rows that wait for a model")
        self.models_in_memory = gauge("models_in_memory", "Models that are ready, or being loaded")
        self.model_memory = gauge("model_memory_bytes", "Bytes of the models in memory, estimated")

    def lookup_counts(self) -> dict[str, int]:
        """Return the lookups of bases since this process started, by level (see `lookups`)."""
        return {sample.labels["level"]: int(sample.value) for sample in _totals(self.lookups)}

    def bytes_of_blobs_sent(self) -> int:
        """Return the bytes of blobs that this process has sent."""
        return sum(int(sample.value) for sample in _totals(self.bytes_sent))

    def show_gpus(self, found: Mapping[str, GpuUsage]) -> None:
        """Set the metrics of GPUs. Devices and values that are unknown have none."""
        for metric, values in (
            (self.gpu_used, {device: usage.used for device, usage in found.items()}),
            (self.gpu_total, {device: usage.total for device, usage in found.items()}),
            (self.gpu_utilization, {device: usage.utilization for device, usage in found.items()}),
        ):
            metric.clear()
            for device, value in values.items():
                if value is not None:
                    metric.labels(device).set(value)


def _totals(counter: Counter) -> Iterator[Sample]:
    """Yield the values of a counter, without the times when it was created."""
    for metric in counter.collect():
        yield from (sample for sample in metric.samples if sample.name.endswith("_total"))
