"""The threads of NumPy's and SciPy's linear algebra."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

_IN_USE = threading.Lock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Compute linear algebra in one thread inside, as suits small matrices.

    Several threads of BLAS would be no faster there, and wait in loops: the invariants of T(4) of
    SO(3) take 5 ms of processor time with one, and 20 times as much with two on a busy machine. The
    setting is one of the whole process. Of blocks that overlap, the first makes and undoes it.
    """
    if not _IN_USE.acquire(blocking=False):
        yield
        return
    controller = _controller("scipy.linalg" in sys.modules)
    try:
        with controller.limit(limits=1, user_api="blas"):
            yield
    finally:
        for library in controller.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):  # so that others may use a block
                library.clear_controlling_thread()
        _IN_USE.release()


@lru_cache(2)
def _controller(has_scipy: bool) -> Any:
    """Return the controller of the libraries that are loaded: SciPy has a BLAS of its own."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
