"""`intertwine models`: the trained models of a service."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine_api.client import RemoteModel


_EXAMPLES = """\
  intertwine models list
  intertwine models show inertia
  intertwine models get inertia -o ./inertia
  intertwine models get inertia --version 2 --remote https://lab.example.org/intertwine
"""


def add_to(commands: Any) -> None:
    """Describe the command and its actions."""
    parser = common.add_command(
        commands, "models", "List a service's models, and bring one here.", _EXAMPLES
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _action(actions, "list", run_list, "everybody's models, each with its newest version")
    for name, run, summary in (
        ("show", run_show, "one version of a model: its losses, and where it comes from"),
        ("get", run_get, "a version of a model, into a folder that intertwine.nn.load reads"),
    ):
        action = _action(actions, name, run, summary)
        action.add_argument("name", metavar="NAME", help="the name of the model")
        action.add_argument("--version", type=int, help="the number of the version (the newest)")
        if name == "get":
            action.add_argument(
                *("-o", "--output"), metavar="FOLDER", type=Path, help="where to (./NAME)"
            )


def run_list(arguments: argparse.Namespace) -> int:
    """Print a line for each model."""
    with common.open_client(arguments) as lab:
        found = lab.models()
    if arguments.json:
        common.print_json([model.document for model in found])
    else:
        columns = ("name", "version", "owner", "test loss", "equivariance error")
        common.print_columns(columns, map(_row, found))
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Print one version."""
    with common.open_client(arguments) as lab:
        model = lab.model(arguments.name, arguments.version)
    document = dict(model.document)
    if arguments.json:
        common.print_json(document)
        return 0
    told = {
        "model": model.name,
        "version": model.version,
        **{name: document[name] for name in ("owner", "created", "job", "bytes", "weights")},
        "is": document["config"].get("summary", ""),
        **{name: value for name, value in model.metrics.items() if name != "warnings"},
        "warning": "; ".join(model.warnings) or None,
        "equivariance error": model.equivariance_error,
        "equivariant": model.is_equivariant,
        **document["provenance"],
    }
    common.print_table((name, str(value)) for name, value in told.items() if value is not None)
    return 0


def run_get(arguments: argparse.Namespace) -> int:
    """Write one version into a folder."""
    folder = arguments.output or Path(arguments.name)
    with common.open_client(arguments) as lab:
        model = lab.model(arguments.name, arguments.version)
        model.save(folder)
    if arguments.json:
        common.print_json({"name": model.name, "version": model.version, "folder": str(folder)})
    else:
        print(f"{model.name}, version {model.version}, is in {folder}: intertwine.nn.load reads it")
    return 0


def _action(actions: Any, name: str, run: Callable[..., int], summary: str) -> Any:
    parser = actions.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    common.add_service(parser)
    parser.set_defaults(run=run)
    return parser


def _row(model: RemoteModel) -> tuple[str, ...]:
    loss, error = model.metrics.get("test_loss"), model.equivariance_error
    return (
        model.name,
        str(model.version),
        str(model.document["owner"]),
        "-" if loss is None else f"{loss:.4g}",
        "-" if error is None else f"{error:.1e}{_mark(model)}",
    )


def _mark(model: RemoteModel) -> str:
    limited = " (limited)" if model.warnings else ""  # `show` says in what
    return limited if model.is_equivariant else " (not!)"
