"""`intertwine train`: train a network, here or at a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine.training.recipe.config import Config

    from intertwine_api.client import Client, Job


_EXAMPLES = """\
  intertwine train examples/inertia.toml
  intertwine train inertia.toml --set training.epochs=5 --set model.ch=64 -o quick
  intertwine train inertia.toml --framework torch
  intertwine train inertia.toml --remote https://lab.example.org --watch
"""
_CHECKPOINT = "checkpoint"


@click.command("train", epilog=common.examples(_EXAMPLES))
@click.argument(
    "file", metavar="CONFIG.toml", type=common.PATH, help="The data, the model and the training."
)
@click.option(
    "--set",
    "changes",
    metavar="NAME=VALUE",
    multiple=True,
    help="Override the file's setting of this name, such as training.epochs=5; may be repeated.",
)
@click.option(
    "--framework",
    type=click.Choice(["jax", "torch"]),
    help="The framework that trains (default: that of the config, else jax).",
)
@click.option(
    *("-o", "--output"),
    metavar="FOLDER",
    type=common.PATH,
    help="The folder of the model, for intertwine.nn.load or intertwine.torch.load (default: the "
    "config's name).",
)
@click.option("--remote", metavar="URL", help="Train as a job of the service with this address.")
@click.option("--key", metavar="KEY", help="An API key of the service (default: INTERTWINE_KEY).")
@click.option(
    "--watch",
    is_flag=True,
    help="With --remote: show the job's progress until it ends, and download the model.",
)
@common.as_json
def train_network(
    file: Path,
    changes: Sequence[str],
    framework: str | None,
    output: Path | None,
    remote: str | None,
    key: str | None,
    watch: bool,
    as_json: bool,
) -> int:
    """Train a network as a TOML file says, here or at a service."""
    from intertwine.errors import InvalidSetting, Unavailable
    from intertwine.training.recipe.config import Config
    from intertwine.training.recipe.framework import framework_named

    if remote is None and (watch or key):
        raise InvalidSetting("--watch and --key are for a job at a service: name it with --remote")
    if framework is not None:
        changes = [*changes, f"framework={framework}"]
    config = Config.read(file, changes)
    folder = output or Path(file.stem)
    if folder.exists() and not folder.is_dir():
        raise InvalidSetting(f"{folder} exists and is not a folder: give another --output")
    if remote is not None:
        from intertwine_api.client import Client
        from intertwine_api.client.messages import display_url

        with Client(remote, key) as client:
            job = _submit(client, config)
            if watch:
                return _follow(client, job, folder, as_json)
            _print_state(job, as_json)
            if not (as_json or job.has_ended):
                print(f"follow it: intertwine jobs watch {job.id} --remote {display_url(remote)}")
            return 0
    chosen = framework_named(config.framework)
    chosen.require("--framework {}")
    try:
        config.request()  # raises for invalid settings, before samples are read
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"trainings need {error.name}: pip install 'intertwine[{chosen.extra}]'"
        ) from error
    _train_here(config, folder, as_json)
    return 0


def _train_here(config: Config, output: Path, as_json: bool) -> None:
    import shutil

    from intertwine.training.recipe.run import run_training

    request, material = config.gather()
    checkpoint = output / _CHECKPOINT
    outcome = run_training(request, material, folder=checkpoint, warned=common.warn, progress=None)
    outcome.save(output)
    shutil.rmtree(checkpoint, ignore_errors=True)  # the training is complete
    found = outcome.to_json()
    if as_json:
        common.print_json({"output": str(output), **found})
    else:
        print(_verdict(found))
        print(f"{found['epochs']:,} epochs in {found['seconds']:.1f} s; it is in {output}")


def _submit(client: Client, config: Config) -> Job:
    document = dict(config.document)
    if config.samples is not None:
        points = config.read_samples()
        document["dataset"] = client.upload(points.X, points.Y, name=config.samples.name).digest
    return client.train_request(document)


def _follow(client: Client, job: Job, output: Path, as_json: bool) -> int:
    """Wait for a job, and download its model into `output` if it succeeded."""
    if as_json:
        job.wait()
    else:
        job.watch()
    if job.state != "succeeded":
        _print_state(job, as_json)
        return common.FAILED
    _download(client, job, output)
    if as_json:
        common.print_json({**job.document, "output": str(output)})
        return 0
    found = job.training_result
    print(_verdict(found))
    for warning in found.get("warnings", ()):
        common.warn(warning)
    print(f"{found['model']}, version {found['version']}, by job {job.id}; it is in {output}")
    return 0


def _download(client: Client, job: Job, output: Path) -> None:
    """Save the model of a job that succeeded, and the plot of its losses if that can be drawn.

    The model is not loaded, so this works without JAX and PyTorch.
    """
    found = job.training_result
    client.model(found["model"], found["version"]).save(output)
    if find_spec("matplotlib") is not None:
        job.history().save(output / "losses.png")


def _print_state(job: Job, as_json: bool) -> None:
    if as_json:
        common.print_json(job.document)
    else:
        print(f"job {job.id}: {job.reason}")


def _verdict(found: Mapping[str, Any]) -> str:
    judged = "as rounding makes" if found["is_equivariant"] else "NOT equivariant"
    error = found["equivariance_error"]
    return f"test loss {found['test_loss']:.4g}, equivariance error {error:.2g} ({judged})"
