"""Names that users choose: of any script, and readable."""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.service import SO3, problem
from intertwine_api.wire.names import Line
from pydantic import TypeAdapter, ValidationError

LINE: TypeAdapter[str] = TypeAdapter(Line)
ALLOWED = (
    "",
    "inertia, the 2nd",
    "Größe",
    "慣性",
    "लैब",
    "ניסוי",
    "تجربة",
    "Ωμέγα ⊗ ρ",
    "🙂",
    "a\u00a0b",
)
REFUSED = {
    "bidirectional override": "run\u202egpj.exe",
    "bidirectional isolate": "\u2066a\u2069",
    "right-to-left mark": "a\u200f",
    "C1 control": "a\x9b31m",
    "escape": "\x1b[31m",
    "next line": "a\x85b",
    "zero-width space": "lab\u200b",
    "zero-width joiner": "la\u200db",
    "soft hyphen": "la\u00adb",
    "byte order mark": "\ufefflab",
    "tag": "lab\U000e0041",
    "line separator": "a\u2028b",
    "newline": "a\nb",
}


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, X=np.ones((4, 3)), Y=np.ones((4, 1)))
    return file.getvalue()


@pytest.mark.parametrize("text", ALLOWED)
def test_letters_of_all_scripts_are_allowed(text: str) -> None:
    assert LINE.validate_python(text) == text


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_invisible_characters_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match=r"the text has U\+[0-9A-F]{4,5} \("):
        LINE.validate_python(text)


def test_text_is_composed() -> None:
    assert LINE.validate_python("Gro\u0308ße") == "Größe"
    assert LINE.validate_python("e\u0301" * 64) == "é" * 64


def test_the_limit_holds_for_the_composed_text() -> None:
    assert LINE.validate_python("é" * 128) == "é" * 128
    with pytest.raises(ValidationError, match="at most 128 characters"):
        LINE.validate_python("a" * 129)
    with pytest.raises(ValidationError, match="more than 128 characters in NFC"):
        LINE.validate_python("\ufb2c" * 64)  # one character, three in NFC


def test_the_schema_refuses_the_same_characters_of_the_basic_plane() -> None:
    """Except for half characters, which JSON cannot have, and those of later Unicode versions."""
    pattern = re.compile(LINE.json_schema()["pattern"].replace("$", r"\Z"))  # as JSON Schema's $
    for code in range(0x10000):
        category = unicodedata.category(chr(code))
        if category in ("Cs", "Cn"):
            continue
        is_refused = category in ("Cc", "Cf", "Zl", "Zp")
        assert (pattern.match(chr(code)) is None) == is_refused, hex(code)
    assert sys.maxunicode > 0x10000


class TestOverHttp:
    @pytest.mark.parametrize("text", ["run\u202egpj", "a\x9b31m", "lab\u200b"])
    def test_every_name_is_checked(self, client: httpx.Client, text: str) -> None:
        job: dict[str, Any] = {"kind": "solve", **SO3}
        training = {"kind": "train", "dataset": {"name": "Inertia"}}
        zipped = {"content-type": "application/zip"}
        for answer in (
            client.post("/v1/jobs", json={**job, "name": text}),
            client.post("/v1/jobs", json={**job, "labels": ["a", text]}),
            client.post("/v1/jobs", json={**training, "labels": [text]}),
            client.post("/v1/datasets", params={"name": text}, content=npz(), headers=zipped),
            client.get("/v1/jobs", params={"label": text}),
        ):
            detail = problem(answer, 422, "invalid-request")["detail"]
            assert f"U+{next(ord(c) for c in text if not c.isalnum()):04X}" in detail
        answer = client.post("/v1/jobs", json={**training, "name": text})
        problem(answer, 422, "invalid-request")  # the name of a model

    def test_names_are_kept_and_found_in_composed_form(self, client: httpx.Client) -> None:
        job = {"kind": "solve", **SO3, "name": "慣性", "labels": ["Gro\u0308ße"]}
        made = client.post("/v1/jobs", json=job).json()
        assert (made["name"], made["labels"]) == ("慣性", ["Größe"])
        for label in ("Größe", "Gro\u0308ße"):
            found = client.get("/v1/jobs", params={"label": label}).json()["data"]
            assert made["id"] in [job["id"] for job in found]
