"""Tokens of forms: a form that changes something works only if a page of the console had it.

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
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.problems import ProblemError

FIELD = "token"
_FORM = "application/x-www-form-urlencoded"
_LARGEST_FORM = 2**12  # bytes


class FormTokens:
    """Makes and checks tokens. Each is valid for one caller and one action."""

    def __init__(self, identity: str) -> None:
        """`identity` is the random id of the service, which no response contains."""
        self._secret = hashlib.sha256(f"forms of {identity}".encode()).digest()

    def token(self, caller: Caller, action: str) -> str:
        """Return the token of a form. `action` names what it does, and to what."""
        text = json.dumps([caller.owner, caller.key_id, action])
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    async def require(self, request: Request, caller: Caller, action: str) -> None:
        """Check the token in the body of a request.

        Raises `ProblemError` with ``origin-not-allowed`` if it has none, or that of another form,
        and with ``unsupported-media-type`` if the body is not a form.
        """
        sent = media_type(dict(request.scope["headers"]))
        if sent != _FORM:
            detail = f"the body is {sent[:100] or 'of no type'}: send a form, as the page does"
            raise ProblemError.of("unsupported-media-type", detail)
        body = await request.body()
        fields = parse_qs(body[:_LARGEST_FORM].decode("latin-1"), max_num_fields=None)
        found = fields.get(FIELD, [""])[0]
        if not hmac.compare_digest(found.encode(), self.token(caller, action).encode()):
            raise ProblemError.of(
                "origin-not-allowed",
                "the form was not sent from its page, or the key has changed since the page was "
                "opened: open the page again, and click there",
            )
