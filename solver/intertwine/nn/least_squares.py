"""Linear least squares with a ridge, in double precision, without the whole matrix in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
from jaxtyping import Float, Inexact

_DEPENDENT = 1e-7
"""A column depends on the selected ones if its distance from their span, relative to its length, is
at most this."""
_RELATIVE = 1e-13
"""Singular values below this, relative to the largest, are rounding errors."""
_FREE = 1e-8
"""A sample has no leave-one-out error if the fit leaves a smaller share of its residuals."""


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """The problem of the least mean of |Aw − y|² + ridge · Σⱼ |sⱼwⱼ|², by the triangle of A = QR.

    The first k columns of R are those of the problem with the first k columns of A, so that one
    factorisation is enough for every k. If A has a constant column, it is the first, and has no
    ridge. sⱼ is the root mean square of column j, minus its mean if there is a constant column.
    """

    triangle: Inexact[np.ndarray, "k p"]
    targets: Inexact[np.ndarray, "k m"]
    rest: float
    """The part of |y|² that no combination of columns explains."""
    rows: int
    has_constant: bool

    @classmethod
    def of(
        cls,
        blocks: Iterable[tuple[Inexact[np.ndarray, "r p"], Inexact[np.ndarray, "r m"]]],
        has_constant: bool,
    ) -> LeastSquares:
        """Return the problem whose rows are given block by block."""
        found: Inexact[np.ndarray, "_ _"] | None = None
        rows, width = 0, 0
        for columns, targets in blocks:
            rows, width = rows + len(columns), columns.shape[1]
            block = np.concatenate([columns, targets], axis=1)
            whole = block if found is None else np.concatenate([found, block])
            (found,) = scipy.linalg.qr(whole, mode="r", check_finite=False, overwrite_a=True)
            found = found[: found.shape[1]]
        assert found is not None
        rest = float(np.sum(np.abs(found[width:, width:]) ** 2))
        return cls(found[:width, :width], found[:width, width:], rest, rows, has_constant)

    def error(self, weights: Inexact[np.ndarray, "k m"]) -> float:
        """Return the mean of |Aw − y|² over rows and columns of y, for weights of the first k
        columns of A.
        """
        difference = self.triangle[:, : len(weights)] @ weights - self.targets
        total = float(np.sum(np.abs(difference) ** 2)) + self.rest
        return float(total / (self.rows * self.targets.shape[1]))

    @property
    def width(self) -> int:
        """p, the number of columns."""
        return int(self.triangle.shape[1])

    @cached_property
    def scales(self) -> Float[np.ndarray, " p"]:
        """s, with 1 for columns of zeros."""
        own = self.triangle.copy()
        if self.has_constant:
            own[0, 1:] = 0
        found: Float[np.ndarray, " p"] = np.linalg.norm(own, axis=0) / np.sqrt(self.rows)
        return np.where(found > 0, found, 1)

    def path(self, width: int) -> Path:
        """Return the solutions in the first `width` columns, for any ridge."""
        first = int(self.has_constant)
        inner = self.triangle[first:width, first:width] / self.scales[first:width]
        left, values, right = scipy.linalg.svd(inner, full_matrices=False, check_finite=False)
        image = left.conj().T @ self.targets[first : first + len(inner)]
        return Path(self, width, values, right, image)

    def forward(self, width: int, terms: int) -> Iterator[Inexact[np.ndarray, "width m"]]:
        """Yield the solutions of forward selection among the first `width` columns. Each has one
        more column, the one that lowers the error most, up to `terms` columns and the constant.
        """
        columns, targets = self.triangle[:width, :width], self.targets[:width]
        left, error = columns, targets
        lengths = np.linalg.norm(columns, axis=0)
        chosen: list[int] = []
        for _ in range(min(terms + self.has_constant, width)):
            if self.has_constant and not chosen:
                best = 0
            else:
                own = np.linalg.norm(left, axis=0)
                is_new = own > _DEPENDENT * lengths
                gain = np.linalg.norm(left.conj().T @ error, axis=1) / np.where(is_new, own, 1)
                gain = np.where(is_new, gain, -1)
                best = int(np.argmax(gain))
                if gain[best] <= _RELATIVE * np.linalg.norm(targets):
                    return
            chosen.append(best)
            unit = left[:, best] / np.linalg.norm(left[:, best])
            left = left - np.outer(unit, unit.conj() @ left)
            left[:, chosen] = 0
            error = error - np.outer(unit, unit.conj() @ error)
            found = np.zeros((width, targets.shape[1]), np.result_type(columns, targets))
            found[chosen] = scipy.linalg.lstsq(columns[:, chosen], targets, check_finite=False)[0]
            yield found


@dataclass(frozen=True, eq=False)
class Path:
    """The solutions of a problem in its first `width` columns."""

    problem: LeastSquares
    width: int
    values: Float[np.ndarray, " k"]
    right: Inexact[np.ndarray, "k q"]
    image: Inexact[np.ndarray, "k m"]

    def weights(self, ridge: float | int) -> Inexact[np.ndarray, "width m"]:
        """Return w; of several solutions for a ridge of 0, the one with the least Σⱼ |sⱼwⱼ|²."""
        problem, values = self.problem, self.values
        kept = values > _RELATIVE * max(values.max(initial=0), np.finfo(float).tiny)
        squares = np.where(kept, values**2 + ridge * problem.rows, 1)
        factors = np.where(kept, values / squares, 0)
        first = int(problem.has_constant)
        scaled = self.right.conj().T @ (factors[:, None] * self.image)
        found: Inexact[np.ndarray, "q m"] = scaled / problem.scales[first : self.width, None]
        if not first:
            return found
        head = problem.triangle[0]
        constant = (problem.targets[:1] - head[None, 1 : self.width] @ found) / head[0]
        return np.concatenate([constant, found])

    def left_out(
        self,
        blocks: Iterable[tuple[Inexact[np.ndarray, "r p"], Inexact[np.ndarray, "r m"]]],
        ridges: Sequence[float | int],
        group: int = 1,
    ) -> Inexact[np.ndarray, "ridges r m"]:
        """Return for each ridge the leave-one-out residuals Aw − y, in closed form (Allen 1974).

        The w of a row is that of a fit without its sample. `blocks` are the rows that the problem
        was made of; each sample is `group` successive rows. The residuals of sample i are
        (1 − Hᵢ)⁻¹(Aᵢw − yᵢ), where w is fitted to all rows and Hᵢ is the sample's block of the hat
        matrix. The penalty is that of all rows. Residuals are infinite for a sample that is fitted
        for any target, as with more columns than rows and no ridge.
        """
        problem, first = self.problem, int(self.problem.has_constant)
        kept = self.values > _RELATIVE * max(self.values.max(initial=0), np.finfo(float).tiny)
        values, right = self.values[kept], self.right[kept]
        scales = problem.scales[first : self.width, None]
        means: Inexact[np.ndarray, "_"] = problem.triangle[0, first : self.width] * 0
        if first:
            means = problem.triangle[0, first : self.width] / problem.triangle[0, 0]
        solutions = [self.weights(ridge) for ridge in ridges]
        found = []
        for columns, targets in blocks:
            shape = len(columns) // group, group
            centred = columns[:, first : self.width] - means
            unit = centred @ (right.conj().T / scales) / values
            unit = unit.reshape(*shape, len(values))
            by_ridge = []
            for ridge, solution in zip(ridges, solutions, strict=True):
                factors = values**2 / (values**2 + ridge * problem.rows)
                hat = (unit * factors) @ np.swapaxes(unit, 1, 2).conj()
                free = np.eye(group) - hat - (1 / problem.rows if first else 0)
                is_free = np.linalg.eigvalsh(free)[:, 0] > _FREE
                free = np.where(is_free[:, None, None], free, np.eye(group))
                residuals = columns[:, : self.width] @ solution - targets
                own = np.linalg.solve(free, residuals.reshape(*shape, targets.shape[1]))
                own[~is_free] = np.inf
                by_ridge.append(own.reshape(residuals.shape))
            found.append(np.stack(by_ridge))
        whole: Inexact[np.ndarray, "ridges r m"] = np.concatenate(found, axis=1)
        return whole
