"""The program `intertwine`: its commands, and how their errors become messages and exit codes."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from intertwine_api.commands import (
    basis,
    cache,
    doctor,
    groups,
    irreps,
    jobs,
    keys,
    models,
    parse,
    serve,
    train,
    worker,
)
from intertwine_api.exit_codes import BAD_INPUT, FAILED, exit_code
from intertwine_api.interrupts import INTERRUPTED, interruptible

#: What is not installed with the core, and the extra that brings it.
_EXTRAS = {
    **dict.fromkeys(("fastapi", "pydantic", "pydantic_settings", "sqlalchemy", "uvicorn"), "serve"),
    **{"httpx": "client", "psycopg": "postgres", "equinox": "nn", "jax": "jax", "optax": "nn"},
}

_COMMANDS = (parse, basis, irreps, groups, cache, train, jobs, models, serve, worker, keys, doctor)
_EPILOG = """\
examples:
  intertwine basis "V**2*V.T+5V0" --group "SO(3)"
  intertwine parse "V>>V**2"
  intertwine groups
  intertwine cache stats
  intertwine serve
  intertwine train examples/inertia.toml
  intertwine jobs watch JOB
  intertwine doctor

exit codes: 0 for success, 1 where a solve, a check or a job failed, 2 for bad input,
3 where a service cannot be reached, 130 after Ctrl-C.
A text that begins with '-' goes behind '--'.
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line, with every command's own help."""
    import intertwine

    parser = argparse.ArgumentParser(
        prog="intertwine",
        description="Find all linear maps that commute with a group's action.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=intertwine.__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_to(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code is one of those that the help explains."""
    try:
        with interruptible():
            return _run(argv)
    except KeyboardInterrupt as interrupt:  # one that has a message says what goes on
        print(str(interrupt) or "interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(argv: Sequence[str] | None) -> int:
    from intertwine.errors import IntertwineError, SolveError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that has no ⊗ shows its code
    arguments = build_parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        if sys.stdout is not None:  # nobody may be listening
            sys.stdout.flush()
    except SolveError as error:
        return _complain(error, FAILED)
    except (IntertwineError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            # whoever read us has left, as `head` does: nothing more to say, to nobody
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        return _complain(error, exit_code(error))
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        missing = f"this needs {error.name}: pip install 'intertwine[{extra}]'"
        return _complain(ModuleNotFoundError(missing), BAD_INPUT)
    except (MemoryError, RecursionError, ArithmeticError) as error:
        return _complain(ArithmeticError(f"this was too much: {error!r}"), FAILED)
    return code


def _complain(error: Exception, code: int) -> int:
    notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
    print(f"intertwine: {error}{notes}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
