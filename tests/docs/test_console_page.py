"""The screenshots of the page of the console, which `make screenshots` takes."""

from __future__ import annotations

import re

import pytest
from helpers.console_pages import LARGEST_SCREENSHOT, PAGES, SCREENSHOTS, Screenshot
from helpers.documents import ROOT
from PIL import Image

DOCS = ROOT / "docs"


def test_the_page_shows_each_screenshot_with_a_text_and_there_are_no_others() -> None:
    text = (DOCS / "console.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"!\[([^\]]*)\]\((console-[^)]+)\)", text))
    assert all(len(words.split()) > 3 for words in shown)
    files = {picture.file for picture in SCREENSHOTS}
    assert set(shown.values()) == files
    assert {path.name for path in DOCS.glob("console-*.png")} == files


@pytest.mark.parametrize("picture", SCREENSHOTS, ids=lambda picture: picture.file)
def test_a_screenshot_is_small_and_of_a_page_in_a_window_of_today(picture: Screenshot) -> None:
    assert picture.page in {page.name for page in PAGES}
    path = DOCS / picture.file
    assert path.stat().st_size < LARGEST_SCREENSHOT
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (picture.width, picture.height))
