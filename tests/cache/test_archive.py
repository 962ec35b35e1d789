"""Archives: a tar with the files of a tier, and hostile tars, which are refused as a whole."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.example_stores import MB, content, digest, key, publish
from helpers.example_tiers import web_folder
from intertwine_cache import Manifest, Store
from intertwine_cache.archive import ArchiveReader, ArchiveWriter
from intertwine_cache.layout import blob_path, manifest_path
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.tiers.opening import open_tier
from intertwine_cache.transfer import Selection, copy, plan

LARGE = bytes(range(256)) * 20_000  # several pieces, and no multiple of a block


@pytest.fixture
def near(tmp_path: Path) -> Store:
    store = Store(tmp_path / "near")
    publish(store, "a", b"content")
    publish(store, "same", b"content")
    publish(store, "large", LARGE + b"x")
    publish(store, "empty", b"")
    return store


@pytest.fixture
def path(near: Store, tmp_path: Path) -> Path:
    """An archive of the four entries."""
    path = tmp_path / "bases.tar"
    with ArchiveWriter(path) as archive:
        assert copy(list(near.manifests()), as_tier(near), archive).entries == 4
    return path


def as_tier(store: Store) -> FolderTier:
    """The folder of a store as a tier."""
    return FolderTier(store.layout.root, is_writable=True, limit=store.limit)


def imported(path: Path, store: Store) -> int:
    """Copy all entries of an archive to a store; their number."""
    source = ArchiveReader(path)
    entries = plan(source, as_tier(store), Selection()).entries
    done = copy(entries, source, as_tier(store))
    assert done.invalid == {}
    return done.entries


class TestAnArchive:
    def test_has_what_was_written(self, path: Path, near: Store, tmp_path: Path) -> None:
        reader, other = ArchiveReader(path), Store(tmp_path / "other")
        assert list(reader.keys()) == sorted(map(key, ("a", "same", "large", "empty")))
        assert reader.manifest(key("x")) is None
        assert imported(path, other) == 4
        assert [*other.manifests()] == [*near.manifests()]
        assert content(other, "large") == LARGE + b"x"
        assert content(other, "empty") == b""

    def test_has_blobs_before_their_manifests_and_each_once(self, path: Path) -> None:
        with tarfile.open(path) as tar:
            names = tar.getnames()
        assert len(names) == len(set(names)) == 7
        for name, of in (("a", b"content"), ("same", b"content"), ("empty", b"")):
            assert names.index(blob_path(digest(of))) < names.index(manifest_path(key(name)))

    def test_unpacked_is_a_web_folder(self, path: Path, near: Store, tmp_path: Path) -> None:
        (tmp_path / "web").mkdir()
        subprocess.run(["tar", "-xf", path, "-C", tmp_path / "web"], check=True)
        with web_folder(tmp_path / "web") as address:
            tier = open_tier(address, is_writable=False, limit=10**9)
            assert tier.manifest(key("a")) == near.manifest(key("a"))

    @pytest.mark.parametrize("what", [["."], ["manifests", "blobs"]])
    def test_may_be_made_by_tar(self, near: Store, tmp_path: Path, what: list[str]) -> None:
        made = tmp_path / "made.tar"
        for folder in ("locks", "temporary", "checked"):
            subprocess.run(["rm", "-rf", near.layout.root / "v1" / folder], check=True)
        subprocess.run(["tar", "-cf", made, "-C", near.layout.root / "v1", *what], check=True)
        assert imported(made, Store(tmp_path / "other")) == 4

    def test_does_not_replace_a_file(self, path: Path, near: Store) -> None:
        before = path.read_bytes()
        with pytest.raises(FileExistsError, match="delete it, or give another name"):
            ArchiveWriter(path).__enter__()
        assert path.read_bytes() == before

    def test_that_fails_leaves_no_file(self, near: Store, tmp_path: Path) -> None:
        path = tmp_path / "new.tar"
        near.layout.blob(digest(b"content")).unlink()

        def write() -> None:
            with ArchiveWriter(path) as archive:
                for manifest in near.manifests():
                    archive.publish(manifest, near.layout.blob(manifest.digest))

        with pytest.raises(FileNotFoundError):
            write()
        assert not [each for each in tmp_path.iterdir() if "new.tar" in each.name]

    def test_of_a_blob_that_was_changed(self, path: Path, tmp_path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(path.read_bytes().index(LARGE) + 1000)
            file.write(b"changed")
        source, other = ArchiveReader(path), as_tier(Store(tmp_path / "other"))
        done = copy(plan(source, other, Selection()).entries, source, other)
        assert done.entries == 3
        assert "do not have the digest" in done.invalid[key("large")]


def regular(name: str, content: bytes = b"content") -> tuple[tarfile.TarInfo, bytes]:
    """A member that is a file."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def of_type(kind: bytes, name: str, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    """A member of another type."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


