"""The check of uploaded samples in a process of its own."""

from __future__ import annotations

import errno
import json
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers.example_stores import run_with_mounts
from intertwine.errors import FormatError, TooLarge
from intertwine.training.recipe.samples import Samples
from intertwine_api.storage.sample_check import check_samples

GB = 2**30


def test_checked_samples_are_written_in_their_one_form(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(9, 3)), np.arange(9)
    np.savez_compressed(tmp_path / "file.npz", X=X, Y=Y)
    found = check_samples(tmp_path / "file.npz", tmp_path / "samples", GB)
    assert (found.samples, found.inputs["shape"], found.targets["labels"]) == (9, [9, 3], [0, 8])
    samples = Samples.read(tmp_path / "samples")
    np.testing.assert_array_equal(samples.X, X)
    assert samples.digest == Samples.of(X, Y).digest


@pytest.mark.slow
def test_a_deflate_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    file = bomb(tmp_path, 900 * 2**20)
    assert file.stat().st_size < 2**21
    before = psutil.Process().memory_info().rss
    with pytest.raises(TooLarge, match="expands from"):
        check_samples(file, tmp_path / "samples", GB)
    assert psutil.Process().memory_info().rss - before < 2**25
    assert not (tmp_path / "samples").exists()


def test_compression_as_of_real_samples_is_accepted(tmp_path: Path) -> None:
    X = np.zeros((200_000, 30), np.float32)  # 24 MB, a tenth of it random
    X[::10] = np.random.default_rng(0).normal(size=(20_000, 30))
    np.savez_compressed(tmp_path / "file.npz", X=X, Y=X[:, 0])
    assert check_samples(tmp_path / "file.npz", tmp_path / "samples", GB).samples == 200_000


def test_a_member_that_lies_about_its_sizes_is_refused(tmp_path: Path) -> None:
    file = bomb(tmp_path, 40 * 2**20)
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        packed = archive.getinfo("X.npy").compress_size
    content = content.replace(packed.to_bytes(4, "little"), (10**8).to_bytes(4, "little"))
    file.write_bytes(content)
    with pytest.raises((TooLarge, FormatError)):
        check_samples(file, tmp_path / "samples", GB)


def test_integers_may_not_become_more_bytes_than_a_dataset_has(tmp_path: Path) -> None:
    X = np.random.default_rng(0).integers(0, 255, (2**18, 3), np.uint8)
    np.savez(tmp_path / "file.npz", X=X, Y=X)  # 1.5 MB, and 6 MB as float32
    with pytest.raises(TooLarge, match="as floating-point numbers"):
        check_samples(tmp_path / "file.npz", tmp_path / "samples", 2**21)


def test_the_reserve_of_the_disk_is_left_free(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import json
        from pathlib import Path
        import numpy as np
        from intertwine_api.storage.sample_check import check_samples
        folder = Path(sys.argv[1])
        mount("-t", "tmpfs", "-o", "size=70m", "tmpfs", folder)
        np.savez("/tmp/samples-of-test.npz", X=np.ones((10**6, 1)), Y=np.ones((10**6, 1)))
        try:
            check_samples(Path("/tmp/samples-of-test.npz"), folder / "samples", 2**30)
        except OSError as error:
            print(json.dumps([error.errno, sum(p.stat().st_size for p in folder.iterdir())]))
        finally:
            Path("/tmp/samples-of-test.npz").unlink()
    """)
    done = run_with_mounts(program, tmp_path)
    number, written = json.loads(done.stdout or "null")
    assert number == errno.ENOSPC, done.stderr
    assert written < 6 * 2**20


def bomb(folder: Path, size: int) -> Path:
    """A small file whose array X is `size` bytes of zeros."""
    file = folder / "bomb.npz"
    rows = size // 8
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, columns in (("X", "1"), ("Y", "1")):
            header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
            text = header.ljust(117) + "\n"
            with archive.open(f"{name}.npy", "w") as member:
                member.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little"))
                member.write(text.encode())
                left = size if name == "X" else 8
                while left:
                    piece = min(left, 2**20)
                    member.write(bytes(piece))
                    left -= piece
    return file
