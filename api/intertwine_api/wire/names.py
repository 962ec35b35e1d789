"""Names that users choose, such as those of jobs, datasets and labels: one readable line.

Letters of all scripts are allowed. Control and format characters are refused: they are invisible,
control terminals, or change the displayed order of a name.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_REFUSED = {
    "Cc": "a control character",
    "Cf": "an invisible format character",
    "Cs": "half of a character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}
#: The refused characters of the basic plane, for the schema.
_PATTERN = (
    r"^[^\u0000-\u001f\u007f-\u009f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    r"\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]*$"
)


def require_readable(text: str) -> str:
    """Return a line of text in Unicode's composed form (NFC).

    Raises `PydanticCustomError` for the first control or format character.
    """
    for character in text:
        what = _REFUSED.get(unicodedata.category(character))
        if what is not None:
            raise PydanticCustomError(
                "unreadable",
                "the text has U+{code} ({name}), {what}: leave it out",
                {
                    "code": f"{ord(character):04X}",
                    "name": unicodedata.name(character, "without a name"),
                    "what": what,
                },
            )
    return unicodedata.normalize("NFC", text)


@dataclass(frozen=True)
class _Readable:
    """An annotation of texts: `require_readable`, with at most `most` characters."""

    most: int

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema of the text, and then the check."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the schema of the text, with the refused characters."""
        return {**handler(schema), "pattern": _PATTERN}

    def _check(self, text: str) -> str:
        composed = require_readable(text)
        if len(composed) > self.most:  # NFC replaces a few characters by several
            raise PydanticCustomError(
                "too_long", "the text has more than {most} characters in NFC", {"most": self.most}
            )
        return composed


#: A name or another line of text, of at most 128 characters.
Line = Annotated[str, StringConstraints(max_length=128), _Readable(128)]
#: A longer line of text, such as a rep.
LongLine = Annotated[str, StringConstraints(max_length=1000), _Readable(1000)]
