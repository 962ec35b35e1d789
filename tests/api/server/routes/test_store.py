"""The store of a service as a tier of others: what is solved here is there for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.example_tiers import environment_of
from helpers.service import UNKNOWN, ServiceProcess, problem, running_service, service_process
from helpers.support import run_python
from intertwine.bases import from_bytes
from intertwine.groups import SO
from intertwine.reps import V
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys
from intertwine_cache import Keyring, Manifest

ROOT = "/v1/store"


def manifest_link(key: str) -> str:
    return f"{ROOT}/manifests/{key[:2]}/{key}.json"


def blob_link(digest: str) -> str:
    return f"{ROOT}/blobs/{digest[:2]}/{digest}"


class TestTheLayout:
    def test_has_the_manifest_signed_with_the_key_of_the_service(
        self, client: httpx.Client, known: dict[str, Any], tmp_path: Path
    ) -> None:
        described = client.get(ROOT).json()
        content = client.get(manifest_link(known["key"])).content
        manifest = Manifest.from_bytes(known["key"], content)
        assert (manifest.digest, manifest.size) == (known["digest"], known["bytes"])
        trusting = Keyring(tmp_path / "own", [described["public_key"]])
        assert trusting.trusts(manifest)
        assert described["layout"] == 1
        assert len(described["fingerprint"].split()) == 16
        assert client.get(manifest_link(known["key"])).content == content

    def test_has_the_blob_whole_and_in_parts(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        link = blob_link(known["digest"])
        answer = client.get(link)
        assert from_bytes(answer.content).rank == known["rank"]
        assert "immutable" in answer.headers["cache-control"]
        head = client.head(link)
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) == known["bytes"]
        part = client.get(link, headers={"range": "bytes=8-15"})
        assert (part.status_code, part.content) == (206, answer.content[8:16])
        tag = answer.headers["etag"]
        assert client.get(link, headers={"if-none-match": tag}).status_code == 304

    def test_has_nothing_else(self, client: httpx.Client, known: dict[str, Any]) -> None:
        key, digest = known["key"], known["digest"]
        for link in (
            manifest_link(UNKNOWN),
            blob_link(UNKNOWN),
            f"{ROOT}/manifests/{'00' if key[:2] != '00' else '11'}/{key}.json",
            f"{ROOT}/blobs/{'00' if digest[:2] != '00' else '11'}/{digest}",
        ):
            problem(client.get(link), 404, "not-found")
        problem(client.get(f"{ROOT}/manifests/zz/{key}.json"), 422, "invalid-request")
        problem(client.get(f"{ROOT}/blobs/ab/../../x"), 404, "not-found")


SOLVE = """
    import sys
    import numpy as np
    from intertwine.groups import SO
    from intertwine.reps import V
    imported()
    basis = (V**2 * V.T + 5)(SO(3)).equivariant_basis()
    answer([basis.cached, np.round(basis.dense(), 12).tolist()])
"""


class TestANotebook:
    """A process of another user, which shares nothing with the service but its address."""

    def solve(self, folder: Path, far: str, **environment: str) -> tuple[str, Any]:
        env = {**environment_of(folder), "INTERTWINE_CACHE": f"{folder / 'near'},{far}"}
        done = run_python(SOLVE, env={**env, **environment})
        assert done.status == 0, done.stderr
        return done.value[0], done.value[1]

    def test_has_what_the_service_solved_and_keeps_it_without_the_service(
        self, tmp_path: Path
    ) -> None:
        with running_service(tmp_path / "data") as client:
            client.post("/v1/bases", json={"rep": "V**2*V.T+5V0", "group": "SO(3)"})
            far = str(client.base_url).rstrip("/")
            place, dense = self.solve(tmp_path, far)
            assert place == far
            assert self.solve(tmp_path / "another", far)[1] == dense  # of one gauge for all
        assert self.solve(tmp_path, far) == (str(tmp_path / "near"), dense)
        ours = (V**2 * V.T + 5)(SO(3)).equivariant_basis(store=False).dense()
        theirs = np.array(dense)
        np.testing.assert_allclose(theirs @ theirs.T, ours @ ours.T, atol=1e-10)

    def test_sends_its_key(self, tmp_path: Path) -> None:
        service = ServiceProcess(tmp_path / "data", jobs="0")
        database = Database(f"sqlite:///{service.data}/intertwine.db")
        database.migrate()
        reader, other = (
            Keys(database).create("ann", [scope])[1] for scope in ("bases:solve", "jobs:write")
        )
        database.close()
        with service_process(service.data, service=service):
            headers = {"authorization": f"Bearer {reader}"}
            asked = {"rep": "V**2*V.T+5V0", "group": "SO(3)"}
            httpx.post(f"{service.address}/v1/bases", json=asked, headers=headers, timeout=60)
            assert self.solve(tmp_path / "a", service.address, INTERTWINE_KEY=reader)[0] == (
                service.address
            )
            for key in ("", other, "itw_wrong"):
                assert self.solve(tmp_path / f"b{key}", service.address, INTERTWINE_KEY=key)[0] == (
                    ""
                )

    def test_does_not_send_its_key_unencrypted_to_another_machine(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from intertwine_cache.tier import open_tier

        monkeypatch.setenv("INTERTWINE_KEY", "itw_secret")
        with pytest.raises(ValueError, match=r"sent unencrypted to http://lab\.example\.org"):
            open_tier("http://lab.example.org", is_writable=False, limit=1)
        open_tier("https://lab.example.org", is_writable=False, limit=1)
        open_tier("http://127.0.0.1:8000", is_writable=False, limit=1)
