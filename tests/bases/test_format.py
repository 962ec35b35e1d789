"""A basis as named arrays and JSON metadata: what is written is read back, and nothing else is."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from helpers.example_bases import BASES, basis_of, certificate_for, matrix_of, orbits, orthonormal
from hypothesis import example, given, settings
from hypothesis import strategies as st
from intertwine.bases import Basis, Dense, Permuted, Sum, from_arrays, to_arrays
from intertwine.bases.storage import Storage
from intertwine.errors import FormatError
from intertwine.groups import SO
from intertwine.reps import parse

each = pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())

Arrays = dict[str, Any]
Metadata = dict[str, Any]


def written(name: str = "nested") -> tuple[Arrays, Metadata]:
    """The arrays and the metadata of an example, the caller's to spoil."""
    arrays, metadata = to_arrays(BASES[name])
    return {key: array.copy() for key, array in arrays.items()}, copy.deepcopy(metadata)


def check_it_is_a_basis(basis: Basis) -> None:
    """Whatever is read can be used as a basis to the last method."""
    matrix = basis.dense()
    assert matrix.shape == basis.shape
    np.testing.assert_allclose(matrix.conj().T @ matrix, np.eye(basis.rank), atol=1e-10)
    np.testing.assert_allclose(basis.sparse().toarray(), matrix, atol=1e-10)
    np.testing.assert_allclose(basis.H @ matrix, np.eye(basis.rank), atol=1e-10)
    assert basis.certificate.size == basis.shape[0]
    assert basis.certificate.rank == basis.shape[1]
    assert repr(basis)
    assert str(basis.certificate)
    arrays, metadata = to_arrays(basis)
    json.dumps(metadata, allow_nan=False)
    assert np.array_equal(from_arrays(arrays, metadata).dense(), matrix)


class TestRoundTrip:
    @each
    def test_the_same_matrix_and_certificate_come_back_through_json(self, basis: Basis) -> None:
        arrays, metadata = to_arrays(basis)
        read = from_arrays(arrays, json.loads(json.dumps(metadata, allow_nan=False)))
        assert type(read.storage) is type(basis.storage)
        assert (read.shape, read.dtype) == (basis.shape, basis.dtype)
        assert np.array_equal(matrix_of(read.storage), matrix_of(basis.storage))
        assert np.array_equal(read.dense(), basis.dense())
        assert read.certificate == basis.certificate
        assert read.nbytes == basis.nbytes

    @each
    def test_writing_a_read_basis_gives_the_same_arrays(self, basis: Basis) -> None:
        arrays, metadata = to_arrays(basis)
        again, metadata_again = to_arrays(from_arrays(arrays, metadata))
        assert metadata_again == metadata
        assert list(again) == list(arrays)
        for name, array in arrays.items():
            assert again[name].dtype == array.dtype
            assert np.array_equal(again[name], array)

    @each
    def test_the_metadata_name_every_array_once(self, basis: Basis) -> None:
        arrays, metadata = to_arrays(basis)
        named = list(_array_names(metadata["storage"]))
        assert sorted(named) == sorted(arrays)
        assert len(set(named)) == len(named)

    @each
    def test_the_arrays_are_plain_and_in_c_order(self, basis: Basis) -> None:
        arrays, _ = to_arrays(basis)
        for array in arrays.values():
            assert type(array) is np.ndarray
            assert array.flags.c_contiguous
            assert array.dtype in (np.float64, np.complex128, np.int8, np.int32, np.int64)

    def test_the_metadata_say_what_they_are(self) -> None:
        _, metadata = to_arrays(BASES["kronecker"])
        certificate = metadata.pop("certificate")
        assert metadata == {
            "format": "intertwine-basis",
            "version": 1,
            "shape": [12, 4],
            "storage": {
                "kind": "kronecker",
                "factors": [
                    {"kind": "dense", "matrix": "matrix.0"},
                    {"kind": "orbits", "rank": 2, "labels": "labels.1", "signs": None},
                ],
            },
        }
        assert certificate == BASES["kronecker"].certificate.to_json()

    def test_read_only_and_fortran_ordered_arrays_are_read_too(self) -> None:
        arrays, metadata = written()
        for name, array in arrays.items():
            arrays[name] = np.asfortranarray(array)
            arrays[name].flags.writeable = False
        assert np.array_equal(from_arrays(arrays, metadata).dense(), BASES["nested"].dense())

    def test_keys_of_a_later_time_are_passed_over(self) -> None:
        arrays, metadata = written()
        metadata["written_by"] = "a later version"
        arrays["more.99"] = np.zeros(3)
        assert np.array_equal(from_arrays(arrays, metadata).dense(), BASES["nested"].dense())

    @pytest.mark.parametrize(
        "text",
        [
            "V**2*V.T+5V0",
            "2V(Z(3))*V(S(4)) + V(O(3))**2",
            "V(U(2))*V(U(2)).T + 2V(D(4))**2",
            "V(SO(3))",
            "0",
            "3",
        ],
    )
    def test_a_solved_basis_survives(self, text: str) -> None:
        rep = parse(text)
        basis = (rep if rep.is_concrete else rep(SO(3))).equivariant_basis()
        arrays, metadata = to_arrays(basis)
        read = from_arrays(arrays, json.loads(json.dumps(metadata, allow_nan=False)))
        assert np.array_equal(read.dense(), basis.dense())
        assert read.certificate == basis.certificate

    def test_an_infinite_gap_survives(self) -> None:
        basis = Basis(Dense(np.eye(2)), certificate_for(Dense(np.eye(2)), gap=math.inf))
        arrays, metadata = to_arrays(basis)
        assert metadata["certificate"]["gap"] is None
        assert from_arrays(arrays, metadata).certificate.gap == math.inf