BLOB = blob_path(digest(b"content"))
MANIFEST = manifest_path(key("a"))

#: Members that no archive may have, and the reason that is given.
HOSTILE: dict[str, tuple[list[tuple[tarfile.TarInfo, bytes]], str]] = {
    "an absolute path": ([regular(f"/{BLOB}")], "is not a file of a store"),
    "a path that goes up": ([regular(f"../{BLOB}")], "is not a file of a store"),
    "a path that goes up and back": ([regular(f"blobs/../{BLOB}")], "is not a file of a store"),
    "a blob in another folder": ([regular(f"blobs/00/{'1' * 64}")], "is not a file of a store"),
    "a name of capitals": ([regular(BLOB.upper())], "is not a file of a store"),
    "a configuration": ([regular("trusted-keys")], "is not a file of a store"),
    "a symbolic link": ([of_type(tarfile.SYMTYPE, BLOB, "/etc/passwd")], "is a symbolic link"),
    "a hard link": ([of_type(tarfile.LNKTYPE, BLOB, "/etc/passwd")], "is a hard link"),
    "a device": ([of_type(tarfile.CHRTYPE, BLOB)], "is a device"),
    "a disk": ([of_type(tarfile.BLKTYPE, BLOB)], "is a device"),
    "a named pipe": ([of_type(tarfile.FIFOTYPE, BLOB)], "is a named pipe"),
    "a folder": ([of_type(tarfile.DIRTYPE, "../manifests")], "is a folder that no store has"),
    "a folder in place of a blob": ([of_type(tarfile.DIRTYPE, BLOB)], "is a folder"),
    "a sparse file": ([of_type(tarfile.GNUTYPE_SPARSE, BLOB)], "is a sparse file"),
    "a long name": ([regular(f"{'x' * 300}")], "is a long name"),
    "attributes": ([of_type(tarfile.XHDTYPE, "x")], "is a header of attributes"),
    "an unknown type": ([of_type(b"Z", BLOB)], "is a type"),
    "one file twice": ([regular(BLOB), regular(f"./{BLOB}")], "twice"),
    "a large manifest": ([regular(MANIFEST, b" " * (4 * 2**20 + 1))], "too many for a manifest"),
    "a byte that is no letter": ([regular("blobs/\xff")], "it is not a tar file"),
}


