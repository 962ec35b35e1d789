"""Balls in the Cayley graph: all elements of finite groups, and the coincidences of words."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.groups import Q8, D, Icosahedral, Pauli
from intertwine.groups.cayley_ball import grow_ball
from intertwine.operators import dense


@pytest.mark.parametrize(
    ("group", "order"),
    [(D(7), 14), (Q8(), 8), (Icosahedral(), 60), (Pauli(3, 1), 27)],
    ids=["D(7)", "Q8", "Icosahedral", "Pauli"],
)
def test_a_finite_group_is_enumerated(group, order: int) -> None:  # type: ignore[no-untyped-def]
    matrices = [np.asarray(dense(h)) for h in group.group_generators]
    ball = grow_ball(matrices, 1000)
    assert (ball.is_complete, ball.order) == (True, order)
    assert (ball.edges >= 0).all()
    letters = [*matrices, *map(np.linalg.inv, matrices)]
    whole = ball.images_of(np.eye(group.d), letters)
    for i, element in enumerate(whole):
        assert ball.place(element) == i
        word = np.eye(group.d)
        for k in ball.word(i):
            word = word @ letters[k]
        assert np.abs(word - element).max() < 1e-12


def test_an_infinite_group_is_cut_off() -> None:
    """⟨a, b | a⁴, b⁶, a² = b³⟩ is SL(2, ℤ)."""
    a, b = np.array([[0.0, -1], [1, 0]]), np.array([[0.0, -1], [1, 1]])
    ball = grow_ball([a, b], 200)
    assert not ball.is_complete
    assert ball.order == 200
    assert ball.place(np.diag([-1.0, -1.0])) is not None
    assert ball.place(np.diag([2.0, 0.5])) is None
