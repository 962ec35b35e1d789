"""Samples: checked, in one form, and split into training, test and validation sets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Shaped

from intertwine.bases.safetensors_file import read_file, write_arrays
from intertwine.errors import FormatError, InvalidSetting

_METADATA = {"format": "intertwine-samples", "version": 1}
_SPLITTING = 7  # a random stream apart from that of the order of samples
_ROWS = 2**16  # checked at a time, to bound memory


@dataclass(frozen=True)
class Samples:
    """n samples: inputs X of shape (n, d) in floating point, and targets Y.

    Y is of shape (n, m) in floating point, or of shape (n,) in int64: class labels, or numbers
    that happen to be whole.
    """

    X: Shaped[np.ndarray, "n d"]
    Y: Shaped[np.ndarray, "n ..."]

    @classmethod
    def of(cls, X: Shaped[np.ndarray, "..."], Y: Shaped[np.ndarray, "..."]) -> Samples:
        """Return checked samples. Raises `FormatError` for invalid shapes or numbers."""
        _require_shapes(X.shape, Y.shape)
        for name, array in (("X", X), ("Y", Y)):
            _require_finite(name, array)
        if np.issubdtype(Y.dtype, np.integer) and Y.size == len(Y):
            return cls(_as_floats(X), _as_labels(Y))
        return cls(_as_floats(X), _as_floats(Y.reshape(len(Y), -1)))

    @classmethod
    def read(cls, file: Path) -> Samples:
        """Return samples that `write` has written, mapped into memory. Raises `FormatError`."""
        arrays, metadata = read_file(file)
        if {"X", "Y"} != set(arrays) or metadata.get("format") != _METADATA["format"]:
            raise FormatError(f"{file} holds no samples of ours")
        return cls(arrays["X"], arrays["Y"])

    def write(self, write: Callable[[bytes | memoryview], Any]) -> None:
        """Pass the bytes of a safetensors file to `write`; equal samples have equal bytes."""
        write_arrays({"X": self.X, "Y": self.Y}, _METADATA, write)

    @property
    def digest(self) -> str:
        """The sha256 of what `write` writes."""
        sha = hashlib.sha256()
        self.write(sha.update)
        return sha.hexdigest()

    @property
    def has_labels(self) -> bool:
        """Whether the targets are whole numbers, one a sample."""
        return self.Y.ndim == 1

    @property
    def facts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Shapes and dtypes of inputs and targets, as JSON, with the range of labels."""
        inputs, targets = (
            {"shape": list(array.shape), "dtype": array.dtype.name} for array in (self.X, self.Y)
        )
        if self.has_labels:
            targets["labels"] = [int(self.Y.min()), int(self.Y.max())]
        return inputs, targets

    def as_numbers(self) -> Samples:
        """Return samples with labels as numbers to be predicted: targets of shape (n, m)."""
        return Samples(self.X, self.Y[:, None].astype(np.float64)) if self.has_labels else self

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: Int[np.ndarray, " k"] | slice) -> Samples:
        return Samples(self.X[index], self.Y[index])


@dataclass(frozen=True)
class Split:
    """Training and test samples, and validation samples if training may stop early."""

    train: Samples
    test: Samples
    validation: Samples | None = None


def split(
    samples: Samples, test_fraction: float, seed: int, validation_fraction: float | None = None
) -> Split:
    """Split samples at random, the same for the same seed, with at least one in each part.

    `validation_fraction` is that of what is left to train on. Raises `InvalidSetting` where too
    little is left.
    """
    order = np.random.default_rng([seed, _SPLITTING]).permutation(len(samples))
    tested = max(1, round(test_fraction * len(samples)))
    left = len(samples) - tested
    watched = 0 if validation_fraction is None else max(1, round(validation_fraction * left))
    if left - watched < 1:
        purpose = "" if validation_fraction is None else f" and {watched} to validate with"
        raise InvalidSetting(
            f"of {len(samples)} samples {tested} are to test with{purpose}, which leaves none to "
            f"train on: give more samples, or smaller fractions"
        )
    test, validation, train = np.split(order, [tested, tested + watched])
    return Split(
        samples[np.sort(train)],
        samples[np.sort(test)],
        None if validation_fraction is None else samples[np.sort(validation)],
    )


def _require_shapes(inputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    if len(inputs) != 2 or len(targets) not in (1, 2):
        raise FormatError(
            f"X has the shape {inputs} and Y {targets}: give X as (samples, numbers), and Y so too "
            f"or as (samples,); flatten whatever has more axes, in the order of its rep"
        )
    if inputs[0] != targets[0]:
        raise FormatError(f"X has {inputs[0]:,} samples and Y {targets[0]:,}: give as many of both")
    if 0 in (*inputs, *targets):
        raise FormatError(f"X has the shape {inputs} and Y {targets}: there is nothing in them")


def _require_finite(name: str, array: Shaped[np.ndarray, "n ..."]) -> None:
    first, count = -1, 0
    for start in range(0, len(array), _ROWS):
        piece = array[start : start + _ROWS]
        bad: Bool[np.ndarray, " k"] = ~np.isfinite(piece.reshape(len(piece), -1)).all(axis=1)
        if bad.any() and first < 0:
            first = start + int(np.argmax(bad))
        count += int(bad.sum())
    if count:
        raise FormatError(
            f"{name} is not finite in row {first} ({count:,} of {len(array):,} rows): remove or "
            f"mend those rows"
        )


def _as_floats(array: Shaped[np.ndarray, "n d"]) -> Shaped[np.ndarray, "n d"]:
    """Return the array in float32 if that is exact, or as it was given; else in float64."""
    if array.dtype in (np.float32, np.float64):
        return array
    single = array.astype(np.float32)
    exact = array.dtype == np.float16 or np.array_equal(single.astype(array.dtype), array)
    return single if exact else array.astype(np.float64)


def _as_labels(array: Shaped[np.ndarray, "n ..."]) -> Int[np.ndarray, " n"]:
    if array.dtype == np.uint64 and int(array.max()) > np.iinfo(np.int64).max:
        raise FormatError(f"Y has a label of {int(array.max())}, which is no class")
    return array.reshape(-1).astype(np.int64)
