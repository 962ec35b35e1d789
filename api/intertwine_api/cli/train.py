"""`intertwine train`: train a network, here or at a service."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine.training import Epoch
    from intertwine.training.recipe.config import Config
    from intertwine.training.recipe.run import Outcome

    from intertwine_api.client import Client, Job


_EXAMPLES = """\
  intertwine train examples/inertia.toml
  intertwine train inertia.toml --set training.epochs=5 --set model.ch=64 -o quick
  intertwine train inertia.toml --remote http://lab.example.org:8000 --watch
"""
_CHECKPOINT = "checkpoint"


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands, "train", "Train a network as a TOML file says, here or at a service.", _EXAMPLES
    )
    parser.add_argument(
        "config", metavar="CONFIG.toml", type=Path, help="the data, the model, and the training"
    )
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="change the file's setting of that name, such as training.epochs=5",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        help="where the model goes, for intertwine.nn.load (default: named like the config)",
    )
    parser.add_argument(
        "--remote", metavar="URL", help="train at the service with this address, as a job"
    )
    parser.add_argument(
        "--key", metavar="KEY", help="an API key of the service (default INTERTWINE_KEY)"
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="with --remote: show how the job goes until it has ended, and bring the model here",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train; the exit code is 0 where a model came of it, or a job was handed in."""
    from intertwine.errors import InvalidSetting, Unavailable
    from intertwine.training.recipe.config import Config

    if arguments.remote is None and (arguments.watch or arguments.key):
        raise InvalidSetting("--watch and --key are for a job at a service: name it with --remote")
    config = Config.read(arguments.config, arguments.set)
    output = arguments.output or Path(arguments.config.stem)
    if output.exists() and not output.is_dir():
        raise InvalidSetting(f"{output} is there, and no folder: name another one with --output")
    if arguments.remote is not None:
        with common.open_client(arguments) as lab:
            return _train_there(lab, config, output, arguments)
    try:
        config.request()  # raises for what it cannot say, before anything is read or made
    except ModuleNotFoundError as error:
        raise Unavailable(f"trainings need {error.name}: pip install 'intertwine[nn]'") from error
    return _train_here(config, output, arguments.json)


def _train_here(config: Config, output: Path, as_json: bool) -> int:
    import shutil

    from intertwine.nn import save
    from intertwine.training.recipe.run import run_training

    request, material = config.gather()
    checkpoint = output / _CHECKPOINT
    with _bar(request.training.epochs) as show:
        outcome = run_training(
            request, material, folder=checkpoint, callback=show, warned=common.warn
        )
    save(outcome.model, output)
    _write_record(outcome, output)
    shutil.rmtree(checkpoint, ignore_errors=True)  # it is of no more use
    if as_json:
        common.print_json({"output": str(output), **_document(outcome)})
    else:
        _print(outcome, output)
    return 0


def _train_there(lab: Client, config: Config, output: Path, arguments: argparse.Namespace) -> int:
    document = dict(config.document)
    if config.samples is not None:
        points = config.read_samples()
        document["dataset"] = lab.upload(points.X, points.Y, name=config.samples.name).digest
    job = lab.train_request(document)
    if not arguments.watch:
        _print_job(job, arguments)
        return 0
    if arguments.json:
        job.wait()
    else:
        job.watch()
    if job.state != "succeeded":
        _print_job(job, arguments)
        return 1
    _bring(lab, job, output)
    _print_job(job, arguments, output)
    return 0


def _bring(lab: Client, job: Job, output: Path) -> None:
    """Save the model of a job that succeeded, and the curve of its losses where it can be drawn.

    The model is not made for that: a laptop without JAX brings it too.
    """
    found = job.document["result"]
    lab.model(found["model"], found["version"]).save(output)
    if all(find_spec(name) is not None for name in ("matplotlib", "jax", "equinox", "optax")):
        _draw(job.history(), output)


def _print_job(job: Job, arguments: argparse.Namespace, output: Path | None = None) -> None:
    if arguments.json:
        brought = {} if output is None else {"output": str(output)}
        common.print_json({**job.document, **brought})
    elif output is None:
        print(f"job {job.id}: {job.reason}")
        if not job.has_ended:
            print(f"follow it: intertwine jobs watch {job.id} --remote {arguments.remote}")
    else:
        found = job.document["result"]
        print(_verdict(found["test_loss"], found["equivariance_error"], found["is_equivariant"]))
        for warning in found.get("warnings", ()):
            common.warn(warning)
        print(f"{found['model']}, version {found['version']}, by job {job.id}; it is in {output}")


def _print(outcome: Outcome, output: Path) -> None:
    metrics = outcome.metrics
    print(_verdict(metrics["test_loss"], outcome.equivariance_error, outcome.is_equivariant))
    print(f"{metrics['epochs']:,} epochs in {metrics['seconds']:.1f} s; it is in {output}")


def _verdict(test_loss: float, error: float, is_equivariant: bool) -> str:
    judged = "as rounding makes" if is_equivariant else "NOT equivariant"
    return f"test loss {test_loss:.4g}, equivariance error {error:.2g} ({judged})"


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        **outcome.metrics,
        "equivariance_error": outcome.equivariance_error,
        "is_equivariant": outcome.is_equivariant,
        "provenance": outcome.provenance,
    }


def _write_record(outcome: Outcome, output: Path) -> None:
    """How the model came about, beside it: as JSON, and as a picture of the losses."""
    import json

    record = {**_document(outcome), "history": outcome.history.to_json()}
    (output / "training.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    _draw(outcome.history, output)


def _draw(history: Any, output: Path) -> None:
    if find_spec("matplotlib") is not None:
        history.save(output / "losses.png")


@contextmanager
def _bar(epochs: int) -> Iterator[Callable[[Sequence[Mapping[str, Any]]], None]]:
    """A function that shows rows of epochs: on a bar, if there is a terminal, from the first on."""
    from intertwine.training import Epoch as Row
    from intertwine.training.progress import progress_bar

    with ExitStack() as stack:
        bars: list[Callable[[Epoch], None]] = []

        def show(rows: Sequence[Mapping[str, Any]]) -> None:
            if not bars:  # an error before that has its line to itself
                bars.append(stack.enter_context(progress_bar(None, epochs, 0)))
            bars[0](Row(**rows[-1]))

        yield show
