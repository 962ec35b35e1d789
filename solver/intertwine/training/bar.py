"""The progress bar of a fit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from intertwine.training.history import Epoch


@contextmanager
def progress_bar(
    progress: bool | None, epochs: int, done: int
) -> Iterator[Callable[[Epoch], None]]:
    """A function that shows an epoch: on a bar if wanted, or (None) if people look at stderr."""
    if not (_is_watched() if progress is None else progress):
        yield lambda row: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=epochs, initial=done, unit="epoch", file=sys.stderr) as bar:

        def show(row: Epoch) -> None:
            losses = {"train": row.train_loss, "val": row.validation_loss, "test": row.test_loss}
            told = {name: f"{loss:.3g}" for name, loss in losses.items() if loss is not None}
            bar.set_postfix(told, refresh=False)
            bar.update(row.epoch - bar.n)

        yield show


def _is_watched() -> bool:
    """A terminal, or a notebook, whose kernel has loaded IPython and ipykernel."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
