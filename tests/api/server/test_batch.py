from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intertwine_api.server.batcher import Call, Piece, compute, padded, sizes
from jaxtyping import Shaped

Rows = Shaped[np.ndarray, "n d"]


def squares(x: Rows) -> Rows:
    return x**2


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def calls(lengths: Sequence[int], loop: asyncio.AbstractEventLoop) -> list[Call]:
    return [Call(np.full((n, 2), float(i)), loop.create_future()) for i, n in enumerate(lengths)]


@given(most=st.integers(1, 300), rows=st.integers(1, 300))
def test_a_batch_is_padded_to_a_power_of_two_or_to_the_most(most: int, rows: int) -> None:
    rows = min(rows, most)
    size = padded(rows, most)
    assert size in sizes(most)
    assert rows <= size <= most
    assert size == most or size & (size - 1) == 0
    assert size < 2 * rows


def test_there_are_few_sizes() -> None:
    assert sizes(1) == (1,)
    assert sizes(64) == (1, 2, 4, 8, 16, 32, 64)
    assert sizes(100) == (1, 2, 4, 8, 16, 32, 64, 100)


def test_each_piece_has_the_outputs_of_its_own_rows(loop: asyncio.AbstractEventLoop) -> None:
    seen = []

    def function(x: Rows) -> Rows:
        seen.append(x.shape)
        return squares(x)

    pieces = [call.take(9) for call in calls([2, 1, 3], loop)]
    outcomes = compute(function, pieces, 64)
    for i, (piece, outcome) in enumerate(zip(pieces, outcomes, strict=True)):
        np.testing.assert_array_equal(outcome, np.full((len(piece), 2), float(i**2)))
    assert seen == [(8, 2)]


def test_an_error_affects_only_its_own_calls(
    loop: asyncio.AbstractEventLoop,
) -> None:
    def picky(x: Rows) -> Rows:
        if (x == 1).any():
            raise ArithmeticError("I take no ones")
        return squares(x)

    outcomes = compute(picky, [call.take(9) for call in calls([2, 3, 1], loop)], 64)
    assert isinstance(outcomes[1], ArithmeticError)
    np.testing.assert_array_equal(outcomes[0], np.zeros((2, 2)))
    np.testing.assert_array_equal(outcomes[2], [[4.0, 4.0]])


def test_a_wrong_number_of_outputs_is_an_error(loop: asyncio.AbstractEventLoop) -> None:
    (outcome,) = compute(lambda x: x[:-1], [calls([2], loop)[0].take(2)], 64)
    assert isinstance(outcome, ValueError)
    assert "1 rows for 2" in str(outcome)


@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=6), data=st.data())
def test_a_call_in_pieces_is_answered_in_order_whatever_the_order_of_its_answers(
    loop: asyncio.AbstractEventLoop, cuts: list[int], data: st.DataObject
) -> None:
    x = np.arange(2.0 * sum(cuts)).reshape(-1, 2)
    call = Call(x, loop.create_future())
    pieces: list[Piece] = [call.take(n) for n in cuts]
    assert call.waiting == 0
    for piece in data.draw(st.permutations(pieces)):
        assert not call.future.done()
        call.put(piece.start, squares(piece.inputs))
    np.testing.assert_array_equal(call.future.result(), squares(x))


def test_dropped_calls_leave_the_queue(loop: asyncio.AbstractEventLoop) -> None:
    (call,) = calls([5], loop)
    call.take(2)
    assert call.drop() == 3
    assert call.waiting == 0
    assert call.drop() == 0


def test_a_call_that_failed_is_not_answered_as_well(loop: asyncio.AbstractEventLoop) -> None:
    call = Call(np.zeros((2, 1)), loop.create_future())
    call.take(1)
    call.fail(ArithmeticError("first"))
    call.put(0, np.zeros((2, 1)))
    call.fail(ArithmeticError("second"))
    with pytest.raises(ArithmeticError, match="first"):
        call.future.result()
