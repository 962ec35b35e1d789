"""The folder of a catalogue, read as a tier, as a page, and by a build that goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from helpers.browser import NEEDS_CHROMIUM, browser
from helpers.example_tiers import chain, web_folder
from intertwine.groups import SO
from intertwine.invariants import solve
from intertwine.reps import V, canonical
from intertwine_api.catalogue.entries import Entry
from intertwine_api.catalogue.web_folder import Catalogue, Row
from intertwine_cache import Keyring, Store
from intertwine_cache.tiers.opening import open_tier

ENTRIES = [Entry("SO(3)", "V**4"), Entry("SO(3)", "V.T*V+5V0"), Entry("SU(2)", "T(1,1)")]


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys" / "signing-key")


@pytest.fixture
def catalogue(tmp_path: Path, keyring: Keyring) -> Catalogue:
    return Catalogue(tmp_path / "public", Store(tmp_path / "store"), keyring)


@pytest.fixture
def rows(catalogue: Catalogue) -> list[Row]:
    return [catalogue.add(entry) for entry in ENTRIES]


def test_a_row_says_what_the_certificate_says(rows: list[Row]) -> None:
    row = rows[0]
    assert (row.group, row.rep, row.size, row.rank) == ("SO(3)", "V⁴", 81, 3)
    assert row.residual < 1e-13
    assert "rank" not in row.bibtex(2026)
    assert "81 \\texttimes{} 3, sha256" in row.bibtex(2026)
    assert row.blob.endswith(re.findall(r"sha256 (\w{64})", row.bibtex(2026))[0])


def test_a_rep_is_in_the_form_whose_coordinates_the_file_has(rows: list[Row]) -> None:
    assert rows[1].rep == str(canonical(ENTRIES[1].parse()).rep) == "5V⁰+V²"


def test_the_folder_is_a_tier_whose_key_can_be_trusted(
    tmp_path: Path, catalogue: Catalogue, rows: list[Row], keyring: Keyring
) -> None:
    with web_folder(catalogue.folder) as address:
        tier = open_tier(address, is_writable=False, limit=10**9)
        reader = chain(tmp_path / "reader", tier, trusted=(keyring.public_key,))
        basis = solve((V**4)(SO(3)), store=reader)
        assert basis.cached == address
        assert basis.shape == (81, 3)
        manifest = tier.manifest(rows[0].key)
        assert manifest is not None
        assert reader.keyring.trusts(manifest)


def test_a_build_goes_on_where_it_was_interrupted(
    tmp_path: Path, catalogue: Catalogue, rows: list[Row], keyring: Keyring
) -> None:
    before = {path: path.read_bytes() for path in catalogue.folder.rglob("*") if path.is_file()}
    next(catalogue.folder.glob("pictures/*")).unlink()
    again = Catalogue(catalogue.folder, Store(tmp_path / "another"), keyring)
    assert [again.add(entry) for entry in ENTRIES] == rows
    after = {path: path.read_bytes() for path in catalogue.folder.rglob("*") if path.is_file()}
    assert after == before  # the missing picture too


def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, catalogue: Catalogue, rows: list[Row]
) -> None:
    other = Keyring(tmp_path / "other-key")
    with pytest.raises(OSError, match="signature of another key: give an empty folder"):
        Catalogue(catalogue.folder, Store(tmp_path / "another"), other).add(ENTRIES[0])


def test_the_page_and_the_document_have_all_rows(
    catalogue: Catalogue, rows: list[Row], keyring: Keyring
) -> None:
    catalogue.write_page(rows, created=0.0)
    document = json.loads((catalogue.folder / "catalogue.json").read_text("utf-8"))
    assert document["created"] == "1970-01-01T00:00:00Z"
    assert document["public_key"] == keyring.public_key
    assert [row["key"] for row in document["bases"]] == [row.key for row in rows]
    page = (catalogue.folder / "index.html").read_text("utf-8")
    for link in re.findall(r'(?:href|src)="([^"]+)"', page):
        assert (catalogue.folder / link).is_file()
    assert page.count("<tr data-text=") == len(rows)


def test_texts_are_escaped(catalogue: Catalogue, rows: list[Row]) -> None:
    hostile = '<script>"x"</script>'
    catalogue.write_page([Row(**{**vars(rows[0]), "group": hostile, "method": hostile})])
    page = (catalogue.folder / "index.html").read_text("utf-8")
    assert hostile not in page
    assert '<script>"' not in page


@pytest.mark.slow
@NEEDS_CHROMIUM
def test_the_table_can_be_searched_in_a_browser(
    tmp_path: Path, catalogue: Catalogue, rows: list[Row]
) -> None:
    catalogue.write_page(rows)
    search = (
        'const box = document.getElementById("search"); box.value = "so(3) v⁴"; '
        'box.dispatchEvent(new Event("input")); '
        'console.warn(document.getElementById("count").textContent)'
    )
    with web_folder(catalogue.folder) as address, browser(tmp_path / "profile") as opened:
        page = opened.visit(address, shows="3 of 3 bases", script=search)
        (said,) = page.complaints  # and nothing else
        assert "1 of 3 bases" in said
        assert all(each.startswith(address) for each in page.requested)
