"""What can be set of the service, each by an environment variable ``INTERTWINE_…``."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings of the service; every field is read from ``INTERTWINE_`` and its name."""

    model_config = SettingsConfigDict(env_prefix="INTERTWINE_", extra="ignore")

    host: str = Field(default="127.0.0.1", description="the address to listen on")
    port: int = Field(
        default=8000, ge=0, le=65535, description="the port to listen on; 0 picks a free one"
    )
    data: Path | None = Field(
        default=None, description="the folder of the service's data; its store is `cache` in there"
    )
    allow_unauthenticated: bool = Field(
        default=False,
        description="listen on other addresses than loopback although nobody is asked who",
    )
    workers: int = Field(
        default_factory=lambda: max(1, (os.cpu_count() or 1) // 2),
        ge=1,
        le=256,
        description="processes that solve, each one basis at a time",
    )
    queue: int = Field(
        default=64, ge=1, description="solves that may wait for a worker; more are refused"
    )
    solve_seconds: float = Field(
        default=600.0, gt=0, description="the wall time that one solve may take"
    )
    solve_memory: int = Field(
        default=4 * 10**9,
        ge=2 * 10**8,
        description="the bytes of memory that one solve may take; the process starts "
        "with some 200 MB",
    )
    solve_operations: float = Field(
        default=1e14, gt=0, description="the estimated operations past which a solve is refused"
    )
    wait_seconds: float = Field(
        default=10.0, ge=0, description="how long a request waits for its solve if it does not say"
    )
    wait_most: float = Field(default=60.0, ge=0, description="the longest that a request may wait")
    json_bytes: int = Field(
        default=2 * 2**20, gt=0, description="the largest request body of JSON, in bytes"
    )
    body_bytes: int = Field(
        default=32 * 2**20, gt=0, description="the largest request body of safetensors, in bytes"
    )
    dense_bytes: int = Field(
        default=256 * 2**20, gt=0, description="the largest dense matrix that is sent, in bytes"
    )
    unkept_bytes: int = Field(
        default=64 * 2**20,
        ge=0,
        description="the largest basis, in bytes, that is served from memory where the store "
        "cannot keep it",
    )
    root_path: str = Field(
        default="", description="the path under which a proxy serves the service"
    )
