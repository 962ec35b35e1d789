"""Fit a polynomial in closed form, and a network to its residuals.

Validation data or leave-one-out errors select the polynomial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import optax
from jaxtyping import Float, Inexact, Int

from intertwine.datasets.standardisation import moments, sizes
from intertwine.errors import InvalidSetting, MethodNotApplicable, TooLarge
from intertwine.integers import checked_integer
from intertwine.nn import EquivariantPolynomial, Parallel, Standardize
from intertwine.nn.least_squares import LeastSquares
from intertwine.reps import Rep
from intertwine.training.data import Data, Pair, reps_of
from intertwine.training.evaluation import evaluate
from intertwine.training.fitting import fit
from intertwine.training.precision import computing_in
from intertwine.training.trained import Trained

_RIDGES = (0.0, *(10.0**power for power in range(-12, 2)))
_TERMS = 64
"""The largest number of terms of forward selection."""
_TIE = 1.01  # errors up to this many times the least count as equal
_LOOSE_TIE = 1.25  # the same for leave-one-out errors, which also have a standard error
_NOT_FOR_RESIDUALS = {"optimizer", "loss", "checkpoint", "augment"}
"""Settings of `fit` that belong to one fit, or to data with reps."""


@dataclass(frozen=True)
class Selection:
    """How the coefficients of an irrep of the output were selected.

    `terms` coefficients, of degree up to `degree`, are not zero. A `ridge` of None means forward
    selection.
    `validation_loss` is the mean squared error of a component, in units of the targets' sizes: of
    validation data, or with each sample left out.
    """

    degree: int
    terms: int
    ridge: float | None
    validation_loss: float


@dataclass(frozen=True)
class PolynomialFit:
    """A fitted polynomial, its validation loss (mean squared error), and how it was selected.

    `selections` has the selection for each irrep of the output, by name. `norms` says whether |v|
    and v/|v| are among the variables. Without validation data, `is_leave_one_out` is true, and the
    validation loss is the mean squared error at each sample of the polynomial that is fitted
    without it.
    """

    model: Standardize
    validation_loss: float
    norms: bool
    selections: Mapping[str, Selection]
    is_leave_one_out: bool = False

    def __repr__(self) -> str:
        inner = ", ".join(
            f"{s.terms} terms of degree up to {s.degree}" for s in self.selections.values()
        )
        what = "leave-one-out" if self.is_leave_one_out else "validation"
        return f"<PolynomialFit: {inner}, {what} loss {self.validation_loss:.3g}>"


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
    validation: Data | Pair | None = None,
    *,
    rep_in: Rep | None = None,
    rep_out: Rep | None = None,
    degree: int = 8,
    norms: Sequence[bool] = (False, True),
    generators: int = 4,
    most: int = 1024,
    dtype: Any = None,
) -> PolynomialFit:
    """Return the equivariant polynomial with the least error on validation data, or leave-one-out.

    Coefficients are fitted to the data by least squares, in double precision. For each irrep of the
    output, validation data select the degree, up to `degree`, and either a ridge or forward
    selection of up to 64 terms. If `norms` has both values, they also select whether |v| and v/|v|
    are among the variables. Degrees with more than `most` products of an irrep are left out
    (`EquivariantPolynomial`). Equal arguments give equal results.

    Without validation data, the leave-one-out error selects the degree, a ridge and `norms`: the
    mean squared error at each sample of the polynomial that is fitted without it, in closed form.
    There is no forward selection then, so the targets must have about as many numbers as there are
    polynomials of the true degree.

    `dtype` is that of the weights, float32 by default. With float64, errors can be as small as
    rounding errors of float64 if the data are float64 too; `evaluate` and calls of the model then
    compute in float64, also if JAX has it disabled. Only a call inside ``jax.jit`` or ``jax.grad``
    needs ``jax.enable_x64(True)``.

    Reps are those of the data; for pairs of arrays, give `rep_in` and `rep_out`. Raises
    `MethodNotApplicable` for reps that are not recognised as sums of irreps, and `TooLarge` if
    there are too many polynomials of degree 1.
    """
    degree, most = checked_integer(degree, "degree", 1), checked_integer(most, "most", 1)
    reps = reps_of(data, rep_in, rep_out, None)
    train = _pair(data, reps)
    watched = None if validation is None else _pair(validation, reps)
    scales = sizes(train[0], reps[0]), sizes(train[1], reps[1])
    found = []
    with computing_in("float64" if _is_double(dtype) else "float32"):
        for with_norms in dict.fromkeys(map(bool, norms)):
            polynomial = _largest(reps, degree, with_norms, generators, most, dtype)
            given = _scaled(train, scales)
            if watched is None:
                choices = _by_leave_one_out(polynomial, given)
            else:
                choices = _by_validation(polynomial, given, _scaled(watched, scales))
            solutions = {name: choice.weights for name, choice in choices.items()}
            stats = (0.0, scales[0], 0.0, scales[1])
            model = Standardize(polynomial.with_weights(solutions), stats)
            if watched is None:
                left_out = {name: choice.residuals for name, choice in choices.items()}
                errors = polynomial.untargeted(left_out) * scales[1]
                loss = float(np.mean(np.abs(errors) ** 2))
            else:
                loss = evaluate(model, watched)
            selections = {name: choice.selection for name, choice in choices.items()}
            found.append(PolynomialFit(model, loss, with_norms, selections, watched is None))
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
    """Fit a polynomial in closed form, train the model on its residuals, and return the best.

    The best is the candidate with the least validation loss: the polynomial, its sum with the
    network, or the network alone. The model is an untrained network, which gets standardised data.
    It is trained by ``optax.adamw``: with the first of `weight_decays` on the residuals, and on the
    targets themselves; with each of the others on the better of these two. No network is trained if
    the polynomial's validation loss is at most `enough` times the mean square of the validation
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


