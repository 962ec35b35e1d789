"""The number of examples of property-based tests."""

from __future__ import annotations

import os

from hypothesis import settings

#: A few examples while working; CI asks for more (see `.ci/run`).
laws = settings(deadline=None, max_examples=int(os.environ.get("LAWS_EXAMPLES", "25")))
