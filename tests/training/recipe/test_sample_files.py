"""Valid and invalid files of samples."""

from __future__ import annotations

import io
import json
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import FormatError, TooLarge
from intertwine.training.recipe.sample_files import NAMES, read_samples
from safetensors.numpy import save

X = np.random.default_rng(0).standard_normal((7, 3))
Y = np.arange(7)


def npz(save_to: Callable[..., None] = np.savez, **arrays: Any) -> bytes:
    buffer = io.BytesIO()
    save_to(buffer, **arrays)
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()


def npy_saying(header: str, content: bytes, version: bytes = b"\1\0") -> bytes:
    """Return an array file with any header."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + content


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tensors(header: Any, content: bytes = b"") -> bytes:
    """Return a safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


class TestWhatIsRead:
    @pytest.mark.parametrize("names", NAMES, ids=str)
    def test_two_arrays_by_any_of_their_names(self, tmp_path: Path, names: Any) -> None:
        file = tmp_path / "file"
        arrays = dict(zip(names, (X, Y), strict=True))
        for content in (npz(**arrays), npz(np.savez_compressed, **arrays), save(arrays)):
            file.write_bytes(content)
            inputs, targets = read_samples(file)
            assert np.array_equal(inputs, X)
            assert np.array_equal(targets, Y)

    @pytest.mark.parametrize(
        "dtype", ["<f4", ">f4", "<f8", ">f8", "<f2", "<i8", ">i2", "|u1", "|b1"]
    )
    def test_numbers_of_any_kind_and_order(self, tmp_path: Path, dtype: str) -> None:
        file, numbers = tmp_path / "file", (10 * X).astype(dtype)
        file.write_bytes(npz(X=numbers, Y=np.asfortranarray(numbers)))
        for found in read_samples(file):
            assert found.dtype == numbers.dtype.newbyteorder("=")
            assert found.dtype.isnative
            assert np.array_equal(found, numbers)

    def test_other_arrays_are_ignored(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(npz(X=X, Y=Y, comment=np.zeros(3)))
        assert np.array_equal(read_samples(file)[0], X)

    def test_a_large_one_takes_little_more_memory_than_it_has(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(npz(X=np.ones((10**6, 2)), Y=np.ones(10**6)))
        tracemalloc.start()
        found = read_samples(file)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1.3 * sum(array.nbytes for array in found)


BROKEN = {
    "nothing": (b"", "neither a safetensors file nor an npz"),
    "a text": (b"x,y\n1,2\n3,4\n", "neither a safetensors file nor an npz"),
    "a pickle": (pickle.dumps({"X": X, "Y": Y}), "what is pickled is never read"),
    "one array": (npy(X), "there are to be two, X and Y"),
    "an npz cut short": (npz(X=X, Y=Y)[:-30], "no whole npz"),
    "an npz of other names": (npz(a=X, b=Y), "named X and Y or x and y .* this one has a, b"),
    "an npz without targets": (npz(X=X), "this one has X"),
    "an npz of two pairs": (npz(X=X, Y=Y, x=X, y=Y), "this one has X, Y, x, y"),
    "an empty npz": (zipped({}), "this one has none"),
    "objects": (npz(X=np.array([[1, None]], object), Y=Y), "Python objects, which are pickled"),
    "complex numbers": (npz(X=X + 1j, Y=Y), "X is an array of <c16; samples are real"),
    "texts": (npz(X=X, Y=np.array(["a"] * 7)), "Y is an array of <U1; samples are real"),
    "times": (npz(X=X, Y=Y.astype("M8[s]")), "header of an array is|samples are real"),
    "records": (npz(X=np.zeros(3, "f4,f4"), Y=Y), "no plain array's"),
    "bzip2": (zipped({"X.npy": npy(X), "Y.npy": npy(Y)}, zipfile.ZIP_BZIP2), "never does"),
    "a program for a header": (
        zipped({"X.npy": npy_saying("__import__('os').system('true')", b""), "Y.npy": npy(Y)}),
        "no plain array's",
    ),
    "a header that never ends": (
        zipped({"X.npy": npy_saying("(" * 60_000, b""), "Y.npy": npy(Y)}),
        "at most 4,096 are read",
    ),
    "another version": (
        zipped({"X.npy": npy_saying("{}", b"", b"\7\0"), "Y.npy": npy(Y)}),
        "not as npy of version 1.0 or 2.0",
    ),
    "fewer numbers than it says": (
        zipped(
            {
                "X.npy": npy_saying(
                    "{'descr': '<f4', 'fortran_order': False, 'shape': (9, 9), }", b"1234"
                ),
                "Y.npy": npy(Y),
            }
        ),
        "X declares 324 bytes, but has 4",
    ),
    "more numbers than it says": (
        zipped(
            {
                "X.npy": npy_saying(
                    "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }", bytes(400)
                ),
                "Y.npy": npy(Y),
            }
        ),
        "X declares 4 bytes, but has more",
    ),
    "a negative shape": (
        zipped(
            {
                "X.npy": npy_saying(
                    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 1), }", b"1234"
                ),
                "Y.npy": npy(Y),
            }
        ),
        "no plain array's",
    ),
    "safetensors cut short": (save({"X": X, "Y": Y})[:-1], "no whole safetensors"),
    "safetensors with something behind": (save({"X": X, "Y": Y}) + b"1", "no whole safetensors"),
    "safetensors of other names": (save({"a": X}), "this one has a"),
    "half precision of another kind": (
        tensors({"X": entry([1, 1], 0, 2, "BF16"), "Y": entry([1, 1], 2, 6)}, bytes(6)),
        "X is an array of BF16; samples are real",
    ),
    "a header longer than the file": (
        (10**15).to_bytes(8, "little") + b"{}",
        "neither a safetensors file nor an npz",
    ),
    "a header of megabytes": (
        tensors(b"{" + b" " * 2**21 + b"}", b""),
        "at most 1,048,576 are read",
    ),
    "a header that lies about the shape": (
        tensors({"X": entry([10**6, 10**6], 0, 4), "Y": entry([1, 1], 4, 8)}, bytes(8)),
        "no whole safetensors",
    ),
    "a header that points outside": (
        tensors({"X": entry([1, 1], 0, 4), "Y": entry([1, 1], 4000, 4004)}, bytes(8)),
        "no whole safetensors",
    ),
    "arrays over each other": (
        tensors({"X": entry([2, 1], 0, 8), "Y": entry([2, 1], 0, 8)}, bytes(8)),
        "no whole safetensors",
    ),
    "a header of numbers that overflow": (
        tensors({"X": entry([2**62, 2**62], 0, 4), "Y": entry([1, 1], 4, 8)}, bytes(8)),
        "no whole safetensors",
    ),
    "a header that is no JSON": (tensors(b"{nothing}"), "no whole safetensors"),
    "a header that is a list": (tensors([]), "no whole safetensors"),
}