@dataclass(frozen=True)
class _Choice:
    """A solution of an irrep's problem: its weights, and leave-one-out residuals if computed."""

    selection: Selection
    weights: Inexact[np.ndarray, "width m"]
    residuals: Any = None

    @classmethod
    def of(
        cls,
        problem: LeastSquares,
        degree: int,
        ridge: float | None,
        weights: Inexact[np.ndarray, "width m"],
        loss: float,
    ) -> _Choice:
        """Return the choice with its number of terms counted."""
        used = np.abs(weights).max(axis=1, initial=0) > 0
        terms = int(used[int(problem.has_constant) :].sum())
        return cls(Selection(degree, terms, ridge, loss), weights)


def _by_validation(
    polynomial: EquivariantPolynomial, train: Pair, watched: Pair
) -> dict[str, _Choice]:
    """Return the solution of each irrep's problem with the least error on the watched data."""
    judges, found = polynomial.problems(*watched), {}
    for name, problem in polynomial.problems(*train).items():
        choices = []
        for degree, width in _widths(polynomial.degrees(name)):
            path = problem.path(width)
            by_ridge = ((ridge, path.weights(ridge)) for ridge in _RIDGES)
            by_terms = ((None, weights) for weights in problem.forward(width, _TERMS))
            for ridge, weights in (*by_ridge, *by_terms):
                loss = judges[name].error(weights)
                choices.append(_Choice.of(problem, degree, ridge, weights, loss))
        found[name] = _simplest(choices, watched)
    return found


def _by_leave_one_out(polynomial: EquivariantPolynomial, train: Pair) -> dict[str, _Choice]:
    """Return the solution of each irrep's problem with the least error at samples left out."""
    found = {}
    for name, problem in polynomial.problems(*train).items():
        choices, by_sample = [], []
        for degree, width in _widths(polynomial.degrees(name)):
            path = problem.path(width)
            by_ridge = polynomial.left_out(name, path, _RIDGES, *train)
            for ridge, residuals in zip(_RIDGES, by_ridge, strict=True):
                losses = np.mean(np.abs(residuals.reshape(len(train[0]), -1)) ** 2, axis=1)
                weights, loss = path.weights(ridge), float(np.mean(losses))
                choices.append(_Choice.of(problem, degree, ridge, weights, loss))
                by_sample.append(losses)
        chosen = _simplest_within_an_error(choices, by_sample, train)
        path = problem.path(len(chosen.weights))
        assert chosen.selection.ridge is not None
        (residuals,) = polynomial.left_out(name, path, [chosen.selection.ridge], *train)
        found[name] = replace(chosen, residuals=residuals)
    return found


def _simplest(choices: Sequence[_Choice], judged: Pair) -> _Choice:
    """Return the choice with the fewest terms among those within 1 % of the least error.

    Errors up to rounding of the data count as equal.
    """
    losses = [choice.selection.validation_loss for choice in choices]
    enough = _TIE * min(losses) + np.finfo(judged[1].dtype).eps ** 2
    return min(
        (one for one in choices if one.selection.validation_loss <= enough),
        key=lambda one: one.selection.terms,
    )


def _simplest_within_an_error(
    choices: Sequence[_Choice], by_sample: Sequence[Float[np.ndarray, " n"]], judged: Pair
) -> _Choice:
    """Return the choice with the fewest terms, then the least error, among those near the best.

    Near is an error within 25 %, and within one standard error of the mean difference over the
    samples. That difference is known much better than the errors themselves.
    """
    means = [choice.selection.validation_loss for choice in choices]
    best = int(np.argmin(means))
    rounding = np.finfo(judged[1].dtype).eps ** 2
    if not np.isfinite(means[best]):
        return min(choices, key=lambda one: one.selection.terms)
    found = []
    for choice, mean, losses in zip(choices, means, by_sample, strict=True):
        if not mean <= _LOOSE_TIE * means[best] + rounding:
            continue
        difference = losses - by_sample[best]
        standard_error = float(np.std(difference)) / np.sqrt(len(difference))
        if mean - means[best] <= standard_error + rounding:
            found.append(choice)
    return min(found, key=lambda one: (one.selection.terms, one.selection.validation_loss))


def _scaled(pair: Pair, scales: tuple[Any, Any]) -> Pair:
    return pair[0] / scales[0], pair[1] / scales[1]


def _widths(degrees: Int[np.ndarray, " p"]) -> Iterator[tuple[int, int]]:
    """Yield the degrees at which there are further columns, with the number of columns so far."""
    seen = set[int]()
    for degree in range(int(degrees.max(initial=0)) + 1):
        width = int(np.sum(degrees <= degree))
        if width not in seen:
            seen.add(width)
            yield degree, width


def _is_double(dtype: Any) -> bool:
    """Return whether a dtype is float64 or complex128. The polynomial checks other values."""
    try:
        return np.dtype(dtype) in (np.float64, np.complex128) if dtype is not None else False
    except TypeError:
        return False
