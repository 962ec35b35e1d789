"""The evidence that is kept with a basis, as it is shown and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from helpers.example_bases import certificate_for, orbits
from helpers.program import python
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.bases import ApproximateCertificate, Certificate
from intertwine.errors import FormatError
from intertwine.groups import SO
from intertwine.reps import parse

amounts = st.floats(0, 1e300)
counts = st.integers(0, 10**12)
words = st.text(max_size=8)


def documents() -> st.SearchStrategy[dict[str, Any]]:
    """The JSON of any certificate, with parts that have parts."""

    def holding(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries(
            {
                "method": words,
                "backend": words,
                "device": words,
                "size": counts,
                "rank": counts,
                "residual": amounts,
                "orthonormality": amounts,
                "gap": amounts | st.none(),
                "iterations": counts,
                "seconds": amounts,
                "residuals": st.dictionaries(words, st.lists(amounts, max_size=3), max_size=2),
                "parts": parts,
                "version": words,
                "notes": st.lists(words, max_size=2),
                "rank_bound": counts | st.none(),
                "solver": counts,
                "constraints": st.lists(amounts, max_size=2),
            }
        )

    leaves = holding(st.just({}))
    return leaves | holding(st.dictionaries(words, leaves, max_size=2))


@settings(deadline=None)
@given(documents())
def test_it_survives_json(document: dict[str, Any]) -> None:
    certificate = Certificate.from_json(document)
    text = json.dumps(certificate.to_json(), allow_nan=False)
    assert json.loads(text) == document
    assert Certificate.from_json(json.loads(text)) == certificate
    assert str(certificate)
    assert certificate._repr_html_()


@settings(deadline=None)
@given(documents(), st.data())
def test_json_without_one_of_its_keys_is_refused(document: dict[str, Any], data: Any) -> None:
    younger = {"notes", "rank_bound", "solver", "constraints"}
    del document[data.draw(st.sampled_from(sorted(document.keys() - younger)))]
    with pytest.raises(FormatError, match="this is not a certificate of a basis"):
        Certificate.from_json(document)


@pytest.mark.parametrize("document", [None, [], "certificate", 1, {}, {"method": "svd"}], ids=repr)
def test_json_of_another_kind_is_refused(document: Any) -> None:
    with pytest.raises(FormatError, match="this is not a certificate of a basis"):
        Certificate.from_json(document)


@pytest.mark.parametrize("depth", [1, 5, 15])
def test_what_is_wrong_deep_inside_is_refused_in_few_words(depth: int) -> None:
    document: dict[str, Any] = {}
    for _ in range(depth):
        document = {**certificate_for(orbits([0])).to_json(), "parts": {"V": document}}
    with pytest.raises(FormatError) as refused:
        Certificate.from_json(document)
    assert len(str(refused.value)) < 200


def test_parts_of_parts_past_all_bounds_are_refused() -> None:
    document = certificate_for(orbits([0])).to_json()
    program = f"""
from intertwine.bases import ApproximateCertificate, Certificate
from intertwine.errors import FormatError
document = {document!r}
for _ in range(10_000):
    document = {{**document, "parts": {{"V": document}}}}
try:
    Certificate.from_json(document)
except FormatError as refused:
    print(len(str(refused)))
"""
    assert int(python(program, memory=3 * 2**30)) < 200


def test_its_json_has_a_key_for_every_field() -> None:
    document = certificate_for(orbits([0, 1])).to_json()
    assert list(document) == [field.name for field in dataclasses.fields(Certificate)]
    assert document["residuals"] == {"ab" * 32: [3.5e-15, 0.0]}


def test_an_infinite_gap_is_null() -> None:
    certificate = certificate_for(orbits([0]), gap=math.inf)
    assert certificate.to_json()["gap"] is None
    assert Certificate.from_json(certificate.to_json()).gap == math.inf


def test_it_is_printed_as_a_table() -> None:
    certificate = certificate_for(orbits([0, 1, 0]), size=12_345, iterations=1_234, gap=math.inf)
    assert str(certificate) == (
        "method          krylov+orbits on numpy (cpu)\n"
        "size × rank     12,345 × 2\n"
        "residual        3.5e-15\n"
        "orthonormality  1.2e-15\n"
        "rank gap        infinite\n"
        "iterations      1,234\n"
        "seconds         0.75"
    )
    assert "rank gap        2.5e+11" in str(certificate_for(orbits([0])))


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        certificate_for(orbits([0])).rank = 2  # type: ignore[misc]


def test_a_notebook_shows_the_same_as_a_table() -> None:
    html = certificate_for(orbits([0]))._repr_html_()
    assert html.startswith("<table><tr>")
    for line in str(certificate_for(orbits([0]))).splitlines():
        name, value = line[:15].strip(), line[15:].strip()
        assert f"<tr><th style='text-align:left'>{name}</th><td>{value}</td></tr>" in html


def test_what_is_shown_in_a_notebook_is_escaped() -> None:
    html = certificate_for(orbits([0]), method="<script>")._repr_html_()
    assert "<script>" not in html


def test_a_solved_basis_has_residuals_for_every_generator_of_its_groups() -> None:
    certificate = parse("V**2")(SO(3)).equivariant_basis().certificate
    assert list(certificate.residuals) == [SO(3).digest]
    assert len(certificate.residuals[SO(3).digest]) == 3
    assert max(certificate.residuals[SO(3).digest]) == certificate.residual <= 1e-12


def test_an_assembled_basis_has_a_certificate_for_each_part() -> None:
    certificate = parse("2V(Z(3))*V(S(4)) + V(O(3))**2").equivariant_basis().certificate
    assert sorted((part.size, part.rank) for part in certificate.parts.values()) == [
        (3, 1),
        (4, 1),
        (9, 1),
    ]
    assert certificate.residual == max(part.residual for part in certificate.parts.values())


class TestApproximate:
    """The certificate of a basis of what is nearly equivariant."""

    def certificate(self) -> ApproximateCertificate:
        exact = certificate_for(orbits([0, 1]))
        return ApproximateCertificate.of(exact, 5e-3, (1e-4, 2e-3), (0.25,))

    def test_it_survives_json(self) -> None:
        certificate = self.certificate()
        document = json.loads(json.dumps(certificate.to_json(), allow_nan=False))
        names = [field.name for field in dataclasses.fields(Certificate)]
        assert list(document) == [*names, "kind", "tolerance", "kept_values", "dropped_values"]
        assert Certificate.from_json(document) == certificate
        assert not certificate.is_proven

    @pytest.mark.parametrize(
        "change",
        [
            {"kind": "guessed"},
            {"tolerance": None},
            {"tolerance": -1.0},
            {"kept_values": 0.1},
            {"dropped_values": ["0.1"]},
        ],
        ids=str,
    )
    def test_invalid_certificates_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(FormatError, match="this is not a certificate of a basis"):
            Certificate.from_json({**self.certificate().to_json(), **change})

    def test_it_is_printed_with_the_values_around_the_cut(self) -> None:
        shown = str(self.certificate()).splitlines()
        assert shown[0] == "kind            approximate, up to a tolerance of 0.005"
        assert shown[-2:] == ["counts as zero  1.0e-04, 2.0e-03", "does not        2.5e-01"]
