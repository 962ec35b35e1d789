"""The page that tries a model: its inputs, and the outputs beside those of moved inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import jax
import numpy as np
import pytest
from helpers.driven_jobs import DrivenJobs
from helpers.example_lab import Lab
from helpers.example_models import small_model, trained
from helpers.read_pages import EVIL, HTML, read_page, require_safe, text_of
from helpers.service import problem
from intertwine.groups import SO, SU, Group, Lorentz, S
from intertwine.nn import MLP
from intertwine.reps import Rep, Scalar, V
from intertwine_api.server.console.trial import (
    Element,
    Outputs,
    compare,
    read_input,
    split,
    typical_vectors,
    why_no_element,
)
from intertwine_api.server.inference import Signature
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models, Version
from intertwine_api.wire.problems import ProblemError

PAGE = "/models/{}/versions/1/try"
ZEROS = [0.0] * 8


@pytest.fixture(scope="module", autouse=True)
def models(driven: DrivenJobs) -> Iterator[Models]:
    """The registry of the service, with an equivariant, a plain and a complex network."""
    models = Models(driven.database, FolderObjects(driven.data / "objects"))
    plain = MLP(2 * Scalar + 2 * V, V, SO(3), ch=4, num_layers=1)
    spinor = small_model(key=2, rep_in=V, rep_out=V, group=SU(2))
    networks = {"even": small_model(key=1), "plain": plain, "spinor": spinor}
    for name, network in networks.items():
        models.publish(name, "ada", None, trained(network))
    yield models
    for name in networks:
        models.delete(name)


def page(driven: DrivenJobs, name: str = "even", **fields: Any) -> str:
    query = httpx.QueryParams(fields)
    return read_page(driven.client, f"{PAGE.format(name)}?{query}", driven.keys["bob"])


def refusal(driven: DrivenJobs, x: str, name: str = "even", **fields: str) -> str:
    """The text of the page with a problem, which has the form with all that was typed."""
    params = {"x": x, **fields}
    answer = driven.client.get(PAGE.format(name), params=params, headers=HTML)
    assert 400 <= answer.status_code < 500
    require_safe(answer)
    assert "<textarea" in answer.text
    return text_of(answer.text)


def numbers(text: str, column: int) -> list[complex]:
    """The numbers in a column of all tables of inputs or outputs that have it."""
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', text)
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    found = (row[column] for row in cells if len(row) > column)
    return [complex(n.replace("−", "-").replace("i", "j")) for c in found for n in c.split(", ")]


class TestPage:
    def test_outputs_are_those_of_the_model(self, driven: DrivenJobs) -> None:
        x = np.array([0.5, -1, 2, 0, 1, 0.25, 0, 3], np.float32)
        text = page(driven, x=str(x.tolist()))
        told = text_of(text)
        assert "It takes vectors of 8 numbers, 2V⁰+2V , and returns 3, V ." in told
        assert "which is rounding of float32: on this vector, the model is equivariant" in told
        expected = jax.jit(small_model(key=1))(x[None])[0]
        found = numbers(text, 0)
        np.testing.assert_allclose(np.real(found[-3:]), expected, rtol=1e-3)
        after, before = numbers(text, 1)[-3:], numbers(text, 2)
        np.testing.assert_allclose(after, before, rtol=1e-3)
        assert np.linalg.norm(np.subtract(after, found[-3:])) > 1e-3
        assert 'aria-label="g"' in text

    def test_a_random_vector_depends_on_its_seed(self, driven: DrivenJobs) -> None:
        first, same, other = (page(driven, seed=seed) for seed in ("1", "1", "2"))
        assert first == same
        assert numbers(first, 0) != numbers(other, 0)
        assert 'href="/lab/models/even/versions/1/try?x=&amp;seed=2&amp;element=0"' in first

    def test_another_element_leaves_the_outputs(self, driven: DrivenJobs) -> None:
        first, other = (page(driven, element=element) for element in ("0", "1"))
        assert numbers(first, 0)[-3:] == numbers(other, 0)[-3:]
        assert numbers(first, 2) != numbers(other, 2)

    def test_a_plain_network_is_not_equivariant(self, driven: DrivenJobs) -> None:
        assert "more than rounding of float32: the model is not equivariant" in text_of(
            page(driven, "plain")
        )

    def test_complex_vectors(self, driven: DrivenJobs) -> None:
        text = page(driven, "spinor", x='{"inputs": [1, 0.5], "imaginary": [-2, 0]}')
        assert "<td>1−2i, 0.5</td>" in text
        assert "which is rounding" in text_of(text)
        assert "which is rounding" in text_of(page(driven, "spinor"))

    def test_outputs_that_vanish_are_rounding(self, driven: DrivenJobs) -> None:
        assert "which is rounding" in text_of(page(driven, x=str(ZEROS)))

    def test_sixteen_vectors(self, driven: DrivenJobs) -> None:
        text = page(driven, x=str([ZEROS] * 16))
        assert "Vector 16" in text
        assert len(text) < 100_000

    @pytest.mark.parametrize(
        ("x", "told"),
        [
            ("[1, 2", "Expected JSON, such as [0.5, 1, 0] at character 6"),
            (EVIL, f"at character 1 (expecting value) {EVIL} ^"),
            ("[]", "There are no vectors: give one to 16, each of 8 numbers ((2V⁰+2V)(SO(3)))"),
            ("[1, 2]", "The model takes vectors of 8 numbers ((2V⁰+2V)(SO(3))), not vectors of 2"),
            ("[[]]", "The model takes vectors of 8 numbers"),
            ("5", "Inputs must be a list of numbers, or a list of such lists"),
            ('"text"', "Inputs must be a list of numbers"),
            ("[[1], [1, 2]]", "The vectors in inputs differ in length"),
            ("[NaN, 0, 0, 0, 0, 0, 0, 0]", "entries that are not finite in float32"),
            ("[1e300, 0, 0, 0, 0, 0, 0, 0]", "entries that are not finite in float32"),
            ('[null, "a"]', "entries that are not numbers"),
            ("[" * 10_000, "The input: "),
            (f"[{'9' * 5000}]", "The input: "),
            (str([ZEROS] * 17), "17 vectors exceed the limit of 16 of this page"),
            ('{"x": 1}', 'Send {"inputs": [[…], …]}'),
            ('{"inputs": [1], "imaginary": [1, 2]}', "Inputs has shape (1,)"),
            ('{"inputs": [0,0,0,0,0,0,0,0], "imaginary": [0,0,0,0,0,0,0,0]}', "not complex ones"),
        ],
    )
    def test_other_inputs_are_refused_on_the_page(
        self, driven: DrivenJobs, x: str, told: str
    ) -> None:
        assert told in refusal(driven, x)

    @pytest.mark.parametrize("seed", ["-1", "1.5", "abc", "٣", "9" * 5000, EVIL])
    def test_other_seeds_are_refused_on_the_page(self, driven: DrivenJobs, seed: str) -> None:
        for name, what in (("seed", "random vector"), ("element", "group element")):
            told = refusal(driven, "", **{name: seed})
            assert f"The seed of the {what} is" in told
            assert "give an integer from 0 to 2,147,483,647" in told

    def test_a_link_of_another_site_computes_nothing(self, driven: DrivenJobs) -> None:
        headers = {**HTML, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        headers["sec-fetch-dest"] = "document"
        answer = driven.client.get(PAGE.format("even"), headers=headers)
        assert answer.status_code == 200
        assert "This link came from another site." in answer.text
        assert "Equivariance" not in answer.text

    def test_it_needs_the_scope_of_calls(self, driven: DrivenJobs, lab: Lab) -> None:
        headers = {"authorization": f"Bearer {lab.tokens['jobs:write']}"}
        problem(driven.client.get(PAGE.format("even"), headers=headers), 403, "forbidden")
        version = PAGE.format("even").removesuffix("/try")
        assert "Try it" not in read_page(driven.client, version, headers)
        assert "Try it" in read_page(driven.client, version, driven.keys["bob"])

    def test_a_missing_version_is_not_found(self, driven: DrivenJobs) -> None:
        for path in (PAGE.format("none"), PAGE.format("even").replace("1", "9")):
            assert driven.client.get(path, headers=HTML).status_code == 404


def signature(rep_in: Rep, rep_out: Rep | None = None, dtype: str = "float64") -> Signature:
    version = Version("m", 1, "ada", None, {}, "", 0, {}, None, True, {}, 0.0)
    return Signature(version, rep_in, rep_out or rep_in, np.dtype(dtype))


def compared(task: Signature, f: Any, x: Any) -> Any:
    element = Element.drawn(task, x, 0)
    return compare(task, element, Outputs(f(x), f(element.moved), f(typical_vectors(task, x))))


class TestComparison:
    @pytest.mark.parametrize("group", [SO(3), S(4), Lorentz()], ids=repr)
    def test_a_map_that_commutes_is_rounding(self, group: Group) -> None:
        task = signature(2 * V(group), V(group))
        x = read_input("", task, seed=0)
        found = compared(task, lambda x: x[:, : group.d] - 2 * x[:, group.d :], x)
        assert found.is_rounding
        assert found.difference < 1e-10

    def test_a_map_that_does_not_commute_is_not(self) -> None:
        task = signature(V(SO(3)))
        x = read_input("[[1, 2, 3], [0, 0, 0]]", task, seed=0)
        found = compared(task, lambda x: x + 1e-6, x)
        assert not found.is_rounding
        assert 1e-8 < found.difference < 1e-5

    def test_noise_on_outputs_that_vanish_is_rounding(self) -> None:
        task = signature(V(SO(3)), dtype="float32")
        x = np.zeros((1, 3))
        noise = np.random.default_rng(0)
        found = compared(task, lambda x: x + 1e-8 * noise.normal(size=x.shape), x)
        assert found.is_rounding
        assert 0 < found.difference < 1e-6


class TestElement:
    def test_a_permutation_is_shown_as_cycles(self) -> None:
        task = signature(V(S(4)))
        (shown,) = Element.drawn(task, np.ones((1, 4)), 0).shown()
        assert shown.rows is None
        assert shown.text.startswith("(")

    def test_each_group_has_its_own(self) -> None:
        left, right = SO(3).copies(2)
        task = signature(V(left) * V(right))
        shown = Element.drawn(task, np.ones((1, 9)), 0).shown()
        assert [each.name for each in shown] == ["g of SO(3)#1", "g of SO(3)#2"]

    @pytest.mark.parametrize(
        ("rep", "why"),
        [
            (V(SO(3)), ""),
            (3 * Scalar, "no group acts"),
            (2001 * Scalar + V(SO(3)), "has size 2,004, and this page acts on at most 2,000"),
            (V(S(200)), "of size 200; this page draws elements"),
            (V(SO(50)), "has 3,062,500 numbers in its generators"),
        ],
        ids=str,
    )
    def test_large_groups_and_reps_are_left_out(self, rep: Rep, why: str) -> None:
        found = why_no_element(signature(rep))
        assert (found == "") == (why == "")
        assert why in found


class TestSplit:
    def test_each_term_has_its_coordinates(self) -> None:
        rep = 2 * Scalar + V(SO(3))
        found = split(rep, [np.arange(5.0)[None], -np.arange(5.0)[None]], 0)
        assert [(term.name, *term.columns) for term in found.terms] == [
            ("V⁰", "0", "0"),
            ("V⁰", "1", "−1"),
            ("V", "2, 3, 4", "−2, −3, −4"),
        ]
        assert found.rest == 0

    def test_long_vectors_are_cut(self) -> None:
        found = split(100 * V(SO(3)), [np.ones((1, 300))], 0)
        assert len(found.terms) == 22
        assert (found.terms[-1].columns, found.rest) == (("1, …",), 236)
        many = split(100 * V(SO(3)), [np.ones((16, 300))], 15)
        assert (len(many.terms), many.rest) == (6, 284)

    def test_too_many_vectors_are_refused(self) -> None:
        with pytest.raises(ProblemError):
            read_input(str([[1, 2, 3]] * 17), signature(V(SO(3))), 0)
