"""Forms of the console: their fields, and the tokens without which they change nothing.

`OriginGuard` refuses forms of other sites by the headers that browsers send. A token is a second
defence, for browsers and proxies that leave these headers out: a foreign page cannot read it. It
needs no cookie and no state, works on every host of the service, and survives restarts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import parse_qs

from fastapi import Request

from intertwine_api.server.middleware import media_type
from intertwine_api.wire.problems import ProblemError

TOKEN = "token"
#: The header of a token, for requests of scripts. Pages of other origins may not send it.
TOKEN_HEADER = "Intertwine-Form-Token"
_FORM = "application/x-www-form-urlencoded"
_LARGEST_FORM = 2**14  # bytes
_MOST_FIELDS = 100


class Fields(dict[str, list[str]]):
    """The fields of a form that was sent: the values of each name."""

    def text(self, name: str, default: str = "") -> str:
        """Return the last value of a field, as browsers send it."""
        return self.get(name, [default])[-1]


async def read_form(request: Request, most: int = _LARGEST_FORM) -> Fields:
    """Return the fields of a form.

    Raises `ProblemError` with ``unsupported-media-type`` if the body is not a form, with
    ``body-too-large`` above `most` bytes, and with ``malformed``.
    """
    sent = media_type(dict(request.scope["headers"]))
    if sent != _FORM:
        detail = f"the body is {sent[:100] or 'of no type'}: send a form, as the page does"
        raise ProblemError.of("unsupported-media-type", detail)
    body = await request.body()
    if len(body) > most:
        detail = f"the form has {len(body):,} bytes, and at most {most:,} are read"
        raise ProblemError.of("body-too-large", detail, limit_bytes=most)
    try:
        text = body.decode("ascii")
        return Fields(parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise ProblemError.of("malformed", f"the form could not be read: {error}") from error


class FormTokens:
    """Makes and checks tokens. Each is valid for one key and one action."""

    def __init__(self, identity: str) -> None:
        """`identity` is the random id of the service, which no response contains."""
        self._secret = hashlib.sha256(f"forms of {identity}".encode()).digest()

    def token(self, key_id: str | None, action: str) -> str:
        """Return the token of a form. `action` names what it does, and to what.

        `key_id` is that of its caller; None on a service without keys.
        """
        text = json.dumps([key_id, action])
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    async def read(
        self, request: Request, key_id: str | None, action: str, most: int = _LARGEST_FORM
    ) -> Fields:
        """Return the fields of a form that has the token of this key and action.

        Raises `ProblemError` as `read_form`, and with ``origin-not-allowed`` if it has none, or
        that of another form.
        """
        fields = await read_form(request, most)
        self.require(fields.text(TOKEN), key_id, action)
        return fields

    def require(self, token: str, key_id: str | None, action: str) -> None:
        """Raise `ProblemError` with ``origin-not-allowed`` unless it is the token of an action.

        For requests of scripts that have no form as their body, such as files.
        """
        found = token.encode("utf-8", "replace")
        if not hmac.compare_digest(found, self.token(key_id, action).encode()):
            raise ProblemError.of(
                "origin-not-allowed",
                "the form was not sent from its page, or the key has changed since the page was "
                "opened: open the page again, and click there",
            )
