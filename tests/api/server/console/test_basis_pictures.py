"""Pictures of bases: the whole, and tiles with single entries."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest
from helpers.service import problem
from intertwine.reps import read_rep
from intertwine_api.server.console import basis_pictures
from intertwine_api.server.console.basis_pictures import LARGEST_FILE, why_no_picture

HTML = {"accept": "text/html"}
SUM = {"rep": "V**2>>V**2+V", "group": "S(7)"}  # a matrix of 56 rows and 49 columns
TERMS = {"rep": "V**4+V0", "group": "S(7)"}  # a matrix of 49 rows and 49 columns, and a number


@pytest.fixture(scope="module")
def keys(client: httpx.Client) -> dict[str, str]:
    """The keys of the two bases, by their rep."""
    answers = {each["rep"]: client.post("/v1/bases", json=each).json() for each in (SUM, TERMS)}
    return {rep: answer["key"] for rep, answer in answers.items()}


def images(page: str) -> list[str]:
    return [f"/{unescape(found)}" for found in re.findall(r'<img src="\./([^"]+)"', page)]


class TestTheWhole:
    def test_it_is_an_svg_with_its_own_policy(
        self, client: httpx.Client, keys: dict[str, str]
    ) -> None:
        page = client.get("/", params=SUM, headers=HTML).text
        (address,) = images(page)
        picture = client.get(address)
        assert picture.headers["content-type"] == "image/svg+xml"
        assert "sandbox" in picture.headers["content-security-policy"]
        assert picture.text.rstrip().endswith("</svg>")
        assert "<script" not in picture.text
        assert "Each dot shows several" not in page

    def test_a_large_one_is_coarse_and_small(self, client: httpx.Client) -> None:
        large = {"rep": "V**2>>V**2", "group": "S(14)"}
        client.post("/v1/bases", json=large)
        page = client.get("/", params=large, headers=HTML).text
        assert "Each dot shows several coordinates." in page
        picture = client.get(images(page)[0])
        assert picture.status_code == 200
        assert len(picture.content) < 120_000

    @pytest.mark.parametrize("place", ["", "/tile"])
    def test_that_of_an_unknown_basis_is_not_found(self, client: httpx.Client, place: str) -> None:
        assert client.get(f"/pictures/{'0' * 64}{place or ''}.svg").status_code == 404
        assert client.get(f"/pictures/x{place or ''}.svg").status_code == 422

    def test_without_matplotlib_the_page_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(basis_pictures, "find_spec", lambda name: None)
        said = why_no_picture(read_rep("V**2", "SO(3)"), 1)
        assert "pip install 'intertwine[vis]'" in said

    def test_without_a_picture_the_page_says_why(self) -> None:
        vector = read_rep("V**2", "SO(3)")
        assert why_no_picture(vector, 1) == ""
        assert "zero is the only invariant" in why_no_picture(vector, 0)
        assert "at most 67 MB." in why_no_picture(vector, 1, LARGEST_FILE + 1)
        assert "1,594,323 coordinates" in why_no_picture(read_rep("V**13", "SO(3)"), 1)
        many = "+".join(f"V**{k}" for k in range(14))
        assert "14 different terms" in why_no_picture(read_rep(many, "Z(1)"), 14)


class TestTiles:
    def test_the_explorer_leads_to_them(self, client: httpx.Client, keys: dict[str, str]) -> None:
        page = client.get("/", params=SUM, headers=HTML).text
        link = re.search(r'href="\./(tiles[^"]+)"', page)
        assert link
        assert client.get(f"/{unescape(link[1])}", headers=HTML).status_code == 200

    def test_they_lead_around_the_matrix(self, client: httpx.Client, keys: dict[str, str]) -> None:
        shown, address = [], "/tiles?rep=V**2>>V**2%2BV&group=S(7)"
        for direction in ("Down", "Right", "Up", "Left", ""):
            page = client.get(address, headers=HTML).text
            shown.append(re.findall(r"Rows (\d+) to (\d+) of 56, columns (\d+) to (\d+)", page)[0])
            (picture,) = images(page)
            assert client.get(picture).headers["content-type"] == "image/svg+xml"
            if direction:
                following = re.search(rf'href="\./(tiles[^"]+)">{direction}<', page)
                assert following
                address = f"/{unescape(following[1])}"
        assert [tuple(map(int, place)) for place in shown] == [
            *((0, 31, 0, 31), (24, 55, 0, 31), (24, 55, 17, 48)),
            *((0, 31, 17, 48), (0, 31, 0, 31)),
        ]

    def test_a_sum_has_a_matrix_a_term(self, client: httpx.Client, keys: dict[str, str]) -> None:
        page = client.get("/tiles", params={**TERMS, "term": 1}, headers=HTML).text
        assert len(re.findall("<option", page)) == 2
        order = [name for name in re.findall(r"<option[^>]*>([^<]+)<", page)]
        number = order.index(next(name for name in order if "V⁴" in name))
        page = client.get("/tiles", params={**TERMS, "term": number, "row": 99}, headers=HTML).text
        assert (
            f"Rows 17 to 48 of 49, columns 0 to 31 of 49, numbered from 0: term {number + 1} of 2"
            in page
        )
        assert client.get(images(page)[0]).status_code == 200

    @pytest.mark.parametrize(
        ("place", "code"),
        [
            ({"row": "56"}, "invalid-rep"),
            ({"column": "999999"}, "invalid-rep"),
            ({"term": "1"}, "invalid-request"),
            ({"row": "-1"}, "invalid-request"),
            ({"row": "x"}, "invalid-request"),
            ({"rep": "V"}, "invalid-rep"),
        ],
    )
    def test_a_place_outside_has_no_picture(
        self, client: httpx.Client, keys: dict[str, str], place: dict[str, str], code: str
    ) -> None:
        address = f"/pictures/{keys[SUM['rep']]}/tile.svg"
        problem(client.get(address, params={"rep": SUM["rep"], **place}), 422, code)

    def test_a_basis_of_rank_0_is_not_too_large(self, client: httpx.Client) -> None:
        rep = {"rep": "V", "group": "SO(5)"}
        key = client.post("/v1/bases", json=rep).json()["key"]
        for address in (f"/tiles?{httpx.QueryParams(rep)}", f"/pictures/{key}.svg"):
            answer = client.get(address)
            assert answer.status_code == 404
            assert "zero is the only invariant" in answer.text

    @pytest.mark.parametrize(
        ("fields", "status", "says"),
        [
            ({"rep": "V**3", "group": "S(12)"}, 404, "solve it in the explorer first"),
            ({"rep": "V>>(", "group": "S(3)"}, 422, "Expected"),
            ({"rep": "V", "group": "SO(3)"}, 404, "is not known"),
            ({"rep": "<b>", "group": "S(3)"}, 422, "&lt;b&gt;"),
            ({}, 422, ""),
        ],
    )
    def test_a_basis_that_is_not_known_is_not_solved(
        self, client: httpx.Client, fields: dict[str, str], status: int, says: str
    ) -> None:
        answer = client.get("/tiles", params=fields, headers=HTML)
        assert answer.status_code == status
        assert says in answer.text
        assert "<b>" not in answer.text
