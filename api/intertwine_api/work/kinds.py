"""The registry of the kinds of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intertwine_api.work.job_kind import JobKind
from intertwine_api.work.solve_job import SOLVE
from intertwine_api.work.train_job import TRAIN

#: Every kind by its name; `wire.vocabulary.Kind` lists the names for those who only send jobs.
KINDS: Mapping[str, JobKind[Any]] = {kind.name: kind for kind in (TRAIN, SOLVE)}
