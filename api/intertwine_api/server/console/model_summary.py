"""A version of a model in words: its network, its measurements, and the code that loads it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from intertwine.errors import FormatError
from intertwine.saving.model_folder import weights_name
from intertwine.saving.model_tree import entries
from intertwine.training.recipe.framework import framework_named

from intertwine_api.server.console.basis_summary import Snippet
from intertwine_api.server.console.job_settings import text_of
from intertwine_api.storage.objects import Objects
from intertwine_api.wire.models import VersionDocument
from intertwine_api.wire.vocabulary import duration

_TYPES = {
    "EMLP": "EMLP, an equivariant network",
    "MLP": "MLP, a plain network, which is not equivariant",
}
_LARGEST_COUNTED = 16 * 2**20  # bytes of a file whose weights are counted for the page
_MEASURED = {
    "train_loss": "Training loss",
    "validation_loss": "Validation loss",
    "test_loss": "Test loss",
}
_COUNTED = {"epochs": "Epochs", "best_epoch": "Best epoch"}


def network_facts(version: VersionDocument, objects: Objects) -> list[tuple[str, str]]:
    """Return the known facts of a network: framework, type, group, reps, layers, precision and
    weights.

    Models that were not built from a description have fewer facts.
    """
    made = version.provenance.get("model")
    found = [("Framework", framework_named(version.framework).title)]
    found += _described(made) if isinstance(made, Mapping) else ()
    training = version.provenance.get("training")
    if isinstance(training, Mapping) and "dtype" in training:
        found.append(("Precision", text_of(training["dtype"])))
    count = count_weights(version, objects)
    if count is not None:
        found.append(("Weights", f"{count:,} numbers"))
    if "summary" in version.config:
        found.append(("As printed", text_of(version.config["summary"])))
    return found


def group_of(version: VersionDocument) -> str:
    """Return the text of the network's group; empty if its description has none."""
    made = version.provenance.get("model")
    group = made.get("group") if isinstance(made, Mapping) else None
    return group if isinstance(group, str) else ""


def _described(made: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the facts of the description of a network, or of the weights that it started from."""
    if "type" in made:
        yield "Type", _TYPES.get(made["type"], text_of(made["type"]))
    if "group" in made:
        group = made["group"]
        yield "Group", group if isinstance(group, str) else "given by its generators"
    for name, label in (("rep_in", "Input"), ("rep_out", "Output")):
        if name in made:
            yield label, text_of(made[name])
    if "ch" in made:
        yield "Hidden layers", _layers(made["ch"], made.get("num_layers"))
    if "bilinear" in made:
        yield "Bilinear layers", text_of(made["bilinear"])
    if "weights" in made:
        yield "Trained from", f"a saved model, with the weights {text_of(made['weights'])}"


def _layers(ch: Any, count: Any) -> str:
    each = ch if isinstance(ch, list) else [ch]
    widths = ", ".join(f"{c:,} channels" if isinstance(c, int) else text_of(c) for c in each)
    return widths if isinstance(ch, list) else f"{count} of {widths}"


def count_weights(version: VersionDocument, objects: Objects) -> int | None:
    """Return the number of weights, without the constants beside them in the file.

    None if the file is large, missing or damaged. With a bucket, it is downloaded first.
    """
    from safetensors import SafetensorError, safe_open

    if version.bytes > _LARGEST_COUNTED or not version.has_weights:
        return None
    path = objects.path(version.weights)
    if path is None:
        return None
    names = set(entries(version.config.get("model"), "weights"))
    try:
        with safe_open(path, "numpy") as arrays:  # reads only the header
            shapes = [arrays.get_slice(name).get_shape() for name in names & {*arrays.keys()}]
    except (SafetensorError, FileNotFoundError):  # damaged, or deleted meanwhile
        return None
    return sum(_size(shape) for shape in shapes)


def _size(shape: list[int]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size


def measurements(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the losses of a training, and how it ended, in words."""
    found = []
    if "loss" in metrics:
        found.append(("Loss", text_of(metrics["loss"])))
    for name, label in _MEASURED.items():
        if metrics.get(name) is not None:
            found.append((label, f"{metrics[name]:.4g}"))
    for name, label in _COUNTED.items():
        if metrics.get(name) is not None:
            found.append((label, f"{metrics[name]:,}"))
    if metrics.get("seconds") is not None:
        found.append(("Time", duration(metrics["seconds"])))
    if metrics.get("stopped") is not None:
        found.append(("Ended", text_of(metrics["stopped"])))
    return found


def equivariance(error: float | None, is_equivariant: bool) -> str:
    """Return what the equivariance error of a model says, in a sentence."""
    if error is None:
        return "The equivariance error was not measured."
    if is_equivariant:
        return (
            f"The equivariance error is {error:.1e}, which is rounding: the model is equivariant."
        )
    return (
        f"The equivariance error is {error:.1e}, more than rounding: the model is not equivariant."
    )


def snippets(version: VersionDocument, address: str, has_key: bool) -> list[Snippet]:
    """Return how to load and to call a version from Python, from the shell, and with curl.

    `address` is that of the service; with `has_key`, its callers need a key.
    """
    name, number, framework = version.name, version.version, framework_named(version.framework)
    url = address.rstrip("/")
    python = (
        "import numpy as np\n"
        "from intertwine_api import remote\n"
        "\n"
        f"model = remote({url!r}).model({name!r}, {number})\n"
        f"network = model.download()  # with its weights; needs the extra {framework.extra}\n"
        "x = np.ones((1, network.rep_in.size()))\n"
        "print(network(x), model(x))  # computed here, and by the service"
    )
    command = f"intertwine models get {name} --version {number} --remote {shlex.quote(url)}"
    then = f"Then {framework.package}.load({name!r}) reads the model from that folder."
    found = [Snippet("Python", python), Snippet("Command line", command, then)]
    weights = weights_file(version)
    key = ' -H "authorization: Bearer $INTERTWINE_KEY"' if has_key else ""
    curl = (
        f"curl -s --create-dirs{key} \\\n"
        f"  {shlex.quote(f'{url}/models/{name}/versions/{number}/config.json')} "
        f"-o {name}/config.json \\\n"
        f"  {shlex.quote(f'{url}/v1/blobs/{version.weights}')} -o {name}/{weights}"
    )
    return [*found, Snippet("curl", curl, then)]


def weights_file(version: VersionDocument) -> str:
    """Return the name of the file of weights in the folder of a saved model."""
    try:
        return weights_name(version.config)
    except FormatError:  # the config is not that of a model that can be loaded
        return "weights.safetensors"
