"""The program `intertwine`: its commands, and how errors become messages and exit codes."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from intertwine_api.cli import basis, cache, doctor, jobs, keys, models, reps, serve, train
from intertwine_api.cli.common import BAD_INPUT, FAILED, exit_code

INTERRUPTED = 130


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it Ctrl-C raises KeyboardInterrupt, but ends the program at once during an import.

    A KeyboardInterrupt inside an import reaches code in C that is not made for one: jaxlib's
    crashes with a segmentation fault, and others take it for a module that is not there.
    """
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, b"interrupted\n")
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


#: What is not installed with the core, and the extra that brings it.
_EXTRAS = {
    **dict.fromkeys(("fastapi", "pydantic", "pydantic_settings", "sqlalchemy", "uvicorn"), "serve"),
    **{"httpx": "client", "psycopg": "postgres", "equinox": "nn", "jax": "jax", "optax": "nn"},
}

_COMMANDS = (
    reps.add_parse,
    basis.add_to,
    reps.add_irreps,
    reps.add_groups,
    cache.add_to,
    train.add_to,
    jobs.add_to,
    models.add_to,
    serve.add_to,
    serve.add_worker,
    keys.add_to,
    doctor.add_to,
)
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
    for add_command in _COMMANDS:
        add_command(commands)
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