def _array_names(storage: Metadata) -> Iterator[str]:
    for key in ("matrix", "labels", "signs", "rows", "starts", "values", "combination"):
        if storage.get(key) is not None:
            yield storage[key]
    yield from {name for name in storage.get("frames", ()) if name is not None}
    names = {
        name for side in ("left", "right") if storage.get(side) for name in _maps(storage[side])
    }
    yield from sorted(names)
    yield from (name for _, name in storage.get("endomorphisms", ()))
    for inner in [storage.get("storage"), *storage.get("factors", ())]:
        yield from _array_names(inner) if inner else ()
    for block in storage.get("blocks", ()):
        yield from _array_names(block["storage"])


def _maps(transform: Metadata) -> Iterator[str]:
    return (name for step in transform["steps"] for _, _, name in step)


def _set(*path: Any) -> Callable[[Metadata], None]:
    """Replace the entry at path[:-1] by path[-1]."""

    def change(metadata: Metadata) -> None:
        at: Any = metadata
        for key in path[:-2]:
            at = at[key]
        at[path[-2]] = path[-1]

    return change


SPOILED_METADATA: dict[str, tuple[str, Callable[[Metadata], None]]] = {
    "a later version": ("dense", _set("version", 2)),
    "no version": ("dense", lambda m: m.pop("version")),
    "a version in words": ("dense", _set("version", "1")),
    "another format": ("dense", _set("format", "numpy")),
    "no format": ("dense", lambda m: m.pop("format")),
    "no storage": ("dense", lambda m: m.pop("storage")),
    "an empty storage": ("dense", _set("storage", {})),
    "a storage that is a list": ("dense", _set("storage", ["dense"])),
    "a storage that is a text": ("dense", _set("storage", "dense")),
    "a storage that is a number": ("dense", _set("storage", 1)),
    "an unknown kind": ("dense", _set("storage", "kind", "steps")),
    "a kind that is a list": ("dense", _set("storage", "kind", ["dense"])),
    "a kind that is a method": ("dense", _set("storage", "kind", "__init__")),
    "an array that is not there": ("dense", _set("storage", "matrix", "matrix.7")),
    "an array without a name": ("dense", _set("storage", "matrix", None)),
    "an array whose name is a list": ("dense", _set("storage", "matrix", ["matrix.0"])),
    "another shape": ("dense", _set("shape", [3, 12])),
    "a shape of one number": ("dense", _set("shape", 36)),
    "no shape": ("dense", lambda m: m.pop("shape")),
    "a shape in words": ("dense", _set("shape", ["12", "3"])),
    "no certificate": ("dense", lambda m: m.pop("certificate")),
    "a certificate that is a list": ("dense", _set("certificate", [])),
    "a certificate that is a text": ("dense", _set("certificate", "good")),
    "a certificate of another size": ("dense", _set("certificate", "size", 13)),
    "a certificate of another rank": ("dense", _set("certificate", "rank", 4)),
    "a residual in words": ("dense", _set("certificate", "residual", "small")),
    "a residual that is not there": ("dense", _set("certificate", "residual", None)),
    "a residual that is no number": ("dense", _set("certificate", "residual", math.nan)),
    "a negative residual": ("dense", _set("certificate", "residual", -1.0)),
    "an infinite residual": ("dense", _set("certificate", "residual", math.inf)),
    "an orthonormality of nan": ("dense", _set("certificate", "orthonormality", math.nan)),
    "a gap of nan": ("dense", _set("certificate", "gap", math.nan)),
    "a gap that is a list": ("dense", _set("certificate", "gap", [1.0])),
    "a method that is a number": ("dense", _set("certificate", "method", 3)),
    "seconds that are a list": ("dense", _set("certificate", "seconds", [])),
    "iterations in words": ("dense", _set("certificate", "iterations", "many")),
    "residuals that are a list": ("dense", _set("certificate", "residuals", [1.0])),
    "residuals of one group that are a text": (
        "dense",
        _set("certificate", "residuals", {"ab": "12"}),
    ),
    "parts that are a list": ("dense", _set("certificate", "parts", [])),
    "a part that is no certificate": ("dense", _set("certificate", "parts", {"V": {}})),
    "a rank too large": ("orbits", _set("storage", "rank", 4)),
    "a rank too small": ("orbits", _set("storage", "rank", 2)),
    "a rank below zero": ("orbits", _set("storage", "rank", -1)),
    "a rank that no memory holds": ("orbits", _set("storage", "rank", 10**15)),
    "a rank that no integer type holds": ("orbits", _set("storage", "rank", 10**40)),
    "an infinite rank": ("orbits", _set("storage", "rank", math.inf)),
    "a rank of nan": ("orbits", _set("storage", "rank", math.nan)),
    "a rank in words": ("orbits", _set("storage", "rank", "three")),
    "no word on signs": ("orbits", lambda m: m["storage"].pop("signs")),
    "signs that are labels": ("orbits", _set("storage", "signs", "labels.0")),
    "labels that are a matrix": ("kronecker", _set("storage", "factors", 1, "labels", "matrix.0")),
    "a matrix that is labels": ("kronecker", _set("storage", "factors", 0, "matrix", "labels.1")),
    "factors that are not there": ("kronecker", lambda m: m["storage"].pop("factors")),
    "factors that are one": ("kronecker", _set("storage", "factors", {"kind": "dense"})),
    "factors that are none": ("kronecker", _set("storage", "factors", [])),
    "a factor that is no storage": ("kronecker", _set("storage", "factors", 0, "dense")),
    "blocks that are not there": ("sum", lambda m: m["storage"].pop("blocks")),
    "blocks that are a number": ("sum", _set("storage", "blocks", 2)),
    "a block without its multiplicity": (
        "sum",
        lambda m: m["storage"]["blocks"][0].pop("multiplicity"),
    ),
    "a multiplicity of zero": ("sum", _set("storage", "blocks", 0, "multiplicity", 0)),
    "a multiplicity below zero": ("sum", _set("storage", "blocks", 0, "multiplicity", -1)),
    "a huge multiplicity": ("sum", _set("storage", "blocks", 0, "multiplicity", 10**30)),
    "an infinite multiplicity": ("sum", _set("storage", "blocks", 0, "multiplicity", math.inf)),
    "half a multiplicity": ("sum", _set("storage", "blocks", 0, "multiplicity", 1.5)),
    "no order": ("permuted", lambda m: m["storage"].pop("rows")),
    "an order that is a matrix": ("permuted", _set("storage", "rows", "matrix.1")),
    "a product of no factors": (
        "orbits, one scalar",
        _set("storage", {"kind": "kronecker", "factors": []}),
    ),
    "nothing to reorder": ("permuted", lambda m: m["storage"].pop("storage")),
}  # fmt: skip


