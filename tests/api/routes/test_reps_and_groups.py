"""Reps and groups over HTTP."""

from __future__ import annotations

import httpx
from service import problem


class TestRepsAndGroups:
    def test_a_text_is_read(self, client: httpx.Client) -> None:
        answer = client.post("/v1/reps:parse", json={"rep": "V+V**2*V.T", "group": "SO13p"}).json()
        assert (answer["rep"], answer["size"], answer["group"]) == ("V+V²⊗V*", 68, "SO13p()")
        assert answer["dimension"] == "68"
        assert "otimes" in answer["latex"]
        first, second = (term["rep"] for term in answer["ast"]["terms"])
        assert first == {"kind": "base", "group": "SO13p()"}
        assert [factor["kind"] for factor in second["factors"]] == ["base", "base", "dual"]
        without = client.post("/v1/reps:parse", json={"rep": "V**2"}).json()
        assert (without["size"], without["dimension"]) == (None, "d**2")

    def test_an_error_says_where_it_is(self, client: httpx.Client) -> None:
        document = problem(client.post("/v1/reps:parse", json={"rep": "V⊗⊗V"}), 422, "syntax")
        assert document["offset"] == 2
        assert document["expected"] == "a rep such as V, V², T(2,1) or an integer"
        assert document["caret"] == "  V⊗⊗V\n    ^"

    def test_the_catalogue_and_its_groups(self, client: httpx.Client) -> None:
        names = [group["name"] for group in client.get("/v1/groups").json()]
        assert {"SO", "RubiksCube", "Z"} <= set(names)
        found = client.get("/v1/groups/Z(3)*S(4)").json()
        assert (found["d"], found["permutation"], found["lie_generators"]) == (12, True, 0)
        problem(client.get("/v1/groups/E8"), 422, "syntax")
