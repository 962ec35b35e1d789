"""Hilbert series and polynomials from a service are those that are found here."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import httpx
import numpy as np
import pytest
from intertwine.errors import InvalidRep, TooLarge
from intertwine.groups import SO, O, PointGroup, Z
from intertwine.polynomials import generators, molien, polynomial_basis
from intertwine.reps import V
from intertwine_api.client import AsyncClient, Client


@pytest.fixture(scope="module")
def lab(client: httpx.Client) -> Iterator[Client]:
    with Client(str(client.base_url)) as lab:
        yield lab


def test_series_are_equal(lab: Client) -> None:
    rep = V(PointGroup("m-3m"))
    assert lab.molien(rep, 8) == molien(rep, 8)
    assert lab.molien("2V", 3, "V", group="O(3)") == molien((2 * V)(O(3)), 3, V(O(3)))


def test_maps_have_equal_values(lab: Client) -> None:
    x = np.random.default_rng(0).standard_normal((4, 6))
    rep = (2 * V)(SO(3))
    here = polynomial_basis(rep, V(SO(3)), 2)
    np.testing.assert_allclose(lab.polynomial_basis(rep, V, 2)(x), here(x), atol=1e-12)
    there = lab.generators("2V", 2, group="SO(3)")
    np.testing.assert_allclose(there(x), generators(rep, 2)(x), atol=1e-12)
    assert there.rep_in == rep


def test_errors_are_those_of_the_library(lab: Client) -> None:
    with pytest.raises(TooLarge, match="lower degree"):
        lab.generators("9V", 9, group="SO(3)")
    with pytest.raises(InvalidRep, match="one group"):
        lab.molien(V(SO(3)), 2, V(Z(2)))


def test_methods_are_awaited(client: httpx.Client) -> None:
    async def ask() -> tuple[int, int, int]:
        async with AsyncClient(str(client.base_url)) as lab:
            series = await lab.molien("V", 2, group="SO(3)")
            found = await lab.generators("V", 2, group="SO(3)")
            maps = await lab.polynomial_basis("V", "V", 1, group="SO(3)")
            return series[2], len(found), len(maps)

    assert anyio.run(ask) == (1, 1, 1)
