"""Every page of the console by name, and the content that a service needs for them.

A new page is a row of `PAGES`. If its address has the name of a job or of something else, `content`
makes that.
"""

from __future__ import annotations

import math
import random
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models
from intertwine_api.wire.problems import Problem
from intertwine_api.wire.vocabulary import STATES
from intertwine_api.work.job import Job
from safetensors.numpy import save

from helpers.driven_jobs import TRAINING, DrivenJobs
from helpers.example_models import small_model, trained


@dataclass(frozen=True)
class ConsolePage:
    """A page: its name, its address below the root, and a text of its main part.

    The address has names of `content` in braces. The browser complains of the status of a page that
    `is_problem`.
    """

    name: str
    path: str
    shows: str
    is_problem: bool = False


_EXPLORER = (
    ConsolePage("explorer", "", "Examples"),
    ConsolePage("explorer-basis", "?rep=V>>V**2&group=SO(3)", "Rank 1"),
    ConsolePage("explorer-error", "?rep=V>>(V&group=SO(3)", "a syntax error", is_problem=True),
    ConsolePage("explorer-permutations", "?rep=V**2>>V**2&group=S(4)", "Rank 15"),
    ConsolePage("explorer-lorentz", "?rep=T(2,2)&group=Lorentz()", "Rank 3"),
    ConsolePage("explorer-rubik", "?rep=V>>V&group=RubiksCube()", "Rank 9"),
    ConsolePage("tiles", "tiles?rep=V**2>>V**2&group=S(4)&row=3", "Entries of a basis"),
    ConsolePage("groups", "groups", "RubiksCube"),
    ConsolePage("group-lorentz", "groups?name=Lorentz()", "Killing form"),
    ConsolePage("group-s5", "groups?name=S(5)", "120"),
    ConsolePage("characters", "characters?name=S(4)", "[2, 2]"),
    ConsolePage("irreps", "irreps?rep=V**2&group=O(3)", "Multiplicity"),
)
_JOBS = (
    ConsolePage("jobs", "jobs", "Submitted, UTC"),
    *(ConsolePage(f"job-{state}", f"jobs/{{{state}}}", state) for state in STATES),
    ConsolePage("sweep", "jobs/sweep?label=inertia", "Click a heading to sort"),
    ConsolePage("job-smoothed", "jobs/{running}?smooth=0.9&scale=linear", "Smoothing, 0 to 0.999"),
    ConsolePage(
        "comparison", "jobs/compare?job={succeeded}&job={running}", "training.learning_rate"
    ),
)
_MODELS = (
    ConsolePage("models", "models", "inertia"),
    ConsolePage("model", "models/inertia", "Delete the model"),
    ConsolePage("model-version", "models/inertia/versions/1", "Provenance"),
    ConsolePage("trial", "models/inertia/versions/1/try?seed=1&element=2", "A random vector"),
)
_DATASETS = (
    ConsolePage("datasets", "datasets", "crosses"),
    ConsolePage("dataset", "datasets/{dataset}", "Train on it"),
)
_CACHE = (
    ConsolePage("cache", "cache", "The least recently used"),
    ConsolePage("cache-entries", "cache/entries", "Entries of the store"),
    ConsolePage("cache-entry", "cache/{key}", "Evidence"),
    ConsolePage("cache-shrink", "cache/shrink?to=5GB", "Shrink the store to"),
)
_OTHERS = (
    ConsolePage("keys", "keys", "Create a key"),
    ConsolePage("login", "login", "Log in"),
    ConsolePage("system", "system", "Documents of the service"),
    ConsolePage("problems", "problems", "syntax"),
    ConsolePage("problem", "nothing/here", "Problem code", is_problem=True),
)
#: All pages, in the order of the navigation.
PAGES: tuple[ConsolePage, ...] = (*(*_EXPLORER, *_JOBS, *_MODELS, *_DATASETS, *_CACHE, *_OTHERS),)


@dataclass(frozen=True)
class Screenshot:
    """A picture of docs/console.md: its file, the page by name, and the window in pixels."""

    file: str
    page: str
    width: int
    height: int
    is_dark: bool = False


