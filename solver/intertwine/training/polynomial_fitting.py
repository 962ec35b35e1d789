"""Fit a polynomial in closed form, and a network to its residuals; validation data select."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import optax
from jaxtyping import Inexact, Int

from intertwine.datasets.standardisation import moments, sizes
from intertwine.errors import InvalidSetting, MethodNotApplicable, TooLarge
from intertwine.nn import EquivariantPolynomial, Parallel, Standardize
from intertwine.nn.least_squares import LeastSquares
from intertwine.reps import Rep
from intertwine.training.counts import at_least
from intertwine.training.data import Data, Pair, reps_of
from intertwine.training.evaluation import evaluate
from intertwine.training.fitting import fit
from intertwine.training.trained import Trained

_RIDGES = (0.0, *(10.0**power for power in range(-12, 2)))
_TERMS = 64
"""The largest number of terms of forward selection."""
_TIE = 1.01
_NOT_FOR_RESIDUALS = {"optimizer", "loss", "checkpoint", "augment"}
"""Settings of `fit` that belong to one fit, or to data with reps."""


@dataclass(frozen=True)
class Selection:
    """How the coefficients of an irrep of the output were selected.

    `terms` coefficients, of degree up to `degree`, are not zero. A `ridge` of None means forward
    selection.
    `validation_loss` is the mean squared error of a component, in units of the targets' sizes.
    """

    degree: int
    terms: int
    ridge: float | None
    validation_loss: float


@dataclass(frozen=True)
class PolynomialFit:
    """A fitted polynomial, its validation loss (mean squared error), and the selection for each
    irrep of the output, by name. `norms` says whether |v| and v/|v| are among its variables.
    """

    model: Standardize
    validation_loss: float
    norms: bool
    selections: Mapping[str, Selection]

    def __repr__(self) -> str:
        inner = ", ".join(
            f"{s.terms} terms of degree up to {s.degree}" for s in self.selections.values()
        )
        return f"<PolynomialFit: {inner}, validation loss {self.validation_loss:.3g}>"


@dataclass(frozen=True)
class ResidualFit:
    """The result of `fit_with_polynomial`: `model` is the polynomial, a network, or their sum.

    `polynomial` is None if none can be fitted for these reps. `trained` is the fit of the network
    in `model`, and `weight_decay` the weight decay of that fit; both are None if `model` has no
    network. `losses` are the validation losses of all candidates.
    """

    model: Any
    validation_loss: float
    polynomial: PolynomialFit | None
    trained: Trained | None = None
    weight_decay: float | None = None
    losses: Mapping[str, float] = field(default_factory=dict)

    @property
    def chosen(self) -> str:
        """What `model` is: "polynomial", "network" or "sum"."""
        if self.trained is None:
            return "polynomial"
        return "sum" if isinstance(self.model, Parallel) else "network"


def fit_polynomial(
    data: Data | Pair,
    validation: Data | Pair,
    *,
    rep_in: Rep | None = None,
    rep_out: Rep | None = None,
    degree: int = 8,
    norms: Sequence[bool] = (False, True),
    generators: int = 4,
    most: int = 1024,
    dtype: Any = None,
) -> PolynomialFit:
    """Return the equivariant polynomial with the least squared error on validation data.

    Coefficients are fitted to the data by least squares, in double precision. For each irrep of the
    output, validation data select the degree, up to `degree`, and either a ridge or forward
    selection of up to 64 terms. If `norms` has both values, they also select whether |v| and v/|v|
    are among the variables. Degrees with more than `most` products of an irrep are left out
    (`EquivariantPolynomial`). Equal arguments give equal results.

    Reps are those of the data; for pairs of arrays, give `rep_in` and `rep_out`. Raises
    `MethodNotApplicable` for reps that are not recognised as sums of irreps, and `TooLarge` if
    there are too many polynomials of degree 1.
    """
    degree, most = at_least(1, degree, "degree"), at_least(1, most, "most")
    reps = reps_of(data, rep_in, rep_out, None)
    train, watched = _pair(data, reps), _pair(validation, reps)
    scales = sizes(train[0], reps[0]), sizes(train[1], reps[1])
    found = []
    for with_norms in dict.fromkeys(map(bool, norms)):
        polynomial = _largest(reps, degree, with_norms, generators, most, dtype)
        scaled = [(x / scales[0], y / scales[1]) for x, y in (train, watched)]
        solutions, selections = _selected(polynomial, *scaled)
        model = Standardize(polynomial.with_weights(solutions), (0.0, scales[0], 0.0, scales[1]))
        loss = evaluate(model, watched)
        found.append(PolynomialFit(model, loss, with_norms, selections))
    if not found:
        raise InvalidSetting("norms is empty: give (False,), (True,) or both")
    return min(found, key=lambda one: one.validation_loss)


def fit_with_polynomial(
    model: Any,
    data: Data | Pair,
    *,
    validation: Data | Pair,
    weight_decays: Sequence[float] = (0.1, 0.0, 0.3),
    enough: float = 1e-6,
    polynomial: Mapping[str, Any] | None = None,
    **settings: Any,
) -> ResidualFit:
    """Fit a polynomial in closed form, train the model on its residuals, and return the candidate
    with the least validation loss: the polynomial, its sum with the network, or the network alone.

    The model is an untrained network, which gets standardised data. It is trained by
    ``optax.adamw``: with the first of `weight_decays` on the residuals, and on the targets
    themselves; with each of the others on the better of these two. No network is trained if the
    polynomial's validation loss is at most `enough` times the mean square of the validation
    targets.

    `polynomial` are settings of `fit_polynomial`, and the other `settings` those of `fit`, without
    optimizer, loss, checkpoint and augment. Equal arguments give equal results, as with `fit`.
    """
    own = sorted({*settings} & _NOT_FOR_RESIDUALS)
    if own:
        raise InvalidSetting(
            f"fit_with_polynomial trains several times, by optax.adamw on the squared error: leave "
            f"{' and '.join(own)} out, or use fit"
        )
    decays = list(weight_decays)
    if not decays:
        raise InvalidSetting("weight_decays is empty: give at least one, such as (0.0,)")
    reps = model.rep_in, model.rep_out
    train, watched = _pair(data, reps), _pair(validation, reps)
    closed = _closed_form(train, watched, reps, polynomial or {})
    best = None if closed is None else ResidualFit(closed.model, closed.validation_loss, closed)
    losses = {} if closed is None else {"polynomial": closed.validation_loss}
    if closed is not None and closed.validation_loss <= enough * np.mean(np.abs(watched[1]) ** 2):
        return ResidualFit(closed.model, closed.validation_loss, closed, losses=losses)
    bases: list[PolynomialFit | None] = [None] if closed is None else [closed, None]
    for number, decay in enumerate(decays):
        firsts = []
        for base in bases:
            trained = _trained(model, base, train, watched, reps, decay, settings)
            whole = trained.best if base is None else Parallel(base.model, trained.best)
            loss = evaluate(whole, watched)
            losses[f"{'network' if base is None else 'sum'}, weight decay {decay:g}"] = loss
            firsts.append((loss, base))
            if best is None or loss < best.validation_loss:
                best = ResidualFit(whole, loss, closed, trained, decay)
        if not number:
            bases = [min(firsts, key=lambda one: one[0])[1]]
    assert best is not None
    return ResidualFit(
        best.model, best.validation_loss, closed, best.trained, best.weight_decay, losses
    )


def _closed_form(
    train: Pair, watched: Pair, reps: tuple[Rep, Rep], settings: Mapping[str, Any]
) -> PolynomialFit | None:
    """Return the best polynomial; None if these reps have no polynomials, or too many."""
    try:
        return fit_polynomial(train, watched, rep_in=reps[0], rep_out=reps[1], **settings)
    except (MethodNotApplicable, TooLarge):
        return None


def _trained(
    model: Any,
    base: PolynomialFit | None,
    train: Pair,
    watched: Pair,
    reps: tuple[Rep, Rep],
    decay: float,
    settings: Mapping[str, Any],
) -> Trained:
    """Return the fit of a model to the residuals of a polynomial, or to the targets."""
    left = [
        (x, y if base is None else y - np.asarray(base.model(x), y.dtype))
        for x, y in (train, watched)
    ]
    stats = (*moments(left[0][0], reps[0]), *moments(left[0][1], reps[1]))
    optimizer = partial(optax.adamw, weight_decay=decay) if decay else optax.adam
    return fit(
        Standardize(model, stats), left[0], validation=left[1], optimizer=optimizer, **settings
    )


def _pair(data: Any, reps: tuple[Rep, Rep]) -> Pair:
    """Return inputs and targets as matrices of floating-point numbers."""
    given = (data.X, data.Y) if hasattr(data, "X") and hasattr(data, "Y") else data
    if not isinstance(given, tuple) or len(given) != 2:
        raise InvalidSetting(
            f"data are a tuple (X, Y) of inputs and targets, or an object with X and Y, not a "
            f"{type(data).__name__}"
        )
    found = []
    for array, rep, what in zip(given, reps, ("inputs", "targets"), strict=True):
        numbers = np.asarray(array)
        numbers = numbers.astype(np.result_type(numbers.dtype, np.float32))
        if numbers.ndim != 2 or numbers.shape[1] != rep.size() or not len(numbers):
            raise InvalidSetting(
                f"the {what} have the shape {numbers.shape}, and {rep!r} has size {rep.size()}: "
                f"give an array of shape (samples, {rep.size()})"
            )
        if not np.isfinite(numbers).all():
            raise InvalidSetting(f"the {what} are not finite: remove or correct those rows")
        found.append(numbers)
    return found[0], found[1]


def _largest(
    reps: tuple[Rep, Rep], degree: int, norms: bool, generators: int, most: int, dtype: Any
) -> EquivariantPolynomial:
    """Return the polynomials up to the highest degree, at most `degree`, that has few enough."""
    settings: dict[str, Any] = {
        "norms": norms,
        "generators": generators,
        "most": most,
        "dtype": dtype,
    }
    found = EquivariantPolynomial(*reps, degree=1, **settings)
    for k in range(2, degree + 1):
        try:
            found = EquivariantPolynomial(*reps, degree=k, **settings)
        except TooLarge:
            break
    return found


def _selected(
    polynomial: EquivariantPolynomial, train: Pair, watched: Pair
) -> tuple[dict[str, Inexact[np.ndarray, "p m"]], dict[str, Selection]]:
    """Return the solution of each irrep's problem with the least error on the watched data, and of
    those within 1 % of it, or within rounding, the one of the fewest terms.
    """
    solutions: dict[str, Inexact[np.ndarray, "p m"]] = {}
    selections: dict[str, Selection] = {}
    judges = polynomial.problems(*watched)
    for name, problem in polynomial.problems(*train).items():
        judge, degrees = judges[name], polynomial.degrees(name)
        found = []
        for degree, ridge, weights in _candidates(problem, degrees):
            used = np.abs(weights).max(axis=1, initial=0) > 0
            terms = int(used[int(problem.has_constant) :].sum())
            found.append((Selection(degree, terms, ridge, judge.error(weights)), weights))
        least = min(selection.validation_loss for selection, _ in found)
        enough = _TIE * least + np.finfo(watched[1].dtype).eps ** 2
        selections[name], solutions[name] = min(
            (one for one in found if one[0].validation_loss <= enough), key=lambda one: one[0].terms
        )
    return solutions, selections


def _candidates(
    problem: LeastSquares, degrees: Int[np.ndarray, " p"]
) -> Iterator[tuple[int, float | None, Inexact[np.ndarray, "width m"]]]:
    """Yield solutions with their degree and ridge, low degrees first."""
    seen = set[int]()
    for degree in range(int(degrees.max(initial=0)) + 1):
        width = int(np.sum(degrees <= degree))
        if width in seen:
            continue
        seen.add(width)
        path = problem.path(width)
        for ridge in _RIDGES:
            yield degree, ridge, path.weights(ridge)
        for weights in problem.forward(width, _TERMS):
            yield degree, None, weights
