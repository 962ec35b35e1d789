"""The check of an uploaded file of samples, in a separate process.

The file is unpacked there, so that the memory and time of a hostile file do not block the service.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intertwine.errors import FormatError, IntertwineError, TooLarge
from intertwine.whole_files import is_full_disk
from intertwine_cache import require_room

from intertwine_api.storage.background import yield_processors
from intertwine_api.wire.problems import Problem, ProblemError, from_error

_SECONDS = 600.0  # for 1 GB, a slow disk takes a minute
_HEADER = 2**16  # bytes of a file besides its samples
_BASE_MEMORY = 2**31  # bytes of address space of a process that has read nothing
_COPIES = 4  # of the largest dataset: as read, converted, and parts that are compared
_FULL_DISK = "disk-full"


@dataclass(frozen=True)
class CheckedSamples:
    """The samples of a file: their number, and the facts of inputs and targets."""

    samples: int
    inputs: dict[str, Any]
    targets: dict[str, Any]


def check_samples(file: Path, target: Path, most_bytes: int) -> CheckedSamples:
    """Check the samples of a file, and write them to `target` in canonical form.

    Raises `FormatError` and `TooLarge` as `read_samples` does, `ProblemError` with ``out-of-time``,
    and `OSError` for a full disk.
    """
    command = [sys.executable, "-P", "-m", __name__, str(file), str(target), str(most_bytes)]
    try:
        ended = subprocess.run(
            command, capture_output=True, timeout=_SECONDS, check=False, start_new_session=True
        )
    except subprocess.TimeoutExpired as error:
        detail = f"the check of the file took more than {_SECONDS:g} s: send a smaller file"
        raise ProblemError.of("out-of-time", detail) from error
    if ended.returncode:
        reason = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError(f"the check of a file ended with {ended.returncode}: {reason}")
    answer = json.loads(ended.stdout)
    problem = answer.get("problem")
    if problem is None:
        return CheckedSamples(**answer)
    if problem["code"] == _FULL_DISK:
        raise OSError(answer["errno"], problem["detail"])
    for kind in (FormatError, TooLarge):
        if problem["code"] == kind.code:
            raise kind(problem["detail"])
    raise ProblemError(Problem(**problem))


def _main(file: Path, target: Path, most_bytes: int) -> dict[str, Any]:
    """Check a file in this process. Return the document that `check_samples` reads."""
    from intertwine.training.recipe.sample_files import read_samples
    from intertwine.training.recipe.samples import Samples

    try:
        samples = Samples.of(*read_samples(file, most_bytes))
        _write(samples, target, most_bytes)
    except IntertwineError as error:
        return {"problem": from_error(error).model_dump()}
    except MemoryError:
        detail = f"the arrays do not fit into memory; a dataset has at most {most_bytes:,} bytes"
        return {"problem": Problem.of("too-large", detail).model_dump()}
    except OSError as error:
        if not is_full_disk(error):
            raise
        problem = Problem.of(_FULL_DISK, error.strerror or "the disk is full")
        return {"problem": problem.model_dump(), "errno": error.errno}
    inputs, targets = samples.facts
    return {"samples": len(samples), "inputs": inputs, "targets": targets}


def _write(samples: Any, target: Path, most_bytes: int) -> None:
    size = 0
    with target.open("xb") as out:

        def write(piece: bytes | memoryview) -> None:
            nonlocal size
            size += len(piece)
            if size > most_bytes + _HEADER:
                raise TooLarge(
                    f"the samples take more than {most_bytes:,} bytes as floating-point numbers, "
                    f"which is the limit: send fewer"
                )
            require_room(target.parent, len(piece))
            out.write(piece)

        samples.write(write)


if __name__ == "__main__":
    yield_processors()
    _file, _target, _most = sys.argv[1:]
    _limit = _BASE_MEMORY + _COPIES * int(_most)
    resource.setrlimit(resource.RLIMIT_AS, (_limit, _limit))
    print(json.dumps(_main(Path(_file), Path(_target), int(_most))))
