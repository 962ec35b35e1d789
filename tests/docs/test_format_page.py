"""The page on the format says what is written, for every kind of storage."""

from __future__ import annotations

import dataclasses
import re

from helpers.documents import ROOT, blocks
from helpers.example_bases import STORAGES, basis_of
from intertwine.bases import ApproximateCertificate, Certificate, Storage, to_arrays
from intertwine.bases.format import NAME, VERSION
from intertwine.groups import SO
from intertwine.reps import V

PATH = ROOT / "docs" / "format.md"
PAGE = PATH.read_text(encoding="utf-8")


def sections(level: int) -> dict[str, str]:
    """The sections of a level, by their titles."""
    parts = re.split(rf"^{'#' * level} (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def keys(section: str) -> list[str]:
    """The keys in the table of a section."""
    rows = re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
    return re.findall(r"`(\w+)`", " ".join(rows))


def test_the_keys_of_the_metadata_are_those_that_are_written() -> None:
    _, metadata = to_arrays(V(SO(3)).equivariant_basis(store=False))
    assert keys(sections(2)["The rows"]) == list(metadata["rows"])
    assert keys(sections(2)["The metadata"]) == list(metadata)
    assert f'`"{NAME}"`' in PAGE
    assert f"| `version` | `{VERSION}` |" in PAGE


def test_every_kind_of_storage_has_a_section_with_its_keys() -> None:
    described = {title.strip("`"): text for title, text in sections(3).items()}
    written: dict[str, set[str]] = {}
    for storage in STORAGES.values():
        meta = storage.write(lambda meaning, array: meaning)
        written.setdefault(meta.pop("kind"), set()).update(meta)
    assert set(described) == set(written) == {kind.kind for kind in Storage.__subclasses__()}
    for kind, names in written.items():
        assert set(keys(described[kind].partition("\n## ")[0])) == names, kind


def test_the_keys_of_the_certificate_are_its_fields() -> None:
    assert keys(sections(2)["The certificate"]) == [f.name for f in dataclasses.fields(Certificate)]


def test_the_further_keys_of_an_approximate_certificate_are_its_own() -> None:
    own = [f.name for f in dataclasses.fields(ApproximateCertificate)]
    further = own[len(dataclasses.fields(Certificate)) :]
    section = sections(2)["The certificate of an approximate basis"]
    assert keys(section) == ["kind", *further]


def test_the_example_has_every_kind() -> None:
    (example,) = (block.text for block in blocks(PATH) if block.language == "json")
    kinds = set(re.findall(r'"kind": "(\w+)"', example))
    assert kinds == {kind.kind for kind in Storage.__subclasses__()}


def test_the_types_of_arrays_are_those_that_are_written() -> None:
    named = re.findall(r"(float64|int\d+) \(`(\w+)`\)", PAGE)
    types = {
        array.real.dtype.name
        for storage in STORAGES.values()
        for array in to_arrays(basis_of(storage))[0].values()
    }
    assert types <= {name for name, _ in named}
    assert dict(named) == {"float64": "F64", "int64": "I64", "int32": "I32", "int8": "I8"}
