"""Reps and groups over HTTP."""

from __future__ import annotations

import httpx
from helpers.service import metric, problem


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

    def test_a_rep_is_decomposed(self, client: httpx.Client) -> None:
        found = client.post("/v1/reps:decompose", json={"rep": "V**2", "group": "SO(3)"}).json()
        sizes = [(irrep["dimension"], irrep["multiplicity"]) for irrep in found["irreps"]]
        assert sizes == [(1, 1), (3, 1), (5, 1)]
        assert (found["rep"], found["group"], found["size"]) == ("V²", "SO(3)", 9)
        name = found["irreps"][2]["name"]
        again = client.post("/v1/reps:decompose", json={"rep": name, "group": "SO(3)"}).json()
        assert [irrep["name"] for irrep in again["irreps"]] == [name]
        parsed = client.post("/v1/reps:parse", json={"rep": f"{name}*V", "group": "SO(3)"}).json()
        assert (parsed["size"], parsed["ast"]["factors"][0]["name"]) == (15, name)
        basis = client.post("/v1/bases", json={"rep": f"{name} >> V**2", "group": "SO(3)"}).json()
        assert (basis["size"], basis["rank"]) == (45, 1)

    def test_functors_of_reps(self, client: httpx.Client) -> None:
        asked = {"rep": 'Sym(2, V) + Indexed(V, "ijkl=jikl=klij")', "group": "PointGroup(m-3m)"}
        parsed = client.post("/v1/reps:parse", json=asked).json()
        assert (parsed["size"], parsed["dimension"]) == (27, "27")
        assert parsed["ast"]["terms"][0]["rep"] == {
            "kind": "functor",
            "name": "Sym(2, V)",
            "rep": {"kind": "base", "group": "PointGroup('m-3m')"},
        }
        waits = {"prefer": "wait=60"}
        basis = client.post("/v1/bases", json=asked, headers=waits, timeout=90).json()
        assert (basis["size"], basis["rank"]) == (27, 4)
        problem(client.post("/v1/reps:parse", json={"rep": "Sym(999, V)"}), 422, "too-large")
        problem(client.post("/v1/reps:parse", json={"rep": "Schur([1, 2], V)"}), 422, "invalid-rep")

    def test_a_decomposition_is_kept_with_its_own_names(self, client: httpx.Client) -> None:
        turn = {"lie_algebra": [[[0, -1], [1, 0]]]}
        named = [{**turn, "name": name} for name in ("one", "two")]
        for _ in range(2):
            found = [
                client.post("/v1/reps:decompose", json={"rep": "V", "group": group}).json()
                for group in named
            ]
            assert [document["group"] for document in found] == ["one", "two"]
        solves = metric(client, "intertwine_solve_seconds_count")
        client.post("/v1/reps:decompose", json={"rep": "V", "group": named[0]})
        assert metric(client, "intertwine_solve_seconds_count") == solves

    def test_what_cannot_be_decomposed(self, client: httpx.Client) -> None:
        shear = {"discrete_generators": [[[1, 1], [0, 1]]]}
        answer = client.post("/v1/reps:decompose", json={"rep": "V", "group": shear})
        assert "Dickson" in problem(answer, 422, "method-not-applicable")["detail"]
        unknown = client.post("/v1/bases", json={"rep": "W5_ffffff", "group": "SO(3)"})
        assert "W5_ffffff" in problem(unknown, 422, "invalid-rep")["detail"]

    def test_the_characters_of_a_group(self, client: httpx.Client) -> None:
        found = client.get("/v1/groups/A(5)/characters").json()
        assert (found["order"], len(found["classes"])) == (60, 5)
        assert found["irreps"][1]["values"] == ["3", "-1", "0", "(1+√5)/2", "(1-√5)/2"]
        problem(client.get("/v1/groups/SO(3)/characters"), 422, "method-not-applicable")
        problem(client.get("/v1/groups/Z(400)/characters"), 422, "too-large")

    def test_reps_by_generators(self, client: httpx.Client) -> None:
        asked = {"rep": "P*V", "group": "S(3)", "reps": {"P": {"images": [[[-1.0]], [[-1.0]]]}}}
        parsed = client.post("/v1/reps:parse", json=asked).json()
        assert (parsed["rep"], parsed["size"]) == ("P⊗V", 3)
        assert parsed["ast"]["factors"][0] == {"kind": "generators", "name": "P", "group": "S(3)"}
        found = client.post("/v1/reps:decompose", json=asked).json()
        assert sorted(irrep["dimension"] for irrep in found["irreps"]) == [1, 2]
        series = client.post("/v1/reps:molien", json={**asked, "rep": "P", "degree": 4}).json()
        assert series["coefficients"] == ["1", "0", "1", "0", "1"]
        links = client.post("/v1/bases", json=asked).json()["links"]
        assert "dense" in links
        assert "dense_as_asked" not in links  # V⊗P is the canonical order
        wrong = {**asked, "reps": {"P": {"images": [[1, 0, 2], [0, 1, 2]]}}}
        answer = client.post("/v1/reps:parse", json=wrong)
        assert "not a representation" in problem(answer, 422, "invalid-rep")["detail"]
        problem(client.post("/v1/bases", json={**asked, "reps": {"P": {}}}), 422, "invalid-rep")
        problem(client.post("/v1/bases", json={**asked, "reps": {"P": 3}}), 422, "invalid-request")

    def test_polynomials_are_counted(self, client: httpx.Client) -> None:
        asked = {"rep": "V", "group": "PointGroup(m-3m)", "degree": 8}
        found = client.post("/v1/reps:molien", json=asked).json()
        assert found["coefficients"] == ["1", "0", "1", "0", "2", "0", "3", "0", "4"]
        assert (found["numerator"], found["denominator"]) == (["1"], [2, 4, 6])
        vectors = {"rep": "2V", "rep_out": "V", "group": "O(3)", "degree": 5}
        series = client.post("/v1/reps:molien", json=vectors).json()["series"]
        assert series == "2t + 6t³ + 12t⁵ + O(t⁶)"

    def test_polynomials_are_formulas(self, client: httpx.Client) -> None:
        asked = {"rep": "V", "group": "PointGroup(m-3m)", "degree": 4}
        found = client.post("/v1/reps:generators", json=asked).json()
        assert [one["formula"][0] for one in found["maps"]] == [
            "x₁² + x₂² + x₃²",
            "x₁⁴ - 3x₁²x₂² - 3x₁²x₃² + x₂⁴ - 3x₂²x₃² + x₃⁴",
        ]
        assert found["counts"] == [0, 0, 1, 0, 1]
        vectors = {"rep": "2V", "rep_out": "V", "group": "SO(3)", "degree": 2}
        found = client.post("/v1/reps:polynomials", json=vectors).json()
        assert found["maps"][-1]["formula"] == ["x₂x₆ - x₃x₅", "-x₁x₆ + x₃x₄", "x₁x₅ - x₂x₄"]

    def test_large_searches_for_polynomials_are_refused(self, client: httpx.Client) -> None:
        def ask(what: str, code: str, **fields: object) -> str:
            document = {"rep": "V", "group": "SO(3)", "degree": 2, **fields}
            answer = client.post(f"/v1/reps:{what}", json=document)
            return str(problem(answer, 422, code)["detail"])

        assert "polynomials" in ask("molien", "too-costly", rep="V**9")
        assert "lower degree" in ask("generators", "too-large", rep="9V", degree=9)
        assert "0 to 64" in ask("polynomials", "invalid-setting", degree=65)
        assert "degree" in ask("molien", "invalid-request", degree=1001)
        assert "no group" in ask("molien", "not-concrete", group=None)
        ask("polynomials", "invalid-rep", rep_out="V(O(3))")

    def test_the_weights_of_a_rep(self, client: httpx.Client) -> None:
        asked = {"rep": "V*V.T", "group": "SU(3)"}
        found = client.post("/v1/reps:weights", json=asked).json()
        assert (found["type"], found["rank"], found["dimension"]) == ("A2", 2, 9)
        assert found["weights"][0] == {"labels": [1, 1], "charges": [], "multiplicity": 1}
        for rep, group, code in (
            ("V", "SE(3)", "method-not-applicable"),
            ("V", "S(4)", "method-not-applicable"),
            ("V", None, "not-concrete"),
            ("V**200", "SO(8)", "too-large"),
        ):
            answer = client.post("/v1/reps:weights", json={"rep": rep, "group": group})
            problem(answer, 422, code)

    def test_irreps_of_products_have_names(self, client: httpx.Client) -> None:
        asked = {"rep": 'Irrep("l=1 ⊗ [2, 1]")*V', "group": "SO(3)*S(3)"}
        found = client.post("/v1/reps:decompose", json=asked).json()
        assert "l=2 ⊗ [2, 1]" in {irrep["label"] for irrep in found["irreps"]}

    def test_irreps_have_names(self, client: httpx.Client) -> None:
        asked = {"rep": 'Irrep("2e")*V', "group": "O(3)"}
        found = client.post("/v1/reps:decompose", json=asked).json()
        assert [irrep["label"] for irrep in found["irreps"]] == ["1o", "2o", "3o"]
        parsed = client.post("/v1/reps:parse", json={"rep": "3x1o+2x0e", "group": "O(3)"}).json()
        assert parsed["size"] == 11
        wrong = client.post("/v1/reps:parse", json={"rep": "1o", "group": "SO(3)"})
        problem(wrong, 422, "invalid-rep")
        problem(client.post("/v1/reps:parse", json={"rep": "1o"}), 422, "not-concrete")

    def test_the_irreps_of_a_group(self, client: httpx.Client) -> None:
        found = client.get("/v1/groups/SO(3)/irreps", params={"power": 3}).json()
        assert {irrep["dimension"] for irrep in found["irreps"]} == {1, 3, 5, 7}
        problem(client.get("/v1/groups/SO(3)/irreps", params={"power": 7}), 422, "invalid-request")
