"""Pictures of the library as responses: Matplotlib figures as SVG, drawn one at a time."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

from fastapi import Response

_DRAWING = threading.Lock()  # Matplotlib's caches of fonts are not safe for threads
#: The addresses of pictures change with their content. The policy is for a picture that is opened
#: by itself: its styles are attributes.
_HEADERS = {
    "Cache-Control": "private, max-age=86400",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; "
        "frame-ancestors 'none'"
    ),
}


def svg_of(draw: Callable[[], Any], **options: Any) -> bytes:
    """Return the figure that a function draws, as SVG. `options` are those of `savefig`."""
    drawn = io.BytesIO()
    with _DRAWING:
        draw().savefig(drawn, format="svg", metadata={"Date": None}, **options)
    return drawn.getvalue()


def picture_response(svg: bytes) -> Response:
    """Return the response with a picture, which browsers may keep for a day."""
    return Response(svg, media_type="image/svg+xml", headers=_HEADERS)
