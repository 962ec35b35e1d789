"""Keys of requests."""

from __future__ import annotations

from typing import Any

from intertwine.groups import Group, parse_group
from intertwine.reps import V, rep_document
from intertwine_api.wire.basis_request import parse_decomposition, parse_request


class TestDecompositionsOfEqualGroups:
    def test_have_keys_of_their_own_because_their_irreps_have_other_names(self) -> None:
        product = parse_group("SO(3)*SO(3)")
        plain = Group(lie_algebra=product.lie_algebra)
        documents: list[dict[str, Any]] = [rep_document(V(group)) for group in (product, plain)]
        assert len({parse_request(document).key for document in documents}) == 1
        assert len({parse_decomposition(document).key for document in documents}) == 2
        again = parse_decomposition(dict(reversed(documents[0].items())))
        assert again.key == parse_decomposition(documents[0]).key
