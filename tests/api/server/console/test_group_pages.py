"""The pages of groups."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs

import httpx
from intertwine.groups import CATALOGUE

HTML = {"accept": "text/html"}


def facts_of(client: httpx.Client, name: str) -> dict[str, str]:
    page = client.get("/groups", params={"name": name}, headers=HTML)
    assert page.status_code == 200, page.text
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.text))


class TestTheCatalogue:
    def test_it_lists_every_group_with_an_example(self, client: httpx.Client) -> None:
        page = client.get("/groups", headers=HTML).text
        for name in CATALOGUE:
            assert re.search(rf"<code>{name}\(", page), name
        assert "``" not in page  # of a docstring

    def test_a_group_is_looked_up_by_a_form(self, client: httpx.Client) -> None:
        page = client.get("/groups", headers=HTML).text
        assert '<form method="get" action="./groups">' in page
        answer = client.get("/groups", params={"name": "SOO(3)"}, headers=HTML)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
        assert 'value="SOO(3)"' in answer.text


class TestAGroup:
    def test_a_finite_group_has_an_order_and_characters(self, client: httpx.Client) -> None:
        facts = facts_of(client, "S(4)")
        assert facts["Order"] == "24"
        assert facts["Matrices"] == "permutations"
        assert facts["Reductive"].startswith("yes")
        page = client.get("/characters", params={"name": "S(4)"}, headers=HTML).text
        rows = re.findall(r'<tr><th scope="row">(\[.*?\])</th>(.*?)</tr>', page)
        assert [name for name, _ in rows][:2] == ["[4]", "[1, 1, 1, 1]"]
        assert len(rows) == 5

    def test_a_lie_group_has_a_lie_algebra(self, client: httpx.Client) -> None:
        facts = facts_of(client, "Lorentz()")
        assert facts["Lie algebra"] == "dimension 6, semisimple"
        assert facts["Killing form"] == "3 positive and 3 negative eigenvalues"
        assert "Order" not in facts
        assert facts_of(client, "SE(3)")["Reductive"].startswith("no")

    def test_small_generators_are_matrices_and_permutations_are_cycles(
        self, client: httpx.Client
    ) -> None:
        page = client.get("/groups", params={"name": "SO(2)"}, headers=HTML).text
        assert re.findall(r"<td>([−\d.]+)</td>", page) in (
            ["0", "1", "−1", "0"],
            ["0", "−1", "1", "0"],
        )
        page = client.get("/groups", params={"name": "Z(3)"}, headers=HTML).text
        assert "(0 1 2)" in page or "(0 2 1)" in page

    def test_a_large_group_has_a_summary(self, client: httpx.Client) -> None:
        facts = facts_of(client, "RubiksCube()")
        assert facts["Order"] == "43,252,003,274,489,856,000"
        assert facts_of(client, "S(50)")["Order"] == "about 3.04 · 10^64"
        page = client.get("/groups", params={"name": "SO(30)"}, headers=HTML).text
        assert "423 more are not shown" in page
        assert "30 × 30 with 2 nonzero entries" in page

    def test_it_links_to_its_irreps_and_to_the_explorer(self, client: httpx.Client) -> None:
        page = unescape(client.get("/groups", params={"name": "O(3)"}, headers=HTML).text)
        assert 'href="./?rep=V%3E%3EV&group=O%283%29"' in page
        address = re.search(r'data-source="\./irreps\?([^"]+)"', page)
        assert address
        assert parse_qs(address[1]) == {
            "rep": ["T(0,0)+T(0,1)+T(1,0)+T(0,2)+T(1,1)+T(2,0)"],
            "group": ["O(3)"],
        }

    def test_generators_may_be_given(self, client: httpx.Client) -> None:
        given = '{"discrete_generators": [[[0, 1], [1, 0]], [[1, 0], [0, -1]]]}'
        page = client.get("/groups", params={"generators": given}, headers=HTML)
        assert page.status_code == 200
        assert "<dt>Order</dt><dd>8</dd>" in page.text

    def test_an_infinite_group_has_no_characters(self, client: httpx.Client) -> None:
        answer = client.get("/characters", params={"name": "SO(3)"}, headers=HTML)
        assert answer.status_code == 422
        assert "method-not-applicable" in answer.text
        assert client.get("/characters", headers=HTML).status_code == 422