class TestSpoiledMetadata:
    @pytest.mark.parametrize("spoil", SPOILED_METADATA.values(), ids=SPOILED_METADATA.keys())
    def test_are_refused(self, spoil: tuple[str, Callable[[Metadata], None]]) -> None:
        name, change = spoil
        arrays, metadata = written(name)
        change(metadata)
        with pytest.raises(FormatError) as refused:
            from_arrays(arrays, metadata)
        assert str(refused.value)

    @pytest.mark.parametrize("metadata", [None, [], "basis", 1, [["format", "x"]]], ids=repr)
    def test_that_are_no_object_are_refused(self, metadata: Any) -> None:
        with pytest.raises(FormatError):
            from_arrays({}, metadata)

    def test_the_error_says_what_was_expected_and_what_was_found(self) -> None:
        arrays, metadata = written()
        with pytest.raises(FormatError) as refused:
            from_arrays(arrays, {**metadata, "version": 99})
        assert str(refused.value) == (
            "expected intertwine-basis version 1, found 'intertwine-basis' version 99"
        )
        with pytest.raises(FormatError) as refused:
            from_arrays(arrays, {**metadata, "shape": [1, 2]})
        assert str(refused.value) == "the storage has shape (26, 13), not [1, 2]"

    @pytest.mark.parametrize("kind", ["kronecker", "permuted", "sum"])
    def test_nesting_past_all_bounds_is_refused(self, kind: str) -> None:
        arrays, metadata = written("dense")
        for _ in range(10_000):
            inner = metadata["storage"]
            metadata["storage"] = {
                "kronecker": {"kind": "kronecker", "factors": [inner]},
                "permuted": {"kind": "permuted", "rows": "rows", "storage": inner},
                "sum": {"kind": "sum", "blocks": [{"multiplicity": 1, "storage": inner}]},
            }[kind]
        arrays["rows"] = np.arange(12)
        with pytest.raises(FormatError):
            from_arrays(arrays, metadata)


