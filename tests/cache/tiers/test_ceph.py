"""The S3 gateway of Ceph as a far tier. What it has in common with others is in test_tier.py.

Unlike moto, it checks signatures and rights, as stores in production do.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import numpy as np
import pytest
from helpers.ceph import Ceph
from helpers.example_stores import MB, digest, key, publish
from helpers.example_tiers import chain, environment_of, s3_client
from intertwine_cache import Chain, Store
from intertwine_cache.tiers.object_store import ObjectTier
from intertwine_cache.tiers.tier import TierError

pytestmark = pytest.mark.slow


@pytest.fixture
def prefix(ceph: Ceph, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a new folder of the bucket, for this process as the bucket's owner."""
    become(ceph.environment, monkeypatch)
    return f"s3://lab/{uuid.uuid4().hex}"


def become(environment: dict[str, str], patch: pytest.MonkeyPatch) -> None:
    """Use the key of another user for new tiers."""
    for name, value in environment.items():
        patch.setenv(name, value)


def bucket(address: str) -> ObjectTier:
    return ObjectTier(address, is_writable=True)


def fetched(chain: Chain, name: str) -> bytes | None:
    """The content that a chain fetches under the key of a name."""
    found = chain.fetch(key(name), lambda path, is_trusted: None, 10**9)
    return None if found is None else found[1].read_bytes()


class TestRights:
    def test_a_wrong_secret_is_refused(
        self,
        tmp_path: Path,
        ceph: Ceph,
        prefix: str,
        near: Store,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        manifest, blob = publish(near, "a", b"content")
        assert bucket(prefix).publish(manifest, blob)
        become({**ceph.environment, "AWS_SECRET_ACCESS_KEY": "wrong"}, monkeypatch)
        tier = bucket(prefix)
        for request in (
            lambda: tier.manifest(key("a")),
            lambda: list(tier.keys()),
            lambda: tier.read(manifest, lambda piece: None),
            lambda: tier.publish(manifest, blob),
        ):
            with pytest.raises(TierError, match=r"403 Forbidden.*SignatureDoesNotMatch"):
                request()
        caplog.clear()
        with caplog.at_level(logging.WARNING, "intertwine.cache"):
            here = chain(tmp_path / "other", bucket(prefix))
            assert [fetched(here, name) for name in ("a", "a", "b")] == [None] * 3
        (warned,) = caplog.messages
        assert warned.startswith(f"{prefix} is skipped for 30 seconds: ")

    def test_a_user_who_may_only_read(
        self, ceph: Ceph, prefix: str, near: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        manifest, blob = publish(near, "a", b"content")
        assert bucket(prefix).publish(manifest, blob)
        reader = ceph.add_user("reader")
        become(reader, monkeypatch)
        with pytest.raises(TierError, match=r"403 Forbidden.*AccessDenied"):
            bucket(prefix).manifest(key("a"))
        rights = {
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam:::user/reader"]},
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": ["arn:aws:s3:::lab", "arn:aws:s3:::lab/*"],
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [rights]})
        s3_client(ceph.environment).put_bucket_policy(Bucket="lab", Policy=policy)
        tier, pieces = bucket(prefix), []
        assert tier.manifest(key("a")) == manifest
        assert tier.manifest(key("b")) is None
        assert list(tier.keys()) == [key("a")]
        tier.read(manifest, lambda piece: pieces.append(bytes(piece)))
        assert b"".join(pieces) == b"content"
        assert not tier.publish(*publish(near, "b", b"more"))
        assert not tier.is_writable
        assert "it refuses to be written to" in tier.probe()
        assert tier.manifest(key("b")) is None


class TestALab:
    def test_two_near_folders_share_it(self, tmp_path: Path, prefix: str) -> None:
        one, two = (chain(tmp_path / name, bucket(prefix)) for name in ("one", "two"))
        assert one.publish(key("a"), lambda write: write(b"content"), {"rank": 3}) is not None
        assert one.finish(30)
        assert fetched(two, "a") == b"content"
        manifest = two.near.manifest(key("a"))
        assert manifest is not None
        assert one.keyring.trusts(manifest)
        assert not two.keyring.trusts(manifest)

    def test_a_large_blob_is_sent_in_parts(
        self, tmp_path: Path, ceph: Ceph, prefix: str, near: Store
    ) -> None:
        content = np.random.default_rng(0).bytes(100 * MB)
        manifest, blob = publish(near, "a", content)
        assert bucket(prefix).publish(manifest, blob)
        folder = prefix.removeprefix("s3://lab/")
        found = s3_client(ceph.environment).head_object(
            Bucket="lab", Key=f"{folder}/blobs/{manifest.digest[:2]}/{manifest.digest}"
        )
        assert found["ContentLength"] == len(content)
        assert "-" in found["ETag"]  # and the number of parts
        copied, _ = chain(tmp_path / "other", bucket(prefix)).fetch(  # type: ignore[misc]
            key("a"), lambda path, is_trusted: None, len(content)
        )[:2]
        assert copied.digest == digest(content)

    def test_one_process_solves_and_another_reads(
        self, tmp_path: Path, ceph: Ceph, prefix: str
    ) -> None:
        program = """
            from intertwine.groups import SO
            from intertwine.reps import V
            basis = (V**4)(SO(3)).equivariant_basis()
            print(basis.cached, *basis.shape)
        """
        printed = []
        for name in ("one", "two"):
            folder = tmp_path / name
            done = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(program)],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
                env={
                    **environment_of(folder),
                    **ceph.environment,
                    "INTERTWINE_CACHE": f"{folder / 'near'},{prefix}",
                },
            )
            assert (done.returncode, done.stderr) == (0, "")
            printed.append(done.stdout.split())
        assert printed == [["81", "3"], [prefix, "81", "3"]]
