"""A rep is described in a document."""

from __future__ import annotations

import json

from intertwine.groups import SO
from intertwine.reps import V, describe_rep


def test_a_rep_over_its_group() -> None:
    document = describe_rep((V >> V**2)(SO(3)))
    assert json.loads(json.dumps(document)) == document
    assert (document["group"], document["size"], document["dimension"]) == ("SO(3)", 27, "27")


def test_a_rep_without_a_group_has_no_size() -> None:
    document = describe_rep(V**2)
    assert (document["group"], document["size"], document["dimension"]) == (None, None, "d**2")
