"""Training of models of JAX or PyTorch, equivariant or not, and how equivariant they are.

The names are loaded when they are first used, and with them neither JAX nor PyTorch. Models of JAX
need the extra ``nn``, and so do polynomials and your own loops of JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intertwine.training.data import Data
    from intertwine.training.equivariance import (
        model_equivariance_error,
        model_equivariance_errors,
    )
    from intertwine.training.evaluation import evaluate
    from intertwine.training.fitting import fit
    from intertwine.training.freed_memory import freed_memory_kept
    from intertwine.training.history import Epoch, History, plot_histories
    from intertwine.training.losses import cross_entropy, mean_absolute_error, mean_squared_error
    from intertwine.training.microbatches import value_and_grad_in_microbatches
    from intertwine.training.packing import Packing
    from intertwine.training.polynomial_fitting import (
        PolynomialFit,
        ResidualFit,
        Selection,
        fit_polynomial,
        fit_with_polynomial,
    )
    from intertwine.training.trained import Event, Trained

__all__ = [
    "Data",
    "Epoch",
    "Event",
    "History",
    "Packing",
    "PolynomialFit",
    "ResidualFit",
    "Selection",
    "Trained",
    "cross_entropy",
    "evaluate",
    "fit",
    "fit_polynomial",
    "fit_with_polynomial",
    "freed_memory_kept",
    "mean_absolute_error",
    "mean_squared_error",
    "model_equivariance_error",
    "model_equivariance_errors",
    "plot_histories",
    "value_and_grad_in_microbatches",
]

_MODULES = {
    **{"Data": "data", "evaluate": "evaluation", "fit": "fitting", "Event": "trained"},
    "Trained": "trained",
    **dict.fromkeys(("Epoch", "History", "plot_histories"), "history"),
    **dict.fromkeys(("model_equivariance_error", "model_equivariance_errors"), "equivariance"),
    **dict.fromkeys(("cross_entropy", "mean_absolute_error", "mean_squared_error"), "losses"),
    **{"Packing": "packing", "freed_memory_kept": "freed_memory"},
    **{"value_and_grad_in_microbatches": "microbatches"},
    **dict.fromkeys(("PolynomialFit", "ResidualFit", "Selection"), "polynomial_fitting"),
    **dict.fromkeys(("fit_polynomial", "fit_with_polynomial"), "polynomial_fitting"),
}

_OF_JAX = {
    *("Packing", "PolynomialFit", "ResidualFit", "Selection", "fit_polynomial"),
    *("fit_with_polynomial", "value_and_grad_in_microbatches"),
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _OF_JAX:
        import_module("intertwine.nn")  # names the missing extra, and keeps compiled programs
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