SPOILED_ARRAYS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "a matrix of float32": ("dense", "matrix.0", lambda a: a.astype(np.float32)),
    "a matrix of integers": ("dense", "matrix.0", lambda a: a.astype(np.int64)),
    "a matrix of objects": ("dense", "matrix.0", lambda a: a.astype(object)),
    "a matrix of texts": ("dense", "matrix.0", lambda a: a.astype(str)),
    "a transposed matrix": ("dense", "matrix.0", lambda a: a.T),
    "a matrix short of a row": ("dense", "matrix.0", lambda a: a[:-1]),
    "a flat matrix": ("dense", "matrix.0", lambda a: a.ravel()),
    "a matrix of three axes": ("dense", "matrix.0", lambda a: a[None]),
    "a matrix of no axis": ("dense", "matrix.0", lambda a: a[0, 0]),
    "a matrix as lists": ("dense", "matrix.0", lambda a: a.tolist()),
    "a matrix that is None": ("dense", "matrix.0", lambda a: None),
    "a matrix with a nan": ("dense", "matrix.0", lambda a: np.where(a == a.max(), np.nan, a)),
    "a matrix with an inf": ("dense", "matrix.0", lambda a: np.where(a == a.max(), np.inf, a)),
    "a complex nan": ("dense, complex", "matrix.0", lambda a: a + 1j * np.nan),
    "labels of floats": ("orbits", "labels.0", lambda a: a.astype(np.float64)),
    "labels of booleans": ("orbits", "labels.0", lambda a: a.astype(bool)),
    "labels from one on": ("orbits", "labels.0", lambda a: a + 1),
    "labels with a hole": ("orbits", "labels.0", lambda a: np.where(a == 2, 3, a)),
    "a label of minus two": ("orbits", "labels.0", lambda a: np.where(np.arange(6) == 0, -2, a)),
    "a label far below": ("orbits", "labels.0", lambda a: np.where(np.arange(6) == 0, -99999, a)),
    "a label far above": ("orbits", "labels.0", lambda a: np.where(np.arange(6) == 0, 10**7, a)),
    "labels short of one": ("orbits", "labels.0", lambda a: a[:-1]),
    "labels in a column": ("orbits", "labels.0", lambda a: a[:, None]),
    "labels as a list": ("orbits", "labels.0", lambda a: a.tolist()),
    "signs of zero": ("orbits, signed", "signs.1", lambda a: 0 * a),
    "signs of two": ("orbits, signed", "signs.1", lambda a: 2 * a),
    "signs short of one": ("orbits, signed", "signs.1", lambda a: a[:-1]),
    "signs in a row": ("orbits, signed", "signs.1", lambda a: a[None]),
    "imaginary signs": ("orbits, signed", "signs.1", lambda a: a * 1j),
    "signs of nan": ("orbits, signed", "signs.1", lambda a: a * np.nan),
    "signs of texts": ("orbits, signed", "signs.1", lambda a: a.astype(str)),
    "signs as a list": ("orbits, signed", "signs.1", lambda a: a.tolist()),
    "an order of floats": ("permuted", "rows.0", lambda a: a.astype(np.float64)),
    "an order of texts": ("permuted", "rows.0", lambda a: a.astype(str)),
    "an order short of one": ("permuted", "rows.0", lambda a: a[:-1]),
    "an order in a column": ("permuted", "rows.0", lambda a: a[:, None]),
    "an order of zeros": ("permuted", "rows.0", lambda a: 0 * a),
    "an order from minus one on": ("permuted", "rows.0", lambda a: a - 1),
    "an order as a list": ("permuted", "rows.0", lambda a: a.tolist()),
    "a combination that is not orthonormal": ("combined", "combination.0", lambda a: 2 * a),
    "a combination of fewer columns": ("combined", "combination.0", lambda a: a[:-1]),
    "a combination of integers": ("combined", "combination.0", lambda a: a.astype(int)),
    "a combination as a list": ("combined", "combination.0", lambda a: a.tolist()),
}


