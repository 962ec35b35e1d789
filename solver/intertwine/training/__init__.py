"""Training of models, equivariant or not, and how equivariant they are. Needs the extra ``nn``."""

from intertwine import nn as _nn  # noqa: F401  # which says what is missing, where something is
from intertwine.training.data import Data
from intertwine.training.equivariance import model_equivariance_error, model_equivariance_errors
from intertwine.training.evaluation import evaluate
from intertwine.training.fitting import fit
from intertwine.training.freed_memory import freed_memory_kept
from intertwine.training.history import Epoch, History
from intertwine.training.losses import cross_entropy, mean_absolute_error, mean_squared_error
from intertwine.training.trained import Event, Trained

__all__ = [
    "Data",
    "Epoch",
    "Event",
    "History",
    "Trained",
    "cross_entropy",
    "evaluate",
    "fit",
    "freed_memory_kept",
    "mean_absolute_error",
    "mean_squared_error",
    "model_equivariance_error",
    "model_equivariance_errors",
]
