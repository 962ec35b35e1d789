"""Check whether linear maps are equivariant."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Num

from intertwine.arrays import namespace
from intertwine.errors import InvalidRep, NotEquivariant
from intertwine.groups import Group
from intertwine.operators import LinearOperator
from intertwine.reps.syntax import Element, Rep, groups_of, rho_of


def equivariance_error(
    W: Any, rep_in: Rep, rep_out: Rep, G: Group | None = None, *, samples: int = 5, seed: int = 0
) -> float:
    """‖ρ₂(g)W − Wρ₁(g)‖ / (‖ρ₂(g)W‖ + ‖Wρ₁(g)‖) over sampled g, in the Frobenius norm.

    W is a matrix of shape (n₂, n₁), a vector of its n₂n₁ entries, or a basis of such vectors of
    shape (n₂n₁, r). Reps without a group get `G`. For empty or zero maps the error is 0. (The
    measure of EMLP, Finzi et al. 2021.) Raises `InvalidRep` where the sizes do not fit.
    """
    if G is not None:
        rep_in, rep_out = (r if r.is_concrete else r(G) for r in (rep_in, rep_out))
    n_out, n_in = rep_out.size(), rep_in.size()
    maps = np.asarray(W)
    shapes = [(n_out, n_in), (n_out * n_in,), (n_out * n_in, -1), (n_out, n_in, -1)]
    fitting = next((shape for shape in shapes if _fits(maps.shape, shape)), None)
    if fitting is None:
        if callable(W) and not hasattr(W, "shape"):
            raise InvalidRep(
                f"a linear map is given as a matrix, not as a {type(W).__name__}: for a network, "
                "use intertwine.training.model_equivariance_error"
            )
        raise InvalidRep(
            f"maps of shape {maps.shape} do not fit reps of sizes {n_in} → {n_out}: give a matrix "
            f"of shape {(n_out, n_in)}"
        )
    maps = maps.reshape(n_out, n_in, maps.shape[-1] if shapes.index(fitting) > 1 else 1)
    difference = total = 0.0
    for element in sampled_elements((rep_in, rep_out), samples, seed):
        after = _apply(rho_of(rep_out, element), _flat(maps)).reshape(maps.shape)
        before = _apply_transposed(rho_of(rep_in, element), np.swapaxes(maps, 0, 1), n_in)
        difference += float(np.sum(np.abs(after - before) ** 2))
        total += float((np.linalg.norm(after) + np.linalg.norm(before)) ** 2)
    return float(np.sqrt(difference / total)) if total != 0 else 0.0


def rel_err(a: Any, b: Any) -> Any:
    """Return ‖a − b‖ / (‖a‖ + ‖b‖) of two arrays of one shape, from 0 to 1, in the Frobenius norm.

    It is EMLP's measure of equality, a number of the arrays' library. For zeros it is 0.
    """
    xp = namespace(a, b)
    a, b = xp.asarray(a), xp.asarray(b)
    scale = xp.sqrt(xp.sum(abs(a) ** 2)) + xp.sqrt(xp.sum(abs(b) ** 2))
    return xp.sqrt(xp.sum(abs(a - b) ** 2)) / xp.where(scale == 0, 1, scale)


def assert_equivariant(
    W: Any,
    rep_in: Rep,
    rep_out: Rep,
    G: Group | None = None,
    *,
    tolerance: float = 1e-6,
    samples: int = 5,
    seed: int = 0,
) -> None:
    """Raise `NotEquivariant` unless `equivariance_error` is at most `tolerance` (NaN is not)."""
    error = equivariance_error(W, rep_in, rep_out, G, samples=samples, seed=seed)
    if not error <= tolerance:
        raise NotEquivariant(
            f"the map from {rep_in!r} to {rep_out!r} has an equivariance error of {error:.3g}, "
            f"more than {tolerance:.3g}"
        )


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        b in (a, -1) for a, b in zip(shape, wanted, strict=True)
    )


def sampled_elements(reps: tuple[Rep, ...], samples: int, seed: int) -> list[Element]:
    """Return random elements for `rho`, each a dict with one element per group."""
    groups = tuple(dict.fromkeys(group for rep in reps for group in groups_of(rep)))
    drawn = {group: group.samples(samples, seed) for group in groups}
    return [{group: drawn[group][i] for group in groups} for i in range(samples)]


def _flat(maps: Num[np.ndarray, "n m r"]) -> Num[np.ndarray, "n mr"]:
    """Merge the last two axes. (A size of -1 is ambiguous if an axis is empty.)"""
    return maps.reshape(maps.shape[0], maps.shape[1] * maps.shape[2])


def _apply(rho: Any, matrix: Num[np.ndarray, "n k"]) -> Num[np.ndarray, "n k"]:
    return np.asarray(rho @ matrix)


def _apply_transposed(
    rho: Any, maps: Num[np.ndarray, "n_in n_out r"], n_in: int
) -> Num[np.ndarray, "n_out n_in r"]:
    """W ρ(g), as (ρ(g)ᵀ Wᵀ)ᵀ."""
    transposed = rho.T if isinstance(rho, LinearOperator) else np.asarray(rho).T
    flat = _apply(transposed, _flat(maps))
    return np.swapaxes(flat.reshape(maps.shape), 0, 1)