class TestSpoiledArrays:
    @pytest.mark.parametrize(
        ("name", "key", "spoil"), SPOILED_ARRAYS.values(), ids=SPOILED_ARRAYS.keys()
    )
    def test_are_refused(self, name: str, key: str, spoil: Callable[[Any], Any]) -> None:
        arrays, metadata = written(name)
        arrays[key] = spoil(arrays[key])
        with pytest.raises(FormatError) as refused:
            from_arrays(arrays, metadata)
        assert str(refused.value)

    def test_a_mask_is_no_order(self) -> None:
        storage = Permuted(np.array([0, 1]), Dense(np.eye(2)))
        arrays, metadata = to_arrays(basis_of(storage))
        arrays["rows.0"] = arrays["rows.0"].astype(bool)
        with pytest.raises(FormatError):
            from_arrays(arrays, metadata)

    @each
    def test_that_are_missing_are_refused(self, basis: Basis) -> None:
        arrays, metadata = to_arrays(basis)
        for name in arrays:
            with pytest.raises(FormatError):
                from_arrays({k: a for k, a in arrays.items() if k != name}, metadata)
        if arrays:
            with pytest.raises(FormatError):
                from_arrays({}, metadata)

    def test_that_change_places_are_refused_or_fit(self) -> None:
        storage = Sum([(1, Dense(orthonormal(4, 2))), (1, orbits([0, 0])), (1, Dense(np.eye(2)))])
        arrays, metadata = to_arrays(basis_of(storage))
        names = list(arrays)
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                swapped = {**arrays, one: arrays[other], other: arrays[one]}
                if {one, other} == {"matrix.0", "matrix.2"}:  # a direct sum in another order
                    check_it_is_a_basis(from_arrays(swapped, metadata))
                else:
                    with pytest.raises(FormatError):
                        from_arrays(swapped, metadata)


def _paths(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something can be changed in a JSON document."""
    items: Any = ()
    if isinstance(document, dict):
        items = document.items()
    elif isinstance(document, list):
        items = enumerate(document)
    for key, value in items:
        yield (*path, key)
        yield from _paths(value, (*path, key))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.sampled_from([10**9, 10**15, -(10**19), 10**40])
    | st.floats()
    | st.sampled_from(["", "dense", "orbits", "sum", "matrix.0", "labels.0", "rows.0", "krylov"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["kind", "matrix", "labels", "rank"]), inner, max_size=2)
    ),
    max_leaves=4,
)
NAMES = st.sampled_from(
    ["dense, complex", "orbits, signed", "sum, with multiplicities", "permuted", "nested"]
)


class TestAnyChange:
    @pytest.mark.slow
    @settings(deadline=None, max_examples=400)
    @given(NAMES, st.integers(0, 10**6), st.sampled_from(["replace", "drop", "move"]), JSON)
    @example("permuted", 1, "replace", True)  # version
    def test_of_the_metadata_is_refused_or_leaves_a_basis(
        self, name: str, where: int, how: str, value: Any
    ) -> None:
        arrays, metadata = written(name)
        paths = list(_paths(metadata))
        path = paths[where % len(paths)]
        parent: Any = metadata
        for key in path[:-1]:
            parent = parent[key]
        if how == "replace":
            parent[path[-1]] = value
        elif how == "drop" or isinstance(parent, list):
            del parent[path[-1]]
        else:
            parent[path[-1] + "x"] = parent.pop(path[-1])
        try:
            basis = from_arrays(arrays, metadata)
        except FormatError:
            return
        check_it_is_a_basis(basis)

    @settings(deadline=None, max_examples=100)
    @given(JSON)
    def test_of_everything_is_refused(self, value: Any) -> None:
        with pytest.raises(FormatError):
            from_arrays({}, value)
        with pytest.raises(FormatError):
            Storage.read(value, {})
