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
    """Yield a function that shows an epoch on a progress bar.

    With `progress=None` the bar is shown if stderr is a terminal, or in a notebook.
    """
    if not (_is_interactive() if progress is None else progress):
        yield lambda row: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=epochs, initial=done, unit="epoch", file=sys.stderr) as bar:

        def show(row: Epoch) -> None:
            losses = {"train": row.train_loss, "val": row.validation_loss, "test": row.test_loss}
            shown = {name: f"{loss:.3g}" for name, loss in losses.items() if loss is not None}
            bar.set_postfix(shown, refresh=False)
            bar.update(row.epoch - bar.n)

        yield show


def _is_interactive() -> bool:
    """Return whether stderr is a terminal, or the process a notebook's kernel."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