class TestAHostileArchive:
    @pytest.mark.parametrize("kind", HOSTILE)
    def test_is_refused_as_a_whole(self, tmp_path: Path, kind: str) -> None:
        members, reason = HOSTILE[kind]
        path = tmp_path / "hostile.tar"
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
            for member, content in members:
                tar.addfile(member, io.BytesIO(content))
        with pytest.raises(ValueError, match=f"^{path} is refused: .*{reason}"):
            ArchiveReader(path)

    @pytest.mark.parametrize(
        "cut",
        [lambda n: n // 2, lambda n: 512, lambda n: 700, lambda n: 7],
        ids=["half", "512", "700", "7"],
    )
    def test_that_is_truncated_is_refused(self, path: Path, cut: Callable[[int], int]) -> None:
        os.truncate(path, cut(path.stat().st_size))
        with pytest.raises(ValueError, match=r"is refused: it is (truncated|not a tar file)"):
            ArchiveReader(path)

    @pytest.mark.parametrize("whole", [b"", b"\x89PNG" * 1000, b"{}"])
    def test_that_is_no_tar_is_refused(self, tmp_path: Path, whole: bytes) -> None:
        path = tmp_path / "no.tar"
        path.write_bytes(whole)
        with pytest.raises(ValueError, match="it is not a tar file"):
            ArchiveReader(path)

    def test_that_is_compressed_is_refused(self, path: Path) -> None:
        path.write_bytes(gzip.compress(path.read_bytes()))
        with pytest.raises(ValueError, match="or it is compressed"):
            ArchiveReader(path)

    def test_with_a_flipped_header_is_refused(self, path: Path) -> None:
        with path.open("r+b") as file:
            file.write(b"X")
        with pytest.raises(ValueError, match="is refused"):
            ArchiveReader(path)

    @pytest.mark.parametrize("size", [8**11 - 1, 2**80, -(2**40)])
    def test_that_claims_another_size_is_refused(self, tmp_path: Path, size: int) -> None:
        member = tarfile.TarInfo(BLOB)
        member.size = size
        path = tmp_path / "claims.tar"
        path.write_bytes(member.tobuf(tarfile.GNU_FORMAT) + b"x" * 512 + b"\0" * 1024)
        with pytest.raises(ValueError, match="it is truncated: "):
            ArchiveReader(path)

    def test_whose_blob_has_another_size_than_its_manifest(self, tmp_path: Path) -> None:
        path, other = tmp_path / "other.tar", as_tier(Store(tmp_path / "other"))
        for size in (6, 8):
            manifest = Manifest(key("a"), digest(b"content"), size, 0.0, {})
            with tarfile.open(path, "w") as tar:
                for member, content in (regular(BLOB), regular(MANIFEST, manifest.to_bytes())):
                    tar.addfile(member, io.BytesIO(content))
            done = copy([manifest], ArchiveReader(path), other)
            assert f"does not have {size} bytes" in done.invalid[key("a")]
        assert list(other.keys()) == []

    def test_without_a_blob(self, tmp_path: Path) -> None:
        path, other = tmp_path / "other.tar", as_tier(Store(tmp_path / "other"))
        manifest = Manifest(key("a"), digest(b"content"), 7, 0.0, {})
        with tarfile.open(path, "w") as tar:
            member, content = regular(MANIFEST, manifest.to_bytes())
            tar.addfile(member, io.BytesIO(content))
        assert "is missing" in copy([manifest], ArchiveReader(path), other).invalid[key("a")]

    def test_with_a_manifest_of_another_key(self, near: Store, tmp_path: Path) -> None:
        found = near.manifest(key("large"))
        assert found is not None
        path = tmp_path / "other.tar"
        with tarfile.open(path, "w") as tar:
            member, content = regular(MANIFEST, found.to_bytes())
            tar.addfile(member, io.BytesIO(content))
        planned = plan(ArchiveReader(path), None, Selection())
        assert planned.entries == ()
        assert "stands under" in planned.invalid[key("a")]

    def test_takes_little_memory(self, tmp_path: Path) -> None:
        import tracemalloc

        path = tmp_path / "long.tar"  # a header of attributes of 200 MB, mostly a hole
        member = tarfile.TarInfo("x")
        member.type, member.size = tarfile.XHDTYPE, 200 * MB
        with path.open("wb") as file:
            file.write(member.tobuf(tarfile.GNU_FORMAT))
            file.truncate(300 * MB)
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match="is a header of attributes"):
                ArchiveReader(path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < MB
