"""`intertwine models`: the trained models of a service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine.training.recipe.framework import Framework

    from intertwine_api.client import Client, RemoteModel


_EXAMPLES = """\
  intertwine models list
  intertwine models show inertia
  intertwine models get inertia -o ./inertia
  intertwine models get inertia --version 2 --remote https://lab.example.org/intertwine
"""


group = common.CommandGroup(
    "models", "List a service's models, and download one.", common.examples(_EXAMPLES)
)
_name = click.argument("name", metavar="NAME", help="The name of the model.")
_version = click.option("--version", type=int, help="The version's number (default: the newest).")


@group.command("list")
@common.with_client
def print_list(client: Client, as_json: bool) -> None:
    """List the models of all owners, each with its newest version."""
    found = client.models()
    if as_json:
        common.print_json([model.document for model in found])
    else:
        columns = ("name", "version", "owner", "framework", "test loss", "equivariance error")
        common.print_columns(columns, map(_row, found))


@group.command("show")
@_name
@_version
@common.with_client
def print_model(client: Client, name: str, version: int | None, as_json: bool) -> None:
    """Print one version of a model: its losses and its origin."""
    model = client.model(name, version)
    document = dict(model.document)
    if as_json:
        common.print_json(document)
        return
    told = {
        "model": model.name,
        "version": model.version,
        **{name: document[name] for name in ("owner", "created", "job", "bytes", "weights")},
        "framework": _framework(model).title,
        "is": document["config"].get("summary", ""),
        **{name: value for name, value in model.metrics.items() if name != "warnings"},
        "warning": "; ".join(model.warnings) or None,
        "equivariance error": model.equivariance_error,
        "equivariant": model.is_equivariant,
        **document["provenance"],
    }
    common.print_table((name, str(value)) for name, value in told.items() if value is not None)


@group.command("get")
@_name
@_version
@click.option(
    *("-o", "--output"), metavar="FOLDER", type=common.PATH, help="The folder (default: ./NAME)."
)
@common.with_client
def download(
    client: Client, name: str, version: int | None, output: Path | None, as_json: bool
) -> None:
    """Download a version of a model, for the load of intertwine.nn and of intertwine.torch."""
    folder = output or Path(name)
    model = client.model(name, version)
    model.save(folder)
    if as_json:
        common.print_json({"name": model.name, "version": model.version, "folder": str(folder)})
    else:
        reader = f"{_framework(model).package}.load"
        print(f"{model.name}, version {model.version}, is in {folder}: {reader} reads it")


def _row(model: RemoteModel) -> tuple[str, ...]:
    loss, error = model.metrics.get("test_loss"), model.equivariance_error
    return (
        model.name,
        str(model.version),
        str(model.document["owner"]),
        _framework(model).title,
        "-" if loss is None else f"{loss:.4g}",
        "-" if error is None else f"{error:.1e}{_mark(model)}",
    )


def _framework(model: RemoteModel) -> Framework:
    from intertwine.training.recipe.framework import framework_named

    return framework_named(model.framework)


def _mark(model: RemoteModel) -> str:
    limited = " (limited)" if model.warnings else ""  # `show` says in what
    return limited if model.is_equivariant else " (not!)"
