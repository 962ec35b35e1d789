"""Samples in one form, however they were given, and their splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import FormatError, InvalidSetting
from intertwine.training.recipe.samples import Samples, split

X = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
Y = np.random.default_rng(1).standard_normal((10, 2)).astype(np.float32)


class TestOneForm:
    @pytest.mark.parametrize(
        "same",
        [
            (np.asfortranarray(X), Y),
            (X.astype(">f4"), Y.astype(">f4").astype("<f4")),
            (X[::1], np.ascontiguousarray(Y)),
        ],
        ids=["by columns", "another byte order", "copied"],
    )
    def test_equal_samples_have_equal_digests(self, same: Any) -> None:
        inputs = same[0].astype(same[0].dtype.newbyteorder("="))
        assert Samples.of(inputs, same[1]).digest == Samples.of(X, Y).digest

    def test_different_samples_have_different_digests(self) -> None:
        digests = {
            Samples.of(X, Y).digest,
            Samples.of(X + 1, Y).digest,
            Samples.of(X, Y[:, :1]).digest,
            Samples.of(X.astype(np.float64), Y).digest,
            Samples.of(Y, X).digest,
        }
        assert len(digests) == 5

    @pytest.mark.parametrize(
        ("dtype", "kept"),
        [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), ("i1", "f4"), ("i8", "f4"), ("?", "f4")],
    )
    def test_inputs_become_floating_point_numbers(self, dtype: str, kept: str) -> None:
        numbers = (8 * X).astype(dtype)
        found = Samples.of(numbers, Y).X
        assert found.dtype == np.dtype(kept)
        assert np.array_equal(found, numbers)

    def test_large_integers_keep_their_digits(self) -> None:
        numbers = np.array([[2**24 + 1], [3]])
        found = Samples.of(numbers, Y[:2]).X
        assert found.dtype == np.float64
        assert np.array_equal(found, numbers)

    def test_a_target_that_is_one_number_is_a_row_of_one(self) -> None:
        points = Samples.of(X, Y[:, 0])
        assert points.Y.shape == (10, 1)
        assert not points.has_labels

    def test_integers_are_labels(self) -> None:
        for labels in (np.arange(10), np.arange(10)[:, None], np.arange(10, dtype="u1")):
            points = Samples.of(X, labels)
            assert points.has_labels
            assert points.Y.dtype == np.int64
            assert points.facts[1] == {"shape": [10], "dtype": "int64", "labels": [0, 9]}
        assert points.as_numbers().Y.tolist() == [[float(i)] for i in range(10)]

    def test_several_integers_a_sample_are_numbers(self) -> None:
        assert Samples.of(X, np.ones((10, 2), int)).Y.dtype == np.float32

    def test_samples_round_trip(self, tmp_path: Path) -> None:
        for points in (Samples.of(X, Y), Samples.of(X, np.arange(10))):
            with (tmp_path / "file").open("wb") as file:
                points.write(file.write)
            again = Samples.read(tmp_path / "file")
            assert np.array_equal(again.X, points.X)
            assert np.array_equal(again.Y, points.Y)
            assert again.digest == points.digest

    def test_other_files_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"nothing")
        with pytest.raises(FormatError):
            Samples.read(tmp_path / "file")


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("inputs", "targets", "reason"),
        [
            (X[:, 0], Y, r"X has the shape \(10,\) and Y \(10, 2\): give X as"),
            (X.reshape(10, 3, 1), Y, "flatten whatever has more axes"),
            (X, Y.reshape(10, 2, 1), "flatten whatever has more axes"),
            (X, np.float32(3), r"Y \(\)"),
            (X[:9], Y, "X has 9 samples and Y 10"),
            (X[:0], Y[:0], "there is nothing in them"),
            (X[:, :0], Y, "there is nothing in them"),
            (X, np.array([2**63] * 10, np.uint64), "which is no class"),
        ],
        ids=str,
    )
    def test_the_reason_is_reported(self, inputs: Any, targets: Any, reason: str) -> None:
        with pytest.raises(FormatError, match=reason):
            Samples.of(inputs, np.asarray(targets))

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_a_row_that_is_not_finite_is_named(self, bad: float) -> None:
        spoilt = X.copy()
        spoilt[[4, 7], 1] = bad
        with pytest.raises(FormatError, match=r"X is not finite in row 4 \(2 of 10 rows\)"):
            Samples.of(spoilt, Y)
        with pytest.raises(FormatError, match=r"Y is not finite in row 4 \(2 of 10 rows\)"):
            Samples.of(X, spoilt)

    def test_the_row_is_right_in_a_long_file(self) -> None:
        many = np.zeros((200_000, 1), np.float32)
        many[[150_000, 199_999]] = np.nan
        with pytest.raises(FormatError, match=r"row 150000 \(2 of 200,000 rows\)"):
            Samples.of(many, many)


def numbered(n: int) -> Samples:
    return Samples(np.arange(n, dtype=np.float32)[:, None], np.arange(n))


class TestSplit:
    @given(st.integers(3, 60), st.floats(0.01, 0.99), st.integers(0, 5), st.booleans())
    def test_every_sample_is_in_one_part_with_its_target(
        self, n: int, fraction: float, seed: int, watches: bool
    ) -> None:
        try:
            parts = split(numbered(n), fraction, seed, 0.3 if watches else None)
        except InvalidSetting:
            assert n * (1 - fraction) < 3
            return
        found = [part for part in (parts.train, parts.test, parts.validation) if part is not None]
        assert len(found) == 2 + watches
        together = np.concatenate([part.Y for part in found])
        assert sorted(together) == list(range(n))
        for part in found:
            assert np.array_equal(part.X[:, 0], part.Y)

    def test_a_split_depends_only_on_the_seed(self) -> None:
        def tested(seed: int) -> np.ndarray:
            return split(numbered(100), 0.1, seed).test.Y

        assert np.array_equal(tested(0), tested(0))
        assert len(tested(0)) == 10
        assert not np.array_equal(tested(0), tested(1))

    def test_an_empty_part_is_refused(self) -> None:
        with pytest.raises(InvalidSetting, match="of 1 samples 1 are to test with, which leaves"):
            split(numbered(1), 0.1, 0)
        with pytest.raises(InvalidSetting, match="1 are to test with and 1 to validate with"):
            split(numbered(2), 0.1, 0, 0.1)
