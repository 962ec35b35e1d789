"""Components of irreps as single tensors: the maps of lists of arrays, in few operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from intertwine.architecture.channelwise_maps import channelwise_maps_of
from intertwine.architecture.components import (
    copies_as_channels,
    copies_as_vectors,
    of_separate,
    separate,
)
from intertwine.architecture.irrep_space import IrrepSpace, irrep_space_of
from intertwine.groups import SO, Group, Lorentz, O
from intertwine.reps import Rep, Scalar, V

torch = pytest.importorskip("torch")
modules = pytest.importorskip("intertwine.torch")

#: A change of basis by one matrix, one term by term, and one with an irrep that has endomorphisms.
SPACES: dict[str, tuple[Rep, Group]] = {
    "at once": (2 * Scalar + 3 * V + V**2, SO(3)),
    "by terms": (40 * V + 10 * Scalar + 7 * V**2, SO(3)),
    "with endomorphisms": (3 * V + V**2, Lorentz()),
}


def space_of(name: str) -> IrrepSpace:
    rep, group = SPACES[name]
    return irrep_space_of(rep(group), group, is_complex=False)


def vectors(size: int, count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, size))


@pytest.mark.parametrize("name", SPACES)
def test_tensors_hold_the_components_of_lists(name: str) -> None:
    space = space_of(name)
    x = vectors(space.size)
    lists, tensors = space.enter(x), space.enter(torch.from_numpy(x))
    for irrep, components in lists.items():
        np.testing.assert_allclose(tensors[irrep], np.stack(components, axis=1), atol=1e-13)
    np.testing.assert_allclose(space.leave(tensors, torch.from_numpy(x)), x, atol=1e-12)


@pytest.mark.parametrize("name", SPACES)
def test_irreps_that_are_missing_are_zero(name: str) -> None:
    space = space_of(name)
    x = vectors(space.size)
    lists, tensors = space.enter(x), space.enter(torch.from_numpy(x))
    missing = next(iter(space.kinds))
    del lists[missing], tensors[missing]
    found = space.leave(tensors, torch.from_numpy(x))
    np.testing.assert_allclose(found, space.leave(lists, x), atol=1e-12)


def test_copies_become_channels_and_vectors_again() -> None:
    x = np.random.default_rng(0).standard_normal((3, 2, 8))
    tensor, parts = torch.from_numpy(x), [x[:, 0], x[:, 1]]
    channels = copies_as_channels(tensor, 4)
    np.testing.assert_array_equal(channels, np.stack(copies_as_channels(parts, 4), axis=1))
    assert torch.equal(copies_as_vectors(channels, 4), tensor)


def test_components_are_separated_and_joined_again() -> None:
    tensor = torch.arange(24.0).reshape(3, 2, 4)
    assert torch.equal(separate(tensor)[1], tensor[:, 1])
    assert torch.equal(of_separate(separate(tensor)), tensor)
    parts = [np.zeros((3, 4)), np.ones((3, 4))]
    assert of_separate(separate(parts)) is parts


@pytest.mark.parametrize("group", [SO(3), O(3), Lorentz()], ids=repr)
def test_couplings_of_a_pair_are_those_of_each_term(group: Group) -> None:
    rep = (Scalar + 2 * V + V**2)(group)
    products = channelwise_maps_of(rep, rep, group, 3).products
    rng = np.random.default_rng(0)
    kinds, channels = products.kinds, products.channels
    a, b = (
        {name: rng.standard_normal((c, kinds[name].dimension, 4)) for name, c in channels.items()}
        for _ in range(2)
    )
    weights = {name: rng.standard_normal((2, n)) for name, n in products.fan_in.items()}

    def listed(x: dict[str, np.ndarray]) -> dict[str, Any]:
        return {name: [*one.swapaxes(0, 1)] for name, one in x.items()}

    def tensors(x: dict[str, np.ndarray]) -> dict[str, Any]:
        return {name: torch.from_numpy(one) for name, one in x.items()}

    wanted = products(weights, listed(a), listed(b))
    found = products(tensors(weights), tensors(a), tensors(b))
    assert found.keys() == wanted.keys()
    for name, components in wanted.items():
        np.testing.assert_allclose(found[name], np.stack(components, axis=1), atol=1e-12)


def operations(call: Callable[[], Any]) -> int:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counter(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            self.count += not func.is_view
            return func(*args, **(kwargs or {}))

    with Counter() as counter:
        call()
    return counter.count


def test_products_take_fewer_operations_than_they_have_terms() -> None:
    layer = modules.BiLinear(2 * V + V**2, V**2, SO(3))
    x = torch.zeros(2, layer.rep_in.size())
    layer(x)  # constants become tensors
    terms = sum(coupling.operations for coupling in layer.maps.products.every)
    assert operations(lambda: layer(x)) < terms / 2
