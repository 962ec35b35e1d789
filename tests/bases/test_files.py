"""Bases in files: what is saved is loaded, by us and by others, and a spoiled file is refused."""

from __future__ import annotations

import copy
import json
import os
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.example_bases import BASES, basis_of, matrix_of, orbits, orthonormal
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.bases import Basis, Certificate, Dense, load_basis, save_basis, to_arrays
from intertwine.bases.files import from_bytes, to_bytes
from intertwine.errors import FormatError
from intertwine.groups import SO, U
from intertwine.reps import V
from safetensors import safe_open
from safetensors.numpy import load_file, save, save_file

each = pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())


def header_of(blob: bytes) -> dict[str, Any]:
    """The JSON at the beginning of a safetensors file."""
    length = int.from_bytes(blob[:8], "little")
    header: dict[str, Any] = json.loads(blob[8 : 8 + length])
    return header


def with_header(blob: bytes, header: dict[str, Any] | str) -> bytes:
    """The same data behind another header."""
    length = int.from_bytes(blob[:8], "little")
    text = header if isinstance(header, str) else json.dumps(header)
    return len(text.encode()).to_bytes(8, "little") + text.encode() + blob[8 + length :]


def with_metadata(blob: bytes, text: str) -> bytes:
    """The same file with another text where the metadata of the basis are."""
    header = header_of(blob)
    header["__metadata__"]["intertwine"] = text
    return with_header(blob, header)


