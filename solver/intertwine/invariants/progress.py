"""Progress of a solve: a callback for programs, a bar for people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_DELAY = 1.0  # seconds before a bar appears: short solves stay silent


@dataclass(frozen=True)
class Progress:
    """The progress of a solve: the `stage` in words, and its `fraction` from 0 to 1."""

    stage: str
    fraction: float


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Report nothing."""


@contextmanager
def reporting(progress: Report | bool | None) -> Iterator[Report]:
    """Provide the callback for progress: the given one, or a bar if requested or on a terminal."""
    if callable(progress):
        yield progress
    elif progress is True or (progress is None and sys.stderr.isatty()):
        with _bar() as report:
            yield report
    else:
        yield silent


@contextmanager
def _bar() -> Iterator[Report]:
    from tqdm.auto import tqdm

    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}"
    with tqdm(total=1.0, bar_format=form, delay=_DELAY, leave=False, file=sys.stderr) as bar:

        def report(progress: Progress) -> None:
            if progress.stage != bar.desc.removesuffix(": "):
                bar.set_description(progress.stage, refresh=False)
            _move(bar, progress.fraction)

        yield report


def _move(bar: Any, fraction: float) -> None:
    bar.update(max(0.0, min(1.0, fraction)) - bar.n)
