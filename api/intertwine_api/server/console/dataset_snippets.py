"""Code for datasets, to copy: how to upload one, and how to train on one."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from intertwine_api.server.console.basis_summary import Snippet, key_option

_MODEL = {"type": "EMLP", "ch": 384, "num_layers": 3}
_REPS = {"rep_in": "V+V", "rep_out": "V", "group": "SO(3)"}  # of the example: cross products
_EXAMPLE = 'crosses.npz is a file of two arrays: np.savez("crosses.npz", X=X, Y=Y).'


def upload_snippets(address: str, has_key: bool) -> list[Snippet]:
    """Return how to upload samples from a program.

    `address` is that of the service; with `has_key`, its callers need a key.
    """
    reps = "".join(f", {name}={text!r}" for name, text in _REPS.items())
    python = (
        "import numpy as np\n"
        "from intertwine_api import remote\n\n"
        "X = np.random.default_rng(0).standard_normal((200, 6))  # one row per sample\n"
        "Y = np.cross(X[:, :3], X[:, 3:])\n\n"
        f"lab = remote({address!r})\n"
        f"data = lab.upload(X, Y, name='crosses'{reps})\n"
        "print(data.digest)"
    )
    query = "&".join(f"{name}={quote(text, safe='()')}" for name, text in _REPS.items())
    url = shlex.quote(f"{address}v1/datasets?name=crosses&{query}")
    curl = (
        f"curl -s {url} \\\n{key_option(has_key)}"
        "  -X POST -H 'content-type: application/zip' -T crosses.npz"
    )
    train = _train_by_file("crosses", "crosses.npz", _REPS, address)
    return [
        Snippet("Python", python),
        Snippet("Command line", train, f"The file is uploaded, and trained on. {_EXAMPLE}"),
        Snippet("curl", curl, _EXAMPLE),
    ]


def training_snippets(
    dataset: str, missing: Sequence[str], address: str, has_key: bool
) -> list[Snippet]:
    """Return how to train on a dataset by its digest.

    `missing` are the names of what the dataset does not say: those of the example take their place.
    """
    reps = {name: _REPS[name] for name in missing}
    note = f"The dataset has no {' and no '.join(missing)}: replace the example." if missing else ""
    model = {**_MODEL, **reps}
    python = (
        "from intertwine_api import remote\n\n"
        f"lab = remote({address!r})\n"
        f"job = lab.train(\n    {json.dumps(model)},\n    {dataset!r},\n    epochs=100,\n)\n"
        "print(job.id)\n"
        "job.watch()"
    )
    request = {"kind": "train", "dataset": dataset, "model": model, "training": {"epochs": 100}}
    curl = (
        f"curl -s {shlex.quote(f'{address}v1/jobs')} \\\n"
        f"{key_option(has_key)}  -H 'content-type: application/json' \\\n"
        f"  -d {shlex.quote(json.dumps(request))}"
    )
    return [
        Snippet("Python", python, note),
        Snippet("Command line", _train_by_file("training", dataset, reps, address), note),
        Snippet("curl", curl, note),
    ]


def _train_by_file(name: str, dataset: str, reps: Mapping[str, str], address: str) -> str:
    """Return the commands that write a config and submit it."""
    model = ", ".join(f"{key} = {json.dumps(value)}" for key, value in {**_MODEL, **reps}.items())
    return (
        f"cat > {name}.toml <<'END'\n"
        f"dataset = {json.dumps(dataset)}\n"
        f"model = {{ {model} }}\n"
        "training = { epochs = 100 }\n"
        "END\n"
        f"intertwine train {name}.toml --remote {shlex.quote(address)} --watch"
    )
