"""What the columns keep of any text and any document."""

from __future__ import annotations

import doctest
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intertwine_api.storage import tables as columns
from intertwine_api.storage.database import Database
from intertwine_api.storage.tables import Document, Text, plain
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, text

ANYTHING = Table(
    "anything", MetaData(), Column("id", Integer, primary_key=True), Column("text", Text),
    Column("document", Document),
)  # fmt: skip

#: Every text there is, with NUL and half surrogates, which a request can smuggle in as escapes.
texts = st.text(st.characters(exclude_categories=()), max_size=20)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def kept(database: Database) -> Database:
    """A database with the table `ANYTHING`."""
    with database.write() as connection:
        connection.execute(text("DROP TABLE IF EXISTS anything"))
        ANYTHING.create(connection)
    return database


def round_trip(database: Database, **values: Any) -> Any:
    with database.write() as connection:
        connection.execute(ANYTHING.delete())
        connection.execute(insert(ANYTHING).values(**values))
        return connection.execute(select(ANYTHING)).one()


class TestPlain:
    def test_its_example(self) -> None:
        assert doctest.testmod(columns).failed == 0

    @given(document=documents)
    def test_is_json_that_says_itself_again(self, document: Any) -> None:
        once = plain(document)
        assert json.loads(json.dumps(once, allow_nan=False)) == once == plain(once)
        json.dumps(once, ensure_ascii=False).encode()


class TestColumns:
    @settings(
        deadline=None,
        max_examples=60,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(said=texts, document=documents)
    def test_keep_anything_on_either_database(
        self, kept: Database, said: str, document: Any
    ) -> None:
        row = round_trip(kept, text=said, document=document)
        assert (row.text, row.document) == (plain(said), plain(document))

    @pytest.mark.parametrize("said", ["plain", "nul\0", "half \ud83d", "", "'; --"])
    def test_a_text_is_found_by_itself(self, kept: Database, said: str) -> None:
        round_trip(kept, text=said)
        with kept.read() as connection:
            found = connection.execute(select(ANYTHING.c.id).where(ANYTHING.c.text == said)).all()
            other = connection.execute(
                select(ANYTHING.c.id).where(ANYTHING.c.text == f"{said}\0")
            ).all()
        assert (len(found), len(other)) == (1, 0)

    def test_nothing_is_null_and_not_the_text_null(self, kept: Database) -> None:
        round_trip(kept, text=None, document=None)
        with kept.read() as connection:
            nulls = text("SELECT count(*) FROM anything WHERE document IS NULL AND text IS NULL")
            assert connection.execute(nulls).scalar() == 1
