"""Tokens of forms: each belongs to one key and one action of one service."""

from __future__ import annotations

import pytest
from intertwine_api.server.console.forms import Fields, FormTokens
from intertwine_api.wire.problems import ProblemError


def test_a_token_belongs_to_one_key_one_action_and_one_service() -> None:
    ours, theirs = FormTokens("a" * 32), FormTokens("b" * 32)
    token = ours.token("key", "cancel")
    assert token == FormTokens("a" * 32).token("key", "cancel")
    others = (ours.token("other", "cancel"), ours.token("key", "retry"), ours.token(None, "cancel"))
    assert len({token, *others, theirs.token("key", "cancel")}) == 5


def test_a_script_sends_the_token_by_itself() -> None:
    tokens = FormTokens("a" * 32)
    tokens.require(tokens.token("key", "upload"), "key", "upload")
    for wrong in ("", tokens.token("key", "delete"), "\ud800é"):
        with pytest.raises(ProblemError, match="open the page again"):
            tokens.require(wrong, "key", "upload")


def test_the_last_value_of_a_field_counts() -> None:
    fields = Fields({"scope": ["a", "b"]})
    assert fields.text("scope") == "b"
    assert fields.text("owner", "nobody") == "nobody"
