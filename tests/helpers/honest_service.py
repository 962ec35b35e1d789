"""The answers of a service that has a training, a solve, a model and two bases."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from intertwine.bases import Basis, to_bytes
from intertwine.groups import SO
from intertwine.polynomials import (
    describe_maps,
    describe_series,
    generators,
    molien,
    polynomial_basis,
)
from intertwine.reps import Rep, V, basis_key
from intertwine_api.wire.safetensors_body import SAFETENSORS, write_arrays

from helpers.example_models import small_model, trained
from helpers.scripted_service import (
    Reply,
    Request,
    dataset_document,
    job_document,
    json_reply,
    manifest_document,
    model_document,
    page_of,
    version_document,
)

#: A basis that the service stores, and one that it sends as a matrix.
STORED, UNSTORED = (V**2)(SO(3)), (V**3)(SO(3))
#: Two vectors for the model, and its outputs.
X, Y = np.ones((2, 8), np.float32), np.zeros((2, 3), np.float32)

_LOG = b"one line\n"
_EVENTS = (
    b'id: 2\nevent: state\ndata: {"state": "running", "reason": "begun"}\n\n'
    b'id: 3\nevent: progress\ndata: {"epoch": 1, "epochs": 2}\n\n'
    b'id: 4\nevent: metrics\ndata: {"rows": [{"epoch": 1, "train_loss": 0.5}]}\n\n'
    b"event: end\ndata: {}\n\n"
)
_MEASURED = {"test_loss": 0.5, "equivariance_error": 1e-8, "is_equivariant": True}
_ROW = {
    **{"epoch": 1, "train_loss": 0.5, "test_loss": None, "validation_loss": None},
    **{"learning_rate": 0.001, "seconds": 1.5},
}
_SOLVE_IN_FLIGHT = {
    **{"id": "0" * 16, "kind": "solve", "owner": "ann", "state": "running", "stage": "solving"},
    **{"fraction": 0.5, "since": "2026-12-01T10:00:00Z", "seconds": 600.0, "callers": 1},
    **{"rep": "V**2(SO(3))", "key": "0" * 64, "operations": 1e6, "bytes": 10**6},
}
_UPLOAD_IN_FLIGHT = {
    **{"id": "0" * 16, "owner": "ann", "state": "receiving", "since": "2026-12-01T10:00:00Z"},
    **{"bytes": 1, "declared": 2},
}
_ENDED = {"state": "succeeded", "reason": "done", "progress": {"epoch": 2, "epochs": 2}}
TRAINING = job_document(
    **_ENDED, id="training", result={"model": "small", "version": 1, **_MEASURED}
)
SOLVE = job_document(
    **_ENDED, id="solve", kind="solve", request={"rep": "V**2", "group": "SO(3)"}, result={}
)


class HonestService:
    """Answers each request of a client."""

    def __init__(self) -> None:
        model, found = trained(small_model()), STORED.equivariant_basis()
        blob, other = to_bytes(found), UNSTORED.equivariant_basis()
        self._blobs = {_digest(content): content for content in (blob, model.blob)}
        self._manifests = {
            basis_key(STORED): _manifest(STORED, found, _digest(blob)),
            basis_key(UNSTORED): _manifest(UNSTORED, other, None),
        }
        matrix = io.BytesIO()
        np.save(matrix, other.dense())
        self._matrix = matrix.getvalue()
        self._version = version_document(
            weights=_digest(model.blob), bytes=len(model.blob), config=model.config
        )

    def __call__(self, request: Request) -> Reply:
        if request.method == "DELETE":
            return Reply(204, b"")
        _, _, kind, *rest = urlsplit(request.path).path.partition(":")[0].split("/")
        reply: Reply = getattr(self, f"_answer_{kind}")(request, *rest)
        return reply

    def _answer_admin(self, request: Request, what: str) -> Reply:
        return json_reply({"data": [_SOLVE_IN_FLIGHT if what == "solves" else _UPLOAD_IN_FLIGHT]})

    def _answer_bases(self, request: Request, key: str = "", *rest: str) -> Reply:
        if rest:
            return Reply(200, self._matrix, {"content-type": "application/x-npy"})
        if key:
            return json_reply(self._manifests[key])
        rep = UNSTORED if "³" in json.loads(request.body)["rep"] else STORED
        progress = {"stage": "solving", "fraction": 0.5}
        return json_reply({"key": basis_key(rep), "state": "running", "progress": progress}, 202)

    def _answer_blobs(self, request: Request, digest: str = "") -> Reply:
        if digest:
            return Reply(200, self._blobs[digest], {"content-type": SAFETENSORS})
        known = {"digest": _digest(request.body), "bytes": len(request.body), "links": {}}
        return json_reply(known, 201)

    def _answer_reps(self, request: Request) -> Reply:
        asked, what = json.loads(request.body), request.path.rpartition(":")[2]
        rep, degree = V(SO(3)), asked["degree"]
        if what == "molien":
            return json_reply(describe_series(molien(rep, degree), rep))
        maps = generators(rep, degree)
        if what == "polynomials":
            maps = polynomial_basis(rep, rep, degree)
        return json_reply(describe_maps(maps))

    def _answer_store(self, request: Request) -> Reply:
        return json_reply({"layout": 1, "public_key": "A" * 43 + "=", "fingerprint": "0000 " * 16})

    def _answer_datasets(self, request: Request) -> Reply:
        if request.method == "POST":
            return json_reply(dataset_document(id=_digest(request.body)), 201)
        return json_reply(page_of(dataset_document(), builtin=[]))

    def _answer_jobs(self, request: Request, job: str = "", part: str = "") -> Reply:
        if request.method == "GET" and not job:
            return json_reply(page_of(TRAINING, SOLVE))
        if part == "events":
            return Reply(200, _EVENTS, {"content-type": "text/event-stream"})
        if part == "metrics":
            return json_reply({"data": [_ROW]})
        if part == "logs":
            start = int(parse_qs(urlsplit(request.path).query).get("offset", ["0"])[0])
            where = {"x-log-offset": str(start), "x-log-size": str(len(_LOG))}
            return Reply(200, _LOG[start:], {"content-type": "text/plain", **where})
        return json_reply(SOLVE if job == "solve" else TRAINING)

    def _answer_models(self, request: Request, name: str = "", *rest: str) -> Reply:
        if request.method == "POST":
            body = b"".join(map(bytes, write_arrays({"y": Y})))
            return Reply(200, body, {"content-type": SAFETENSORS})
        if rest:
            versions = rest == ("versions",)
            return json_reply(page_of(self._version) if versions else self._version)
        model = model_document(newest=self._version)
        return json_reply(model if name else page_of(model))


def _manifest(rep: Rep, basis: Basis, digest: str | None) -> dict[str, Any]:
    return manifest_document(
        key=basis_key(rep),
        size=rep.size(),
        rank=basis.rank,
        digest=digest,
        bytes=len(to_bytes(basis)),
        certificate=basis.certificate.to_json(),
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
