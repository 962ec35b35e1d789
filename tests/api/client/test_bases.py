"""A basis from a service is the one that a solve here finds, whatever happens on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from helpers.scripted_service import (
    Reply,
    Request,
    json_reply,
    manifest_document,
    scripted_service,
)
from helpers.service import UNKNOWN
from intertwine.bases import ApproximateCertificate
from intertwine.errors import (
    FormatError,
    InvalidGroup,
    InvalidRep,
    MethodNotApplicable,
    NotConcrete,
    ParseError,
    RoundedGenerators,
    UnknownMethod,
)
from intertwine.groups import SE, SO, SU, Group, S, Z
from intertwine.reps import Induce, QuotientRep, Rep, Sub, Sym, T, V, basis_key
from intertwine_api.client import AsyncClient, Client
from intertwine_api.client.errors import WaitedTooLong
from intertwine_api.wire.safetensors_body import SAFETENSORS

OTHERS = Reply(200, b"others", {"content-type": SAFETENSORS})
SQUARE = Group(discrete_generators=[[1, 2, 3, 0], [3, 2, 1, 0]])
TURN = Group(lie_algebra=[[[0, 1.1], [-1.1, 0]]], name="turn")


@pytest.fixture(scope="module")
def lab(client: httpx.Client) -> Iterator[Client]:
    with Client(str(client.base_url)) as lab:
        yield lab


@pytest.mark.parametrize(
    "rep",
    [
        (V**2 >> V)(SO(3)),
        (V**2 * V.T + 5 * V**0)(SO(3)),
        (V * T(1) + 3 + V.T)(S(4)),
        2 * V(Z(3)) * V(S(4)) + V(SO(3)) ** 2,
        (V**3 + V)(SQUARE),
        (V * V.T)(TURN),
        (V * V.T)(SU(2)),
        (V**2)(Group(d=2)),
        Rep.from_generators(S(4), S(4).group_generators, name="P") * V(S(4)),
        Sub((V**2)(SO(3)), np.eye(3).reshape(9, 1)) * V(SO(3)) ** 2,
        QuotientRep(V(SE(3)), np.eye(4)[:, :3]) >> V(SE(3)),
        Sym(2, Induce(V(Z(3)), S(3))),
    ],
    ids=repr,
)
def test_it_is_the_one_of_a_local_solve(lab: Client, rep: Rep) -> None:
    ours, theirs = rep.equivariant_basis(), lab.basis(rep)
    assert theirs.dtype == ours.dtype
    assert np.array_equal(theirs.dense(), ours.dense())
    assert theirs.certificate.residuals == ours.certificate.residuals
    assert lab.basis(rep).cached


def test_texts_do_as_well(lab: Client) -> None:
    ours = (V >> V**2)(SO(3)).equivariant_basis()
    for group in ("SO(3)", SO(3), {"lie_algebra": SO(3).lie_algebra.tolist()}):
        assert np.array_equal(lab.basis("V>>V**2", group).dense(), ours.dense())
    assert np.array_equal(lab.basis("V(SO(3))>>V(SO(3))**2").dense(), ours.dense())


def test_rounded_generators_are_refused_as_they_are_here(lab: Client) -> None:
    turn = [[-0.5, -0.866025], [0.866025, -0.5]]
    with pytest.raises(RoundedGenerators, match=r"is orthogonal to 7\.0e-07"):
        lab.basis("V**3", Group(discrete_generators=[turn]))
    refined = Group(discrete_generators=[turn], refine=1e-5)
    assert lab.basis("V**3", refined).rank == 2
    assert lab.basis("V**3", Group(discrete_generators=[turn], refine=0)).rank == 0


def test_a_tolerance_has_its_own_certificate(lab: Client) -> None:
    rep = (V >> V)(Group(lie_algebra=[[[0.002, 1.001], [-0.998, -0.001]]]))
    ours, theirs = rep.equivariant_basis(tolerance=5e-3), lab.basis(rep, tolerance=5e-3)
    assert np.array_equal(theirs.dense(), ours.dense())
    assert isinstance(theirs.certificate, ApproximateCertificate)
    assert theirs.certificate.kept_values == ours.certificate.kept_values


def test_the_method_may_be_named(lab: Client) -> None:
    assert lab.basis("V**3", "SO(3)", method="krylov").certificate.method == "krylov"


def test_a_long_solve_is_waited_for(lab: Client) -> None:
    found = lab.basis("V**6", "O(3)", method="krylov", timeout=60)
    assert found.shape == (729, 15)


def test_it_can_be_awaited(lab: Client) -> None:
    async def both() -> list[Any]:
        async with AsyncClient(lab.url) as there:
            return [await there.basis("V**2", "SO(3)"), await there.basis("V**2", "SU(2)")]

    real, complex_ = anyio.run(both)
    assert (real.rank, complex_.dtype) == (1, np.complex128)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("V V", "SO(3)"), ParseError),
        (("V", "SO(x)"), ParseError),
        (("V",), NotConcrete),
        (("V", {"discrete_generators": [[[0, 0], [0, 0]]]}), InvalidGroup),
        ((V(SQUARE) * V(SO(3)),), InvalidRep),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_sent(arguments: Any, error: type) -> None:
    with Client("http://127.0.0.1:1", retries=0) as nobody, pytest.raises(error):
        nobody.basis(*arguments)


def test_what_the_service_finds_out_is_told_as_here(lab: Client) -> None:
    with pytest.raises(MethodNotApplicable) as there:
        lab.basis("V**2", "SO(3)", method="orbits")
    with pytest.raises(MethodNotApplicable) as here:
        (V**2)(SO(3)).equivariant_basis(method="orbits")
    assert str(there.value) == str(here.value)
    with pytest.raises(UnknownMethod, match="unknown method 'magic'"):
        lab.basis("V**2", "SO(3)", method="magic")


class TestOddServices:
    PENDING = json_reply(
        {"key": UNKNOWN, "state": "running", "progress": {"stage": "solving", "fraction": 0.5}}, 202
    )

    def manifest(self, rep: Rep, **changes: Any) -> Reply:
        known = {"key": basis_key(rep), "canonical": str(rep), "size": rep.size(), "rank": 1}
        return json_reply(manifest_document(**{**known, **changes}))

    def test_bytes_that_are_others_are_refused(self) -> None:
        rep = (V**2)(SO(3))

        def answer(request: Request) -> Reply:
            return self.manifest(rep) if request.method == "POST" else OTHERS

        with (
            scripted_service(answer) as there,
            Client(there.url) as lab,
            pytest.raises(FormatError, match=f"not {UNKNOWN}: try again"),
        ):
            lab.basis(rep)

    def test_another_rep_than_was_meant_is_refused(self) -> None:
        with (
            scripted_service([self.manifest((V**2)(SO(3)))]) as there,
            Client(there.url) as lab,
            pytest.raises(InvalidRep, match="the service read V³ as another rep"),
        ):
            lab.basis((V**3)(SO(3)))

    def test_a_service_that_keeps_nothing_gives_the_matrix(self, client: httpx.Client) -> None:
        rep = (V**2 * V.T + 5 * V**0)(SO(3))
        body = {"rep": "V**2*V.T+5V0", "group": "SO(3)"}
        known = client.post("/v1/bases", json=body).json()
        dense = client.get(f"/v1/bases/{known['key']}/dense.npy").content
        matrix = Reply(200, dense, {"content-type": "application/x-npy"})
        replies = [json_reply({**known, "digest": None}), matrix]
        with scripted_service(replies) as there, Client(there.url) as lab:
            found = lab.basis(rep)
        assert np.array_equal(found.dense(), rep.equivariant_basis().dense())
        assert found.certificate.residual < 1e-10

    def test_what_takes_too_long_is_given_up_here(self) -> None:
        with scripted_service([self.PENDING]) as there, Client(there.url) as lab:
            with pytest.raises(
                WaitedTooLong, match=r"not found in 0\.3 seconds: the solve continues"
            ):
                lab.basis("V**2", "SO(3)", timeout=0.3)
            first, *looks = there.asked
        assert first.headers["prefer"] == "wait=0"
        assert {look.path for look in looks} == {f"/v1/bases/{UNKNOWN}"}

    def test_the_service_is_asked_to_wait(self) -> None:
        rep = (V**2)(SO(3))
        with (
            scripted_service([self.manifest(rep), Reply(404, b"{}")]) as there,
            Client(there.url) as lab,
            pytest.raises(Exception, match="404"),
        ):
            lab.basis(rep)
        assert there.asked[0].headers["prefer"] == "wait=20"
        assert json.loads(there.asked[0].body) == {
            "rep": "V²",
            "group": "SO(3)",
            "method": "auto",
            "backend": "auto",
        }