#: The most bytes of a screenshot: they are part of the repository.
LARGEST_SCREENSHOT = 60_000
#: The screenshots of the documentation; `make screenshots` takes them.
SCREENSHOTS = (
    Screenshot("console-explorer.png", "explorer-permutations", 900, 1300),
    Screenshot("console-job.png", "job-smoothed", 900, 900),
    Screenshot("console-comparison.png", "comparison", 900, 1150),
    Screenshot("console-phone.png", "job-running", 390, 844),
    Screenshot("console-dark.png", "characters", 900, 560, is_dark=True),
)


def content(driven: DrivenJobs) -> dict[str, str]:
    """Make a training in each state, a model, a dataset and a basis.

    Return the ids of the jobs by their state, that of the dataset, and the key of the basis.
    """
    made = {state: _training(driven, state) for state in STATES if state != "queued"}
    made["queued"] = driven.queued(name="a wider network", labels=("inertia",))
    models = Models(driven.database, FolderObjects(driven.data / "objects"))
    models.publish("inertia", "local", made["succeeded"].id, trained(small_model()))
    known = driven.client.post("/v1/bases", json={"rep": "V**2>>V**2", "group": "S(4)"})
    key = known.json()["key"]
    return {
        **{state: job.id for state, job in made.items()},
        "dataset": _dataset(driven),
        "key": key,
    }


def _dataset(driven: DrivenJobs) -> str:
    """Upload cross products, and return their digest."""
    X = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    file = save({"X": X, "Y": np.cross(X[:, :3], X[:, 3:])})
    reps = {"name": "crosses", "rep_in": "V+V", "rep_out": "V.T", "group": "SO(3)"}
    binary = {"content-type": "application/octet-stream"}
    answer = driven.client.post("/v1/datasets", content=file, params=reps, headers=binary)
    found: str = answer.json()["id"]
    return found


def _training(driven: DrivenJobs, state: str) -> Job:
    """A training in a state other than queued, with losses where it has begun."""
    queue = driven.queue
    changes: dict[str, Any] = {"name": f"inertia, {state}", "labels": ("inertia",)}
    if state == "leased":
        job = driven.queued(priority=100, **changes)
        claimed = queue.claim("here", 1000)
        assert claimed is not None
        assert claimed.id == job.id
        return claimed
    request = deepcopy(TRAINING)
    request["training"] = {"epochs": 300, "learning_rate": 0.01 if state == "running" else 0.003}
    job = driven.running(request=request, **changes)
    learn(driven, job, range(1, 241 if state == "running" else 301))
    folder = driven.data / "jobs" / job.id
    folder.mkdir(parents=True)
    lines = [f"epoch {epoch} of 300" for epoch in range(10, 241, 10)]
    (folder / "log").write_text("\n".join(lines), encoding="utf-8")
    if state == "succeeded":
        result = {"model": "inertia", "version": 1, "test_loss": 0.0123, "is_equivariant": True}
        return queue.succeed(job.id, job.attempt, {**result, "equivariance_error": 2.5e-7})
    if state == "failed":
        return queue.fail(job.id, job.attempt, Problem.of("internal", "the process has ended"))
    if state in ("cancelling", "cancelled"):
        queue.cancel(job.id, "by its owner")
    if state == "cancelled":
        return queue.cancelled(job.id, job.attempt, "it was ended")
    return queue.get(job.id)


def learn(driven: DrivenJobs, job: Job, epochs: range) -> None:
    """Report falling, noisy losses of epochs of a training with 300, and the progress."""
    rate = job.request["training"]["learning_rate"]
    noise = random.Random(epochs[0])
    rows = []
    for epoch in epochs:
        level = 0.01 + 2.0 * math.exp(-epoch * rate)
        rows.append(
            {
                "epoch": epoch,
                "train_loss": level * math.exp(noise.gauss(0.0, 0.25)),
                "test_loss": 1.4 * level * math.exp(noise.gauss(0.0, 0.08)),
                "learning_rate": rate * 0.5 * (1 + math.cos(math.pi * epoch / 300)),
                "seconds": 0.2 * epoch,
            }
        )
    driven.metrics.add(job.id, job.attempt, rows)
    left = 0.2 * (300 - epochs[-1])
    progress = {"stage": "training", "epoch": epochs[-1], "epochs": 300, "eta_seconds": left}
    driven.queue.heartbeat(job.id, job.attempt, progress)
