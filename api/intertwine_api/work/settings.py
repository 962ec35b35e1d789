"""The settings of the service, each an environment variable ``INTERTWINE_…``."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from intertwine.errors import InvalidSetting
from intertwine_cache import Store, default_place, default_store, far_tiers
from intertwine_cache.place import default_limit
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from intertwine_api.storage.bucket import require_bucket_address
from intertwine_api.storage.objects import CACHE_BYTES, Objects, open_objects
from intertwine_api.work.job_log import LOG_BYTES, TAIL_BYTES

_HOST = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[?[0-9a-f:.]+\]?")


class Settings(BaseSettings):
    """The settings of the service; every field is read from ``INTERTWINE_`` and its name."""

    model_config = SettingsConfigDict(
        env_prefix="INTERTWINE_", extra="ignore", use_attribute_docstrings=True
    )

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=8000, ge=0, le=65535)
    """The port to listen on; 0 picks a free one."""
    data: Path | None = None
    """The folder of the service's data; its store is `cache` in there."""
    allow_unauthenticated: bool = False
    """Listen on non-loopback addresses without authentication."""
    require_keys: bool = False
    """Require keys even if the database has none, as when its volume is not mounted."""
    log_format: Literal["text", "json"] = "text"
    """The format of the log on standard error: `text`, or `json` with one object per line."""
    access_log: bool = False
    """Log every request, with its id, key, owner, route, status and duration."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """The host names that the service answers to, besides loopback names; comma-separated."""
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """The origins of web pages that may call the service, besides its own; comma-separated."""
    workers: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 2), ge=1, le=256)
    """Processes that solve, each one basis at a time."""
    queue: int = Field(default=64, ge=1)
    """Solves that may wait for a worker; more are refused."""
    solve_seconds: float = Field(default=600.0, gt=0)
    """The most seconds of a solve that is not a job."""
    solve_memory: int = Field(default=4 * 10**9, ge=2 * 10**8)
    """The bytes of memory that one solve may take; the process starts with some 200 MB."""
    solve_operations: float = Field(default=1e14, gt=0)
    """The most estimated operations of a solve; larger ones are refused."""
    decompose_operations: float = Field(default=1e12, gt=0)
    """The estimated operations above which a decomposition or search for polynomials is refused."""
    group_entries: int = Field(default=10**6, ge=1)
    """The most matrix entries of the generators of a group in a request."""
    short_seconds: float = Field(default=2.0, gt=0)
    """Seconds of the short turn that a small solve gets at an extra worker if all are in use."""
    wait_seconds: float = Field(default=10.0, ge=0)
    """Seconds that a request waits for its solve by default."""
    wait_most: float = Field(default=60.0, ge=0)
    """The most seconds that a request may wait."""
    json_bytes: int = Field(default=2 * 2**20, gt=0)
    """The largest request body of JSON, in bytes."""
    body_bytes: int = Field(default=32 * 2**20, gt=0)
    """The largest request body of safetensors, in bytes."""
    bodies_bytes: int = Field(default=2**27, gt=0)
    """Bytes of request bodies that are in memory at once; more are refused."""
    key_bodies_bytes: int = Field(default=2**26, gt=0)
    """Bytes of request bodies of one API key that are in memory at once."""
    replies_bytes: int = Field(default=2**28, gt=0)
    """Bytes of large responses that are in memory at once; more are refused."""
    key_replies_bytes: int = Field(default=2**26, gt=0)
    """Bytes of large responses to one API key that are in memory at once."""
    connections: int = Field(default=4096, ge=1)
    """Open connections, but at most half of the files that the process may open."""
    stall_seconds: float = Field(default=60.0, gt=0)
    """Seconds in which a client must send or accept 64 KB, or the rest, to stay connected."""
    dense_bytes: int = Field(default=256 * 2**20, gt=0)
    """The largest dense matrix that is sent, in bytes."""
    unkept_bytes: int = Field(default=64 * 2**20, ge=0)
    """The largest basis, in bytes, that is served from memory if the store cannot keep it."""
    root_path: str = ""
    """The path under which a proxy serves the service."""
    database: str | None = None
    """The database, sqlite:///path or postgresql://user@host/name; by default a file in `data`."""
    objects: str = ""
    """The bucket of datasets, weights, checkpoints and logs, such as `s3://bucket/prefix`."""
    objects_cache_bytes: int = Field(default=CACHE_BYTES, ge=2**20)
    """Bytes of the copies of a bucket's objects in `data`; not less than the largest dataset."""
    jobs: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 2), ge=0, le=256)
    """Concurrent jobs on this host; 0 leaves them to other hosts."""
    job_seconds: float = Field(default=24 * 3600.0, gt=0)
    """The most seconds of a job, and the default."""
    job_memory: int = Field(default=8 * 10**9, ge=2 * 10**8)
    """The most memory of a job in bytes, and the default."""
    job_log_bytes: int = Field(default=LOG_BYTES, ge=2 * TAIL_BYTES)
    """Bytes of a job's log; of output above, the last 64 KB of each attempt are kept."""
    solve_job_operations: float = Field(default=3e10, gt=0)
    """The estimated operations above which a solve becomes a job."""
    lease_seconds: float = Field(default=30.0, gt=0)
    """Seconds of a job's lease; the job is lost if it sends no heartbeat for 1.5 times as long."""
    keep_jobs_days: float | None = Field(default=None, gt=0)
    """Days that ended jobs are kept, with their logs, events and metrics."""
    keep_jobs_bytes: int | None = Field(default=None, ge=0)
    """Bytes of the files of ended jobs; above, the jobs that ended first are deleted."""
    keep_checkpoints_days: float | None = Field(default=None, gt=0)
    """Days that a failed or cancelled job keeps its checkpoints; a retry resumes from them."""
    keep_unused_days: float = Field(default=1.0, ge=1 / 24)
    """Days until unreferenced objects and abandoned uploads are deleted."""
    keep_audit_days: float | None = Field(default=None, gt=0)
    """Days that rotated files of the audit log are kept."""
    audit_bytes: int = Field(default=2**26, ge=4096)
    """Bytes of `audit.jsonl`; above, it is rotated."""
    dataset_bytes: int = Field(default=2**30, gt=0)
    """The largest dataset, file of weights, or basis that is sent, in bytes."""
    owner_bytes: int = Field(default=20 * 10**9, gt=0)
    """Bytes that one owner may keep: datasets, models, uploaded weights, and the files of jobs."""
    uploads: int = Field(default=16, ge=1)
    """Concurrent uploads."""
    key_uploads: int = Field(default=2, ge=1)
    """Concurrent uploads of one owner."""
    key_upload_rate: float = Field(default=64e6, gt=0)
    """The bytes per second that one owner may upload."""
    forward_rows: int = Field(default=4096, ge=1)
    """The most rows of one forward."""
    forward_queue_rows: int = Field(default=8192, ge=1)
    """Rows of forwards that may wait; more are refused."""
    models_in_memory: int = Field(default=8, ge=1)
    """Models that are kept in memory; the least recently used is evicted."""
    model_memory: int = Field(default=10**9, gt=0)
    """Bytes of memory of all loaded models together; a larger model is refused."""
    batch_rows: int = Field(default=64, ge=1)
    """The most rows of one batch of a model."""
    batch_delay: float = Field(default=0.002, ge=0)
    """Seconds that a forward waits for a batch to fill."""
    key_requests_per_second: float = Field(default=500.0, gt=0)
    """Requests per second of one API key, on average."""
    key_requests_burst: int = Field(default=1000, ge=1)
    """Requests that one API key may make in a burst."""
    key_requests_at_once: int = Field(default=128, ge=1)
    """Concurrent requests of one API key."""
    key_solves: int = Field(default=32, ge=1)
    """Unfinished solves of one owner of a key, apart from jobs."""
    key_workers: int = Field(default=0, ge=0)
    """Workers that one owner of a key may use at once; 0 means all but one."""
    key_jobs: int = Field(default=100, ge=1)
    """Unfinished jobs of one owner."""
    key_streams: int = Field(default=32, ge=1)
    """Concurrent event streams of one owner."""
    event_heartbeat: float = Field(default=15.0, gt=0)
    """Seconds between heartbeats of an idle event stream."""

    @field_validator("allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Return the parts of a comma-separated text, in lower case."""
        if not isinstance(value, str):
            return value
        return tuple(part.strip().lower() for part in value.split(",") if part.strip())

    @field_validator("objects")
    @classmethod
    def _require_bucket(cls, address: str) -> str:
        return require_bucket_address(address.strip()) if address.strip() else ""

    @field_validator("allowed_hosts")
    @classmethod
    def _require_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if _HOST.fullmatch(host) is None:
                raise ValueError(
                    f"{host!r} is not a host: give names without scheme and port, such as "
                    f"lab.example.org, or *.example.org for its subdomains"
                )
        return hosts

    @field_validator("allowed_origins")
    @classmethod
    def _require_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            is_origin = origin == f"{parts.scheme}://{parts.netloc}" and parts.netloc
            if parts.scheme not in ("http", "https") or not is_origin:
                raise ValueError(
                    f"{origin!r} is not an origin: give scheme, host and port alone, such as "
                    f"https://lab.example.org:8443"
                )
        return origins

    @property
    def home(self) -> Path:
        """The folder of the database, uploads, models and jobs. Back it up.

        Raises `InvalidSetting` if the user has no home and no folder is set.
        """
        if self.data is not None:
            return self.data.expanduser().absolute()
        from platformdirs import user_data_path

        try:
            return user_data_path("intertwine", appauthor=False)
        except RuntimeError as error:
            raise InvalidSetting(
                f"there is no folder for the service's data ({error}): give one with --data"
            ) from error

    @property
    def database_url(self) -> str:
        """The URL of the database: the setting, or a file in `home`."""
        return self.database or f"sqlite:///{self.home / 'intertwine.db'}"

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_open_without_keys(self) -> bool:
        """Whether a service that has never had a key serves callers without one."""
        return not self.require_keys and (self.on_loopback or self.allow_unauthenticated)


def objects_of(settings: Settings) -> Objects:
    """Return the datasets and weights of the service (see `open_objects`).

    Raises `InvalidSetting` if a host could not use all objects that another may put there.
    """
    if settings.objects and settings.objects_cache_bytes < settings.dataset_bytes:
        raise InvalidSetting(
            f"INTERTWINE_OBJECTS_CACHE_BYTES is {settings.objects_cache_bytes:,}, less than the "
            f"{settings.dataset_bytes:,} bytes of the largest dataset, INTERTWINE_DATASET_BYTES: "
            f"no host could use such a dataset. Raise the first, or lower the second"
        )
    return open_objects(settings.objects, settings.home, settings.objects_cache_bytes)


def open_store(settings: Settings) -> Store:
    """Open the store in the data folder, or the user's store if no folder is set; create it.

    Raises `InvalidSetting` if the store is turned off.
    """
    store = find_store(settings)
    store.layout.create()
    return store


def find_store(settings: Settings) -> Store:
    """Return the store of `open_store` without creating it."""
    try:
        place = settings.home / "cache" if settings.data is not None else default_place()
        limit = default_limit()
    except ValueError as error:
        raise InvalidSetting(str(error)) from error
    if place is None:
        raise InvalidSetting(
            "the service needs a store, and INTERTWINE_CACHE=off says that there is none: "
            "name a folder with --data"
        )
    return Store(place, limit)


def usable_far_tiers() -> tuple[str, ...]:
    """Return the far tiers of `INTERTWINE_CACHE`, from which workers and jobs may have bases.

    Raises `InvalidSetting` if they cannot be used.
    """
    try:
        default_store()  # raises, if a tier cannot be opened
        return far_tiers()
    except ValueError as error:
        raise InvalidSetting(str(error)) from error
