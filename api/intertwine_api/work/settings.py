"""The settings of the service, each an environment variable ``INTERTWINE_…``."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

from intertwine.errors import InvalidSetting
from intertwine_cache import Store, default_place
from intertwine_cache.place import default_limit
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    wait_seconds: float = Field(default=10.0, ge=0)
    """Seconds that a request waits for its solve by default."""
    wait_most: float = Field(default=60.0, ge=0)
    """The most seconds that a request may wait."""
    json_bytes: int = Field(default=2 * 2**20, gt=0)
    """The largest request body of JSON, in bytes."""
    body_bytes: int = Field(default=32 * 2**20, gt=0)
    """The largest request body of safetensors, in bytes."""
    dense_bytes: int = Field(default=256 * 2**20, gt=0)
    """The largest dense matrix that is sent, in bytes."""
    unkept_bytes: int = Field(default=64 * 2**20, ge=0)
    """The largest basis, in bytes, that is served from memory if the store cannot keep it."""
    root_path: str = ""
    """The path under which a proxy serves the service."""
    database: str | None = None
    """The database, sqlite:///path or postgresql://user@host/name; by default a file in `data`."""
    jobs: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 2), ge=0, le=256)
    """Concurrent jobs on this host; 0 leaves them to other hosts."""
    job_seconds: float = Field(default=24 * 3600.0, gt=0)
    """The most seconds of a job, and the default."""
    job_memory: int = Field(default=8 * 10**9, ge=2 * 10**8)
    """The most memory of a job in bytes, and the default."""
    solve_job_operations: float = Field(default=3e10, gt=0)
    """The estimated operations above which a solve becomes a job."""
    lease_seconds: float = Field(default=30.0, gt=0)
    """Seconds of a lease: without a heartbeat, a job is lost half as long after its end."""
    dataset_bytes: int = Field(default=2**30, gt=0)
    """The largest dataset, or file of weights, in bytes."""
    forward_rows: int = Field(default=4096, ge=1)
    """The most rows of one forward."""
    forward_queue_rows: int = Field(default=8192, ge=1)
    """Rows of forwards that may wait; more are refused."""
    models_in_memory: int = Field(default=8, ge=1)
    """Models that are kept in memory; the least recently used is evicted."""
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
    key_jobs: int = Field(default=100, ge=1)
    """Unfinished jobs of one owner."""
    key_streams: int = Field(default=32, ge=1)
    """Concurrent event streams of one owner."""
    event_heartbeat: float = Field(default=15.0, gt=0)
    """Seconds between heartbeats of an idle event stream."""

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


def open_store(settings: Settings) -> Store:
    """Open the store in the data folder, or the user's store if no folder is set.

    Raises `InvalidSetting` if the store is turned off.
    """
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
    store = Store(place, limit)
    store.layout.create()
    return store
