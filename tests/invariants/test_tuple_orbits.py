"""Orbits by stabilisers, compared with the components of the graph of all tuples."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intertwine.bases.orbits import moved_labels
from intertwine.groups import Group, RubiksCube, S, Z
from intertwine.invariants import by_orbits, tuple_orbits
from intertwine.invariants.problem import problems_of
from intertwine.invariants.progress import silent
from intertwine.invariants.tuple_orbits import TooManyOrbits, signed_labels
from intertwine.operators import Permutation
from intertwine.reps import Rep, T, V
from intertwine.reps.canonical_form import canonical_terms

Slots = tuple[Permutation, ...]
Action = tuple[list[Slots], tuple[int, ...]]


def of_graph(generators: Sequence[Slots], sizes: Sequence[int]) -> np.ndarray:
    """The labels by the components of the graph of all tuples."""
    orbits = by_orbits._signed_orbits(generators, prod(sizes))
    assert orbits.signs is not None
    return ((orbits.labels + 1) * orbits.signs).reshape(sizes)


@st.composite
def actions(draw: st.DrawFn) -> Action:
    """Generators of a group that permutes the indices of some slots, with signs or without."""
    sizes = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    is_signed = draw(st.booleans())

    def slot(size: int) -> Permutation:
        signs = draw(st.lists(st.sampled_from([1, -1]), min_size=size, max_size=size))
        return Permutation(draw(st.permutations(range(size))), signs if is_signed else None)

    count = draw(st.integers(0, 3))
    return [tuple(slot(size) for size in sizes) for _ in range(count)], sizes


@pytest.mark.slow
@given(actions())
def test_they_are_the_components_of_the_graph(action: Action) -> None:
    assert np.array_equal(signed_labels(*action, 10**6), of_graph(*action))


@pytest.mark.slow
@given(actions())
def test_too_few_elements_of_a_stabiliser_are_made_good(
    action: Action,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuple_orbits, "_DRAWN", 0)
        assert np.array_equal(signed_labels(*action, 10**6), of_graph(*action))


@given(actions())
def test_moved_labels_are_those_of_the_images(
    action: Action,
) -> None:
    generators, sizes = action
    labels = np.arange(1, prod(sizes) + 1, dtype=np.int32)
    for slots in generators:
        indices, signs = by_orbits.joint_permutation(slots)
        images = labels[indices] * signs
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("intertwine.bases.orbits._AT_ONCE", 7)
            pairs = list(moved_labels(labels.reshape(sizes), slots))
        told = {
            int(label): int(image)
            for own, other in pairs
            for label, image in zip(own.flat, other.flat, strict=True)
        }
        assert sum(own.size for own, _ in pairs) == len(told)
        assert all(images[label - 1] == image for label, image in told.items())
        assert set(labels[images != labels].tolist()) <= told.keys()


def test_with_too_many_stabilisers_it_gives_up() -> None:
    swap = Permutation([1, 0, *range(2, 30)])
    with pytest.raises(TooManyOrbits):
        signed_labels([(swap,) * 3], (30,) * 3, 20)


def signed(n: int) -> Group:
    """All signed permutations of n coordinates with an even number of signs."""
    signs = np.diag([-1.0, -1.0] + [1.0] * (n - 2))
    return Group(discrete_generators=[*S(n).discrete_generators, signs], name=f"D({n})")


@pytest.mark.parametrize(
    "rep",
    [
        T(3)(S(50)),
        T(6)(S(8)),
        (V * V.T * V)(RubiksCube()),
        T(6)(signed(7)),
        T(3)(Z(50)),
    ],
    ids=repr,
)
def test_large_reps_have_the_orbits_of_the_graph(rep: Rep) -> None:
    ((_, term),) = canonical_terms(rep)
    (problem,) = problems_of(term)
    assert problem.size >= by_orbits._LARGE
    found = by_orbits.index_orbits(problem, silent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_orbits, "_LARGE", problem.size + 1)
        graph = by_orbits.index_orbits(problem, silent)
    assert found.shape == graph.shape
    assert found.labels.dtype == graph.labels.dtype
    assert np.array_equal(found.labels, graph.labels)
    if graph.signs is None:
        assert found.signs is None
    else:
        assert found.signs is not None
        assert np.array_equal(found.signs, graph.signs)
