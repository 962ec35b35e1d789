"""The contents list every page, the gallery every example, and the glossary every term."""

from __future__ import annotations

import re

from helpers.documents import ROOT

DOCS = ROOT / "docs"


def test_every_page_is_listed_once_in_the_contents() -> None:
    for folder in (DOCS, DOCS / "reference"):
        index = (folder / "index.md").read_text(encoding="utf-8")
        trees = re.findall(r"^```\{toctree\}\n(.*?)^```$", index, re.M | re.S)
        pages = re.findall(r"^([\w/-]+)$", "\n".join(trees), re.M)
        assert sorted(p for p in pages if "/" not in p) == sorted(
            page.stem for page in folder.glob("*.md") if page.stem != "index"
        )


def test_every_example_is_in_the_gallery() -> None:
    gallery = (DOCS / "gallery.md").read_text(encoding="utf-8")
    for example in (ROOT / "examples").glob("*.*"):
        assert f"{example.name} <../examples/{example.name}>" in gallery.replace("\n", " ")


def test_the_glossary_has_the_words_of_the_library() -> None:
    glossary = (DOCS / "glossary.md").read_text(encoding="utf-8")
    terms = set(re.findall(r"^(\S.*)\n    ", glossary, re.M))
    words = "rep,V,V⁰,T(p, q),dual,basis,projector,Hom(ρ₁, ρ₂),rank,irrep,multiplicity,isotypic"
    assert terms >= {*re.split(r",(?! )", words), "generator", "certificate", "key"}
