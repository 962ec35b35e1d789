"""The program `intertwine`: its commands, and how errors become messages and exit codes."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from intertwine_api.cli import (
    admin,
    basis,
    cache,
    catalogue,
    console,
    doctor,
    jobs,
    keys,
    login,
    models,
    polynomials,
    reps,
    serve,
    train,
)
from intertwine_api.cli.common import BAD_INPUT, FAILED, CommandGroup, examples, exit_code

INTERRUPTED = 130


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt, but end the program at once during an import.

    A KeyboardInterrupt inside an import reaches C code that does not expect one: jaxlib crashes
    with a segmentation fault, and other packages report a missing module.
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


#: The packages that the core does not require, and the extra that installs each.
_EXTRAS = {
    **dict.fromkeys(("fastapi", "jinja2", "pydantic", "pydantic_settings"), "serve"),
    **dict.fromkeys(("sqlalchemy", "uvicorn"), "serve"),
    **{"cryptography": "lab", "obstore": "lab"},
    **{"httpx": "client", "psycopg": "postgres", "equinox": "nn", "jax": "jax", "optax": "nn"},
    "torch": "torch",
}

_EPILOG = """\
  intertwine basis "V**2*V.T+5V0" --group "SO(3)"
  intertwine parse "V>>V**2"
  intertwine groups
  intertwine cache stats
  intertwine serve
  intertwine open
  intertwine train examples/inertia.toml
  intertwine jobs watch JOB
  intertwine doctor

\b
exit codes: 0 for success, 1 where a solve, a check or a job failed, 2 for bad input,
3 where a service cannot be reached, 4 where an answer is not from Intertwine, 130 after Ctrl-C.
A text that begins with '-' goes behind '--'.
"""
_COMPLETE = "_INTERTWINE_COMPLETE"  # the variable by which a shell asks for completions

PROGRAM = CommandGroup(
    "intertwine",
    "Find all linear maps that commute with a group's action.",
    examples(_EPILOG),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    commands=[
        *(reps.parse_text, basis.solve, reps.print_irreps, reps.print_groups),
        *(reps.print_weights, reps.print_characters),
        *(polynomials.print_series, polynomials.print_generators, polynomials.print_basis),
        *(cache.group, catalogue.group),
        *(train.train_network, jobs.group, models.group, serve.run_service, serve.run_worker),
        console.group,
        *(login.log_in, login.log_out, keys.group, admin.group, doctor.diagnose),
    ],
)
click.version_option(package_name="intertwine", message="%(version)s")(PROGRAM)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line. Return its exit code, one of those in the help."""
    try:
        with interruptible():
            return _run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt as interrupt:  # its message, if any, says what keeps running
        print(str(interrupt) or "interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(arguments: list[str]) -> int:
    from intertwine.errors import IntertwineError, SolveError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that has no ⊗ shows its code
    try:
        code = _call(arguments)
        if sys.stdout is not None:  # standard output may be closed
            sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption) and not error.possibilities:
            print("A text that begins with '-' goes behind '--'.", file=sys.stderr)
        return BAD_INPUT
    except SolveError as error:
        return _complain(error, FAILED)
    except (IntertwineError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            # the reader has closed the pipe, as `head` does: discard the rest
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
        return _complain(ArithmeticError(f"the computation is too large: {error!r}"), FAILED)
    return code


def _call(arguments: list[str]) -> int:
    """Parse the arguments and call the command. Return its exit code.

    This takes the place of `click.Command.main`, which would handle Ctrl-C and closed pipes, and
    on Windows expand the `*` of a rep to the names of files.
    """
    if instruction := os.environ.get(_COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(PROGRAM, {}, "intertwine", _COMPLETE, instruction)
    try:
        with PROGRAM.make_context("intertwine", arguments) as context:
            code: int | None = PROGRAM.invoke(context)
    except click.exceptions.Exit as ended:  # after --help or --version
        return ended.exit_code
    return code or 0


def _complain(error: Exception, code: int) -> int:
    text, notes = str(error), "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
    if isinstance(error, OSError) and error.filename is not None and error.filename2 is None:
        text = f"{error.filename}: {error.strerror}"  # without the number of the error
    print(f"intertwine: {text}{notes}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
