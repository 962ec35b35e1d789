"""The explorer: what its HTML says about a rep, a group and a basis, without a browser."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
from helpers.patience import PATIENCE
from helpers.program import environment, intertwine
from helpers.service import problem
from intertwine.bases import load_basis
from intertwine.reps import read_rep
from intertwine_api.server.console.basis_summary import snippets
from intertwine_api.server.console.explorer import EXAMPLES
from intertwine_api.server.console.question import Question, as_maps

HTML = {"accept": "text/html"}
MAPS = {"rep": "V>>V**2", "group": "SO(3)"}
TURNS = '{"lie_algebra": [[[0, 1], [-1, 0]]]}'
#: Texts that would end an attribute or an element if they were not escaped.
INJECTIONS = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</textarea><b>'"]


def text_of(page: str) -> str:
    """The text of a page, without its elements."""
    return unescape(re.sub(r"<[^>]*>", " ", page))


def solved(client: httpx.Client, **fields: str) -> str:
    """The page of a basis, after its solve."""
    give_up = time.monotonic() + PATIENCE
    while True:
        answer = client.get("/", params=fields, headers=HTML)
        assert answer.status_code == 200, answer.text
        if "data-poll" not in answer.text:
            return answer.text
        assert time.monotonic() < give_up, answer.text
        time.sleep(0.05)


@pytest.fixture(scope="module")
def page(client: httpx.Client) -> str:
    return solved(client, **MAPS)


class TestTheForm:
    def test_the_front_page_has_a_form_and_examples(self, client: httpx.Client) -> None:
        page = client.get("/", headers=HTML).text
        assert '<form method="get" action="./"' in page
        for field in ("rep", "group", "generators"):
            assert f'name="{field}"' in page
        for _, _, rep, group in EXAMPLES:
            assert f"?{urlencode({'rep': rep, 'group': group}).replace('+', '%20')}" in unescape(
                page
            ).replace("%2A", "*").replace("*", "%2A")

    @pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0])
    def test_each_example_can_be_read(self, client: httpx.Client, example: Any) -> None:
        _, _, rep, group = example
        page = client.get("/", params={"rep": rep, "group": group, "check": "1"})
        assert page.status_code == 200
        assert "it is solved at once" in page.text

    def test_a_check_shows_what_the_rep_means_and_solves_nothing(
        self, client: httpx.Client
    ) -> None:
        shown = client.get("/", params={"rep": "7V**2+V0", "group": "O(5)", "check": "1"}).text
        text = text_of(shown)
        assert "176 coordinates" in text
        assert "V⁰+7V²" in text
        assert "The basis" not in text
        assert "data-poll" not in shown

    def test_a_rep_without_a_group_has_a_symbolic_size(self, client: httpx.Client) -> None:
        answer = client.get("/", params={"rep": "V**2+3V"})
        assert answer.status_code == 200
        assert "d² + 3d, for a group of size d" in text_of(answer.text)
        assert "missing: name one" in answer.text
        assert 'href="./?rep=V%2A%2A2%2B3V&amp;group=SO%283%29">SO(3)</a>' in answer.text

    def test_the_fields_keep_what_was_typed(self, client: httpx.Client) -> None:
        page = client.get("/", params={"rep": "V>>", "group": "SO(3)"}).text
        assert 'value="V&gt;&gt;"' in page
        assert 'value="SO(3)"' in page


class TestErrors:
    @pytest.mark.parametrize(
        ("fields", "status", "code", "says"),
        [
            ({"rep": "V>>(V", "group": "SO(3)"}, 422, "syntax", "expected ')'"),
            ({"rep": "V", "group": "SO(3"}, 422, "syntax", "^"),
            ({"rep": "V", "generators": '{"lie_algebra": ['}, 422, "syntax", "expected json"),
            ({"rep": "V", "generators": "[1]"}, 422, "invalid-request", "not a json object"),
            ({"rep": "V", "generators": '{"lie": []}'}, 422, "invalid-request", "lie: extra"),
            ({"rep": "V", "generators": '{"d": ' + "9" * 5000 + "}"}, 422, "invalid-request", ""),
            ({"rep": "V", "generators": "[" * 9000}, 422, "", ""),
            ({"rep": "V", "group": "S(3)", "generators": TURNS}, 422, "invalid-request", "one of"),
            ({"rep": "V", "generators": '{"lie_algebra": [[[1]], [[1, 2]]]}'}, 422, "", ""),
            ({"rep": "V", "group": "S(9999999)"}, 422, "too-large", ""),
            ({"rep": "V", "group": "SO(3)", "check": "maybe"}, 422, "invalid-request", ""),
        ],
    )
    def test_they_are_on_the_page_in_words(
        self, client: httpx.Client, fields: dict[str, str], status: int, code: str, says: str
    ) -> None:
        answer = client.get("/", params=fields, headers=HTML)
        assert (answer.status_code, answer.headers["content-type"]) == (
            status,
            "text/html; charset=utf-8",
        )
        assert 'role="alert"' in answer.text
        assert f"<code>{code}" in answer.text
        assert says in text_of(answer.text).lower()
        assert "Traceback" not in answer.text

    def test_the_caret_is_under_the_fault(self, client: httpx.Client) -> None:
        page = client.get("/", params={"rep": "V**2+*V", "group": "SO(3)"}).text
        found = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)
        assert found
        line, caret = unescape(found[1]).split("\n")
        assert line[caret.index("^") :] == "*V"

    def test_a_failed_solve_can_be_repeated(self, client: httpx.Client) -> None:
        fields = {"rep": "V**50", "group": "SO(3)"}
        answer = client.get("/", params=fields, headers=HTML)
        assert answer.status_code == 422
        assert "too-costly" in answer.text
        assert "again=1" in answer.text
        assert "it is refused" in answer.text  # the estimate said so

    @pytest.mark.parametrize("text", INJECTIONS)
    def test_texts_are_escaped(self, client: httpx.Client, text: str) -> None:
        named = json.dumps({"lie_algebra": [[[0, 1], [-1, 0]]], "name": text + "\ud800"})
        for path, fields in (
            ("/", {"rep": text, "group": "SO(3)"}),
            ("/", {"rep": "V", "group": text}),
            ("/", {"rep": "V", "generators": text}),
            ("/", {"rep": "V", "generators": named, "check": "1"}),
            ("/irreps", {"rep": text, "group": text}),
            ("/groups", {"name": text}),
            ("/groups", {"generators": named}),
            ("/characters", {"name": text}),
            ("/", {"rep": "V", "check": text}),
        ):
            page = client.get(path, params=fields, headers=HTML).text
            assert text not in page, (path, fields)
            assert "<script>" not in page
            assert "<img src=x" not in page


class TestTheBasis:
    def test_the_page_has_rank_evidence_and_structure(self, page: str) -> None:
        text = " ".join(text_of(page).split())
        assert "Rank 1 : 1 independent invariant in 27 dimensions" in text
        assert "Each generator was applied to every basis vector" in text
        assert "counts as nonzero is" in text
        assert "A matrix of 27 × 1 entries" in text

    def test_the_page_leads_to_its_group_and_its_entry(
        self, client: httpx.Client, page: str
    ) -> None:
        for link in re.findall(r'href="\./(groups\?name=[^"]+|cache/[0-9a-f]{64})"', page):
            assert client.get(f"/{link}", headers=HTML).status_code == 200
        assert '<a href="./groups?name=SO%283%29">SO(3)</a>' in page
        assert "its entry in the store" in page

    def test_an_exact_result_has_a_plain_zero(self, client: httpx.Client) -> None:
        page = solved(client, rep="V>>V", group="S(3)")
        assert "the largest change is 0, relative to the generator" in page

    def test_the_downloads_have_the_basis(self, client: httpx.Client, page: str) -> None:
        links = [unescape(link) for link in re.findall(r'href="\./(v1/bases/[^"]+)"', page)]
        assert [link.rpartition("?")[0].rpartition(".")[2] for link in links] == [
            "safetensors", "npy", "csv",
        ]  # fmt: skip
        wanted = read_rep(**MAPS).equivariant_basis().dense()
        lines = client.get(f"/{links[2]}").text.splitlines()
        found = np.array([[float(cell) for cell in line.split(",")] for line in lines])
        assert np.allclose(found @ found.T, wanted @ wanted.T)

    def test_a_large_matrix_is_not_sent_as_csv(self, client: httpx.Client) -> None:
        known = client.post("/v1/bases", json={"rep": "V**5", "group": "S(6)"}).json()
        answer = client.get(f"/v1/bases/{known['key']}/dense.csv")
        refused = problem(answer, 422, "too-large")
        assert "404,352 entries; at most 100,000" in refused["detail"]
        assert "dense.csv" not in solved(client, rep="V**5", group="S(6)")

    def test_the_irreps_are_a_table_at_an_address_of_their_own(
        self, client: httpx.Client, page: str
    ) -> None:
        address = re.search(r'data-source="\./(irreps[^"]+)"', page)
        assert address
        shown = client.get(f"/{unescape(address[1])}", headers=HTML)
        assert shown.status_code == 200
        rows = re.findall(r"<tr><td>(l=\d)</td><td class=\"n\">(\d+)</td>", shown.text)
        assert rows == [("l=0", "1"), ("l=1", "3"), ("l=2", "2"), ("l=3", "1")]

    def test_a_group_that_is_not_reductive_has_no_table(self, client: httpx.Client) -> None:
        answer = client.get("/irreps", params={"rep": "V", "group": "SE(2)"}, headers=HTML)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text

    def test_orbits_and_terms_are_named(self, client: httpx.Client) -> None:
        text = " ".join(text_of(solved(client, rep="V>>V+V0", group="S(4)")).split())
        assert "2 orbits of 4 to 12 coordinates: each basis vector is constant on one orbit" in text
        assert re.search(r"V²\(S\(4\)\) 16 2 orbits", text)
        assert "No singular value decides the rank" in text

    def test_zero_has_no_picture(self, client: httpx.Client) -> None:
        assert "zero is the only invariant" in text_of(solved(client, rep="V", group="SO(3)"))

    def test_a_basis_from_generators(self, client: httpx.Client) -> None:
        shown = solved(client, rep="V>>V", generators=TURNS)
        assert "Rank <strong>2</strong>" in shown
        assert "group.json" in shown

    def test_a_long_address_is_answered(self, client: httpx.Client) -> None:
        moves = json.dumps({"discrete_generators": [[*range(1, 2000), 0]]})
        fields = {"rep": "V", "generators": moves, "check": "1"}
        assert "2,000 coordinates" in client.get("/", params=fields).text


class TestWhoAsked:
    @pytest.mark.parametrize(
        "headers",
        [
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
            {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"},
            {"sec-fetch-site": "none", "sec-purpose": "prefetch;prerender"},
        ],
    )
    def test_a_link_of_another_site_starts_no_solve(
        self, client: httpx.Client, headers: dict[str, str]
    ) -> None:
        fields = {"rep": "V**3+11V0", "group": "O(3)"}
        headers = {**HTML, "sec-fetch-dest": "document", **headers}
        before = client.get("/v1/bases").json()["data"]
        for path, says in (("/", "to start the solve"), ("/irreps", "to start the decomposition")):
            page = client.get(path, params=fields, headers=headers)
            assert page.status_code == 200
            assert says in page.text
        page = client.get("/characters", params={"name": "S(4)"}, headers=headers)
        assert "to start the computation" in page.text
        assert client.get("/v1/bases").json()["data"] == before

    def test_it_shows_a_basis_that_is_known(self, client: httpx.Client, page: str) -> None:
        headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        headers["sec-fetch-dest"] = "document"
        assert "Rank <strong>1" in client.get("/", params=MAPS, headers=headers).text


def code_on(page: str, name: str) -> str:
    found = re.search(rf'<pre id="{name}"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found, page
    return unescape(found[1])


class TestTheSameElsewhere:
    def test_it_is_quoted_for_its_language(self) -> None:
        hostile = Question("V'; touch /tmp/x; '\"", "SO(3)\n$(id)")
        found = {s.name: s.code for s in snippets(hostile, "http://h/`id`/", has_key=True)}
        words = shlex.split(found["Command line"])
        assert words[:3] == ["intertwine", "basis", "--group"]
        assert (words[3], words[-1]) == (hostile.group, hostile.rep)
        sent = shlex.split(found["curl"].replace("\\\n", ""))
        assert json.loads(sent[-1]) == {"rep": hostile.rep, "group": hostile.group}
        assert sent[2] == "http://h/`id`/v1/bases"
        assert "authorization: Bearer $INTERTWINE_KEY" in sent
        compile(found["Python"], "snippet", "exec")
        assert repr(hostile.rep) in found["Python"]

    def test_long_generators_are_not_repeated(self) -> None:
        long = Question("V", "", json.dumps({"discrete_generators": [[*range(3000)]]}))
        assert [s.name for s in snippets(long, "http://h/", has_key=False)] == [
            "Python", "PyTorch", "Command line",
        ]  # fmt: skip

    @pytest.mark.slow
    @pytest.mark.parametrize("generators", ["", TURNS])
    def test_it_works(self, client: httpx.Client, tmp_path: Path, generators: str) -> None:
        group = {"generators": generators} if generators else {"group": "SO(2)"}
        page = solved(client, rep="V>>V", **group)
        (tmp_path / "group.json").write_text(generators)
        options: dict[str, Any] = {"cwd": tmp_path, "env": environment(), "text": True}
        python = [sys.executable, "-c", code_on(page, "python")]
        done = subprocess.run(python, capture_output=True, **options)
        assert done.stdout.startswith("(4, 2)"), done.stderr
        words = shlex.split(code_on(page, "command-line"))
        words[words.index("basis.safetensors")] = str(tmp_path / "basis.safetensors")
        if generators:
            words[words.index("group.json")] = str(tmp_path / "group.json")
        intertwine(*words[1:])
        assert load_basis(tmp_path / "basis.safetensors").shape == (4, 2)
        done = subprocess.run(["sh", "-c", code_on(page, "curl")], capture_output=True, **options)
        assert json.loads(done.stdout)["rank"] == 2

    @pytest.mark.parametrize("group", ["SO(3)", "U(2)"])
    def test_the_pytorch_code_makes_invariants(self, group: str) -> None:
        torch = pytest.importorskip("torch")
        question = Question("V*V.T", group)
        (code,) = [
            s.code for s in snippets(question, "http://h/", has_key=False) if s.name == "PyTorch"
        ]
        names: dict[str, Any] = {}
        exec(code, names)
        x = names["x"].detach().numpy()
        rep = read_rep(question.rep, group)
        g = read_rep("V", group).G.sample(0)
        assert np.allclose(rep.rho_dense(g) @ x, x)
        names["x"].abs().sum().backward()
        assert torch.isfinite(names["parameters"].grad).all()


class TestPictures:
    def test_maps_are_found_at_the_only_arrow(self) -> None:
        for text, target in (("V>>V**2", "V**2"), ("V**2 << V", "V**2"), ("2V>>3V+V0", "3V+V0")):
            rep = read_rep(text, "SO(3)")
            maps = as_maps(text, rep)
            assert maps is not None
            assert maps[1] == read_rep(target, "SO(3)")
        for text in ("V**3", "(V>>V)*V", "V>>V>>V"):
            assert as_maps(text, read_rep(text, "SO(3)")) is None
        over_two = "V(S(3))>>V(O(2))"
        assert as_maps(over_two, read_rep(over_two)) is not None