class TestWhatIsNot:
    @pytest.mark.parametrize(
        ("content", "reason"), BROKEN.values(), ids=[name.replace(" ", "-") for name in BROKEN]
    )
    def test_invalid_files_are_refused_with_the_reason(
        self, tmp_path: Path, content: bytes, reason: str
    ) -> None:
        file = tmp_path / "file"
        file.write_bytes(content)
        with pytest.raises(FormatError, match=reason) as raised:
            read_samples(file)
        assert len(str(raised.value)) < 600

    def test_files_that_unpack_to_too_much_are_not_unpacked(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(npz(np.savez_compressed, X=np.zeros((2**21, 4)), Y=Y))
        assert file.stat().st_size < 2**17
        tracemalloc.start()
        with pytest.raises(TooLarge, match="have 67,108,864 bytes when they are unpacked"):
            read_samples(file, most_bytes=10**7)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**22

    def test_inputs_and_targets_count_together(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        for content in (npz(X=X, Y=X), save({"X": X, "Y": X})):
            file.write_bytes(content)
            read_samples(file, most_bytes=2 * X.nbytes)
            with pytest.raises(TooLarge, match="bytes when they are unpacked"):
                read_samples(file, most_bytes=2 * X.nbytes - 1)

    def test_a_claimed_shape_allocates_no_memory(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 9), }"
        file.write_bytes(zipped({"X.npy": npy_saying(header, b"1"), "Y.npy": npy(Y)}))
        with pytest.raises(TooLarge, match="have 72,000,000,000,000 bytes"):
            read_samples(file)

    def test_a_directory_of_many_entries_is_not_read(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(zipped({str(i): b"" for i in range(30_000)}))
        with pytest.raises(FormatError, match="directory of this npz file has more than"):
            read_samples(file)

    def test_an_unreadable_file_raises_the_os_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            read_samples(tmp_path / "nothing")


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_changed_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = tmp_path_factory.getbasetemp() / "changed"
    good = data.draw(st.sampled_from([npz(X=X, Y=Y), save({"X": X, "Y": Y})]))
    content = bytearray(good)
    places = st.one_of(st.integers(0, 200), st.integers(len(good) - 200, len(good) - 1))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(places)] = data.draw(st.integers(0, 255))
    file.write_bytes(content[: data.draw(st.one_of(st.none(), st.integers(0, len(content))))])
    with suppress(FormatError, TooLarge):
        read_samples(file)
