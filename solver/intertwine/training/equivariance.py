"""The equivariance error of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Inexact, Shaped

from intertwine.arrays import in_numpy
from intertwine.errors import InvalidRep
from intertwine.groups import Group
from intertwine.integers import checked_integer
from intertwine.reps import Rep
from intertwine.reps.syntax import Element, rho_of
from intertwine.training.data import Data, Pair, reps_of
from intertwine.training.engine import engine_of
from intertwine.verify import sampled_elements


def model_equivariance_error(
    model: Any,
    data: Data | Pair | Any,
    rep_in: Rep | None = None,
    rep_out: Rep | None = None,
    group: Group | None = None,
    *,
    samples: int = 500,
    seed: int = 0,
    batch_size: int = 500,
) -> float:
    """Return ‖f(ρ_in(g)x) − ρ_out(g)f(x)‖ / (‖f(ρ_in(g)x)‖ + ‖ρ_out(g)f(x)‖), the norms over all x.

    Each x has its own random g. 0 is equivariant, up to rounding (1e-7 in float32); 1 is the worst.
    The measure of EMLP (Finzi et al. 2021). Other arguments and errors are those of
    `model_equivariance_errors`, which measures each point.
    """
    before, after = _both_ways(
        model, data, rep_in, rep_out, group, samples=samples, seed=seed, batch_size=batch_size
    )
    total = float(np.linalg.norm(before) + np.linalg.norm(after))
    return float(np.linalg.norm(before - after)) / total if total != 0 else 0.0


def model_equivariance_errors(
    model: Any,
    data: Data | Pair | Any,
    rep_in: Rep | None = None,
    rep_out: Rep | None = None,
    group: Group | None = None,
    *,
    samples: int = 500,
    seed: int = 0,
    batch_size: int = 500,
) -> Float[np.ndarray, " n"]:
    """Return ‖f(ρ_in(g)x) − ρ_out(g)f(x)‖ / (‖f(ρ_in(g)x)‖ + ‖ρ_out(g)f(x)‖) for each x, of shape
    (n,).

    Large where f(x) happens to be near zero; 0 where both sides vanish.

    `data` are those of a fit, or inputs of shape (n, d_in); the reps are theirs unless given, or
    else the model's `rep_in` and `rep_out`, and `group` is that of reps without one. At most
    `samples` different elements are drawn, by ``G.samples``: with more points than that, point i
    shares its element with point i + samples. ρ is applied in float64, and the model runs in its
    own precision. Raises `InvalidRep` if the reps do not fit, `NotConcrete` without a group,
    `InvalidSetting` without reps or for fewer than one sample.
    """
    before, after = _both_ways(
        model, data, rep_in, rep_out, group, samples=samples, seed=seed, batch_size=batch_size
    )
    total = np.linalg.norm(before, axis=1) + np.linalg.norm(after, axis=1)
    difference = np.linalg.norm(before - after, axis=1)
    return np.asarray(np.where(total == 0, 0.0, difference / np.where(total == 0, 1.0, total)))


def _both_ways(
    model: Any,
    data: Data | Pair | Any,
    rep_in: Rep | None,
    rep_out: Rep | None,
    group: Group | None,
    *,
    samples: Any,
    seed: int,
    batch_size: Any,
) -> tuple[Inexact[np.ndarray, "n m"], Inexact[np.ndarray, "n m"]]:
    """Return f(ρ_in(g)x) and ρ_out(g)f(x) for every x."""
    samples = checked_integer(samples, "samples", 1)
    batch_size = checked_integer(batch_size, "batch_size", 1)
    X = in_numpy(data.X if isinstance(data, Data) else data[0] if _is_pair(data) else data)
    if not isinstance(data, Data) and rep_in is None and rep_out is None:
        own = getattr(model, "rep_in", None), getattr(model, "rep_out", None)
        rep_in, rep_out = (rep if isinstance(rep, Rep) else None for rep in own)
    bound_in, bound_out = reps_of(data, rep_in, rep_out, group)
    _require_size(X, bound_in, "inputs")
    elements = sampled_elements((bound_in, bound_out), min(len(X), samples), seed)
    moved_after = _act(bound_out, elements, _answers(model, X, batch_size))
    return _answers(model, _act(bound_in, elements, X), batch_size), moved_after


def _act(
    rep: Rep, elements: list[Element], points: Shaped[np.ndarray, "n d"]
) -> Inexact[np.ndarray, "n d"]:
    """Return ρ(gᵢ)xᵢ, cycling through the elements."""
    _require_size(points, rep, "outputs of the model")
    columns = points.T.astype(np.result_type(points.dtype, np.float64))
    moved = [
        np.asarray(rho_of(rep, g) @ columns[:, i :: len(elements)]) for i, g in enumerate(elements)
    ]
    result = np.empty(points.shape, np.result_type(*moved, np.float64))
    for i, part in enumerate(moved):
        result[i :: len(elements)] = part.T
    return result


def _answers(
    model: Any, X: Shaped[np.ndarray, "n d"], batch_size: int
) -> Inexact[np.ndarray, "n m"]:
    """Return f(x) for every row, in the model's precision, as float64 or complex128."""
    engine = engine_of(model)
    with engine.computing():
        answers = engine.outputs(X, batch_size)
    return answers.astype(np.result_type(answers.dtype, np.float64))


def _is_pair(data: Any) -> bool:
    return isinstance(data, tuple)


def _require_size(points: Shaped[np.ndarray, "..."], rep: Rep, what: str) -> None:
    if points.ndim != 2 or points.shape[1] != rep.size() or not len(points):
        raise InvalidRep(
            f"{rep!r} has size {rep.size()}, and the {what} have the shape {points.shape}"
        )