class TestSafetensors:
    @each
    def test_the_same_basis_and_certificate_are_loaded(self, basis: Basis, tmp_path: Path) -> None:
        path = tmp_path / "basis.safetensors"
        save_basis(basis, path)
        for read in (load_basis(path), load_basis(str(path)), from_bytes(to_bytes(basis))):
            assert type(read.storage) is type(basis.storage)
            assert (read.shape, read.dtype) == (basis.shape, basis.dtype)
            assert np.array_equal(matrix_of(read.storage), matrix_of(basis.storage))
            assert read.certificate == basis.certificate

    @each
    def test_the_library_reads_the_documented_arrays(self, basis: Basis, tmp_path: Path) -> None:
        path = tmp_path / "basis.safetensors"
        save_basis(basis, path)
        arrays, metadata = to_arrays(basis)
        found = load_file(path)
        assert sorted(found) == sorted(arrays)
        with safe_open(path, "np") as file:
            described = json.loads(file.metadata()["intertwine"])
        is_complex = described.pop("complex")
        assert described == metadata
        assert sorted(is_complex) == sorted(n for n, a in arrays.items() if np.iscomplexobj(a))
        for name, array in arrays.items():
            if name in is_complex:
                assert found[name].dtype == np.float64
                assert found[name].shape == (*array.shape, 2)
                assert np.array_equal(found[name], np.stack([array.real, array.imag], axis=-1))
            else:
                assert found[name].dtype == array.dtype
                assert np.array_equal(found[name], array)

    @each
    def test_a_file_of_the_librarys_own_making_is_read(self, basis: Basis, tmp_path: Path) -> None:
        path = tmp_path / "basis.safetensors"
        arrays, metadata = to_arrays(basis)
        is_complex = [name for name, array in arrays.items() if np.iscomplexobj(array)]
        plain = {
            name: np.stack([a.real, a.imag], axis=-1) if name in is_complex else a
            for name, a in arrays.items()
        }
        save_file(plain, path, {"intertwine": json.dumps({**metadata, "complex": is_complex})})
        assert np.array_equal(load_basis(path).dense(), basis.dense())

    @each
    def test_the_data_start_on_64_bytes(self, basis: Basis) -> None:
        blob = to_bytes(basis)
        assert (8 + int.from_bytes(blob[:8], "little")) % 64 == 0

    def test_a_matrix_in_memory_starts_on_64_bytes(self, tmp_path: Path) -> None:
        for name in (
            "dense",
            "dense, complex",
            "permuted",
            "kronecker, of real and complex factors",
        ):
            path = tmp_path / f"{name}.safetensors"
            save_basis(BASES[name], path)
            arrays, _ = to_arrays(load_basis(path))
            first = min(array.ctypes.data for array in arrays.values())
            assert first % 64 == 0, name

    def test_the_same_basis_is_the_same_bytes(self) -> None:
        for basis in BASES.values():
            assert to_bytes(basis) == to_bytes(from_bytes(to_bytes(basis)))

    def test_complex_numbers_survive_to_the_last_bit(self, tmp_path: Path) -> None:
        path = tmp_path / "u2.safetensors"
        basis = (V**2 * V.T**2)(U(2)).equivariant_basis()
        assert basis.dtype == np.complex128
        save_basis(basis, path)
        read = load_basis(path)
        assert read.dtype == np.complex128
        assert np.array_equal(read.dense(), basis.dense())
        assert np.array_equal(np.asarray(read.H), np.asarray(basis.H))

    @pytest.mark.slow
    def test_a_loaded_basis_works_like_the_saved_one(self, tmp_path: Path) -> None:
        for i, basis in enumerate(BASES.values()):
            path = tmp_path / f"{i}.safetensors"
            save_basis(basis, path)
            read = load_basis(path)
            w, v = np.ones(basis.rank), np.ones((2, len(basis), 3))
            for answer, right in ((read @ w, basis @ w), (read.H @ v, basis.H @ v)):
                assert type(answer) is np.ndarray
                assert np.array_equal(answer, right)
            assert type(read.dense()) is np.ndarray
            read.dense()[...] = 1.0  # one's own, not the file's
            assert np.array_equal(load_basis(path).dense(), basis.dense())
            if i % 8 == 0:
                np.testing.assert_allclose(read @ jnp.asarray(w), basis @ w, atol=1e-5)

    def test_a_large_file_is_not_read_into_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "large.safetensors"
        save_basis(basis_of(Dense(orthonormal(2000, 500))), path)
        load_basis(path)
        tracemalloc.start()
        basis = load_basis(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert basis.shape == (2000, 500)
        assert peak <= path.stat().st_size / 4

    def test_a_mapped_basis_outlives_the_file_it_came_from(self, tmp_path: Path) -> None:
        path = tmp_path / "basis.safetensors"
        basis, other = BASES["dense"], BASES["orbits"]
        save_basis(basis, path)
        read = load_basis(path)
        save_basis(other, path)
        assert np.array_equal(read.dense(), basis.dense())
        path.unlink()
        assert np.array_equal(read.dense(), basis.dense())


class TestNumpyFiles:
    @each
    def test_npy_holds_the_dense_matrix(self, basis: Basis, tmp_path: Path) -> None:
        path = tmp_path / "basis.npy"
        save_basis(basis, path)
        matrix = np.load(path, allow_pickle=False)
        assert matrix.dtype == basis.dtype
        assert np.array_equal(matrix, basis.dense())

    @each
    def test_npz_holds_the_certificate_too(self, basis: Basis, tmp_path: Path) -> None:
        path = tmp_path / "basis.npz"
        save_basis(basis, str(path))
        with np.load(path, allow_pickle=False) as file:
            assert sorted(file) == ["basis", "certificate"]
            assert np.array_equal(file["basis"], basis.dense())
            document = json.loads(str(file["certificate"]))
        assert Certificate.from_json(document) == basis.certificate

    def test_a_basis_is_loaded_from_safetensors_alone(self, tmp_path: Path) -> None:
        for suffix in (".npy", ".npz"):
            path = tmp_path / f"basis{suffix}"
            save_basis(BASES["dense"], path)
            with pytest.raises(FormatError, match="is not a basis"):
                load_basis(path)


class TestSaving:
    @pytest.mark.parametrize(
        "name", ["basis", "basis.txt", "basis.pkl", "basis.NPY", "basis.npy.gz", ".npy", "basis."]
    )
    def test_another_ending_is_refused_and_nothing_is_written(
        self, name: str, tmp_path: Path
    ) -> None:
        with pytest.raises(FormatError) as refused:
            save_basis(BASES["dense"], tmp_path / name)
        assert str(refused.value) == (
            f"a basis is written to .safetensors, .npy, .npz files, not to {name!r}"
        )
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("suffix", [".safetensors", ".npy", ".npz"])
    def test_an_existing_file_is_replaced(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"basis{suffix}"
        path.write_bytes(b"something else, longer than any basis" * 1000)
        save_basis(BASES["dense"], path)
        written = path.read_bytes()
        save_basis(BASES["dense"], path)
        assert path.read_bytes()[:1000] == written[:1000]
        assert [entry.name for entry in tmp_path.iterdir()] == [path.name]

    @pytest.mark.parametrize("suffix", [".safetensors", ".npy", ".npz"])
    def test_a_failed_write_leaves_no_file(self, suffix: str, tmp_path: Path) -> None:
        folder = tmp_path / f"folder{suffix}"
        folder.mkdir()
        with pytest.raises(OSError, match="folder"):
            save_basis(BASES["dense"], folder)
        assert list(tmp_path.iterdir()) == [folder]
        assert list(folder.iterdir()) == []
        with pytest.raises(FileNotFoundError):
            save_basis(BASES["dense"], tmp_path / "nowhere" / f"basis{suffix}")
        assert list(tmp_path.iterdir()) == [folder]

    def test_a_name_of_unusual_characters_is_a_name(self, tmp_path: Path) -> None:
        path = tmp_path / "V²⊗V* of SO(3).safetensors"
        save_basis(BASES["dense"], path)
        assert load_basis(path).shape == (12, 3)

    def test_threads_may_write_the_same_file(self, tmp_path: Path) -> None:
        path, troubles = tmp_path / "basis.safetensors", []
        basis = basis_of(Dense(orthonormal(300, 20)))

        def write() -> None:
            try:
                for _ in range(15):
                    save_basis(basis, path)
                    assert load_basis(path).shape == (300, 20)
            except Exception as trouble:
                troubles.append(trouble)

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert troubles == []
        assert [entry.name for entry in tmp_path.iterdir()] == [path.name]

    def test_others_may_read_the_file_as_far_as_the_umask_lets_them(self, tmp_path: Path) -> None:
        before = os.umask(0o022)
        try:
            save_basis(BASES["dense"], tmp_path / "basis.safetensors")
        finally:
            os.umask(before)
        assert (tmp_path / "basis.safetensors").stat().st_mode & 0o777 == 0o644


class TestSpoiledFiles:
    def refuse(self, blob: bytes, path: Path) -> None:
        """Both readers refuse these bytes, and say so in few words."""
        path.write_bytes(blob)
        with pytest.raises(FormatError) as refused:
            load_basis(path)
        assert str(refused.value).startswith(f"{path} is not a basis: ")
        assert len(str(refused.value)) < 1000
        with pytest.raises(FormatError):
            from_bytes(blob)

    def test_a_file_that_is_not_there_is_said_not_to_be(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            load_basis(tmp_path / "nothing.safetensors")

    def test_a_truncated_file(self, tmp_path: Path) -> None:
        for name in ("dense, complex", "orbits, signed", "nested"):
            blob = to_bytes(BASES[name])
            for length in [*range(0, len(blob), 97), len(blob) - 1]:
                self.refuse(blob[:length], tmp_path / "basis.safetensors")

    def test_a_file_with_something_behind(self, tmp_path: Path) -> None:
        blob = to_bytes(BASES["dense"])
        for tail in (b"\0", b" " * 64, blob):
            self.refuse(blob + tail, tmp_path / "basis.safetensors")

    @pytest.mark.parametrize(
        "blob",
        [
            b"",
            b"\0",
            b"\0" * 8,
            b"\xff" * 64,
            (2).to_bytes(8, "little") + b"{}",
            (10**15).to_bytes(8, "little") + b"{}",
            (4).to_bytes(8, "little") + b"null",
            b"\x93NUMPY\x01\0",
            b"PK\x03\x04",
            b"\x80\x04N.",
            save({"matrix": np.eye(2)}),
            save({"matrix": np.eye(2)}, {"format": "pt"}),
        ],
        ids=[
            "nothing",
            "a byte",
            "no header",
            "a header past the end",
            "an empty header",
            "a header of a petabyte",
            "a header that is null",
            "npy",
            "npz",
            "a pickle",
            "safetensors of arrays alone",
            "safetensors of another program",
        ],
    )
    def test_a_file_of_another_kind(self, blob: bytes, tmp_path: Path) -> None:
        self.refuse(blob, tmp_path / "basis.safetensors")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "null",
            "[]",
            "1",
            '"basis"',
            "{}",
            "NaN",
            "[" * 100_000,
            '{"a":' * 100_000,
            "[" * 100_000 + "]" * 100_000,
        ],
        ids=lambda text: f"{text[:9]} of {len(text)}",
    )
    def test_metadata_that_are_none(self, text: str, tmp_path: Path) -> None:
        self.refuse(with_metadata(to_bytes(BASES["dense"]), text), tmp_path / "x.safetensors")

    @pytest.mark.parametrize(
        "is_complex", [None, 1, "matrix.0", ["matrix.1"], [None], [["matrix.0"]], []], ids=repr
    )
    def test_wrong_words_on_what_is_complex(self, is_complex: Any, tmp_path: Path) -> None:
        blob = to_bytes(BASES["dense, complex"])
        metadata = json.loads(header_of(blob)["__metadata__"]["intertwine"])
        assert metadata["complex"] == ["matrix.0"]
        metadata["complex"] = is_complex
        self.refuse(with_metadata(blob, json.dumps(metadata)), tmp_path / "x.safetensors")

    def test_labels_that_are_said_to_be_complex(self, tmp_path: Path) -> None:
        blob = to_bytes(BASES["orbits"])
        metadata = json.loads(header_of(blob)["__metadata__"]["intertwine"])
        metadata["complex"] = ["labels.0"]
        self.refuse(with_metadata(blob, json.dumps(metadata)), tmp_path / "x.safetensors")

    def test_arrays_of_types_that_no_basis_has(self, tmp_path: Path) -> None:
        arrays, metadata = to_arrays(BASES["dense"])
        text = json.dumps({**metadata, "complex": []})
        for dtype in (np.float32, np.float16, np.uint8, np.bool_, np.complex64):
            spoiled = {name: array.astype(dtype) for name, array in arrays.items()}
            self.refuse(save(spoiled, {"intertwine": text}), tmp_path / "x.safetensors")

    def test_a_later_version_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "basis.safetensors"
        blob = to_bytes(BASES["dense"])
        metadata = json.loads(header_of(blob)["__metadata__"]["intertwine"])
        path.write_bytes(with_metadata(blob, json.dumps({**metadata, "version": 2})))
        with pytest.raises(FormatError) as refused:
            load_basis(path)
        assert str(refused.value) == (
            f"{path} is not a basis: "
            "expected intertwine-basis version 1, found 'intertwine-basis' version 2"
        )

    def test_offsets_that_lie(self, tmp_path: Path) -> None:
        blob = to_bytes(BASES["dense"])
        for wrong in ([0, 1], [0, 10**12], [8, 296], [-8, 280], [288, 0], "all", [0], None):
            header = copy.deepcopy(header_of(blob))
            header["matrix.0"]["data_offsets"] = wrong
            self.refuse(with_header(blob, header), tmp_path / "x.safetensors")
        for shape in ([12], [12, 4], [3, 12, 1], [-12, -3], [2**62, 4], "12", None):
            header = copy.deepcopy(header_of(blob))
            header["matrix.0"]["shape"] = shape
            self.refuse(with_header(blob, header), tmp_path / "x.safetensors")

    @settings(deadline=None, max_examples=300)
    @given(st.sampled_from(["dense, complex", "orbits, signed", "nested"]), st.data())
    def test_any_changed_byte_of_the_header(self, name: str, data: st.DataObject) -> None:
        blob = bytearray(to_bytes(BASES[name]))
        stop = 8 + int.from_bytes(blob[:8], "little")
        for _ in range(data.draw(st.integers(1, 3))):
            blob[data.draw(st.integers(0, stop - 1))] = data.draw(st.integers(0, 255))
        try:
            basis = from_bytes(bytes(blob))
        except FormatError:
            return
        matrix = basis.dense()
        np.testing.assert_allclose(matrix.conj().T @ matrix, np.eye(basis.rank), atol=1e-10)

    @pytest.mark.slow
    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=200))
    def test_any_bytes_at_all(self, blob: bytes) -> None:
        with pytest.raises(FormatError):
            from_bytes(blob)


def test_a_solved_basis_goes_to_a_file_and_back(tmp_path: Path) -> None:
    basis = (V**2 >> V)(SO(3)).equivariant_basis()
    save_basis(basis, tmp_path / "basis.safetensors")
    read = load_basis(tmp_path / "basis.safetensors")
    assert read.certificate == basis.certificate
    assert np.array_equal(read.dense(), basis.dense())
    assert repr(read) == repr(basis)
    assert read.storage.nbytes == orbits([0]).nbytes * 54
